"""The context world in pixels: the original, and the views of it that a policy is shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...core.geometry import Box, Size, VisionGrid
from ..world import COLORS
from .world import CROP_TOKENS, DETAIL, IN_SLOT_PX, SIDE_STROKES, SLOT_PX, VIEW_PX, Landmark, Pattern, Scene

MARK_COLORS = {"white": (255, 255, 255), "black": (0, 0, 0), "orange": (255, 140, 0), "pink": (255, 150, 200)}
FRAME_COLOR = (0, 0, 0)
THICK_PX, LONG_PX, MARK_PX = 10, 14, 4
"""Sides of a landmark, and of the mark in its middle."""
SHADE = 0.675
"""Of its colour: that of tiles in `panels`, which the policy that this world's begins as has learned to find."""

# almost that of `panels`; what a pattern adds and takes away stays within a byte
_RAMP = np.linspace(105, 235, VIEW_PX)
_BACKGROUND = np.stack(np.broadcast_arrays(_RAMP[None, :], _RAMP[:, None], 205.0), axis=-1).astype(np.uint8)
_THIRD = np.array([2, 2, 5], dtype=np.int16)
"""Of what a full stroke adds to each channel at contrast 1."""
_ROW, _COLUMN = np.mgrid[:SIDE_STROKES, :SIDE_STROKES]
_THIRDS = {
    # what a stroke adds to its background, in thirds; every 2 x 2 strokes add nothing
    "horizontal": np.where(_ROW % 2, -3, 3),
    "vertical": np.where(_COLUMN % 2, -3, 3),
    "checkered": np.where((_ROW + _COLUMN) % 2, -3, 3),
    "dotted": np.where(_ROW % 2 | _COLUMN % 2, -1, 3),
}
_GRID = VisionGrid()


def first_view(scene: Scene) -> NDArray[np.uint8]:
    """What a policy sees first, ``(112, 112, 3)``: byte for byte the BOX resize of the original, drawn directly."""
    view: NDArray[np.uint8] = _BACKGROUND.copy()
    if scene.visible:
        x, y = scene.pattern.x, scene.pattern.y
        inside = view[y + 1 : y + SLOT_PX - 1, x + 1 : x + SLOT_PX - 1].copy()
        view[y : y + SLOT_PX, x : x + SLOT_PX] = FRAME_COLOR
        view[y + 1 : y + SLOT_PX - 1, x + 1 : x + SLOT_PX - 1] = inside
    for landmark in scene.landmarks:
        _draw(view, landmark)
    return view


def original(scene: Scene, *, empty: bool = False) -> Image.Image:
    """The image at full resolution, RGB, 896 pixels a side; on request without the pattern."""
    return Image.fromarray(_pixels(scene, (0, 0, VIEW_PX, VIEW_PX), empty=empty))


def crop_view(scene: Scene, box_view: Box) -> NDArray[np.uint8]:
    """What a policy sees second, ``(height, width, 3)``: the crop that a box of the first view, in whole pixels, names.

    Only what lies in the crop is drawn.
    """
    x1, y1, x2, y2 = (round(corner) for corner in box_view.as_tuple())
    view = crop_size(box_view.scaled(DETAIL, DETAIL))
    image = Image.fromarray(_pixels(scene, (x1, y1, x2, y2), empty=False))
    pixels: NDArray[np.uint8] = np.asarray(image.resize((view.width, view.height), Image.Resampling.BOX))
    return pixels


def crop_size(box_source: Box) -> Size:
    """The view that a crop of the original is shown in."""
    return _GRID.fit(Size(round(box_source.width), round(box_source.height)), CROP_TOKENS)


def _pixels(scene: Scene, region_view: tuple[int, int, int, int], *, empty: bool) -> NDArray[np.uint8]:
    """A region of the original, named in the first view."""
    left, top, right, bottom = region_view
    pixels = first_view(scene)[top:bottom, left:right].repeat(DETAIL, 0).repeat(DETAIL, 1)
    if empty:
        return pixels
    texture = _texture(scene.pattern, scene.contrast)
    inside = IN_SLOT_PX[scene.pattern.stroke]
    x, y = ((at + inside - low) * DETAIL for at, low in ((scene.pattern.x, left), (scene.pattern.y, top)))
    seen = pixels[max(y, 0) : max(y + len(texture), 0), max(x, 0) : max(x + len(texture), 0)]
    if seen.size:
        rows, columns = (
            slice(max(-at, 0), max(-at, 0) + length) for at, length in zip((y, x), seen.shape[:2], strict=True)
        )
        seen[:] = seen.astype(np.int16) + texture[rows, columns]
    return pixels


def _texture(pattern: Pattern, contrast: int) -> NDArray[np.int16]:
    """What a pattern adds to its background, RGB."""
    strokes = (_THIRDS[pattern.name][..., None] * contrast * _THIRD).astype(np.int16)
    texture: NDArray[np.int16] = strokes.repeat(pattern.stroke, 0).repeat(pattern.stroke, 1)
    return texture


def _draw(view: NDArray[np.uint8], landmark: Landmark) -> None:
    """A landmark in the middle of its slot: upright or lying, its mark in its middle."""
    width, height = (THICK_PX, LONG_PX) if landmark.shape == "post" else (LONG_PX, THICK_PX)
    for wide, high, color in (
        (width, height, tuple(round(SHADE * channel) for channel in COLORS[landmark.color])),
        (MARK_PX, MARK_PX, MARK_COLORS[landmark.mark]),
    ):
        x, y = landmark.x + (SLOT_PX - wide) // 2, landmark.y + (SLOT_PX - high) // 2
        view[y : y + high, x : x + wide] = color
