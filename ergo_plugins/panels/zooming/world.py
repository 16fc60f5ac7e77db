"""Questions about panels that one crop settles, or two.

*Which pattern fills the red tile?* needs a crop of one place; *Which patterns fill the red and the blue tile?* needs
crops of two. The first view shows where each colour is and, byte for byte, nothing about patterns. A crop is shown in
four visual tokens: of one cell, a unit is a pixel and the pattern is legible; a crop that holds both asked tiles
has two units a pixel or more, along both axes. Scenes are those of `panels.world`, with the second tile moved away.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...core.geometry import Box
from ..boxes import CELL_PX, CELLS
from ..world import CELL_UNITS, WORDINGS, Scene, Tile, first_seed, make_scene

VIEW_TOKENS, CROP_TOKENS = 16, 4
VIEW_PX, CROP_PX = 112, 56
"""Sides of the first view and of a square crop: 4 x 4 and 2 x 2 tokens of 28 pixels."""
SCALE = 4
"""Pixels of an original along a unit: 896 a side."""
NEEDS_TWO_SHARE = 0.5
"""Of the questions ask for two patterns."""
APART = 2
"""Cells between two asked tiles, along both axes: any box over both is at least 112 units wide and high."""
TWO_WORDINGS = (
    "Which patterns fill the {0} and the {1} tile?",
    "Look at the {0} tile and the {1} tile. Which patterns do they have?",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A scene and what is asked about it.

    Attributes:
        scene: the panels; the asked tiles are its first.
        needs: how many tiles are asked for, and so how many crops it takes.
        stem: what is asked.
    """

    scene: Scene
    needs: int
    stem: str

    @property
    def asked(self) -> tuple[Tile, ...]:
        """The tiles, in the order of the answer."""
        return self.scene.tiles[: self.needs]

    @property
    def answer(self) -> str:
        """Their patterns: one of 4 answers, or one of 16."""
        return ", ".join(tile.pattern for tile in self.asked)


def make_question(seed: int, *, needs: int | None = None, wording: int | None = None) -> Question:
    """The question of a seed; the same on every machine.

    Args:
        seed: of everything that is drawn by lot.
        needs: one crop or two; by lot if None.
        wording: which of the kind's wordings; by lot if None.
    """
    scene = make_scene(seed)
    rng = random.Random(f"zooming {seed}")
    drawn = 2 if rng.random() < NEEDS_TWO_SHARE else 1
    needs = drawn if needs is None else needs
    apart = _moved_apart(scene, rng)
    wordings = WORDINGS if needs == 1 else TWO_WORDINGS
    words = rng.choice(wordings) if wording is None else wordings[wording]
    if needs == 1:
        return Question(scene, 1, words.format(color=scene.target.color))
    return Question(apart, 2, words.format(*(tile.color for tile in apart.tiles[:2])))


def questions(split: str, count: int, *, stream: int = 0, needs: int | None = None) -> Iterator[Question]:
    """The first ``count`` questions of a stream of a split (`panels.world.SPLITS`), all of one kind if it is said."""
    first = first_seed(split, stream=stream)
    return (make_question(seed, needs=needs) for seed in range(first, first + count))


def cell_of(tile: Tile) -> Box:
    """The box of the first view, in its pixels, that shows a tile legibly."""
    column, row = tile.cell
    return Box(column, row, column + 1, row + 1).scaled(CELL_PX, CELL_PX)


def _moved_apart(scene: Scene, rng: random.Random) -> Scene:
    """The second tile in a cell far from the first's; a tile that lies there changes places with it."""
    first, second, *others = scene.tiles
    column, row = (rng.choice([to for to in range(CELLS) if abs(to - at) >= APART]) for at in first.cell)
    others = [_in_cell(tile, second.cell) if tile.cell == (column, row) else tile for tile in others]
    return replace(scene, tiles=(first, _in_cell(second, (column, row)), *others))


def _in_cell(tile: Tile, cell: tuple[int, int]) -> Tile:
    """A tile moved to another cell, to the same place within it."""
    column, row = cell
    return replace(tile, x=column * CELL_UNITS + tile.x % CELL_UNITS, y=row * CELL_UNITS + tile.y % CELL_UNITS)
