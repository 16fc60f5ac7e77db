"""A benchmark's text is taken apart into what is asked and the options, and is itself kept unchanged."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ergo_plugins.core.questions import split_question

LETTER_PLEASE = "Answer with the option's letter from the given choices directly."

SPLIT: list[tuple[str, str, dict[str, str]]] = [
    # (text, stem, options)
    ("What is on the table?", "What is on the table?", {}),
    (f"Is it red?\nA. yes\nB. no\n{LETTER_PLEASE}", "Is it red?", {"A": "yes", "B": "no"}),
    (f"Is it red?\n(A) yes\n(B) no\n{LETTER_PLEASE}", "Is it red?", {"A": "yes", "B": "no"}),
    ("Is it red?\nA: yes\nB: no", "Is it red?", {"A": "yes", "B": "no"}),
    ("Is it red?\nA) yes\nB) no", "Is it red?", {"A": "yes", "B": "no"}),
    ("Is it red?\r\nA. yes\r\nB. no\r\n", "Is it red?", {"A": "yes", "B": "no"}),
    ("Is it red?\n\n  A.  yes \n\n  B.no\n\nAnswer.", "Is it red?", {"A": "yes", "B": "no"}),
    ("Is it red? (A) yes (B) no", "Is it red?", {"A": "yes", "B": "no"}),
    ("Is it red? A: yes B: no", "Is it red?", {"A": "yes", "B": "no"}),
    ("Is it red? A) yes B) no", "Is it red?", {"A": "yes", "B": "no"}),
    ("Is it red?\n(A) yes (B) no", "Is it red?", {"A": "yes", "B": "no"}),
    ("Which?\nA.\nB.\nC.", "Which?", {"A": "", "B": "", "C": ""}),
    ("Which?\nA. one\nB. two\nD. four", "Which?", {"A": "one", "B": "two"}),
    ("Which?\nA. only", "Which?\nA. only", {}),
    ("Which?\nB. two\nC. three", "Which?\nB. two\nC. three", {}),
    ("Plan\nA. not a list\n\nWhich?\nA. one\nB. two", "Plan\nA. not a list\nWhich?", {"A": "one", "B": "two"}),
    ("A. Plan\nA. one\nB. two", "A. Plan", {"A": "one", "B": "two"}),
    ("A. Smith drives the car. Which colour is it?", "A. Smith drives the car. Which colour is it?", {}),
    ("Did A. Smith or B. Jones win?", "Did A. Smith or B. Jones win?", {}),
    ("Which of the parts A, B and C is the root?", "Which of the parts A, B and C is the root?", {}),
    ("A. one\nB. two", "A. one\nB. two", {"A": "one", "B": "two"}),
    (LETTER_PLEASE, LETTER_PLEASE, {}),
    (f"Hint: {LETTER_PLEASE}\nIs it red?", "Hint:\nIs it red?", {}),
    ("Is it red?\nAnswer the question using a single word or phrase.", "Is it red?", {}),
    ("Is it red?\nAnswer the question with a single word.", "Is it red?", {}),
    ("Is it red? Answer yes or no.", "Is it red?", {}),
    ("How many?\n\nPlease answer directly with a single word or number.", "How many?", {}),
    ("Note: You only need to respond with A, B without any other text.\n\nIs it red?", "Is it red?", {}),
    ("How many? Select from the following choices.\n(A) 1\n(B) 2", "How many?", {"A": "1", "B": "2"}),
    (
        "Is it red? The choices are listed below:\n(A) yes\n(B) no\nThe best answer is: ",
        "Is it red?",
        {"A": "yes", "B": "no"},
    ),
    ("Is it red?\nOptions:\nA. yes\nB. no\nAnswer:", "Is it red?", {"A": "yes", "B": "no"}),
    # sentences that ask for something and only sound like instructions
    (
        "Look at the plan. Choose the correct name of part F.",
        "Look at the plan. Choose the correct name of part F.",
        {},
    ),
    ("What is the answer to the sum on the board?", "What is the answer to the sum on the board?", {}),
    ("Which number does the card answer with?", "Which number does the card answer with?", {}),
    ("Who has to return the letter?", "Who has to return the letter?", {}),
    ("Does the sign say: answer the phone only here?", "Does the sign say: answer the phone only here?", {}),
]


@pytest.mark.parametrize(("text", "stem", "options"), SPLIT)
def test_a_question_taken_apart(text: str, stem: str, options: dict[str, str]) -> None:
    question = split_question(text)
    assert question.stem == stem
    assert {option.letter: option.text for option in question.options} == options
    assert question.full == text


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_no_question_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        split_question(text)


pieces = st.sampled_from(
    [
        "A",
        "B",
        "C",
        "(A)",
        "(B)",
        "A.",
        "B.",
        "A:",
        "B)",
        " ",
        "\n",
        ". ",
        "? ",
        "Answer",
        "the option",
        "red",
        "Select the best",
    ]
)
texts = st.text() | st.lists(pieces | st.text(max_size=4), max_size=40).map("".join)


@given(texts)
@example("\x1fA.\nB.")
def test_any_text_has_a_stem_and_options_from_a_on(text: str) -> None:
    assume(text.strip())
    question = split_question(text)
    assert question.full == text
    assert question.stem.strip()
    assert question.letters == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(question.options)])
    assert len(question.options) != 1
    assert all(option.text == option.text.strip() for option in question.options)


words = st.text(st.characters(categories=["Ll"]), min_size=1, max_size=8)


@given(st.lists(words, min_size=2, max_size=26), st.sampled_from(["{}. {}", "({}) {}", "{}: {}", "{}) {}"]), words)
def test_any_list_of_options_is_found_and_kept_from_the_stem(options: list[str], style: str, subject: str) -> None:
    listed = [style.format(chr(ord("A") + i), option) for i, option in enumerate(options)]
    question = split_question(f"Where is the {subject}?\n" + "\n".join(listed) + f"\n{LETTER_PLEASE}")
    assert question.stem == f"Where is the {subject}?"
    assert [option.text for option in question.options] == options


@pytest.mark.parametrize(
    ("text", "stem", "options"),
    [
        ("车是什么颜色？\nA、红色\nB、蓝色", "车是什么颜色？", ("红色", "蓝色")),
        ("车是什么颜色？\n（A）红色\n（B）蓝色", "车是什么颜色？", ("红色", "蓝色")),
        ("颜色？\nＡ．红\nＢ．蓝\n请直接回答选项字母。", "颜色？", ("红", "蓝")),
        ("颜色？（A）红色（B）蓝色", "颜色？", ("红色", "蓝色")),
        ("Which?\na) red\nb) blue", "Which?", ("red", "blue")),
        ("Which?\n[A] red\n[B] blue", "Which?", ("red", "blue")),
        ("Which?\n- A. red\n- B. blue", "Which?", ("red", "blue")),
        ("Which?\n**A.** red\n**B.** blue", "Which?", ("red", "blue")),
        ("Which?\nA. red\nlike wine\nB. blue", "Which?", ("red like wine", "blue")),
        ("a man is there\nb is what?", "a man is there\nb is what?", ()),
        ("What is f(A) and f(B)?", "What is f(A) and f(B)?", ()),
    ],
)
def test_options_in_other_scripts_and_signs(text: str, stem: str, options: tuple[str, ...]) -> None:
    question = split_question(text)
    assert question.stem == stem
    assert tuple(option.text for option in question.options) == options
    assert question.letters == tuple("ABCD"[: len(options)])
