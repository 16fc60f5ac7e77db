"""Places to be found: coloured tiles, and the expressions that name one of them.

Three kinds of expression. ``colour`` names the tile itself; ``dotted`` names it by another one, which has to be found
first: the tile in the colour of the dot on the red one; ``covered`` names a tile half of which another one hides:
what can be seen of it is one box, all of it another. The lattice, the cells, the tiles and the colours are those of
`panels.world`; tiles are plain, for nobody asks for patterns here, and begin at multiples of their side.

Frames: boxes are in ``units`` of the lattice, `world.UNITS` a side, unless a name says otherwise.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from ...core.geometry import Box
from ..world import CELL_UNITS, COLORS, TILE_UNITS, UNITS, first_seed

Kind = Literal["colour", "dotted", "covered"]
KINDS: tuple[Kind, ...] = ("colour", "dotted", "covered")

CELLS = UNITS // CELL_UNITS
COLOUR_WORDINGS = (
    "the {color} tile",
    "the tile that is {color}",
    "the one tile in {color}",
    "the only {color} tile here",
)
DOTTED_WORDINGS = (
    "the tile in the color of the dot on the {color} one",
    "what has the color of the dot on the {color} tile",
)
TILES = 4
"""In a scene."""
DOT_UNITS = (8, 20)
"""Where a dot begins and ends, from the upper left corner of its tile."""
SCALE = 4
"""Pixels of an original along a unit: 896 a side, which every view divides evenly."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A coloured square; ``x`` and ``y`` are its upper left corner in units, ``dot`` the colour of its middle."""

    color: str
    x: int
    y: int
    dot: str | None = None

    @property
    def box(self) -> Box:
        return Box(self.x, self.y, self.x + TILE_UNITS, self.y + TILE_UNITS)


@dataclass(frozen=True, slots=True)
class Place:
    """One image and one expression for a tile of it.

    Attributes:
        tiles: ``tiles[0]`` is the one that is meant; of the kind covered, ``tiles[1]`` lies over it.
        kind: of the expression.
        expression: the words.
        anchor: the tile that the expression names, for ``dotted``; else the one that is meant.
        seen: box of what can be seen of the tile that is meant.
    """

    tiles: tuple[Tile, ...]
    kind: Kind
    expression: str
    anchor: Tile
    seen: Box

    @property
    def target(self) -> Tile:
        return self.tiles[0]

    @property
    def whole(self) -> Box:
        """Box of all of the tile, covered parts included."""
        return self.target.box


def make_place(seed: int, kind: Kind, wording: int | None = None) -> Place:
    """The place of a seed; the same on every machine.

    Args:
        seed: of everything that is drawn by lot.
        kind: of the expression.
        wording: which of the kind's wordings; by lot if None.
    """
    rng = random.Random(f"{kind} {seed}")
    cells = rng.sample(range(CELLS**2), TILES)
    tiles = [_tile(rng, color, cell) for color, cell in zip(rng.sample(list(COLORS), TILES), cells, strict=True)]
    if kind == "covered":
        return _covered(rng, tiles, wording)
    if kind == "dotted":
        return _dotted(rng, tiles, wording)
    words = _worded(COLOUR_WORDINGS, wording, rng).format(color=tiles[0].color)
    return Place(tuple(tiles), kind, words, tiles[0], tiles[0].box)


def _worded(wordings: tuple[str, ...], chosen: int | None, rng: random.Random) -> str:
    drawn = rng.randrange(len(wordings))
    return wordings[drawn if chosen is None else chosen]


def _tile(rng: random.Random, color: str, cell: int) -> Tile:
    x, y = cell % CELLS * CELL_UNITS, cell // CELLS * CELL_UNITS
    return Tile(color, x + rng.choice((0, TILE_UNITS)), y + rng.choice((0, TILE_UNITS)))


def _dotted(rng: random.Random, tiles: list[Tile], wording: int | None) -> Place:
    """Every tile has a dot in another colour; that of the second is the first one's."""
    target, *others = (
        replace(tile, dot=rng.choice([color for color in COLORS if color != tile.color])) for tile in tiles
    )
    anchor = replace(others[0], dot=target.color)
    words = _worded(DOTTED_WORDINGS, wording, rng).format(color=anchor.color)
    return Place((target, anchor, *others[1:]), "dotted", words, anchor, target.box)


def _covered(rng: random.Random, tiles: list[Tile], wording: int | None) -> Place:
    """The second tile is laid over one half of the first, the others as they are, below both."""
    target, half = tiles[0], TILE_UNITS // 2
    steps = [(half, 0), (-half, 0), (0, half), (0, -half)]
    last = UNITS - TILE_UNITS
    step_x, step_y = rng.choice([(x, y) for x, y in steps if 0 <= target.x + x <= last and 0 <= target.y + y <= last])
    cover = Tile(tiles[1].color, target.x + step_x, target.y + step_y)
    x1, y1, x2, y2 = target.box.as_tuple()
    seen = Box(
        x1 + half if step_x < 0 else x1,
        y1 + half if step_y < 0 else y1,
        x2 - half if step_x > 0 else x2,
        y2 - half if step_y > 0 else y2,
    )
    below = [tile for tile in tiles[2:] if not _touch(tile, target) and not _touch(tile, cover)]
    words = _worded(COLOUR_WORDINGS, wording, rng).format(color=target.color)
    return Place((target, cover, *below), "covered", words, target, seen)


def _touch(one: Tile, other: Tile) -> bool:
    return abs(one.x - other.x) < TILE_UNITS and abs(one.y - other.y) < TILE_UNITS


def places(split: str, kind: Kind, count: int, *, stream: int = 0) -> Iterator[Place]:
    """The first ``count`` places of a stream of a split (`panels.world.SPLITS`)."""
    first = first_seed(split, stream=stream)
    return (make_place(seed, kind) for seed in range(first, first + count))
