"""The one place where image files are opened."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from PIL import Image

from .core.images import damage_as_oserror


def open_image(file: str | Path | IO[bytes]) -> Image.Image:
    """An image file whose size is known and whose pixels are not decoded yet.

    Raises:
        OSError: there is no such file, it is no image, it is damaged, or it has more pixels than Pillow allows.
    """
    with damage_as_oserror():
        return Image.open(file)
