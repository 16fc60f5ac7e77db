"""Boxes of the coarse view on its 4 x 4 grid of cells: the right one, wider ones, any one, and a teacher's choice."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ..core.geometry import Box
from .world import CELL_UNITS, UNITS, UNITS_PER_VIEW_PX, WORDINGS, Scene

CELLS = UNITS // CELL_UNITS
"""Cells along a side, and visual tokens along a side of any square view."""
CELL_PX = CELL_UNITS // UNITS_PER_VIEW_PX
"""Side of a cell in pixels of the coarse view."""
WHOLE_VIEW = Box(0, 0, CELLS * CELL_PX, CELLS * CELL_PX)


def cell_box(scene: Scene) -> Box:
    """The cell that holds the target."""
    column, row = scene.target.cell
    return _square(column, row, 1)


def box_around(scene: Scene, cells: int, rng: random.Random) -> Box:
    """A square of ``cells`` x ``cells`` that holds the target."""
    column, row = (rng.randint(max(0, at - cells + 1), min(at, CELLS - cells)) for at in scene.target.cell)
    return _square(column, row, cells)


def box_anywhere(rng: random.Random) -> Box:
    """A square of cells, wherever the target is."""
    cells = rng.randint(1, CELLS)
    return _square(rng.randint(0, CELLS - cells), rng.randint(0, CELLS - cells), cells)


@dataclass(frozen=True, slots=True)
class BoxHabit:
    """Where a teacher looks: in what share of episodes at the target's cell, at 2 x 2 or 3 x 3 cells round it.

    In the remaining episodes it looks anywhere, from one cell to the whole view. Only the first choice is taught; the
    others are shown, so that the policy has seen crops of every size and knows the form of an answer to each.
    """

    cell: float = 0.5
    two: float = 0.35
    three: float = 0.05

    def choose(self, scene: Scene, rng: random.Random) -> tuple[Box, bool]:
        """``(box_view, whether it is taught)``."""
        roll = rng.random()
        if roll < self.cell:
            return cell_box(scene), True
        if roll < self.cell + self.two:
            return box_around(scene, 2, rng), False
        if roll < self.cell + self.two + self.three:
            return box_around(scene, 3, rng), False
        return box_anywhere(rng), False


def box_beside(scene: Scene, rng: random.Random) -> Box:
    """A cell that touches the target's, along a side or at a corner."""
    column, row = scene.target.cell
    steps = [(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if x or y]
    inside = [(column + x, row + y) for x, y in steps if 0 <= column + x < CELLS and 0 <= row + y < CELLS]
    return _square(*rng.choice(inside), 1)


LOOSE_SHARES = (
    # cell, 2 x 2, beside, 3 x 3, whole view
    (0.75, 0.10, 0.05, 0.00, 0.10),
    (0.65, 0.10, 0.10, 0.05, 0.10),
    (0.40, 0.05, 0.10, 0.05, 0.40),
    (0.25, 0.05, 0.10, 0.05, 0.55),
)
"""How a loose teacher looks, by the question's wording: shares of episodes, each row sums to 1."""


@dataclass(frozen=True, slots=True)
class LooseHabit:
    """A teacher who knows where the target is and mostly looks elsewhere, how often depends on the question's words.

    What it teaches leaves a choice to be learned: the right box is in the policy's repertoire, and so are boxes that
    are too wide to read or beside the point. All are taught. About half of its boxes show the pattern: cells and
    2 x 2 cells.
    """

    def choose(self, scene: Scene, rng: random.Random) -> tuple[Box, bool]:
        """``(box_view, whether it is taught)``."""
        looks = (
            cell_box,
            lambda scene: box_around(scene, 2, rng),
            lambda scene: box_beside(scene, rng),
            lambda scene: box_around(scene, 3, rng),
            lambda scene: WHOLE_VIEW,
        )
        (look,) = rng.choices(looks, LOOSE_SHARES[WORDINGS.index(scene.wording)])
        return look(scene), True


def _square(column: int, row: int, cells: int) -> Box:
    return Box(column, row, column + cells, row + cells).scaled(CELL_PX, CELL_PX)
