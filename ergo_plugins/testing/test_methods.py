"""Conformance: every registered method on images of any shape and replies of any kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest
from PIL import Image

from ..core.geometry import Box, Size, VisionGrid
from ..core.images import size_of
from ..core.outcome import Outcome
from ..core.questions import split_question
from ..core.turns import Turn
from ..engines.base import Job
from ..engines.scripted import ScriptedEngine
from ..methods import known_methods, method_named
from ..methods.base import Method, Sample, SeesAnswer, Target

SIZES = ((1, 1), (20_000, 10), (640, 480))
REPLIES = {
    "empty": "",
    "well formed": "<think>there</think><zoom>[1, 1, 30, 40]</zoom><answer>B</answer>",
    "garbage": "\x00\ufffd <zoom>[nan, 1, 2</zoom> </answer><answer> {{}} \\",
    "a mile long": "word " * 20_000,
}
GRIDS = {
    "pixels": VisionGrid(factor=28, coordinates="absolute"),
    "thousandths": VisionGrid(factor=32, coordinates="relative", min_tokens=64),
}
QUESTION = split_question("Which colour is it?\nA. red\nB. blue")
TARGETS = (
    Target("B", "option", QUESTION.options, Box(0, 0, 1, 1)),
    Target("12", "number"),
    Target("blue", "text"),
    Target("a blue boat", "judge"),
)
PLACE = Target("[1, 1, 30, 40]", "box", box_source=Box(1, 1, 30, 40))


def targets(method: Method) -> tuple[Target, ...]:
    """Targets that a method can be rewarded by."""
    return (PLACE,) if "target_box" in method.needs else TARGETS


@pytest.fixture(params=known_methods())
def method(request: pytest.FixtureRequest) -> Method:
    """Each method that is installed."""
    return method_named(request.param)


def played(method: Method, size: tuple[int, int], said: str, grid: VisionGrid) -> tuple[Outcome, list[Turn]]:
    """What came of a sample, and the turns that were asked."""
    engine = ScriptedEngine(lambda _key, _turn: said, grid)
    chosen, config = method.variant(method.config())
    sample = Sample(Image.new("RGB", size, "red"), QUESTION)
    outcomes: list[Outcome] = []
    engine.play_all(
        [Job("sample", lambda: chosen.episode(sample, config, grid))], lambda _job, outcome: outcomes.append(outcome)
    )
    return outcomes[0], engine.asked


def every_outcome(method: Method) -> Iterator[Outcome]:
    """What comes of each size and each reply."""
    for size in SIZES:
        for said in REPLIES.values():
            yield played(method, size, said, GRIDS["pixels"])[0]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("said", REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_every_reply_ends_in_an_outcome(method: Method, size: tuple[int, int], said: str, grid: VisionGrid) -> None:
    outcome, turns = played(method, size, said, grid)
    assert outcome.method == method.name
    assert outcome.source == Size(*size)
    assert [turn.name for turn in outcome.turns] == [turn.name for turn in turns]
    assert [turn.reply for turn in outcome.turns] == [said] * len(turns)
    for turn, kept in zip(turns, outcome.turns, strict=True):
        assert [shown.view for shown in kept.shown] == [size_of(image) for image in turn.images]
        for image in turn.images:
            assert image.mode == "RGB"
            assert image.width % grid.factor == image.height % grid.factor == 0, "whole visual tokens"
    assert 1 <= sum(len(turn.images) for turn in turns) <= method.images
    assert all(not turn.system for turn in turns[1:]), "a system message stands before the first turn alone"


def test_nothing_is_beyond_the_budget_that_it_says(method: Method) -> None:
    grid = GRIDS["pixels"]
    chosen, config = method.variant(method.config())
    budget = chosen.budget(config)
    if budget is None:
        return  # a recipe's own lengths have to do
    for size in SIZES:
        for said in REPLIES.values():
            _, (first, *later) = played(method, size, said, grid)
            assert visual_tokens([first], grid) <= budget.first_tokens
            assert visual_tokens(later, grid) <= budget.later_tokens
            assert 1 + len(later) <= budget.replies
            assert sum(turn.max_new_tokens for turn in (first, *later)) <= budget.written_tokens


def visual_tokens(turns: Sequence[Turn], grid: VisionGrid) -> int:
    """Of all images in some turns."""
    return sum(grid.tokens(size_of(image)) for turn in turns for image in turn.images)


def test_several_originals_are_all_shown_each_within_the_budget_of_one(method: Method) -> None:
    if method.sources == 1:
        return  # hosts refuse such samples
    chosen, config = method.variant(method.config())
    pictures = [Image.new("RGB", size, "red") for size in ((640, 480), (30, 2000), (5000, 4000))]

    def seen(images: list[Image.Image]) -> tuple[Outcome, list[list[Size]]]:
        engine, outcomes = ScriptedEngine(lambda _key, _turn: "B", GRIDS["pixels"]), list[Outcome]()
        sample = Sample(images[0], QUESTION, others=tuple(images[1:]))
        job = Job("sample", lambda: chosen.episode(sample, config, GRIDS["pixels"]))
        engine.play_all([job], lambda _job, outcome: outcomes.append(outcome))
        return outcomes[0], [[size_of(image) for image in turn.images] for turn in engine.asked]

    outcome, together = seen(pictures)
    alone = [seen([picture])[1] for picture in pictures]
    for number, sizes in enumerate(together):
        assert sizes == [size for turns in alone for size in turns[number]]
    assert outcome.source == size_of(pictures[0])
    assert [shown.region_source is None for shown in outcome.turns[0].shown] == [False, True, True]


def test_the_same_replies_make_the_same_outcome(method: Method) -> None:
    assert list(every_outcome(method)) == list(every_outcome(method))


def test_an_outcome_survives_json(method: Method) -> None:
    for outcome in every_outcome(method):
        assert Outcome.from_json(json.loads(json.dumps(outcome.to_json(), allow_nan=False))) == outcome


def test_what_a_scorer_is_handed_is_text(method: Method) -> None:
    for outcome in every_outcome(method):
        assert isinstance(method.returned(outcome, QUESTION), str)


def test_a_score_has_the_same_parts_whatever_happened(method: Method) -> None:
    weights, keys = method.reward(), set[tuple[str, ...]]()
    unread = Outcome(method=method.name, problems=("image: damaged",))
    for outcome in (*every_outcome(method), unread):
        for target in targets(method):
            inquiries = method.inquiries(outcome, target, weights)
            assert len({inquiry.name for inquiry in inquiries}) == len(inquiries)
            for inquiry in inquiries:
                if isinstance(inquiry, SeesAnswer) and outcome.source is not None:
                    assert inquiry.region_source.clamped(outcome.source) == inquiry.region_source
            for verdict in (True, False):
                score = method.score(outcome, target, {inquiry.name: verdict for inquiry in inquiries}, weights)
                keys.add(tuple(score.parts))
                assert isinstance(score.total, float)
                assert 0 <= score.accuracy <= 1
    assert len(keys) == 1


def test_shaping_keeps_the_number_of_rollouts(method: Method) -> None:
    weights, target = method.reward(), targets(method)[0]
    scores = []
    for outcome in every_outcome(method):
        findings = {inquiry.name: True for inquiry in method.inquiries(outcome, target, weights)}
        scores.append(method.score(outcome, target, findings, weights))
    assert len(method.shape(scores, weights)) == len(scores)


def test_figures_of_nothing_are_none_and_of_something_numbers(method: Method) -> None:
    assert all(value is None for value in method.figures([]).values())
    for value in method.figures(list(every_outcome(method))).values():
        assert value is None or isinstance(value, float | int)


def test_the_story_knows_the_turns(method: Method) -> None:
    names = {turn.name for outcome in every_outcome(method) for turn in outcome.turns}
    assert names <= set(method.story.turns), "the report has a title for each turn"
