"""Small plots as SVG text. Colours come from the page by class, numbers stand beside the marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .markup import escaped

WIDTH = 360
_HEIGHT, _TOP, _BOTTOM, _SIDE = 190, 18, 24, 6
_MARK_HEIGHT = 15
_NOTHING = 1e-9  # values up to this share one bin: no bin is narrower than what can be written on its edge
_ROW_HEIGHT, _BAR_HEIGHT = 52, 18


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of `horizontal`.

    Attributes:
        label: stands above it.
        shown: its value in words, at the right above it.
        parts: ``(class, length)`` one after another; lengths share one scale over all bars.
    """

    label: str
    shown: str
    parts: Sequence[tuple[str, float]]


def horizontal(bars: Sequence[Bar], *, description: str, full: float = 0) -> str:
    """Horizontal bars below one another, on tracks that are ``full`` long, or as long as the longest bar."""
    longest = max([full, *(sum(length for _, length in bar.parts) for bar in bars)]) or 1
    drawn = []
    for i, bar in enumerate(bars):
        y = i * _ROW_HEIGHT + 16
        drawn.append(f'<text x="0" y="{y}">{escaped(bar.label)}</text>')
        drawn.append(f'<text class="value" x="{WIDTH}" y="{y}" text-anchor="end">{escaped(bar.shown)}</text>')
        drawn.append(_rectangle("track", 0, y + 8, WIDTH, _BAR_HEIGHT))
        x = 0.0
        for kind, length in bar.parts:
            width = length / longest * WIDTH
            drawn.append(_rectangle(kind, x, y + 8, width, _BAR_HEIGHT))
            x += width
    return svg(len(bars) * _ROW_HEIGHT, drawn, description)


def columns(
    counts: Sequence[int],
    *,
    ticks: Sequence[tuple[float, str]],
    marks: Sequence[tuple[float, str]] = (),
    description: str,
) -> str:
    """Upright bars side by side.

    Args:
        counts: their heights; each is written above its bar if there is room.
        ticks: ``(place, label)`` below, places in bars: 0 is the left edge of the first bar, 1 its right edge.
        marks: ``(place, label)`` of vertical lines, in the same places.
        description: what the plot shows, for those who cannot see it.
    """
    room, floor, top = WIDTH - 2 * _SIDE, _HEIGHT - _BOTTOM, _TOP + _MARK_HEIGHT * len(marks)
    step, tallest = room / max(len(counts), 1), max(counts, default=0) or 1
    drawn, labels = [], []  # labels come last, so that no line crosses them
    for i, number in enumerate(counts):
        height = number / tallest * (floor - top)
        x = _SIDE + i * step
        drawn.append(_rectangle("bar", x + 1.5, floor - height, step - 3, height))
        if number and step >= 6 * len(str(number)):
            labels.append(_text("value", x + step / 2, floor - height - 5, str(number)))
    drawn.append(f'<line class="axis" x1="0" y1="{floor}" x2="{WIDTH}" y2="{floor}"/>')
    labels += [_text("tick", _inside(_SIDE + place * step, label), floor + 16, label) for place, label in ticks]
    for i, (place, label) in enumerate(marks):
        x = _SIDE + place * step
        y = 10 + _MARK_HEIGHT * (len(marks) - 1 - i)  # the lines come close to each other; their labels must not
        drawn.append(f'<line class="mark" x1="{x:.1f}" y1="{y + 4}" x2="{x:.1f}" y2="{floor}"/>')
        labels.append(_text("mark", _inside(x, label), y, label))
    return svg(_HEIGHT, drawn + labels, description)


def scatter(
    places: Sequence[tuple[float, float]], *, x_label: str, marks: Sequence[tuple[float, str]], description: str
) -> str:
    """A dot for each of some ``(x, share)``; ``x`` from 0 on, the share from 0 below to 1 above.

    Args:
        x_label: what ``x`` is.
        marks: ``(share, label)`` of horizontal lines.
        description: what the plot shows, for those who cannot see it.
    """
    room, floor = WIDTH - 2 * _SIDE, _HEIGHT - _BOTTOM
    step = round_step((max((x for x, _ in places), default=0.0) or 1.0) / 5)
    farthest = step * math.ceil(max((x for x, _ in places), default=0.0) / step or 1)
    drawn = [f'<line class="axis" x1="0" y1="{floor}" x2="{WIDTH}" y2="{floor}"/>']
    labels = []  # last, so that no dot lies on them
    for share, label in marks:
        y = floor - share * (floor - _TOP)
        drawn.append(f'<line class="mark" x1="{_SIDE}" y1="{y:.1f}" x2="{WIDTH - _SIDE}" y2="{y:.1f}"/>')
        labels.append(_text("mark", _inside(0, label), y - 4, label))
    for x, share in places:
        place = f'cx="{_SIDE + x / farthest * room:.1f}" cy="{floor - share * (floor - _TOP):.1f}"'
        drawn.append(f'<circle class="bar dot" {place} r="2.5"/>')
    for i in range(round(farthest / step) + 1):
        label = f"{i * step:g}"
        drawn.append(_text("tick", _inside(_SIDE + i * step / farthest * room, label), floor + 16, label))
    drawn.append(_text("tick", WIDTH / 2, floor + 30, x_label))
    return svg(_HEIGHT + 14, drawn + labels, description)


def bins(values: Sequence[float], *, most: int = 14, far: float = 2.5) -> tuple[float, list[int], bool]:
    """``(width, counts, open)`` of equal bins from 0, the width being 1, 2 or 5 times a power of ten.

    If a few values lie far out (the largest beyond ``far`` times the 95th percentile), the last bin is open and holds
    them all.
    """
    if not values:
        return 1.0, [], False
    ordered = sorted(values)
    usual = ordered[max(0, math.ceil(0.95 * len(ordered)) - 1)]
    is_open = 0 < usual * far < ordered[-1]
    top = usual * far / 2 if is_open else ordered[-1]
    width = round_step(top / most) if top > _NOTHING else 1.0
    number = math.floor(top / width) + 1
    counts = [0] * (number + is_open)
    for value in ordered:
        counts[min(math.floor(value / width), len(counts) - 1)] += 1
    return width, counts, is_open


def round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is no less than ``least``, which is above 0."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least * 0.999)


def _inside(x: float, label: str) -> float:
    """The middle of a label moved so that it does not leave the plot."""
    half = 3.2 * len(label)
    return min(max(x, half), WIDTH - half)


def _rectangle(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"/>'


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escaped(text)}</text>'


def svg(height: float, drawn: Sequence[str], description: str) -> str:
    """A plot `WIDTH` wide with a description for those who cannot see it."""
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escaped(description)}">'
        f"{''.join(drawn)}</svg>"
    )
