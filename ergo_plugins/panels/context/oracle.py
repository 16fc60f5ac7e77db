"""What can be known of a hidden pattern's place from the first view, and the best that anybody can make of it.

All is enumerated: where the pattern may lie with which probability, and all crops whose corners are corners of slots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import combinations
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from ...core.geometry import Box
from .drawing import crop_size
from .world import (
    DETAIL,
    MARKS,
    SHAPES,
    SIDE_STROKES,
    SLOT_PX,
    STROKES,
    VIEW_PX,
    Pattern,
    Scene,
    WorldConfig,
    free_slots,
)

MIN_COVERAGE = 0.9
"""Of a pattern's area a crop has to hold this share, as in training."""


def is_legible(box_view: Box, stroke: int) -> bool:
    """Whether a stroke is at least a pixel of a crop's view, along both axes."""
    box = box_view.scaled(DETAIL, DETAIL)
    view = crop_size(box)
    side = SIDE_STROKES * stroke
    return min(side * view.width / box.width, side * view.height / box.height) >= SIDE_STROKES


def shows(scene: Scene, box_view: Box) -> bool:
    """Whether a crop holds the pattern and shows it legibly."""
    pattern = scene.pattern
    return pattern.box.coverage_by(box_view) >= MIN_COVERAGE and is_legible(box_view, pattern.stroke)


def possible_patterns(scene: Scene, config: WorldConfig) -> Iterator[tuple[float, Pattern]]:
    """``(probability, pattern)`` of all places and sizes that the landmark asked about leaves possible; 1 in all."""
    slots = free_slots(scene.asked.zone, scene.landmarks)
    for stroke, weight in zip(STROKES, config.strokes, strict=True):
        for x, y in slots:
            yield weight / sum(config.strokes) / len(slots), Pattern(scene.answer, stroke, x, y)


def best_crop(scenes: Sequence[Scene], config: WorldConfig) -> tuple[Box, float]:
    """The crop that most likely shows the pattern, and how likely, to someone to whom all these scenes look alike.

    Args:
        scenes: equally likely; one, for someone who reads everything that the first view says.
        config: of the scenes.
    """
    boxes, legible = _crops()
    corners = np.array([box.as_tuple() for box in boxes])
    shown = np.zeros(len(boxes))
    for scene in scenes:
        for chance, pattern in possible_patterns(scene, config):
            shown += chance * legible[pattern.stroke] * (_coverage(corners, pattern.box) >= MIN_COVERAGE)
    best = int(shown.argmax())
    return boxes[best], float(shown[best]) / len(scenes)


def best_score(scenes: Sequence[Scene], config: WorldConfig) -> float:
    """Share of scenes whose pattern the best crops show, to someone who reads landmarks and knows what they mean."""
    return fmean(best_crop([scene], config)[1] for scene in scenes)


def unread(scene: Scene) -> list[Scene]:
    """All scenes that someone may be in who finds the landmark asked about and does not know what its looks mean."""
    first, *others = scene.landmarks
    looks = [replace(first, mark=mark, shape=shape) for mark in MARKS for shape in SHAPES]
    return [replace(scene, landmarks=(look, *others)) for look in looks]


@cache
def _crops() -> tuple[list[Box], dict[int, NDArray[np.bool_]]]:
    """All crops with corners on corners of slots, and by stroke whether it is legible in them."""
    sides = list(combinations(range(0, VIEW_PX + 1, SLOT_PX), 2))
    boxes = [Box(x1, y1, x2, y2) for x1, x2 in sides for y1, y2 in sides]
    return boxes, {stroke: np.array([is_legible(box, stroke) for box in boxes]) for stroke in STROKES}


def _coverage(corners: NDArray[np.float64], target: Box) -> NDArray[np.float64]:
    """Share of a target that each box covers."""
    x1, y1, x2, y2 = corners.T
    wide = (np.minimum(x2, target.x2) - np.maximum(x1, target.x1)).clip(0)
    high = (np.minimum(y2, target.y2) - np.maximum(y1, target.y1)).clip(0)
    share: NDArray[np.float64] = wide * high / target.area
    return share
