"""EGM: what it reads out of replies, what it hands over, and every shape of its reward on paper."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from PIL import Image

from ergo_plugins.core.geometry import Box, Size, VisionGrid
from ergo_plugins.core.grounding import (
    convention_of,
    expression_of,
    handed_over,
    iou,
    iou_reference,
    on_source,
    parse_located,
)
from ergo_plugins.core.outcome import OBJECT, Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Reply, play
from ergo_plugins.methods.base import Sample, Target
from ergo_plugins.methods.egm import EGM, EgmConfig, EgmReward, is_well_formed, shaped

SHARES = (
    "Boxes are (left x, top y, right x, bottom y). All values are floating point numbers bounded between 0 and 1. "
    "Please provide the bounding box coordinate of the region this sentence describes: the red mug"
)
JSON = 'Locate what matches the description "the red mug", "mug" in the image. Report bbox coordinates in JSON format.'
OR_NULL = (
    "Please provide the bounding box coordinate of the object the following statement describes:\nthe red mug\nEnsure "
    'that all details are accurate. As JSON {"bbox_2d": [x1, y1, x2, y2]}. If there is none, output {"bbox_2d": null}.'
)


@pytest.mark.parametrize(
    ("reply", "box", "repairs"),
    [
        ('```json\n[{"bbox_2d": [1, 2, 30, 40], "label": "mug"}]\n```', (1, 2, 30, 40), ()),
        ('It is red.\n</think>\n\n```json\n[{"bbox_2d": [1, 2, 30, 40]}]\n```', (1, 2, 30, 40), ()),
        ("<think>[9, 9, 10, 10]</think>[1, 2, 30, 40]", (1, 2, 30, 40), ()),
        ("<box>[1, 2, 30, 40]</box>", (1, 2, 30, 40), ()),
        ("<ref>mug</ref><box>[[1, 2, 30, 40]]</box>", (1, 2, 30, 40), ()),
        ("<answer>[1, 2, 30, 40]</answer> of [5, 5, 9, 9]", (1, 2, 30, 40), ()),
        ("{'bbox_2d': [30, 40, 1, 2]}", (1, 2, 30, 40), ("corners swapped",)),
        ("[1.5, -2, 30, 4e1]", (1.5, -2, 30, 40), ()),
        ("[[1, 2, 30, 40], [5, 6, 7, 8]]", (1, 2, 30, 40), ("first of 2 boxes",)),
        ("(1, 2), (30, 40)", (1, 2, 30, 40), ("two points",)),
        ("x1 y1: 1 2 30 40", (1, 2, 30, 40), ("bare numbers",)),
        ("<think>[5, 5, 9, 9] no, [1, 2, 30, 40]", (1, 2, 30, 40), ("box inside <think>",)),
        ('{"bbox_2d": [1, 2, 30, 40]', (1, 2, 30, 40), ()),
    ],
)
def test_a_box_is_read_in_every_form(reply: str, box: tuple[float, ...], repairs: tuple[str, ...]) -> None:
    located = parse_located(reply)
    assert located.box_frame is not None, located.problem
    assert (located.box_frame.as_tuple(), located.repairs) == (box, repairs)


@pytest.mark.parametrize(
    "reply", ["", "nothing", "[1, 2, 3]", "[1, 2, 3, nan]", "the years 1999, 2000", "[1e9, 0, 1, 1]"]
)
def test_what_is_no_box_is_a_problem(reply: str) -> None:
    located = parse_located(reply)
    assert located.box_frame is None
    assert located.problem
    assert not located.absent


def test_that_there_is_none_is_an_answer() -> None:
    assert parse_located('<think>[1, 2, 3, 4]?</think>{"bbox_2d": null}').absent
    assert parse_located('[{"bbox_2d": [1, 2, 3, 4]}]').absent is False


@pytest.mark.parametrize(
    ("request_text", "convention", "expression"),
    [
        (SHARES, "shares", "the red mug"),
        (JSON, "json", "the red mug"),
        (OR_NULL, "json or null", "the red mug"),
        ("the red mug", None, "the red mug"),
        ("the mug between 0 and 1000 on the scale", None, "the mug between 0 and 1000 on the scale"),
    ],
)
def test_the_request_says_what_it_wants(request_text: str, convention: str | None, expression: str) -> None:
    assert (convention_of(request_text), expression_of(request_text)) == (convention, expression)


def exact_iou(first: tuple[Fraction, ...], second: tuple[Fraction, ...]) -> Fraction:
    def area(box: tuple[Fraction, ...]) -> Fraction:
        return max(box[2] - box[0], Fraction(0)) * max(box[3] - box[1], Fraction(0))

    common = area(tuple([*map(max, first[:2], second[:2]), *map(min, first[2:], second[2:])]))
    return common / (area(first) + area(second) - common)


def random_boxes(count: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    rng = random.Random(0)

    def box() -> tuple[int, ...]:
        xs, ys = sorted(rng.sample(range(1001), 2)), sorted(rng.sample(range(1001), 2))
        return xs[0], ys[0], xs[1], ys[1]

    near = [(box(),) for _ in range(count)]
    return [
        (first, box() if i % 2 else tuple(min(max(value + rng.randint(-30, 30), 0), 1000) for value in first))
        for i, (first,) in enumerate(near)
    ]


def test_overlap_and_every_shape_on_paper() -> None:
    """400 pairs of boxes against exact fractions."""
    checked = 0
    for first, second in random_boxes(400):
        if not (second[0] < second[2] and second[1] < second[3]):
            continue
        exact = exact_iou(tuple(map(Fraction, first)), tuple(map(Fraction, second)))
        overlap = iou(Box(*first), Box(*second))
        assert overlap == pytest.approx(float(exact), abs=1e-12)
        right = float(exact >= Fraction(1, 2))
        words, repeats = 700, checked % 3 == 0
        expected = {
            "mix": right / 2 + float(exact) / 2,
            "iou": float(exact),
            "indicator": right,
            "sigmoid": 1 / (1 + math.exp(-8 * (float(exact) - 0.5))),
            "penalty": right / 2 + float(exact) / 2 - 0.04 - 0.3 * repeats,
            "normalized_exp": (1 - 16 ** -float(exact)) / (1 - 1 / 16),
        }
        for shape, value in expected.items():
            got = shaped(overlap, words, repeats=repeats, reward=EgmReward(shape=shape))
            assert got == pytest.approx(value, abs=1e-12), shape
        checked += 1
    assert checked > 380


def test_the_references_overlap_is_in_whole_pixels_and_takes_corners_as_they_stand() -> None:
    truth, source = Box(10.4, 20, 59.7, 80), Size(101, 203)
    # 100 -> 10.1 -> 10; 99 -> 20.097 -> 20; 600 -> 60.6 -> 61; 400 -> 81.2 -> 81
    expected = exact_iou(tuple(map(Fraction, (10, 20, 61, 81))), tuple(map(Fraction, ("10.4", "20", "59.7", "80"))))
    assert iou_reference((100, 99, 600, 400), truth, source) == pytest.approx(float(expected), abs=1e-12)
    assert iou_reference((600, 99, 100, 400), truth, source) == 0
    assert iou_reference((0, 0, 1000, 5000), Box(0, 0, 100, 202), source) == 1.0, "no further than the last pixel"
    assert iou_reference(None, truth, source) == 0


def asked(reply: str, request: str = "the red mug", grid: VisionGrid | None = None, **config: object) -> Outcome:
    sample = Sample(Image.new("RGB", (400, 200)), split_question(request))
    episode = EGM.episode(sample, EgmConfig(**config), grid or VisionGrid(32, "relative"))
    turns = []

    def answer(turn):
        turns.append(turn)
        return Reply(reply)

    outcome = play(episode, answer)
    assert len(turns) == 1
    return outcome


def test_thousandths_and_pixels_of_the_view_are_the_same_place() -> None:
    relative = asked("[100, 200, 500, 600]")
    assert relative.boxes[OBJECT] == Box(40, 40, 200, 120)
    view = asked("[0, 0, 1, 1]", grid=VisionGrid(28, "absolute"), view_tokens=32).turns[0].view
    assert view == Size(224, 112)
    absolute = asked("[22.4, 22.4, 112, 67.2]", grid=VisionGrid(28, "absolute"), view_tokens=32)
    assert absolute.boxes[OBJECT].as_tuple() == pytest.approx((40, 40, 200, 120))


@pytest.mark.parametrize(
    ("request_text", "returned"),
    [
        (SHARES, "[0.1, 0.2, 0.5, 0.6]"),
        (JSON, '{"bbox_2d": [40, 40, 200, 120]}'),
        (OR_NULL, '{"bbox_2d": [40, 40, 200, 120]}'),
        ("the red mug", '{"bbox_2d": [40, 40, 200, 120]}'),
    ],
)
def test_the_box_is_handed_over_as_the_request_wants_it(request_text: str, returned: str) -> None:
    outcome = asked("[100, 200, 500, 600]", request_text)
    assert EGM.returned(outcome, split_question(request_text)) == returned
    assert outcome.answer == '{"bbox_2d": [40, 40, 200, 120]}'


def test_boxes_over_the_edge_without_area_and_outside() -> None:
    assert asked("[-50, 200, 500, 1600]").boxes[OBJECT] == Box(0, 40, 200, 200)
    thin = asked("[500, 500, 500, 500]")
    assert thin.boxes[OBJECT] == Box(200, 100, 200, 100), "the record keeps what was said"
    assert EGM.returned(thin, split_question("the red mug")) == '{"bbox_2d": [199.5, 99.5, 200.5, 100.5]}'
    outside = asked("[1200, 1200, 1300, 1300]")
    assert outside.boxes[OBJECT] is None
    assert outside.problems == ("locate: the box lies outside the image",)
    assert EGM.returned(outside, split_question(OR_NULL)) == '{"bbox_2d": null}'
    assert EGM.returned(outside, split_question(SHARES)) == "none"
    assert on_source(Box(0, 0, 1, 1), Size(1000, 1000), Size(1, 1)) == (Box(0, 0, 0.001, 0.001), ())
    assert handed_over(Box(0, 0, 0.001, 0.001), Size(1, 1), "json") == '{"bbox_2d": [0, 0, 1, 1]}'


def test_numbers_are_written_without_exponents() -> None:
    assert handed_over(Box(0.000012345, 0, 5, 5), Size(5, 5), "json") == '{"bbox_2d": [0.000012345, 0, 5, 5]}'
    assert handed_over(Box(0, 0, 1, 1), Size(10**6, 10**6), "shares") == "[0, 0, 0.000001, 0.000001]"


def test_the_expression_alone_is_asked_for_or_the_request() -> None:
    def words(**config: object) -> str:
        sample = Sample(Image.new("RGB", (40, 40)), split_question(SHARES))
        return next(EGM.episode(sample, EgmConfig(**config), VisionGrid())).text

    assert "the red mug" in words()
    assert "floating point" not in words()
    assert "floating point" in words(asked="request")
    assert words(extent="amodal") != words()


def test_the_score_and_its_parts() -> None:
    target = Target("box", "box", box_source=Box(40, 40, 200, 120))
    good = EGM.score(asked("<think>red</think>[100, 200, 500, 600]"), target, {}, EgmReward(format=0.5))
    assert (good.total, good.accuracy, good.parts["iou"]) == (1.0, 1.0, 1.0)
    assert good.parts["format"] == 0.0, "an array is no JSON object"
    formed = EGM.score(asked('<think>red</think>{"bbox_2d": [100, 200, 300, 600]}'), target, {}, EgmReward(format=0.5))
    assert (formed.total, formed.parts["iou"]) == (0.5 * 1 + 0.5 * 0.5 + 0.5, 0.5)
    nothing = EGM.score(asked("nowhere"), target, {}, EgmReward())
    assert (nothing.total, nothing.parts["located"]) == (0.0, 0.0)
    with pytest.raises(ValueError, match="target_box"):
        EGM.score(asked("nowhere"), Target("red", "text"), {}, EgmReward())


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('<think>red</think>\n```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "mug"}]\n```', True),
        ('<think>red</think>{"bbox_2d": [1, 2, 3, 4]}', True),
        ('{"bbox_2d": [1, 2, 3, 4]}', False),
        ('<think>red</think>{"bbox_2d": [1, 2, 3, 4]} I think', False),
        ('<think>red</think>{"bbox_2d": [1, 2, 3, 4]}{"bbox_2d": [1, 2, 3, 4]}', False),
        ('<think>a<think>b</think>{"bbox_2d": [1, 2, 3, 4]}', False),
    ],
)
def test_well_formed(reply: str, expected: bool) -> None:
    assert is_well_formed(reply) is expected


@pytest.mark.parametrize("wrong", [{"shape": "cubic"}, {"threshold": 1.5}, {"alpha": -1}, {"format": -1}])
def test_weights_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EgmReward(**wrong)
