"""The views of a scene: byte for byte the BOX resizes of its original, drawn directly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .. import drawing
from ..world import CELL_UNITS, Scene, Tile
from .world import CROP_PX, SCALE

assert CROP_PX == CELL_UNITS  # a unit is a pixel of a cell's crop


def first_view(scene: Scene) -> NDArray[np.uint8]:
    """``(112, 112, 3)``."""
    return drawing.coarse_view(scene)


def crop_of(scene: Scene, tile: Tile) -> NDArray[np.uint8]:
    """The crop of a tile's cell, ``(56, 56, 3)``."""
    x, y = (at * CELL_UNITS for at in tile.cell)
    return drawing.drawn(scene, 1, (x, y, x + CELL_UNITS, y + CELL_UNITS))


def original(scene: Scene) -> Image.Image:
    """The image at full resolution, RGB."""
    return Image.fromarray(drawing.drawn(scene, SCALE))
