"""The reward against its formulae, written out by hand for every combination of what a trajectory can be."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ergo_plugins.core.geometry import Box, Size, whole
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord
from ergo_plugins.core.questions import Option, split_question
from ergo_plugins.methods.base import IsSame, SeesAnswer, Target
from ergo_plugins.methods.ergo import ERGO, RewardConfig, coverage, covers

SOURCE = Size(1000, 500)
PARTS = ("region", "box", "accuracy", "format")
VIEW = Size(112, 112)
SMALL = Box(0, 0, 300, 500)  # 30 % of the area
EXACTLY_GAMMA = Box(0, 0, 600, 500)
LARGE = Box(0, 0, 800, 500)

GOOD_LOOK = "<think>there</think><zoom>[1, 2, 30, 40]</zoom>"
GOOD_ANSWER = "<think>seen</think><answer>{}</answer>"
OPTIONS = (Option("A", "red"), Option("B", "blue"))
TARGET = Target("B", "option", OPTIONS)


class Got(NamedTuple):
    """A reward and the parts that it is made of."""

    total: float
    region: float
    box: float
    accuracy: float
    format: float


def score(
    played: Outcome, target: Target, says: bool, config: RewardConfig, *, answer_correct: bool | None = None
) -> Got:
    """The reward, the judge's words given."""
    findings = {"region": says} | ({} if answer_correct is None else {"answer": answer_correct})
    given = ERGO.score(played, target, findings, config)
    return Got(given.total, *(given.parts[part] for part in PARTS))


def outcome(
    box: Box | None = SMALL,
    answer: str = "B",
    look: str = GOOD_LOOK,
    reply: str | None = None,
    view: Size = VIEW,
) -> Outcome:
    return Outcome(
        method="ergo",
        source=SOURCE,
        turns=(
            TurnRecord("look", (Shown(None, Size(224, 112), 32),), look, "stop"),
            TurnRecord(
                "answer", (Shown(None, view, 16),), reply if reply is not None else GOOD_ANSWER.format(answer), "stop"
            ),
        ),
        answer=answer,
        boxes={"crop": box},
    )


WEIGHTS = (
    RewardConfig(),  # the paper's full reward, E
    RewardConfig(alpha=0.5, beta=0.25),
    RewardConfig(beta=2),
    RewardConfig(alpha=0, beta=0),  # A: r_acc and format only
    RewardConfig(beta=0, accuracy=0),  # B: r_region only
    RewardConfig(beta=1, accuracy=0),  # C: + r_box
    RewardConfig(accuracy=0),  # D: + weighting
    RewardConfig(tce=0.3, accuracy=0.7, format=0.1, gamma=0.2),  # no box of the table is that small
)

NOTHING = (0.0,) * len(WEIGHTS)
# crop, what the judge says, answer ("" for a reply without one), form of the first reply
# -> region, box at gamma 0.6, accuracy, format -> the total under each of WEIGHTS, all worked out by hand
TRUTH: tuple[tuple[Any, ...], ...] = (
    (SMALL, True, "B", "good", (1, 1, 1, 1), (3.5, 2.75, 5, 2, 2, 3, 2.5, 1.1)),
    (SMALL, True, "B", "bad", (1, 1, 1, 0), (2.5, 1.75, 4, 1, 1, 2, 1.5, 1.0)),
    (SMALL, True, "A", "good", (1, 1, 0, 1), (2.5, 1.75, 4, 1, 2, 3, 2.5, 0.4)),
    (SMALL, True, "A", "bad", (1, 1, 0, 0), (1.5, 0.75, 3, 0, 1, 2, 1.5, 0.3)),
    (SMALL, True, "", "good", (1, 1, 0, 0), (1.5, 0.75, 3, 0, 1, 2, 1.5, 0.3)),
    (SMALL, True, "", "bad", (1, 1, 0, 0), (1.5, 0.75, 3, 0, 1, 2, 1.5, 0.3)),
    (SMALL, False, "B", "good", (0, 1, 1, 1), (2.5, 2.25, 4, 2, 1, 2, 1.5, 0.8)),
    (SMALL, False, "B", "bad", (0, 1, 1, 0), (1.5, 1.25, 3, 1, 0, 1, 0.5, 0.7)),
    (SMALL, False, "A", "good", (0, 1, 0, 1), (1.5, 1.25, 3, 1, 1, 2, 1.5, 0.1)),
    (SMALL, False, "A", "bad", (0, 1, 0, 0), (0.5, 0.25, 2, 0, 0, 1, 0.5, 0.0)),
    (EXACTLY_GAMMA, True, "B", "good", (1, 1, 1, 1), (3.5, 2.75, 5, 2, 2, 3, 2.5, 1.1)),
    (EXACTLY_GAMMA, False, "A", "bad", (0, 1, 0, 0), (0.5, 0.25, 2, 0, 0, 1, 0.5, 0.0)),
    (LARGE, True, "B", "good", (1, 0, 1, 1), (3, 2.5, 3, 2, 2, 2, 2, 1.1)),
    (LARGE, True, "B", "bad", (1, 0, 1, 0), (2, 1.5, 2, 1, 1, 1, 1, 1.0)),
    (LARGE, True, "A", "good", (1, 0, 0, 1), (2, 1.5, 2, 1, 2, 2, 2, 0.4)),
    (LARGE, True, "A", "bad", (1, 0, 0, 0), (1, 0.5, 1, 0, 1, 1, 1, 0.3)),
    (LARGE, False, "B", "good", (0, 0, 1, 1), (2, 2, 2, 2, 1, 1, 1, 0.8)),
    (LARGE, False, "B", "bad", (0, 0, 1, 0), (1, 1, 1, 1, 0, 0, 0, 0.7)),
    (LARGE, False, "A", "good", (0, 0, 0, 1), (1, 1, 1, 1, 1, 1, 1, 0.1)),
    (LARGE, False, "A", "bad", (0, 0, 0, 0), NOTHING),
    (LARGE, False, "", "good", (0, 0, 0, 0), NOTHING),
    (None, True, "B", "good", (0, 0, 1, 0), (1, 1, 1, 1, 0, 0, 0, 0.7)),
    (None, False, "B", "bad", (0, 0, 1, 0), (1, 1, 1, 1, 0, 0, 0, 0.7)),
    (None, True, "A", "good", (0, 0, 0, 0), NOTHING),
    (None, False, "", "bad", (0, 0, 0, 0), NOTHING),
)


