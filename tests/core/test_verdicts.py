"""What a judge is asked and how its words are read: unreadable words are no verdict."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_plugins.core.questions import split_question
from ergo_plugins.core.verdicts import NoVerdict, read_region_answer, read_same, region_prompt, same_prompt

CHOICE = split_question("Which pattern?\nA. plain\nB. checkered")
OPEN = split_question("What does the sign say?")


def test_the_judge_is_told_what_it_sees() -> None:
    alone, both = region_prompt(CHOICE, with_original=False), region_prompt(CHOICE, with_original=True)
    assert CHOICE.full in alone
    assert CHOICE.full in both
    assert "second" in both
    assert "second" not in alone
    assert "letter" in alone
    assert "letter" not in region_prompt(OPEN, with_original=False)


def test_the_judge_of_an_answer_sees_question_target_and_answer() -> None:
    prompt = same_prompt(OPEN, "STOP", "stop sign")
    assert OPEN.stem in prompt
    assert "STOP" in prompt
    assert "stop sign" in prompt


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("<answer>B</answer>", "B"),
        ("B", "B"),
        ("<think>stripes?</think><answer>checkered</answer>", "checkered"),
        ("<answer>unknown</answer>", None),
        ("<answer>Unknown.</answer>", None),
        ("The image does not show it, it cannot be determined.", None),
    ],
)
def test_region_answers(reply: str, answer: str | None) -> None:
    assert read_region_answer(reply, CHOICE, "option") == answer


@pytest.mark.parametrize("reply", ["", "   ", "<answer></answer>", "<think>on and on", "hm, stripes or dots?"])
def test_no_choice_is_no_verdict(reply: str) -> None:
    with pytest.raises(NoVerdict):
        read_region_answer(reply, CHOICE, "option")


def test_numbers_and_texts() -> None:
    assert read_region_answer("<answer>12</answer>", OPEN, "number") == "12"
    assert read_region_answer("<answer>STOP</answer>", OPEN, "text") == "STOP"
    assert read_region_answer("<answer>not visible</answer>", OPEN, "number") is None
    with pytest.raises(NoVerdict, match="number"):
        read_region_answer("<answer>many</answer>", OPEN, "number")


@pytest.mark.parametrize(("reply", "same"), [("Yes.", True), ("<answer>no</answer>", False), ("**YES**", True)])
def test_yes_and_no(reply: str, same: bool) -> None:
    assert read_same(reply) is same


@pytest.mark.parametrize("reply", ["", "maybe", "yes and no", "I know nothing", "<answer></answer>"])
def test_maybe_is_no_verdict(reply: str) -> None:
    with pytest.raises(NoVerdict):
        read_same(reply)


@given(st.text())
def test_any_text_is_a_verdict_or_none(reply: str) -> None:
    with contextlib.suppress(NoVerdict):
        assert read_region_answer(reply, CHOICE, "option") != ""
    with contextlib.suppress(NoVerdict):
        assert isinstance(read_same(reply), bool)
