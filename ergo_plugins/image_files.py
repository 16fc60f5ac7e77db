"""The one place where image files are opened, and where their pixels lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from PIL import Image

from .core.images import damage_as_oserror

KEPT_BLOCKS = 8
"""Blocks of 16 MB, Pillow's unit of memory, that are kept: an RGB image of 33 megapixels."""


def reuse_memory() -> None:
    """Have Pillow keep the memory of images that are gone for those to come, for all of this process.

    Fresh pages cost an 8K image a third of its decoding and resizing. Who sets ``PILLOW_BLOCKS_MAX`` has decided.
    """
    if "PILLOW_BLOCKS_MAX" not in os.environ:
        Image.core.set_blocks_max(KEPT_BLOCKS)


def open_image(file: str | Path | IO[bytes]) -> Image.Image:
    """An image file whose size is known and whose pixels are not decoded yet.

    Raises:
        OSError: there is no such file, it is no image, it is damaged, or it has more pixels than Pillow allows.
    """
    with damage_as_oserror():
        return Image.open(file)
