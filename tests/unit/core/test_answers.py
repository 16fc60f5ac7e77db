"""An answer is brought to the form in which scorers and rewards compare it; nothing is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_plugins.core.answers import NO_CHOICE, AnswerKind, bare_answer, extract_letter, matches, number
from ergo_plugins.core.questions import Option

OPTIONS = tuple(Option(*pair) for pair in [("A", "red"), ("B", "blue"), ("C", "a man in blue"), ("D", "none of these")])

LETTERS: list[tuple[str, str | None]] = [
    ("B", "B"),
    ("b", "B"),
    (" B. ", "B"),
    ("(B)", "B"),
    ("(b)", "B"),
    ("B)", "B"),
    ("B.", "B"),
    ("B. blue", "B"),
    ("(B) blue", "B"),
    ("B: blue", "B"),
    ("B, because it shines", "B"),
    ("**B**", "B"),
    ("**B**. blue", "B"),
    ("`B`", "B"),
    ("'B'", "B"),
    ("B blue", "B"),
    ("The answer is B", "B"),
    ("The answer is (B).", "B"),
    ("The answer is: **B**", "B"),
    ("the answer is b.", "B"),
    ("ANSWER: B", "B"),
    ("Option B", "B"),
    ("The correct choice is B because it is not A.", "B"),
    ("The answer is A. No, the answer is B.", "B"),
    ("\\boxed{B}", "B"),
    ("\\boxed{(b)}", "B"),
    ("It must be B", "B"),
    ("blue", "B"),
    ("Blue.", "B"),
    ("the blue", "B"),
    ("It looks red to me", "A"),
    ("The answer is red", "A"),
    ("a.k.a. blue", "B"),
    ("none of these", "D"),
    ("A man in blue", "C"),
    ("a man in blue", "C"),
    # an article is no letter, and two answers are none
    ("A man", None),
    ("A dog on the left", None),
    ("The answer is a dog", None),
    ("the answer is a man", None),
    ("A and B", None),
    ("A or B", None),
    ("A, B", None),
    ("A/B", None),
    ("red or blue", None),
    ("E", None),
    ("Z", None),
    ("(E) green", None),
    ("The answer is E", None),
    ("I cannot tell", None),
    ("green", None),
    ("Bluebird", None),
    ("predicted", None),
    ("B's", None),
    ("", None),
    ("...", None),
    ("**", None),
    ("7", None),
]


@pytest.mark.parametrize(("answer", "letter"), LETTERS)
def test_the_letter_of_an_answer(answer: str, letter: str | None) -> None:
    assert extract_letter(answer, OPTIONS) == letter
    assert bare_answer(answer, OPTIONS) == (letter or NO_CHOICE)


def test_without_options_to_choose_from_there_is_no_letter() -> None:
    assert extract_letter("B", ()) is None


def test_two_options_with_the_same_words_are_told_apart_by_letter_only() -> None:
    twins = (Option("A", "red"), Option("B", "red"))
    assert extract_letter("red", twins) is None
    assert extract_letter("B. red", twins) == "B"


@pytest.mark.parametrize(
    ("answer", "bare"),
    [
        ("Yes", "Yes"),
        ("yes.", "yes"),
        ("Yes, it is.", "Yes"),
        ("No. There is none.", "No"),
        ("**No**", "No"),
        ("No one", "No one"),
        ("Nothing", "Nothing"),
        ("12.5", "12.5"),
        ("12.", "12"),
        (" Stop sign. ", "Stop sign"),
        ('"Stop"', "Stop"),
        ("A", "A"),
        ("", ""),
    ],
)
def test_an_open_answer_without_what_scorers_do_not_expect(answer: str, bare: str) -> None:
    assert bare_answer(answer, ()) == bare


@pytest.mark.parametrize(
    ("prediction", "target", "kind", "matched"),
    [
        ("B. blue", "B", "option", True),
        ("blue", "(B)", "option", True),
        ("A", "B", "option", False),
        ("", "B", "option", False),
        ("12", "12", "number", True),
        ("12 dogs", "12.0", "number", True),
        ("$1,234.50", "1234.5", "number", True),
        ("-3", "-3", "number", True),
        ("3", "-3", "number", False),
        ("45%", "0.45", "number", True),
        ("0.45", "45 %", "number", True),
        ("12 or 13", "12", "number", False),
        ("twelve", "12", "number", False),
        ("9" * 500, "9", "number", False),
        ("0", "0", "number", True),
        ("The Red Lion.", "red lion", "text", True),
        ("red-lion", "Red Lion", "text", True),
        ("red lions", "red lion", "text", False),
        ("The", "the", "text", True),
        ("1,5", "1.5", "text", False),
        ("", "red", "text", False),
    ],
)
def test_whether_a_prediction_is_the_target(prediction: str, target: str, kind: AnswerKind, matched: bool) -> None:
    assert matches(prediction, target, kind, options=OPTIONS) is matched


@pytest.mark.parametrize(("said", "matched"), [("95", True), ("105", True), ("94.9", False), ("105.1", False)])
def test_a_number_may_differ_by_the_tolerance_and_no_more(said: str, matched: bool) -> None:
    assert matches(said, "100", "number", tolerance=0.05) is matched
    assert matches(f"-{said}", "-100", "number", tolerance=0.05) is matched


def test_without_options_any_letter_can_be_the_target() -> None:
    assert matches("The answer is (F).", "F", "option")
    assert not matches("F", "G", "option")


@pytest.mark.parametrize(
    ("target", "kind", "words"),
    [
        ("blue", "option", "a letter, got 'blue'"),
        ("", "option", "a letter, got ''"),
        ("twelve", "number", "a number, got 'twelve'"),
        ("12 or 13", "number", "a number"),
        (" ", "text", "empty"),
        ("x", "regex", "one of option, number, text"),
    ],
)
def test_a_target_that_is_not_of_its_kind_is_a_fault_of_the_data(target: str, kind: AnswerKind, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        matches("B", target, kind)


@given(st.text())
def test_no_prediction_raises(prediction: str) -> None:
    assert extract_letter(prediction, OPTIONS) in {"A", "B", "C", "D", None}
    assert bare_answer(prediction, OPTIONS) in {"A", "B", "C", "D", NO_CHOICE}
    assert isinstance(bare_answer(prediction, ()), str)
    for target, kind in (("B", "option"), ("7", "number"), ("blue", "text")):
        assert matches(prediction, target, kind) in (True, False)  # type: ignore[arg-type]


@given(st.sampled_from(OPTIONS), st.sampled_from(["{}", "({})", "{}.", "The answer is {}.", "**{}**", "\\boxed{{{}}}"]))
def test_a_letter_is_recognised_in_every_dress(option: Option, dress: str) -> None:
    assert extract_letter(dress.format(option.letter), OPTIONS) == option.letter
    assert matches(dress.format(option.letter), option.letter, "option", options=OPTIONS)


@given(st.integers(-(10**12), 10**12))
def test_a_whole_number_is_read_however_it_is_grouped(value: int) -> None:
    assert number(str(value)) == number(f"{value:,}") == number(f"It is {value}.") == value


BEFORE = (
    "not",
    "neither",
    "nor",
    "than",
    "isn't",
    "won't be",
    "except",
    "rule out",
    "eliminate",
    "UNLIKE",
    "instead of",
)
BEHIND = ("not it", "incorrect", "WRONG", "false", "impossible", "ruled out", "unlikely")


@pytest.mark.parametrize("denied", [*(f"{w} option B" for w in BEFORE), *(f"option B is {w}" for w in BEHIND)])
def test_each_word_that_denies_is_heeded(denied: str) -> None:
    """Of options that are stated the last counts, and this one is mentioned for its faults."""
    assert extract_letter(f"I say (C), {denied}", OPTIONS) == "C"
