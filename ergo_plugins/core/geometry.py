"""Sizes, boxes and token budgets: how large the model sees an image, and which pixels of the original a box names.

Frames. A *source* is the original image in its own pixels. A *view* is what the model is shown: the source, or a
crop of it, resized so that both sides are multiples of the model's vision factor. Every box says in its name which
frame it lives in (``box_view``, ``box_source``). ``x`` grows to the right, ``y`` downwards, ``x2`` and ``y2`` are
exclusive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

MAX_VIEW_ASPECT = 200
"""Qwen's image processors refuse a longer side of more than 200 times the shorter one, so no view exceeds it."""

RELATIVE_EXTENT = 1000
"""Extent of each side in relative coordinates (Qwen3-VL), whatever the view's size in pixels."""

_NOISE_PX = 1e-6
"""What floating-point mapping from one frame to another may add to a whole pixel."""


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in whole pixels, both at least 1."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"an image has at least 1x1 pixels, got {self.width}x{self.height}")

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box with ``x1 <= x2`` and ``y1 <= y2``; the variable that holds it names its frame."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        return self.width * self.height

    def as_tuple(self) -> tuple[float, float, float, float]:
        """``(x1, y1, x2, y2)``."""
        return self.x1, self.y1, self.x2, self.y2

    def scaled(self, x_scale: float, y_scale: float) -> Box:
        """The same box in a frame whose axes are ``x_scale`` and ``y_scale`` times as long."""
        return Box(self.x1 * x_scale, self.y1 * y_scale, self.x2 * x_scale, self.y2 * y_scale)

    def union(self, other: Box) -> Box:
        """The smallest box holding both."""
        return Box(min(self.x1, other.x1), min(self.y1, other.y1), max(self.x2, other.x2), max(self.y2, other.y2))

    def clamped(self, size: Size) -> Box:
        """The box with every corner moved into an image of ``size``; empty if it lay outside."""
        return Box(
            min(max(self.x1, 0), size.width),
            min(max(self.y1, 0), size.height),
            min(max(self.x2, 0), size.width),
            min(max(self.y2, 0), size.height),
        )

    def coverage_by(self, other: Box) -> float:
        """Share of this box's area that ``other`` covers, 0 to 1; 0 for a box without area."""
        width = min(self.x2, other.x2) - max(self.x1, other.x1)
        height = min(self.y2, other.y2) - max(self.y1, other.y1)
        return max(width, 0) * max(height, 0) / self.area if self.area else 0.0


def whole(size: Size) -> Box:
    """The box of a complete image."""
    return Box(0, 0, size.width, size.height)


Coordinates = Literal["absolute", "relative"]
"""Boxes in pixels of the view (Qwen2.5-VL), or in thousandths of its sides (Qwen3-VL)."""


