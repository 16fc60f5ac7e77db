"""Places in pixels: the original, and the view of it that a policy sees, drawn directly."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..world import COLORS, TILE_UNITS, UNITS
from .world import DOT_UNITS, SCALE, Place


def original(place: Place) -> Image.Image:
    """The image at full resolution, RGB."""
    return Image.fromarray(_drawn(place, UNITS * SCALE))


def view(place: Place, side_px: int) -> NDArray[np.uint8]:
    """The BOX resize of the original to ``(side_px, side_px, 3)``, to within a grey level of the background.

    ``side_px`` is a multiple of 16: then every tile begins and ends between two pixels, and so does every half of one.
    Dots do at 112 pixels and at whole multiples of it.
    """
    return _drawn(place, side_px)


@cache
def _background(side_px: int) -> NDArray[np.uint8]:
    """A pale gradient that encodes position."""
    ramp = np.linspace(120, 250, UNITS // 2).repeat(2 * SCALE)
    drawn = np.stack(np.broadcast_arrays(ramp[None, :], ramp[:, None], 220.0), axis=-1).astype(np.uint8)
    image = Image.fromarray(drawn).resize((side_px, side_px), Image.Resampling.BOX)
    pixels: NDArray[np.uint8] = np.asarray(image)
    return pixels


def _drawn(place: Place, side_px: int) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = _background(side_px).copy()
    for tile in (*place.tiles[2:], *place.tiles[:2]):
        _fill(pixels, tile.color, tile.x, tile.y, 0, TILE_UNITS)
        if tile.dot:
            _fill(pixels, tile.dot, tile.x, tile.y, *DOT_UNITS)
    return pixels


def _fill(pixels: NDArray[np.uint8], color: str, x: int, y: int, begins: int, ends: int) -> None:
    """A square of a picture of all units, ``begins`` to ``ends`` units from ``x`` and ``y``."""
    side_px = len(pixels)
    x1, x2, y1, y2 = (units * side_px // UNITS for units in (x + begins, x + ends, y + begins, y + ends))
    pixels[y1:y2, x1:x2] = COLORS[color]
