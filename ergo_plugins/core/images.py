"""Pixels: any Pillow image to 8-bit RGB, and a region of it to a view."""

from __future__ import annotations

from PIL import Image, ImageOps

from .geometry import Box, Size

RESAMPLERS: dict[str, Image.Resampling] = {
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}
"""Filters a view can be made with, by the name users type. ``bicubic`` is what Qwen's own processors use."""

_SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N")


def size_of(image: Image.Image) -> Size:
    """The image's size in pixels."""
    return Size(*image.size)


def to_rgb(image: Image.Image) -> Image.Image:
    """The image as people see it, in 8-bit RGB: upright by its EXIF orientation, transparency laid on white.

    16-bit greyscale is scaled to 8 bits (a plain Pillow conversion would clip it to white). Decodes the file if
    Pillow has not done so yet.

    Raises:
        OSError: the file behind a lazily opened image is damaged.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode in _SIXTEEN_BIT_MODES:
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    if image.mode == "I":  # a 32-bit container; Pillow opens some 16-bit files as this
        is_16_bit = image.point(lambda value: value * (1 / 256)).getbbox() is not None
        scale = 1 / 257 if is_16_bit else 1
        return image.point(lambda value: value * scale).convert("L").convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        canvas = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(canvas, rgba).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def render(image: Image.Image, region: Box, view: Size, *, resample: str = "bicubic") -> Image.Image:
    """A region of an image, resized to a view, without an intermediate copy of the region.

    Args:
        image: RGB source.
        region: in source pixels.
        view: size of the result.
        resample: a name in `RESAMPLERS`.
    """
    return image.resize((view.width, view.height), RESAMPLERS[resample], box=region.as_tuple())
