"""Places to be found: what is drawn is what the boxes say, and what a teacher writes is what the product reads."""

from __future__ import annotations

import random
from statistics import fmean

import numpy as np
import pytest
from PIL import Image

from ergo_plugins.core.geometry import Box, Size
from ergo_plugins.core.grounding import iou, on_source, parse_located
from ergo_plugins.panels.families import FAMILIES, Family
from ergo_plugins.panels.locate.drawing import original, view
from ergo_plugins.panels.locate.lessons import LOOSE_SHARES, loose_box, reply_of, thought_of
from ergo_plugins.panels.locate.play import Answer, figures
from ergo_plugins.panels.locate.world import KINDS, SCALE, Kind, make_place, places
from ergo_plugins.panels.world import COLORS, UNITS


@pytest.mark.parametrize("kind", KINDS)
def test_the_target_is_where_its_box_says(kind: Kind) -> None:
    for place in places("validation", kind, 60):
        pixels = np.asarray(original(place))
        is_it = (pixels == COLORS[place.target.color]).all(-1)
        for tile in place.tiles:
            if tile.dot == place.target.color:  # a dot of that colour on another tile
                x, y = round(tile.x * SCALE), round(tile.y * SCALE)
                is_it[y : y + 28 * SCALE, x : x + 28 * SCALE] = False
        rows, columns = np.nonzero(is_it)
        found = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert found == place.seen.scaled(SCALE, SCALE)


def test_half_of_a_covered_tile_can_be_seen() -> None:
    for place in places("validation", "covered", 60):
        assert iou(place.seen, place.whole) == 0.5
        assert place.target.color in place.expression


def test_a_dot_names_the_target_and_its_tile_is_named() -> None:
    for place in places("validation", "dotted", 60):
        assert place.anchor.dot == place.target.color
        assert place.anchor.color in place.expression
        assert place.target.color not in place.expression.replace(place.anchor.color, "")
        assert thought_of(place) == f"{place.anchor.color}, {place.target.color}"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("kind", ["colour", "covered"])
def test_the_view_is_the_box_resize_of_the_original(kind: Kind, family: Family) -> None:
    side = family.view_px
    for place in places("validation", kind, 10):
        resized = np.asarray(original(place).resize((side, side), Image.Resampling.BOX)).astype(int)
        assert np.abs(resized - view(place, side)).max() <= 1


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_taught_reply_reads_as_its_box(family: Family) -> None:
    extent = family.extent
    for place in places("validation", "colour", 40):
        located = parse_located(reply_of(thought_of(place), place.whole, family))
        assert located.box_frame is not None
        assert not located.repairs
        box, repairs = on_source(located.box_frame, Size(extent, extent), Size(UNITS, UNITS))
        assert (box, repairs) == (place.whole, ())


def test_a_loose_teacher_is_right_as_often_as_it_says() -> None:
    rng = random.Random(0)
    overlaps = [iou(loose_box(place, rng), place.whole) for place in places("train", "colour", 4000)]
    assert fmean(overlap == 1 for overlap in overlaps) == pytest.approx(LOOSE_SHARES["exact"], abs=0.02)
    expected = LOOSE_SHARES["exact"] + LOOSE_SHARES["cell"] / 4 + LOOSE_SHARES["wide"] / 16
    assert fmean(overlaps) == pytest.approx(expected, abs=0.02)
    assert fmean(overlap >= 0.5 for overlap in overlaps) < 0.25, "most of what it teaches does not count as right"


def test_a_place_is_the_same_wherever_it_is_made_and_splits_share_none() -> None:
    assert make_place(7, "dotted") == make_place(7, "dotted")
    test, train = ({place for place in places(split, "colour", 200)} for split in ("test", "train"))
    assert not test & train


def test_figures_by_hand() -> None:
    answers = [Answer("", 1.0, 0.5, 20, True), Answer("", 0.5, 1.0, 10, False), Answer("", 0.0, 0.0, 30, True)]
    assert figures(answers) == {"iou": 0.5, "right": 0.6667, "iou_whole": 0.5, "tokens": 20.0, "thinks": 0.6667}