@dataclass(frozen=True, slots=True)
class VisionGrid:
    """How a model family turns pixels into tokens and writes coordinates.

    Attributes:
        factor: side in pixels of the square that one visual token covers (28 in Qwen2.5-VL, 32 in Qwen3-VL).
        coordinates: ``absolute`` pixels of the view, or ``relative`` units of 0 to 1000 along each side.
        min_tokens: fewest visual tokens an image processor with this grid produces; smaller images are enlarged.
        max_tokens: most visual tokens it lets through.
    """

    factor: int = 28
    coordinates: Coordinates = "absolute"
    min_tokens: int = 4
    max_tokens: int = 16384

    def tokens(self, view: Size) -> int:
        """Visual tokens of a view whose sides are multiples of ``factor``."""
        return (view.width // self.factor) * (view.height // self.factor)

    def check_budget(self, budget_tokens: int) -> None:
        """Make sure that views can be made within a budget.

        Raises:
            ValueError: a budget below ``min_tokens``: the image processor would enlarge the view again.
        """
        if budget_tokens < self.min_tokens:
            raise ValueError(
                f"a budget of {budget_tokens} visual tokens is less than the {self.min_tokens} that this model's image "
                f"processor makes of any image; raise the budget or lower the processor's min_pixels"
            )

    def fit(self, size: Size, budget_tokens: int) -> Size:
        """`fit` within a budget, on this grid and inside its limits.

        Raises:
            ValueError: see `check_budget`.
        """
        self.check_budget(budget_tokens)
        return fit(
            size,
            max_tokens=min(budget_tokens, self.max_tokens),
            min_tokens=self.min_tokens,
            factor=self.factor,
        )

    def frame(self, view: Size) -> Size:
        """Extent of the coordinates a model writes when it looks at ``view``."""
        return view if self.coordinates == "absolute" else Size(RELATIVE_EXTENT, RELATIVE_EXTENT)


def fit(size: Size, *, max_tokens: int, min_tokens: int = 4, factor: int = 28) -> Size:
    """Size of the view of an image: its proportions on the model's grid, within a budget of visual tokens.

    Equal to transformers' ``smart_resize`` wherever that keeps both limits. Where it would not (thin images, a
    budget close to ``min_tokens``) or would raise (sides more than 200 times apart), the view is the one within the
    limits whose proportions come nearest. Either way a processor with the same limits leaves the view as it is.

    Args:
        size: the image, pixels.
        max_tokens: budget; the view never has more visual tokens.
        min_tokens: the view has at least this many (tiny images are enlarged).
        factor: pixels per token and side.

    Returns:
        A size with both sides multiples of ``factor`` and ``min_tokens <= tokens <= max_tokens``.

    Raises:
        ValueError: budgets that no view can meet.
    """
    if not 1 <= min_tokens <= max_tokens:
        raise ValueError(f"wanted 1 <= min_tokens <= max_tokens, got min_tokens={min_tokens}, max_tokens={max_tokens}")
    columns, rows = round(size.width / factor), round(size.height / factor)
    if columns * rows > max_tokens:
        shrink = math.sqrt(size.area / (max_tokens * factor**2))
        columns = max(1, math.floor(size.width / shrink / factor))
        rows = max(1, math.floor(size.height / shrink / factor))
    elif columns * rows < min_tokens:
        grow = math.sqrt(min_tokens * factor**2 / size.area)
        columns = math.ceil(size.width * grow / factor)
        rows = math.ceil(size.height * grow / factor)
    short, long = sorted((columns, rows))
    too_thin = max(_aspect(size.width, size.height), _aspect(columns, rows)) > MAX_VIEW_ASPECT
    if too_thin or not min_tokens <= short * long <= max_tokens:
        short, long = _nearest(size, max_tokens=max_tokens, min_tokens=min_tokens, factor=factor)
    columns, rows = (long, short) if size.width >= size.height else (short, long)
    return Size(columns * factor, rows * factor)


def _aspect(width: int, height: int) -> float:
    return max(width, height) / min(width, height)


def _nearest(size: Size, *, max_tokens: int, min_tokens: int, factor: int) -> tuple[int, int]:
    """``(short, long)`` side in tokens within the limits: the nearest proportions, and among those the nearest area."""
    aspect = _aspect(size.width, size.height)
    candidates: list[tuple[int, int]] = []
    for short in range(1, math.isqrt(max_tokens) + 1):
        shortest, longest = max(short, -(-min_tokens // short)), min(short * MAX_VIEW_ASPECT, max_tokens // short)
        if shortest <= longest:
            candidates.append((short, min(max(round(short * aspect), shortest), longest)))
    if not candidates:
        raise ValueError(f"no view has {min_tokens} to {max_tokens} tokens within an aspect of {MAX_VIEW_ASPECT}")
    return min(
        candidates,
        key=lambda sides: (
            abs(math.log(_aspect(*sides) / aspect)),
            abs(sides[0] * sides[1] - size.area / factor**2),
        ),
    )


@dataclass(frozen=True, slots=True)
class CropRules:
    """What makes a box usable as a crop.

    Attributes:
        min_side_px: shortest side of a crop in source pixels; smaller boxes grow round their centre.
        max_aspect: longest allowed ratio of a crop's sides; slivers grow along their short side.
    """

    min_side_px: int = field(default=28, metadata={"argument": "min_crop_side"})
    max_aspect: float = field(default=10.0, metadata={"argument": "max_crop_aspect"})

    def __post_init__(self) -> None:
        if self.min_side_px < 1 or self.max_aspect < 1:
            raise ValueError(f"min_side_px and max_aspect are at least 1, got {self.min_side_px}, {self.max_aspect}")


def to_source(box_frame: Box, frame: Size, source: Size, rules: CropRules) -> tuple[Box | None, tuple[str, ...]]:
    """The crop of the original that a box written by the model names.

    Each axis is mapped on its own, so a view whose proportions differ from the source's loses nothing. The result
    is clamped to the image, rounded outwards to whole pixels and brought within ``rules`` as far as the image
    itself allows.

    Args:
        box_frame: the box in the coordinates the model writes.
        frame: extent of those coordinates (`VisionGrid.frame`).
        source: size of the original.
        rules: what makes the box usable.

    Returns:
        ``(box_source, repairs)`` with whole-pixel corners, or ``(None, ())`` when the box lies outside the image.
    """
    box = box_frame.scaled(source.width / frame.width, source.height / frame.height)
    if box.x1 >= source.width or box.y1 >= source.height or box.x2 <= 0 or box.y2 <= 0:
        return None, ()
    repairs: list[str] = []
    clamped = box.clamped(source)
    if any(abs(kept - said) > _NOISE_PX for kept, said in zip(clamped.as_tuple(), box.as_tuple(), strict=True)):
        repairs.append("clamped")
    x1, x2 = _rounded_out(clamped.x1, clamped.x2, source.width)
    y1, y2 = _rounded_out(clamped.y1, clamped.y2, source.height)

    wanted_side = rules.min_side_px
    x1, x2, grew_x = _grown(x1, x2, wanted_side, source.width)
    y1, y2, grew_y = _grown(y1, y2, wanted_side, source.height)
    if grew_x or grew_y:
        repairs.append("grown to minimum side")

    wanted_short = math.ceil(max(x2 - x1, y2 - y1) / rules.max_aspect)
    x1, x2, grew_x = _grown(x1, x2, wanted_short, source.width)
    y1, y2, grew_y = _grown(y1, y2, wanted_short, source.height)
    if grew_x or grew_y:
        repairs.append("aspect capped")
    return Box(x1, y1, x2, y2), tuple(repairs)


def _rounded_out(low: float, high: float, limit: int) -> tuple[int, int]:
    """``[low, high]`` rounded outwards to whole pixels; a span that is whole but for float noise stays as it is."""
    return max(0, math.floor(low + _NOISE_PX)), min(limit, math.ceil(high - _NOISE_PX))


def _grown(low: int, high: int, wanted: int, limit: int) -> tuple[int, int, bool]:
    """``[low, high)`` widened round its centre to ``wanted`` within ``[0, limit)``, and whether it changed."""
    wanted = min(wanted, limit)
    missing = wanted - (high - low)
    if missing <= 0:
        return low, high, False
    low = min(max(0, low - missing // 2), limit - wanted)
    return low, low + wanted, True
