"""The one place where image files are opened, however they are given."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from PIL import Image

from .core.images import damage_as_oserror

ImageValue = str | Path | bytes | Mapping[str, Any] | Image.Image | IO[bytes]
"""A path, a ``file://`` or ``data:`` URL, a file's bytes, a mapping that holds one of these (``{"bytes", "path"}`` as
the datasets library has it, ``{"image"}``, ``{"image_url"}``), a Pillow image or an open file."""

MAX_MEGAPIXELS = 500.0
"""Larger images are refused from their header unless the caller says otherwise; decoded, this is 1.5 GB."""

_PILLOWS_LIMIT_OFF = threading.Lock()
"""Pillow's own limit, which calls 179 megapixels damage, is one for all threads; it is off only while this is held."""


class TooLargeImage(OSError):
    """An image with more pixels than we allow; it may be sound."""


def open_image(value: ImageValue, *, max_megapixels: float = MAX_MEGAPIXELS) -> Image.Image:
    """An image whose size is known and whose pixels are not decoded yet.

    Raises:
        FileNotFoundError: there is no such file.
        TooLargeImage: it has more than ``max_megapixels``.
        OSError: it is damaged or no image.
        ValueError: the value is nothing that could be an image.
    """
    value = _single(value)
    image = value if isinstance(value, Image.Image) else _opened(value)
    megapixels = image.width * image.height / 1e6
    if megapixels > max_megapixels:
        raise TooLargeImage(
            f"{image_key(value)} is too large: {image.width}x{image.height} are {megapixels:.0f} megapixels, more "
            f"than max_megapixels={max_megapixels:g}"
        )
    return image


def image_key(value: ImageValue) -> str:
    """Names an image for caches and messages: bytes and pixels by their content, a file by its path."""
    value = _single(value)
    if isinstance(value, str | Path) and not str(value).startswith("data:"):
        return str(value)
    if isinstance(value, Image.Image):
        content = repr((value.mode, value.size)).encode() + value.tobytes()
        return f"pixels {hashlib.blake2b(content, digest_size=16).hexdigest()}"
    content = str(value).encode() if isinstance(value, str) else value if isinstance(value, bytes) else _read(value)
    return f"bytes {hashlib.blake2b(content, digest_size=16).hexdigest()}"


def _single(value: Any) -> Any:
    """What a mapping holds, or the value itself."""
    while isinstance(value, Mapping):
        held = [value.get(name) for name in ("bytes", "image", "image_url", "url", "path")]
        value = next((one for one in held if one is not None), None)
    if not isinstance(value, str | Path | bytes | Image.Image) and not hasattr(value, "read"):
        raise ValueError(f"an image is a path, a file: or data: URL, bytes or a Pillow image, got {value!r:.80}")
    return value


def _opened(value: Any) -> Image.Image:
    with _PILLOWS_LIMIT_OFF:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with damage_as_oserror():
                return Image.open(_file(value))
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _file(value: Any) -> Any:
    if isinstance(value, bytes):
        return io.BytesIO(value)
    if isinstance(value, str) and value.startswith("data:"):
        head, _, body = value.partition(",")
        try:
            content = base64.b64decode(body, validate=True) if head.endswith(";base64") else unquote_to_bytes(body)
        except binascii.Error as error:
            raise OSError(f"damaged image: the data URL holds no base64 ({error})") from error
        return io.BytesIO(content)
    if isinstance(value, str) and value.startswith("file:"):
        return unquote(urlsplit(value).path)
    return value


def _read(file: Any) -> bytes:
    place = file.tell()
    content: bytes = file.read()
    file.seek(place)
    return content
