"""Boxes of the coarse view on its 4 x 4 grid of cells: the right one, wider ones, any one, and a teacher's choice."""

from __future__ import annotations

import random
from dataclasses import dataclass

from world import CELL_UNITS, UNITS, UNITS_PER_VIEW_PX, Scene

from ergo_plugins.core.geometry import Box

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


def _square(column: int, row: int, cells: int) -> Box:
    return Box(column, row, column + cells, row + cells).scaled(CELL_PX, CELL_PX)
