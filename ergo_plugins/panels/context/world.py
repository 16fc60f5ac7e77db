"""Scenes whose target is absent from the first view, and landmarks that say where it is likely to be.

*Which pattern is near the red landmark?* The first view, 112 x 112 pixels in 16 visual tokens, shows a pale gradient
and a few landmarks. A pattern lies near the one asked for: a texture that averages to its background, so that the view
is the same, to the last byte, with the pattern and without. What the landmark looks like says where to expect it:

* its **mark** says the direction, north-west to south-east: a rule like that of a language, which no view explains;
* its **shape** says how sure that is. By a *post* the pattern lies in the next cell in that direction, by a *slab*
  anywhere in the 2 x 2 cells from the landmark's own in that direction.

Patterns are of three sizes. The crop has 64 visual tokens: of one cell every size is legible in it, of 2 x 2 cells the
upper two, of the whole image the largest alone. So looking everywhere costs much and not everything, and the best
crop is one cell where the place is sure and four cells where it is not.

Frames. Places are in pixels of the first view; an original has `DETAIL` *units* along such a pixel, a pixel each.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from ...core.geometry import Box
from ..boxes import CELL_PX, CELLS
from ..world import COLORS, first_seed

VIEW_TOKENS, CROP_TOKENS = 16, 64
VIEW_PX = CELLS * CELL_PX
SLOT_PX = CELL_PX // 2
"""A quarter of a cell, and a patch of the vision encoder: what a landmark or a pattern lies in."""
DETAIL = 8
"""Pixels of an original along a pixel of the first view: the period of every pattern divides it."""
PATTERNS = ("horizontal", "vertical", "checkered", "dotted")
SIDE_STROKES = 24
"""Strokes along a side of a pattern, and the fewest pixels of a view in which it is legible: one a stroke."""
IN_SLOT_PX = {1: 4, 2: 1, 4: 1}
"""By the width of a stroke in units, how far from its slot's corner a pattern lies: such that it fills few tokens of a
crop. The whole crop has 1, 2 or 4 units in a pixel when it is of 1, 4 or 16 cells."""
STROKES = tuple(IN_SLOT_PX)

DIRECTIONS = {"northwest": (-1, -1), "northeast": (1, -1), "southwest": (-1, 1), "southeast": (1, 1)}
"""Steps of columns and rows."""
MARKS = {"white": "northwest", "black": "northeast", "orange": "southwest", "pink": "southeast"}
"""The direction that a mark means."""
SHAPES = {"post": 1, "slab": 2}
"""Cells along a side of the zone that a shape means."""
WORDINGS = (
    "Which pattern is near the {color} landmark?",
    "Look near the {color} landmark. Which pattern is there?",
    "There is a pattern near the {color} landmark. Which one is it?",
)
"""What is asked, in texts of different length: real batches are ragged, and some trainers need them to be."""

TargetKind = Literal["hidden", "visible"]
Placed = Literal["by_rule", "by_lot"]
Cell = tuple[int, int]
"""Column and row."""
INNER_CELLS: tuple[Cell, ...] = ((1, 1), (2, 1), (1, 2), (2, 2))
"""Where landmarks stand: from each, all zones lie inside the image, so where it stands says nothing about them."""


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """How hard the world is.

    Attributes:
        target: a hidden one leaves no trace in the first view; a visible one has a dark frame, nothing else differs.
        placed: by the landmark's rule; or by lot, as any other landmark in the same place would have it.
        landmarks: in an image, 1 to 4; all but one are distractors.
        wide: share of scenes whose landmark is a slab.
        strokes: how often each of `STROKES` is chosen: the finer, the smaller the crop has to be.
        contrast: of strokes and their background, 1 to 3: so many times 6 in red and green and 15 in blue, of 255.
    """

    target: TargetKind = "hidden"
    placed: Placed = "by_rule"
    landmarks: int = 3
    wide: float = 0.5
    strokes: tuple[float, ...] = (0.5, 0.3, 0.2)
    contrast: int = 3

    def __post_init__(self) -> None:
        for name, known in (("target", get_args(TargetKind)), ("placed", get_args(Placed))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, got {getattr(self, name)!r}")
        if not 1 <= self.landmarks <= len(INNER_CELLS):
            raise ValueError(f"landmarks is 1 to {len(INNER_CELLS)}, one inner cell each; got {self.landmarks}")
        if not 0 <= self.wide <= 1:
            raise ValueError(f"wide is a share, 0 to 1, got {self.wide}")
        if len(self.strokes) != len(STROKES) or min(self.strokes) < 0 or sum(self.strokes) <= 0:
            raise ValueError(f"strokes has a weight for each of {STROKES}, and one of them above 0; got {self.strokes}")
        if self.contrast not in (1, 2, 3):
            raise ValueError(f"contrast is 1, 2 or 3, got {self.contrast}")


@dataclass(frozen=True, slots=True)
class Landmark:
    """What is seen at first; ``x`` and ``y`` are the upper left corner of its slot."""

    color: str
    shape: str
    mark: str
    x: int
    y: int

    @property
    def cell(self) -> Cell:
        """The cell that it stands in."""
        return self.x // CELL_PX, self.y // CELL_PX

    @property
    def zone(self) -> Box:
        """Where its pattern lies, by its mark and shape."""
        return zone(self.cell, MARKS[self.mark], SHAPES[self.shape])


@dataclass(frozen=True, slots=True)
class Pattern:
    """A square of strokes ``stroke`` units wide; ``x`` and ``y`` are the upper left corner of its slot."""

    name: str
    stroke: int
    x: int
    y: int

    @property
    def box(self) -> Box:
        """What it covers."""
        side, inside = SIDE_STROKES * self.stroke / DETAIL, IN_SLOT_PX[self.stroke]
        x, y = self.x + inside, self.y + inside
        return Box(x, y, x + side, y + side)


@dataclass(frozen=True, slots=True)
class Scene:
    """One image and one question about it; ``landmarks[0]`` is the one that is asked about."""

    landmarks: tuple[Landmark, ...]
    pattern: Pattern
    wording: str
    visible: bool
    contrast: int

    @property
    def asked(self) -> Landmark:
        """The landmark that the question names."""
        return self.landmarks[0]

    @property
    def is_wide(self) -> bool:
        """Whether its landmark leaves the place open."""
        return SHAPES[self.asked.shape] > 1

    @property
    def question(self) -> str:
        """What is asked."""
        return self.wording.format(color=self.asked.color)

    @property
    def answer(self) -> str:
        """A name of `PATTERNS`."""
        return self.pattern.name

    @property
    def target_source(self) -> Box:
        """The pattern in pixels of the original."""
        return self.pattern.box.scaled(DETAIL, DETAIL)


def zone(cell: Cell, direction: str, cells: int) -> Box:
    """The next cell in a direction; or the 2 x 2 cells from this one on."""
    (column, row), (right, down) = cell, DIRECTIONS[direction]
    if cells == 1:
        return cells_at(column + right, row + down, 1)
    return cells_at(min(column, column + right), min(row, row + down), cells)


def cells_at(column: int, row: int, cells: int) -> Box:
    """A square of cells from one on, to the right and down."""
    return Box(column, row, column + cells, row + cells).scaled(CELL_PX, CELL_PX)


def free_slots(zone: Box, landmarks: tuple[Landmark, ...]) -> list[tuple[int, int]]:
    """Upper left corners of the slots in a zone that hold no landmark."""
    taken = {(landmark.x, landmark.y) for landmark in landmarks}
    rows, columns = (range(int(low), int(high), SLOT_PX) for low, high in ((zone.y1, zone.y2), (zone.x1, zone.x2)))
    return [(x, y) for y in rows for x in columns if (x, y) not in taken]


def make_scene(seed: int, config: WorldConfig = WorldConfig()) -> Scene:
    """The scene of a seed; the same on every machine.

    Scenes of one seed whose configurations differ in ``target`` alone differ in nothing but the frame.
    """
    rng = random.Random(f"context {seed}")
    cells = rng.sample(INNER_CELLS, config.landmarks)
    landmarks = tuple(
        Landmark(
            color=color,
            shape="slab" if rng.random() < config.wide else "post",
            mark=rng.choice(tuple(MARKS)),
            x=column * CELL_PX + rng.choice((0, SLOT_PX)),
            y=row * CELL_PX + rng.choice((0, SLOT_PX)),
        )
        for (column, row), color in zip(cells, rng.sample(tuple(COLORS), config.landmarks), strict=True)
    )
    asked = landmarks[0]
    by_lot = zone(asked.cell, rng.choice(tuple(DIRECTIONS)), 2 if rng.random() < config.wide else 1)
    x, y = rng.choice(free_slots(asked.zone if config.placed == "by_rule" else by_lot, landmarks))
    (stroke,) = rng.choices(STROKES, config.strokes)
    return Scene(
        landmarks=landmarks,
        pattern=Pattern(rng.choice(PATTERNS), stroke, x, y),
        wording=rng.choice(WORDINGS),
        visible=config.target == "visible",
        contrast=config.contrast,
    )


def scenes(split: str, count: int, *, stream: int = 0, config: WorldConfig = WorldConfig()) -> Iterator[Scene]:
    """The first ``count`` scenes of a stream of a split (`panels.world.SPLITS`)."""
    first = first_seed(split, stream=stream)
    return (make_scene(seed, config) for seed in range(first, first + count))
