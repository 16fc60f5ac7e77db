"""The two views of a scene: byte for byte the BOX resizes of its original, drawn directly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .. import drawing
from ..world import UNITS, Scene
from .world import FULL_PX, SCALE

VIEW_SCALE = FULL_PX // UNITS
assert VIEW_SCALE == 1  # a unit is a pixel of the full view


def reduced_view(scene: Scene) -> NDArray[np.uint8]:
    """``(112, 112, 3)``."""
    return drawing.coarse_view(scene)


def full_view(scene: Scene) -> NDArray[np.uint8]:
    """``(224, 224, 3)``."""
    return drawing.drawn(scene, VIEW_SCALE)


def original(scene: Scene) -> Image.Image:
    """The image at full resolution, RGB."""
    return Image.fromarray(drawing.drawn(scene, SCALE))
