"""Answers in other words and other scripts: dress is ignored, what carries meaning is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_plugins.core.answers import AnswerKind, bare_answer, extract_letter, matches, number
from ergo_plugins.core.questions import Option

OPTIONS = tuple(Option(*pair) for pair in zip("ABCD", ("red", "blue", "dark red", "green"), strict=True))


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("The answer is B. Option A is incorrect.", "B"),
        ("B, because option A is wrong", "B"),
        ("The answer is A. No, the answer is B.", "B"),
        ("Option B is correct. Options A and C are not", "B"),
        ("A is wrong, so B", "B"),
        ("not A but C", "C"),
        ("Neither A nor B", None),
        ("I first thought A, but it is D", None),
        ("The answer is B, A is wrong.", "B"),
        ("The answer is B and A is wrong.", "B"),
        ("It can't be A", None),
        ("Answer: A or B", None),
        ("The answer is A man", None),
        ("The answer is A because it is red", "A"),
        ("It is not blue", None),
        ("blue instead of red", None),
        ("[B]", "B"),
        ("$B$", "B"),
        ("The final answer is $\\boxed{\\textbf{(C)}}$", "C"),
        ("A。因为B和C不对", "A"),
        ("（B）", "B"),
        ("B、蓝色", "B"),
        ("答案是B", "B"),
        ("答案：Ｃ", "C"),
        ("选D", "D"),
        ("It is dark red.", "C"),
        ("It is red.", "A"),
        ("It is red, or dark red", None),
        ("\\boxed{\\text{B}}", "B"),
    ],
)
def test_a_letter_that_is_mentioned_is_not_one_that_is_stated(answer: str, letter: str | None) -> None:
    assert extract_letter(answer, OPTIONS) == letter


def test_options_that_differ_by_a_sign() -> None:
    options = tuple(Option(*pair) for pair in zip("AB", ("5", "-5"), strict=True))
    assert extract_letter("-5", options) == "B"
    assert extract_letter("−5", options) == "B"
    assert extract_letter("5", options) == "A"


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        ("", "→"),
        ("←", "→"),
        ("> 5 km", "< 5 km"),
        ("C#", "C++"),
        ("A-", "A+"),
        ("-5°C", "5°C"),
        ("दान", "दिन"),
        ("", "&"),
        ("&", "$"),
        ("€5", "$5"),
        ("vitamin A", "vitamin"),
        ("x^2", "x2"),
        ("3:2", "32"),
        ("1/2", "12"),
        ("x2", "x²"),
        ("👎", "👍"),
        ("♀", "♂"),
        ("naive", "naïve"),
        ("5", "5%"),
    ],
)
def test_what_carries_meaning_is_not_thrown_away(prediction: str, target: str) -> None:
    assert not matches(prediction, target, "text")
    assert matches(target, target, "text")


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        ("cafe\u0301", "café"),
        ("The Red.", "red"),
        ("20 percent", "20%"),
        ("1,000 m", "1000 m"),
        ("5km", "5 km"),
        ("ＡＢＣ", "abc"),
        ("\\boxed{\\text{red}}", "red"),
        ("“stop”", "Stop"),
        ("well-known", "well known"),
        ("$\\frac{1}{2}$", "1/2"),
        ("x^2", "x²"),
        ("90^\\circ", "90°"),
        ("ﬁre", "fire"),
        ("٣", "3"),
    ],
)
def test_dress_is_ignored(prediction: str, target: str) -> None:
    assert matches(prediction, target, "text")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("−5", -5),
        ("–5", -5),
        ("５", 5),
        ("20 percent", 0.2),
        ("20 per cent", 0.2),
        ("12\\%", 0.12),
        ("$12\\%$", 0.12),
        ("\\frac{1}{2}", 0.5),
        ("1/2", 0.5),
        ("1.5\\times10^3", 1500),
        ("1.5 × 10^{-2}", 0.015),
        ("\\boxed{42}", 42),
        ("-$1,234.50", -1234.5),
        ("€3", 3),
        ("5-10", None),
        ("three", None),
        ("12 million", 12e6),
        ("√2", None),
        ("2\\sqrt{3}", None),
        ("10^3", None),
        ("10³", None),
        ("3 × 4", None),
        ("10:30", None),
        ("١٢", 12),
        ("½", 0.5),
        ("3½", None),
        ("-\\frac12", -0.5),
        ("", None),
        ("1/0", None),
    ],
)
def test_numbers(text: str, value: float | None) -> None:
    assert number(text) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("answer", "bare"),
    [
        ("No. 10 Downing Street", "No. 10 Downing Street"),
        ("\\boxed{42}", "42"),
        ("The answer is $\\boxed{\\text{red}}$.", "red"),
        ("$42$", "42"),
        ("Yes, it is.", "Yes"),
        ("No.", "No"),
        ("U.S.", "U.S."),
        ("It is red.", "It is red"),
    ],
)
def test_an_open_answer_is_handed_over_bare(answer: str, bare: str) -> None:
    assert bare_answer(answer, ()) == bare


@pytest.mark.parametrize(("target", "kind"), [("B", "option"), ("5", "number"), ("&", "text"), (".", "text")])
def test_an_empty_answer_is_never_right(target: str, kind: AnswerKind) -> None:
    assert not matches("", target, kind)
    assert not matches(" \n", target, kind)


@given(st.text().filter(str.strip))
def test_every_text_is_itself(text: str) -> None:
    assert matches(text, text, "text")
