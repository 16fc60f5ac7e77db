"""The one place where images are opened, in whichever way they are given."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from PIL import Image, UnidentifiedImageError

from ..core.geometry import Size
from ..core.images import damage_as_oserror, orientation, size_of, to_rgb
from .image_values import Content, located

ImageValue = str | Path | bytes | Mapping[str, Any] | Image.Image | IO[bytes]
"""A path, a ``file://`` or ``data:`` URL, base64 text, a file's bytes, a mapping that holds one of these (``{"bytes",
"path"}`` as the datasets library has it, ``{"image"}``, ``{"image_url"}``), a Pillow image or an open file."""

MAX_MEGAPIXELS = 500.0
"""Larger images are refused from their header unless the caller or `LIMIT_VARIABLE` says otherwise. Pillow takes 4
bytes a pixel: this is 2 GB."""

LIMIT_VARIABLE = "ERGO_MAX_MEGAPIXELS"
"""Environment variable that replaces `MAX_MEGAPIXELS`."""

_PILLOWS_LIMIT_OFF = threading.Lock()
"""Pillow's own limit, which calls 179 megapixels damage, is one for all threads; it is off only while this is held."""

_SWAPS_SIDES = (5, 6, 7, 8)
"""EXIF orientations that turn an image by a quarter."""

_STORED_SIDEWAYS = ("JPEG", "MPO", "PNG", "WEBP")
"""Formats whose header gives the size before the orientation is heeded; TIFF's is upright already."""


class TooLargeImage(OSError):
    """An image with more pixels than we allow; it may be sound."""


def open_image(value: ImageValue, *, max_megapixels: float | None = None) -> Image.Image:
    """An image whose size is known and whose pixels are not decoded yet.

    Args:
        max_megapixels: larger images are refused; None for `MAX_MEGAPIXELS`.

    Raises:
        FileNotFoundError: there is no such file.
        TooLargeImage: it has more pixels than allowed.
        OSError: it is damaged or no image.
        ValueError: the value is nothing that could be an image, or lies on another machine.
    """
    content = located(value)
    limit = default_limit() if max_megapixels is None else max_megapixels
    if isinstance(content.held, Image.Image):
        _refuse_too_large(content.held, content, limit, named=max_megapixels is not None)
        return content.held
    with _pillows_limit_off() as pillows, damage_as_oserror():
        try:
            image: Image.Image = Image.open(content.file())
        except UnidentifiedImageError as error:
            raise UnidentifiedImageError(f"damaged image: {content.name} is no image that can be read") from error
        _refuse_too_large(image, content, limit, named=max_megapixels is not None)
        if image.format == "TIFF" and pillows is not None and image.width * image.height > pillows:
            image.load()  # Pillow asks its limit once more when it decodes a TIFF
    return image


def upright_size(value: ImageValue, *, max_megapixels: float | None = None) -> Size:
    """The size of the image as `core.images.to_rgb` shows it, from its header where that tells.

    Raises:
        As `open_image`.
    """
    with open_image(value, max_megapixels=max_megapixels) as image, damage_as_oserror():
        if image.format == "PNG" and "exif" not in image.info and not _text_behind_pixels(image):
            return size_of(image)
        if orientation(image) not in _SWAPS_SIDES:
            return size_of(image)
        if image.format in _STORED_SIDEWAYS:
            return Size(image.height, image.width)
        return size_of(to_rgb(image))


def image_key(value: ImageValue) -> str:
    """Names an image for caches and messages: a file by its path, bytes by their content, others by what they show.

    Raises:
        OSError: a Pillow image whose file is damaged.
        ValueError: the value is nothing that could be an image.
    """
    content = located(value)
    if isinstance(content.held, Path):
        return str(content.held)
    if isinstance(content.held, Image.Image):
        shown = to_rgb(content.held)
        return f"pixels {_digest(repr(shown.size).encode() + shown.tobytes())}"
    return f"bytes {_digest(content.read())}"


def path_of(value: ImageValue) -> Path | None:
    """Where an image lies that is given by a path or a ``file://`` URL; None for all others."""
    held = located(value).held
    return held if isinstance(held, Path) else None


def pictures_in(folder: Path) -> list[Path]:
    """The files of a folder that are called like pictures Pillow reads, by name; hidden ones and folders aside.

    Raises:
        OSError: the folder cannot be listed.
    """
    kinds = {ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    found = (path for path in folder.iterdir() if path.suffix.lower() in kinds and not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())


def default_limit() -> float:
    """Most megapixels where the caller names no limit.

    Raises:
        ValueError: `LIMIT_VARIABLE` is not a number above 0.
    """
    given = os.environ.get(LIMIT_VARIABLE)
    if given is None:
        return MAX_MEGAPIXELS
    try:
        limit = float(given)
    except ValueError:
        limit = 0.0
    if not limit > 0:
        raise ValueError(f"{LIMIT_VARIABLE} is a number of megapixels above 0, got {given!r}")
    return limit


def _refuse_too_large(image: Image.Image, content: Content, limit: float, *, named: bool) -> None:
    megapixels = image.width * image.height / 1e6
    if megapixels > limit:
        image.close()
        raise TooLargeImage(
            f"{content.name} is too large: {image.width}x{image.height} are {megapixels:.4g} megapixels, more than "
            f"{'max_megapixels' if named else LIMIT_VARIABLE}={limit:g}"
        )


@contextmanager
def _pillows_limit_off() -> Iterator[int | None]:
    """Pillow's limit is off inside, and handed over."""
    with _PILLOWS_LIMIT_OFF:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield limit
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _text_behind_pixels(image: Image.Image) -> bool:
    """Whether a PNG file says more behind its pixels, where its orientation may stand.

    Pillow decodes a whole PNG to find out; the lengths of its chunks tell as much.
    """
    file = getattr(image, "fp", None)
    if file is None:
        return True
    place = file.tell()
    file.seek(8)  # the signature
    pixels_seen = found = False
    while not found and len(header := file.read(8)) == 8:
        pixels_seen |= header[4:] == b"IDAT"
        found = pixels_seen and header[4:] in (b"eXIf", b"tEXt", b"zTXt", b"iTXt")
        file.seek(int.from_bytes(header[:4], "big") + 4, os.SEEK_CUR)
    file.seek(place)
    return found


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
