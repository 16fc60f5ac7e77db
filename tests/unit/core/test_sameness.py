"""What rules tell of two answers, and how verdicts in marks are read."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_plugins.core.judge_pairs import audited
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.sameness import same_by_rule, wanted_answers
from ergo_plugins.core.statements import NoVerdict
from ergo_plugins.core.verdicts import read_same, same_prompt

OPEN = split_question("What does the sign say?")
CHOICE = split_question("Which colour?\nA. red\nB. dark red\nC. blue")


@pytest.mark.parametrize(
    ("wanted", "given", "said"),
    [
        *(("46", "46", True), ("46", "46.0", True), ("1,250", "1250", True), ("0.47", "47%", True)),
        *(("New York", "new york.", True), ("['a', 'b']", "B", True), ("['46', '47']", "47", True)),
        *(("46", "", False), ("46", "  ", False)),
        *(("46", "47", None), ("47", "0.47", None), ("47", "47%", None), ("46 m", "46 km", None), ("$5", "€5", None)),
        *(("3", "three", None), ("1,5", "1.5", None), ("bicycle", "a bike", None), ("[not a list", "x", None)),
    ],
)
def test_rules_say_right_only_where_it_is(wanted: str, given: str, said: bool | None) -> None:
    assert same_by_rule(OPEN, wanted_answers(wanted), given) is said


def test_a_letter_needs_no_judge() -> None:
    assert same_by_rule(CHOICE, ("B",), "dark red") is True
    assert same_by_rule(CHOICE, ("B",), "red") is False
    assert same_by_rule(CHOICE, ("B",), "I cannot tell") is False
    assert same_by_rule(CHOICE, ("crimson",), "dark red") is None, "no letter is wanted"


def test_rules_call_no_pair_right_that_people_call_wrong() -> None:
    ruled = [(case.by_rule, same) for case, same in audited()]
    assert [pair for pair in ruled if pair == (True, False)] == []
    assert (True, True) in ruled
    assert {same for _, same in ruled} == {True, False}


@pytest.mark.parametrize(
    ("reply", "same"),
    [
        *(("Score: 1", True), ("Score: 0", False), ("**Score:** 1", True), ("score = 0", False), ("Score: 1.0", True)),
        *(("Score: 0. The reply says 1 of 2.", False), ("It matches.\nFinal score: 1!", True), ("Yes. Score: 1", True)),
        *(("[[YES]]", True), ("[[NO]]", False), ("My verdict: [[yes]].", True), ("<think>[[NO]]</think>[[YES]]", True)),
        ("Score: 1 because the two agree", True),
    ],
)
def test_marks_are_read_as_whole_statements(reply: str, same: bool) -> None:
    assert read_same(reply) is same


@pytest.mark.parametrize(
    "reply",
    [
        *("Score: 0 or 1", "Score: 0.5", "Score: 10", "Score:", "Score 1", "1", "0/1", "Score: 0/1", "Score: one"),
        *("[[YES]] or [[NO]]", "[[MAYBE]]", "I would not write [[YES]] here.", "[[YES]]\nScore: 0", "[[YES"),
        *("Score: 1. No, they differ.", "Relevance score: 1\nAccuracy score: 0", "Reply with Score: 0 or Score: 1."),
    ],
)
def test_a_mark_that_is_not_clear_is_no_verdict(reply: str) -> None:
    with pytest.raises(NoVerdict):
        read_same(reply)


@given(st.text(alphabet="Score: 01[]YESNO.\n/yesno"))
def test_any_marks_are_a_verdict_or_none(reply: str) -> None:
    with contextlib.suppress(NoVerdict):
        assert isinstance(read_same(reply), bool)


def test_own_words_are_filled_in_once() -> None:
    words = "{question} | {target} | {answer}"
    assert same_prompt(OPEN, "{answer}", "{target}", words) == "What does the sign say? | {answer} | {target}"
