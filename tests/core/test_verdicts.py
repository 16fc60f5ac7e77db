"""What a judge is asked and how its words are read: unreadable words are no verdict."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_plugins.core.questions import split_question
from ergo_plugins.core.statements import NoVerdict, read_completion
from ergo_plugins.core.verdicts import read_region_answer, read_same, region_prompt, same_prompt

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


@pytest.mark.parametrize(
    ("reply", "same"),
    [
        ("Yes.", True),
        ("<answer>no</answer>", False),
        ("**YES**", True),
        ("Yes, there is no difference in meaning.", True),
        ("There is no doubt that they agree.", True),
        ("No, they differ.", False),
        ("They do not mean the same.", False),
        ("<think>no? no.</think>Yes", True),
    ],
)
def test_yes_and_no(reply: str, same: bool) -> None:
    assert read_same(reply) is same


@pytest.mark.parametrize(
    "reply", ["", "maybe", "yes and no", "I know nothing", "<answer></answer>", "<think>yes", "There is no"]
)
def test_maybe_is_no_verdict(reply: str) -> None:
    with pytest.raises(NoVerdict):
        read_same(reply)


@given(st.text())
def test_any_text_is_a_verdict_or_none(reply: str) -> None:
    with contextlib.suppress(NoVerdict):
        assert read_region_answer(reply, CHOICE, "option") != ""
    with contextlib.suppress(NoVerdict):
        assert isinstance(read_same(reply), bool)


def completion(message: Any, finish: Any = "stop") -> str:
    return json.dumps({"choices": [{"index": 0, "finish_reason": finish, "message": message}]})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (completion({"content": "B"}), "B"),
        (completion({"content": [{"type": "text", "text": "<answer>B</answer>"}]}), "<answer>B</answer>"),
        (completion({"content": "B", "reasoning_content": "A or B"}), "B"),
        (completion({"content": "<answer>B</answer> and"}, "length"), "<answer>B</answer> and"),
    ],
    ids=["text", "parts", "a thought beside it", "cut behind the answer"],
)
def test_the_statement_of_a_completion(body: str, text: str) -> None:
    assert read_completion(body) == text


@pytest.mark.parametrize(
    "body",
    [
        completion({"content": "Okay. First the options. Option A"}, "length"),
        completion({"content": "<think>Option A"}, "length"),
        completion({"content": None, "reasoning_content": "Option A"}),
        completion({"content": "", "reasoning": "Option A"}),
        completion({"content": "A", "refusal": "I will not"}),
        completion({"content": "A"}, "content_filter"),
    ],
    ids=["cut", "cut in its thought", "only a thought", "only reasoning", "refused", "filtered"],
)
def test_no_verdict_is_read_out_of_what_is_no_statement(body: str) -> None:
    with pytest.raises(NoVerdict):
        read_region_answer(read_completion(body), CHOICE, "option")