@pytest.mark.parametrize(("box", "judge_says", "answer", "form", "parts", "totals"), TRUTH)
def test_truth_table(
    box: Box | None, judge_says: bool, answer: str, form: str, parts: Sequence[int], totals: Sequence[float]
) -> None:
    look = GOOD_LOOK if form == "good" else "I look <zoom>[1, 2, 30, 40]</zoom>"
    trajectory = outcome(box, answer, look=look, reply=None if answer else "no tag")
    for config, total in zip(WEIGHTS, totals, strict=True):
        got = score(trajectory, TARGET, judge_says, config)
        small = 0 if config.gamma == 0.2 else parts[1]
        assert (got.region, got.box, got.accuracy, got.format) == (parts[0], small, *parts[2:])
        assert got.total == pytest.approx(total, abs=1e-12), config


def test_the_papers_full_reward() -> None:
    best = score(outcome(), TARGET, True, RewardConfig())
    assert best.total == 1.0 + 0.5 + 1.0 + 1.0


@pytest.mark.parametrize(
    ("look", "reply"),
    [
        ("<zoom>[1, 2, 30, 40]</zoom>", None),  # no thought
        ("<think>a</think><zoom>[1, 2, 30]</zoom>", None),
        ("<think>a</think><zoom>[1, 2, 30, 40]", None),
        ("<think>a</think><zoom>[1, 2, 30, 40]</zoom> and so on", None),
        (GOOD_LOOK, "<answer>B</answer>"),
        (GOOD_LOOK, "<think>a</think>B"),
        (GOOD_LOOK, "<think>a</think><answer>B</answer><answer>B</answer>"),
    ],
)
def test_ill_formed_replies_earn_no_format(look: str, reply: str | None) -> None:
    assert score(outcome(look=look, reply=reply), TARGET, True, RewardConfig()).format == 0


@pytest.mark.parametrize(
    ("look_opened", "answer_opened", "form"),
    [("<think>\n", "<think>\n", 1), ("", "<think>\n", 0), ("<think>\n", "", 0), ("", "", 0), ("<think", "<think>", 0)],
)
def test_a_thought_that_the_prompt_opened_belongs_to_the_reply(
    look_opened: str, answer_opened: str, form: float
) -> None:
    played = outcome(look="I look</think><zoom>[1,2,3,4]</zoom>", reply="seen</think><answer>B</answer>")
    look, answer = played.turns
    turns = (replace(look, opened=look_opened), replace(answer, opened=answer_opened))
    assert score(replace(played, turns=turns), TARGET, True, RewardConfig()).format == form
    said_twice = replace(played, turns=tuple(replace(turn, opened="<think>\n") for turn in outcome().turns))
    assert score(said_twice, TARGET, True, RewardConfig()).format == 0  # "<think>\n<think>there</think>…"


def test_an_unfinished_trajectory_earns_nothing() -> None:
    cut = Outcome(method="ergo", source=SOURCE, turns=(outcome().turns[0],), problems=("truncated: no room",))
    assert set(score(cut, TARGET, True, RewardConfig())._asdict().values()) == {0.0}


@pytest.mark.parametrize(
    ("target", "answer", "right"),
    [
        (Target("B", "option", OPTIONS), "(B) blue", True),
        (Target("B", "option", OPTIONS), "blue", True),
        (Target("B", "option", OPTIONS), "A", False),
        (Target("12.5", "number"), "12.50", True),
        (Target("12.5", "number"), "12.4", False),
        (Target("1,200", "number"), "1200", True),
        (Target("the Blue Door", "text"), "blue door.", True),
        (Target("blue door", "text"), "red door", False),
    ],
)
def test_answer_kinds(target: Target, answer: str, right: bool) -> None:
    assert score(outcome(answer=answer), target, True, RewardConfig()).accuracy == float(right)


