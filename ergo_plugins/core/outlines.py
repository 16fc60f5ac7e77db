"""Boxes drawn on pictures, for people to look at."""

from __future__ import annotations

from PIL import Image, ImageDraw

from .geometry import Box

POINTED_COLOR = "#f76707"
"""Of what a model pointed at."""

TARGET_COLOR = "#40c057"
"""Of where the evidence is."""


def outline(image: Image.Image, box: Box, color: str) -> None:
    """Draw a box on an image; the line lies outside the box, so that it hides nothing of what is inside.

    Args:
        image: is changed.
        box: in its pixels.
        color: as Pillow reads colours.
    """
    x1, y1, x2, y2 = map(round, box.as_tuple())
    width = max(2, round(max(image.size) / 300))
    corners = (x1 - width, y1 - width, x2 + width - 1, y2 + width - 1)
    ImageDraw.Draw(image).rectangle(corners, outline=color, width=width)
