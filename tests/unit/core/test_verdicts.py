"""What a judge is asked and how its words are read: unreadable words are no verdict."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_plugins.core.questions import split_question
from ergo_plugins.core.statements import NoCompletion, NoVerdict, read_completion
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


@pytest.mark.parametrize(
    "reply",
    [
        "I cannot tell whether it is B.",
        "I'm sorry, but I can’t help with B.",
        "<answer>A</answer> or <answer>B</answer>",
        "<think><answer>B</answer></think>",
        "<thinking>B",
    ],
)
def test_a_letter_in_other_words_is_no_verdict(reply: str) -> None:
    with pytest.raises(NoVerdict):
        read_region_answer(reply, CHOICE, "option")


def test_a_letter_stated_first_stands() -> None:
    said = "B. The pattern of A cannot be seen."
    assert read_region_answer(said, CHOICE, "option") == said
    undecided = split_question("Which pattern?\nA. plain\nB. cannot be determined")
    assert read_region_answer("It cannot be determined.", undecided, "option") == "It cannot be determined."
    assert read_region_answer("I can't see it.", CHOICE, "option") is None


def test_refusals_are_no_answers_to_open_questions() -> None:
    assert read_region_answer("Sorry, we are closed", OPEN, "text") == "Sorry, we are closed"
    with pytest.raises(NoVerdict, match="refusal"):
        read_region_answer("I cannot assist with that.", OPEN, "text")


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
        ("[THINK]No[/THINK]Yes", True),
        ("I look at both, so no.</think>\n\nYes", True),
        ("No, yes would be wrong.", False),
        ("The final answer is **no**.", False),
        ("No because the number is another.", False),
        ("Does it say the same? Yes.", True),
        ("Yes they agree", True),
        ("There's no difference.", True),
        ("They are not different.", True),
        ("They don't match.", False),
        ("Different.", False),
        ("Not the same.", False),
    ],
)
def test_yes_and_no(reply: str, same: bool) -> None:
    assert read_same(reply) is same


@pytest.mark.parametrize(
    "reply",
    [
        *("", "maybe", "yes and no", "yes or no", "I know nothing", "<answer></answer>", "<think>yes", "There is no"),
        *("Yes. Wait, no.", "No, they are the same.", "Yes, but they are different.", "No, there is no difference."),
        *("No problem.", "no doubt", "I doubt that they agree.", "They agree if the number does not matter."),
        *("They neither agree nor differ.", "Not exactly the same.", "They almost agree.", "Do they agree?"),
        *("Given answer: no", "The given answer is no.", '"No" and "nope" mean the same.'),
        *("<answer>yes</answer><answer>no</answer>", "<thinking>yes", "Sorry, I cannot help with that."),
    ],
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
        (completion({"content": [{"type": "thinking", "thinking": "A"}, {"type": "text", "text": "B"}]}), "B"),
        (completion({"content": "B"}, None), "B"),
    ],
    ids=["text", "parts", "a thought beside it", "cut behind the answer", "a thought in a part", "no reason given"],
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
        completion({"content": "A", "tool_calls": [{"id": "1", "type": "function"}]}, "tool_calls"),
        completion({"content": "<answer>B</answer> or rather <answer>A"}, "length"),
        completion({"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}),
        completion({"content": [{"type": "thinking", "thinking": "Option A"}]}),
    ],
    ids=[
        *("cut", "cut in its thought", "only a thought", "only reasoning", "refused", "filtered", "a tool's call"),
        *("cut in another answer", "a picture", "a thought in a part"),
    ],
)
def test_no_verdict_is_read_out_of_what_is_no_statement(body: str) -> None:
    with pytest.raises(NoVerdict):
        read_region_answer(read_completion(body), CHOICE, "option")


@pytest.mark.parametrize(
    "body",
    [
        *("", "<html>", "[]", "null", '{"choices": []}', '{"choices": [{}]}', '{"choices": [{"message": "B"}]}'),
        *(completion({"content": 3}), completion({"content": [3]}), completion({"content": "B"}, ["stop"])),
        *(completion({"content": [{"type": "text"}]}), "[" * 100_000),
    ],
)
def test_another_body_is_no_completion(body: str) -> None:
    with pytest.raises(NoCompletion):
        read_completion(body)
