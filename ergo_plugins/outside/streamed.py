"""Views made from a JPEG's file, row by row as it is decoded, by libvips: ``decode=stream`` and ``decode=fast``."""

from __future__ import annotations

import os
from functools import cache
from typing import Any, Literal, get_args

from PIL import Image

from ..core.geometry import Box, Size, whole
from ..core.images import REDUCING_GAP, damage_as_oserror, render, size_of, to_rgb
from ..usage import Told
from .encoded import EncodedJpeg, encoded

Decode = Literal["exact", "stream", "fast"]
"""How originals are decoded: in full by Pillow; streamed, and the whole image's view resized by libvips; streamed,
decoded at a half of the size or less where that is enough, and crops resized by libvips, too."""

SAID: dict[Decode, str] = {
    "exact": "decode=exact: originals are decoded in full, by Pillow",
    "stream": (
        "decode=stream: libvips streams JPEGs and resizes the whole image's view. Its 8-bit values differ from the "
        "filter alone by 0.1 to 0.4 in the mean (decode=exact: 0 to 0.4), single ones of small print by 21 (11). "
        "Crops are the same"
    ),
    "fast": (
        "decode=fast: libvips decodes JPEGs in a smaller size and resizes all views. Their 8-bit values differ from "
        "the filter alone by 0.1 to 0.7 in the mean, single ones of small print by 40; those of crops by 0.1 to 0.4 "
        "and by 20"
    ),
}
"""What a user is told of the choice; tests/unit/test_streamed.py holds its figures."""

FILTER = "bicubic"
"""The filter that libvips makes views with. Its lanczos3 and linear drift from Pillow's, by 3 of 255 in the mean where
an image is much larger than its view, and it has no ``box`` that is the mean of whole pixels: these stay Pillow's."""

_PASSES = 2
"""So often a file is read again for another view; from then on, as by a method with many looks, its pixels are kept."""


class NoLibvips(Told, ValueError):
    """pyvips, or the libvips that it needs, is not installed."""


class DamagedImage(OSError):
    """An image turned out to be damaged when a view was to be made of it; the message begins with the kind of error."""


def decode_named(name: str) -> Decode:
    """A way to decode by its name.

    Raises:
        NoLibvips: it needs pyvips, which is not there.
        ValueError: there is no such way.
    """
    for known in get_args(Decode):
        if name == known:
            if known != "exact":
                _vips(known)
            return known  # type: ignore[no-any-return]
    raise ValueError(f"decode is one of {', '.join(get_args(Decode))}, got {name!r}")


def original(image: Image.Image, decode: Decode) -> Image.Image:
    """An original in RGB, or with its file where views can be made of that.

    Args:
        image: as Pillow opened it.
        decode: how.

    Raises:
        OSError: it is damaged, as far as it is read here.
    """
    kept = None if decode == "exact" else encoded(image)
    return to_rgb(image) if kept is None else kept


class Views:
    """Makes views, as `core.images.render`, also of images that are still encoded. Safe to use from several threads.

    What libvips does not read without a warning is left to Pillow, which then decides whether it is damage: so the same
    files are damaged whichever way is chosen.

    Args:
        decode: how.
    """

    def __init__(self, decode: Decode) -> None:
        self._decode = decode

    def __call__(self, image: Image.Image, region: Box, view: Size, *, resample: str = "bicubic") -> Image.Image:
        """See `core.images.render`.

        Raises:
            DamagedImage: the image was not decoded before, and cannot be.
        """
        if isinstance(image, EncodedJpeg) and image.encoded is not None and self._decode != "exact":
            shown = self._streamed(image, image.encoded, region, view, resample)
            if shown is not None:
                return shown
        try:
            with damage_as_oserror():
                image.load()
        except OSError as error:
            raise DamagedImage(f"{type(error).__name__}: {error}") from error
        return render(image, region, view, resample=resample)

    def _streamed(
        self, image: EncodedJpeg, content: bytes, region: Box, view: Size, resample: str
    ) -> Image.Image | None:
        """The view; None where libvips has not what it takes, or cannot read the file."""
        image.passes += 1
        if image.passes > _PASSES or resample != FILTER:
            return None
        vips = _vips(self._decode)
        is_whole = region == whole(size_of(image))
        is_smaller = view.width <= region.width and view.height <= region.height
        try:
            if is_smaller and (is_whole or self._decode == "fast"):
                scale = _scale(region, view) if is_whole and self._decode == "fast" else 1
                return _resized(_part(vips, content, region, is_whole, scale), view)
            if is_whole:
                return None
            part = _pixels(_part(vips, content, region, is_whole))
        except vips.Error:
            return None
        return render(part, whole(size_of(part)), view, resample=resample)


@cache
def _vips(wanted: str) -> Any:
    """pyvips, set up for many small jobs on threads of ours.

    Raises:
        NoLibvips: it is not there.
    """
    os.environ.setdefault("VIPS_CONCURRENCY", "1")  # read when the library loads: one thread an image, as with Pillow
    try:
        import pyvips
    except (ImportError, OSError) as error:  # the latter: pyvips without a libvips
        raise NoLibvips(
            f"decode={wanted} needs pyvips and libvips ({error}); pip install 'ergo-plugins[fast]', or decode=exact"
        ) from error
    pyvips.cache_set_max(0)  # it would keep the files of images that are done
    return pyvips


def _part(vips: Any, content: bytes, region: Box, is_whole: bool, scale: int = 1) -> Any:
    """A region of a JPEG, not decoded yet, at 1 / scale of its size."""
    opened = vips.Image.jpegload_buffer(content, access="sequential", shrink=scale, fail_on="warning")
    return opened if is_whole else opened.crop(*map(round, (region.x1, region.y1, region.width, region.height)))


def _scale(region: Box, view: Size) -> int:
    """How many times smaller a JPEG is decoded: still `REDUCING_GAP` times larger than the view."""
    gap = min(region.width / view.width, region.height / view.height) / REDUCING_GAP
    return next(scale for scale in (8, 4, 2, 1) if gap >= scale or scale == 1)


def _resized(image: Any, view: Size) -> Image.Image:
    """libvips' image as a view."""
    across, down = view.width / image.width, view.height / image.height
    # gap=0: the filter alone. Means of blocks first, as Pillow makes them, would save libvips nothing
    return _pixels(image.resize(across, vscale=down, kernel="cubic", gap=0))


def _pixels(image: Any) -> Image.Image:
    """libvips' image, decoded, as one of Pillow's."""
    return Image.frombytes("RGB", (image.width, image.height), image.write_to_memory())
