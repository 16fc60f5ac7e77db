"""What a value that other projects call an image holds: a file's path, a file's bytes, or pixels."""

from __future__ import annotations

import base64
import binascii
import io
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from PIL import Image

_HOLDERS = ("bytes", "image", "base64", "image_url", "url", "path")
"""Keys under which a mapping may hold an image; the content itself comes before where it lies."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):(?://|(?=data|file))", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]+={0,2}\s*")

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"\0\0\0")
"""How image files begin (JPEG, PNG, GIF, WebP, BMP, TIFF, and AVIF and JPEG 2000)."""

_SHORTEST_BASE64 = 64
_LONGEST_PATH = 4096

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 80


def brief(value: Any) -> str:
    """Any value for a message, in a few words whatever its size."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value):,} bytes"
    return _BRIEF.repr(value)


@dataclass(frozen=True, slots=True)
class Content:
    """Where the pixels are.

    Attributes:
        held: a file's path, its bytes, an open file, or a Pillow image.
        name: for messages.
    """

    held: Path | bytes | IO[bytes] | Image.Image
    name: str

    def file(self) -> Any:
        """What Pillow opens; not for a Pillow image."""
        return io.BytesIO(self.held) if isinstance(self.held, bytes) else self.held

    def read(self) -> bytes:
        """The whole file; an open one stands afterwards where it stood. Not for a Pillow image."""
        if isinstance(self.held, bytes):
            return self.held
        if isinstance(self.held, Path):
            return self.held.read_bytes()
        assert not isinstance(self.held, Image.Image)
        place = self.held.tell()
        self.held.seek(0)
        content = self.held.read()
        self.held.seek(place)
        return content


def located(value: Any, *, folder: Path = Path()) -> Content:
    """What an image value holds.

    Args:
        folder: what relative paths are relative to.

    Raises:
        FileNotFoundError: a text that is neither a file nor an image in itself.
        OSError: text that should be an image in base64 and is damaged.
        ValueError: the value is nothing that could be an image, or lies on another machine.
    """
    if isinstance(value, Mapping):
        return _in_mapping(value, folder)
    if isinstance(value, bytes | bytearray | memoryview):
        return Content(bytes(value), brief(value))
    if isinstance(value, Image.Image):
        return Content(value, f"an image of {value.width}x{value.height}")
    if isinstance(value, Path):
        return Content(folder / value, str(folder / value))
    if isinstance(value, str):
        return _in_text(value, folder)
    if hasattr(value, "read") and hasattr(value, "seek"):
        return Content(value, brief(getattr(value, "name", None) or "an open file"))
    advice = "; make it one with PIL.Image.fromarray" if hasattr(value, "__array_interface__") else ""
    raise ValueError(
        f"an image is a path, a file: or data: URL, base64 text, bytes or a Pillow image, got "
        f"{type(value).__name__} {brief(value)}{advice}"
    )


def _in_mapping(value: Mapping[str, Any], folder: Path) -> Content:
    for name in _HOLDERS:
        held = value.get(name)
        if held is not None:
            is_text = name in ("bytes", "base64") and isinstance(held, str)
            return _from_base64(held) if is_text and not held.startswith("data:") else located(held, folder=folder)
    raise ValueError(f"an image as a mapping has one of {', '.join(_HOLDERS)}, got {brief(dict(value))}")


def _in_text(text: str, folder: Path) -> Content:
    if not text.strip():
        raise ValueError("an empty text names no image")
    if text[:5].lower() == "data:":
        return _from_data_url(text)
    path = folder / text
    if len(text) <= _LONGEST_PATH and _exists(path):
        return Content(path, str(path))
    if text[:5].lower() == "file:":
        return _from_file_url(text)
    scheme = _SCHEME.match(text)
    if scheme:
        raise ValueError(f"{brief(text)} lies on another machine ({scheme[1]}); images are read from files")
    if _looks_like_base64(text):
        return _from_base64(text)
    if len(text) > _LONGEST_PATH:
        raise ValueError(f"text of {len(text):,} characters is neither a path nor an image: {brief(text)}")
    return Content(path, str(path))  # opening it says what is wrong: missing, no permission


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long a name, a zero byte: no file has it
        return False


def _from_file_url(url: str) -> Content:
    """The file of a URL; many write a plain path behind ``file://``, so one that is there wins."""
    plain = Path(re.sub(r"(?i)^file:(?://)?", "", url))
    if _exists(plain):
        return Content(plain, str(plain))
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"{brief(url)} names a file of the host {parts.netloc!r}; write file:///… for one of this")
    return Content(Path(unquote(parts.path)), unquote(parts.path))


def _from_data_url(url: str) -> Content:
    head, comma, body = url.partition(",")
    if not comma:
        raise ValueError(f"a data URL has a comma before its content, got {brief(url)}")
    if head.lower().endswith(";base64"):
        return _from_base64(unquote(body) if "%" in body else body)
    return Content(unquote_to_bytes(body), brief(url))


def _looks_like_base64(text: str) -> bool:
    if len(text) < _SHORTEST_BASE64 or not _BASE64.fullmatch(text):
        return False
    begin = re.sub(r"\s", "", text[:80])[:16]
    return base64.b64decode(_standard(begin)).startswith(_SIGNATURES)


def _from_base64(text: str) -> Content:
    standard = _standard(re.sub(r"\s", "", text))
    try:
        content = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error as error:
        raise OSError(f"damaged image: not base64 ({error}): {brief(text)}") from error
    return Content(content, f"base64 of {brief(content)}")


def _standard(text: str) -> str:
    """Base64 in its first alphabet; the one for URLs has other signs for two values."""
    return text.replace("-", "+").replace("_", "/")
