"""JPEGs that stay encoded until somebody asks for their pixels."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import IO, Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from ..core.images import damage_as_oserror, orientation

_OPENED_HERE = threading.local()


class EncodedJpeg(JpegImageFile):
    """A JPEG whose file is kept for as long as nobody has decoded it; in all else the image that Pillow opens.

    Whoever wants its pixels gets Pillow's: all of Pillow's own ways to them lead through `load` or `draft`, and both
    let go of the file. So a file that is still there is the image as it is, and a view may be made of it instead.

    Attributes:
        encoded: the whole file; None once the pixels were asked for.
        passes: how often a view was asked of the file.
    """

    encoded: bytes | None = None
    passes: int = 0

    def __init__(self, encoded: bytes) -> None:
        """Read the header.

        Raises:
            OSError, SyntaxError: it is no JPEG.
        """
        super().__init__(io.BytesIO(encoded))
        self.encoded = encoded

    def load(self) -> Any:
        """As of `PIL.Image.Image`."""
        self.encoded = None
        return super().load()

    def draft(self, *arguments: Any, **named: Any) -> Any:
        """As of `PIL.Image.Image`; it changes the size."""
        self.encoded = None
        return super().draft(*arguments, **named)

    def convert(self, mode: str | None = None, *arguments: Any, **named: Any) -> Image.Image:
        """As of `PIL.Image.Image`; a copy in RGB, which this is already, stays encoded too."""
        if self.encoded is not None and mode == "RGB" and not arguments and not named:
            return EncodedJpeg(self.encoded)
        return super().convert(mode, *arguments, **named)


def encoded(image: Image.Image) -> EncodedJpeg | None:
    """The same image with its file kept; None if it has to be decoded.

    Kept are JPEGs that hold the pixels as `core.images.to_rgb` shows them: three components, upright, and not
    progressive, which no decoder reads in parts.

    Args:
        image: as Pillow opened it.

    Raises:
        OSError: the file cannot be read.
    """
    if isinstance(image, EncodedJpeg):
        return image if image.encoded is not None else None
    file: IO[bytes] | None = getattr(image, "fp", None)
    if type(image) is not JpegImageFile or file is None or not image.tile or image.decoderconfig:
        return None  # another format, or decoded already, in full or in a smaller size
    if image.mode != "RGB" or "progressive" in image.info or orientation(image) != 1:
        return None
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    with damage_as_oserror():
        return EncodedJpeg(content)


@contextmanager
def opened_encoded() -> Iterator[None]:
    """Inside, what other code opens with `PIL.Image.open` in this thread is `EncodedJpeg` where it can be.

    So images reach us undecoded through code of a host that ends in ``Image.open(file).convert("RGB")``. Everywhere
    else, and in other threads meanwhile, Pillow opens what it always did.
    """
    _hear_of_opened_jpegs()
    _OPENED_HERE.encoded = True
    try:
        yield
    finally:
        _OPENED_HERE.encoded = False


@cache
def _hear_of_opened_jpegs() -> None:
    """Register an opener of JPEGs with Pillow: the one that is registered, and what `opened_encoded` says, once."""
    Image.preinit()
    opener, accept = Image.OPEN["JPEG"]

    def opened(file: IO[bytes], filename: str | bytes = "") -> Any:
        image = opener(file, filename)
        kept = encoded(image) if getattr(_OPENED_HERE, "encoded", False) else None
        if kept is None:
            return image
        kept.filename = image.filename
        if filename:
            file.close()  # Pillow has opened it for us, and we hold its content
        return kept

    Image.register_open("JPEG", opened, accept)
