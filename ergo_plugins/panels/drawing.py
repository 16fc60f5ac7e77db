"""The panels world in pixels: the original, and the two views of it that a policy is shown."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..core.geometry import Box
from .world import COLORS, TILE_UNITS, UNITS, UNITS_PER_VIEW_PX, Scene, crop_size

FAST_SCALE = 2
"""The smallest scale at which every square on the cell grid is reduced by a whole factor (`crop_view`)."""

_RAMP = np.linspace(120, 250, UNITS // UNITS_PER_VIEW_PX)
_BACKGROUND = np.stack(np.broadcast_arrays(_RAMP[None, :], _RAMP[:, None], 220.0), axis=-1).astype(np.uint8)
_LATTICE = _BACKGROUND.repeat(UNITS_PER_VIEW_PX, 0).repeat(UNITS_PER_VIEW_PX, 1)
_ROW, _COLUMN = np.mgrid[:TILE_UNITS, :TILE_UNITS]
_IS_DARK = {"horizontal": _ROW % 2, "vertical": _COLUMN % 2, "checkered": (_ROW + _COLUMN) % 2}


def original(scene: Scene) -> Image.Image:
    """The image at full resolution, RGB."""
    return Image.fromarray(drawn(scene, scene.scale))


def coarse_view(scene: Scene) -> NDArray[np.uint8]:
    """What a policy sees first, ``(112, 112, 3)``: byte for byte the BOX resize of the original, drawn directly."""
    view: NDArray[np.uint8] = _BACKGROUND.copy()
    for tile in scene.tiles:
        x, y, side = (units // UNITS_PER_VIEW_PX for units in (tile.x, tile.y, TILE_UNITS))
        view[y : y + side, x : x + side] = _light_mean_dark(tile.color, scene.dark)[1]
    return view


def crop_view(scene: Scene, box_view: Box) -> NDArray[np.uint8]:
    """What a policy sees second, ``(height, width, 3)``: the crop of the original that a box of the coarse view names.

    Where the crop is reduced by a whole factor at `FAST_SCALE`, as all squares on the cell grid are, the lattice at
    that scale has the same averages, byte for byte, and the original is never drawn. Other crops are resized from it.
    """
    view = crop_size(scene.to_source(box_view))
    box = box_view.scaled(UNITS_PER_VIEW_PX, UNITS_PER_VIEW_PX)
    is_fast = (
        all(corner % 1 == 0 for corner in box.as_tuple())
        and box.width * FAST_SCALE % view.width == 0
        and box.height * FAST_SCALE % view.height == 0
    )
    scale = FAST_SCALE if is_fast else scene.scale
    left, top = math.floor(box.x1), math.floor(box.y1)
    part = drawn(scene, scale, (left, top, math.ceil(box.x2), math.ceil(box.y2)))
    box_part = Box(box.x1 - left, box.y1 - top, box.x2 - left, box.y2 - top).scaled(scale, scale)
    image = Image.fromarray(part).resize((view.width, view.height), Image.Resampling.BOX, box=box_part.as_tuple())
    pixels: NDArray[np.uint8] = np.asarray(image)
    return pixels


def drawn(
    scene: Scene, scale: int, region_units: tuple[int, int, int, int] = (0, 0, UNITS, UNITS)
) -> NDArray[np.uint8]:
    """A region of the lattice, every unit as ``scale`` x ``scale`` pixels."""
    lattice: NDArray[np.uint8] = _LATTICE.copy()
    for tile in scene.tiles:
        light, mean, dark = _light_mean_dark(tile.color, scene.dark)
        filled = np.where(_IS_DARK[tile.pattern][..., None], dark, light) if tile.pattern in _IS_DARK else mean
        lattice[tile.y : tile.y + TILE_UNITS, tile.x : tile.x + TILE_UNITS] = filled
    x1, y1, x2, y2 = region_units
    return lattice[y1:y2, x1:x2].repeat(scale, 1).repeat(scale, 0)


@cache
def _light_mean_dark(color: str, dark_share: float) -> NDArray[np.uint8]:
    """Bright, mean and dark version of a colour, ``(3, 3)``. The mean is a whole number: both have the same parity."""
    light = np.array(COLORS[color])
    dark = (light * dark_share).astype(int)
    dark -= (light - dark) % 2
    return np.stack([light, (light + dark) // 2, dark]).astype(np.uint8)