def test_number_tolerance() -> None:
    target, config = Target("100", "number"), RewardConfig(tolerance=0.05)
    assert score(outcome(answer="104"), target, True, config).accuracy == 1
    assert score(outcome(answer="106"), target, True, config).accuracy == 0


def test_open_answers_are_for_the_judge() -> None:
    target = Target("a wooden boat", "judge")
    assert score(outcome(answer="boat"), target, True, RewardConfig(), answer_correct=True).accuracy == 1
    assert score(outcome(answer="boat"), target, True, RewardConfig(), answer_correct=False).accuracy == 0
    with pytest.raises(KeyError, match="answer"):
        score(outcome(answer="boat"), target, True, RewardConfig())
    with pytest.raises(ValueError, match="judge"):
        target.is_met_by("boat")


def test_what_is_to_be_found_out_follows_from_the_weights() -> None:
    judged, everything = Target("a wooden boat", "judge"), RewardConfig()
    asked = ERGO.inquiries(outcome(answer="boat"), judged, everything)
    assert asked == (SeesAnswer("region", SMALL, None), IsSame("answer", "boat"))
    assert ERGO.inquiries(outcome(None, "boat"), judged, everything) == asked[1:]
    assert ERGO.inquiries(outcome(), TARGET, RewardConfig(alpha=0)) == ()
    assert ERGO.inquiries(outcome(), TARGET, RewardConfig(tce=0)) == ()
    assert ERGO.inquiries(outcome(answer="boat"), judged, RewardConfig(accuracy=0)) == asked[:1]
    seen = Target("B", "option", OPTIONS, box_source=Box(10, 10, 90, 90))
    missed = Target("B", "option", OPTIONS, box_source=Box(900, 10, 990, 90))
    assert [ERGO.inquiries(outcome(), target, everything)[0].by_rule for target in (seen, missed)] == [True, False]


def test_a_broken_target_is_no_wrong_answer() -> None:
    with pytest.raises(ValueError, match="letter"):
        score(outcome(), Target("blue", "option", OPTIONS), True, RewardConfig())
    with pytest.raises(ValueError, match="empty"):
        Target(" ", "text")
    with pytest.raises(ValueError, match="kind"):
        Target("a", "essay")  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"alpha": -1}, {"gamma": 1.5}, {"min_coverage": 2}])
def test_impossible_weights_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        RewardConfig(**bad)


def test_rules_verify_coverage_and_legibility() -> None:
    target = Box(100, 100, 200, 200)
    assert covers(outcome(Box(100, 100, 200, 200)), target, RewardConfig())
    assert covers(outcome(Box(110, 100, 210, 200)), target, RewardConfig())  # 90 % of it
    assert not covers(outcome(Box(111, 100, 211, 200)), target, RewardConfig())
    assert not covers(outcome(None), target, RewardConfig())
    legible = RewardConfig(min_target_px=28)
    assert covers(outcome(Box(0, 0, 400, 400)), target, legible)  # 112 px for 400: 28 for the target
    assert not covers(outcome(Box(0, 0, 401, 401)), target, legible)
    assert not covers(outcome(whole(SOURCE)), target, legible)


corners = st.tuples(*[st.integers(0, 400)] * 2).map(sorted).filter(lambda pair: pair[0] < pair[1])
boxes = st.builds(lambda xs, ys: Box(xs[0], ys[0], xs[1], ys[1]), corners, corners)


@given(box=boxes, target=boxes)
def test_coverage_is_a_share_and_whole_for_a_box_inside(box: Box, target: Box) -> None:
    share = coverage(outcome(box), target)
    assert 0 <= share <= 1
    assert coverage(outcome(box.union(target)), target) == 1


@given(box=st.one_of(st.none(), boxes), says=st.booleans(), answer=st.text(max_size=5), data=st.data())
def test_keys_are_fixed_and_parts_are_0_or_1(box: Box | None, says: bool, answer: str, data: st.DataObject) -> None:
    got = score(outcome(box, answer, reply=data.draw(st.text())), TARGET, says, RewardConfig())._asdict()
    assert list(got) == ["total", "region", "box", "accuracy", "format"]
    assert all(got[part] in (0.0, 1.0) for part in ("region", "box", "accuracy", "format"))


def test_every_combination_is_ordered_as_the_weights_say() -> None:
    config, totals = RewardConfig(), {}
    for region, small, right in itertools.product((False, True), repeat=3):
        trajectory = outcome(SMALL if small else LARGE, "B" if right else "A")
        totals[region, small, right] = score(trajectory, TARGET, region, config).total
    assert totals[True, True, True] == max(totals.values())
    assert totals[False, True, False] < totals[True, False, False]  # a small box is worth half a right one


def test_options_come_from_the_question() -> None:
    question = split_question("Which?\nA. red\nB. blue")
    assert score(outcome(answer="blue"), Target("B", "option", question.options), True, RewardConfig()).accuracy == 1
