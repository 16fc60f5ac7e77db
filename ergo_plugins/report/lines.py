"""Line plots as SVG text: several lines over whole numbers, each named at its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .markup import escaped
from .plots import WIDTH, round_step, svg

_HEIGHT, _TOP, _BOTTOM, _LEFT, _RIGHT = 196, 10, 24, 32, 84
_LABEL_HEIGHT = 14
_NOTHING = 1e-9  # values this close are drawn as one: no tick is finer than what can be written beside it
_FLOOR = _HEIGHT - _BOTTOM

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of `lines`.

    Attributes:
        kind: its class, which the page gives a colour and a pattern of dashes.
        label: stands beside its end.
        path: its corners.
        dots: faint points around it.
    """

    kind: str
    label: str
    path: Sequence[Point]
    dots: Sequence[Point] = ()


def lines(
    drawn: Sequence[Line],
    *,
    description: str,
    tick: Callable[[float], str] = "{:g}".format,
    span: tuple[float, float] | None = None,
    mark: tuple[float, str] | None = None,
) -> str:
    """Lines in one frame, from 0 upwards where there is nothing below.

    Args:
        drawn: the lines, each with a point.
        description: what the plot shows, for those who cannot see it.
        tick: how a value is written at the left.
        span: lowest and highest value to make room for; that of the data if None.
        mark: value and label of a horizontal line.
    """
    points = [point for line in drawn for point in (*line.path, *line.dots)]
    heights = [y for _, y in points] + ([mark[0]] if mark else [])
    ticks = ticks_of(*(span or (min(0.0, *heights), max(0.0, *heights))))
    first, last = min(x for x, _ in points), max(x for x, _ in points)

    def across(x: float) -> float:
        return _LEFT + (x - first) / ((last - first) or 1) * (WIDTH - _LEFT - _RIGHT)

    def down(y: float) -> float:
        return _FLOOR - (y - ticks[0]) / (ticks[-1] - ticks[0]) * (_FLOOR - _TOP)

    parts, labels = [], []
    for value in ticks:
        y = down(value)
        parts.append(f'<line class="axis" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        labels.append(_text("tick", _LEFT - 5, y + 3.5, tick(value), "end"))
    labels += [_text("tick", across(step), _FLOOR + 16, f"{step:,}", "middle") for step in steps_of(first, last)]
    ends = [(down(line.path[-1][1]), line.kind, line.label) for line in drawn]
    if mark:
        y = down(mark[0])
        parts.append(f'<line class="mark" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>')
        ends.append((y, "limit", mark[1]))
    for line in drawn:
        dots = "".join(f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="1.8"/>' for x, y in line.dots)
        corners = " ".join(f"{across(x):.1f} {down(y):.1f}" for x, y in line.path)
        parts.append(f'<g class="line {line.kind}">{dots}<path d="M{corners}"/></g>')
    end = WIDTH - _RIGHT
    for (y, kind, label), place in zip(ends, apart([y for y, _, _ in ends]), strict=True):
        # the way from the line to its name has the line's own pattern, so that no colour is needed to follow it
        parts.append(f'<g class="line {kind} way"><path d="M{end} {y:.1f} {end + 12} {place:.1f}"/></g>')
        labels.append(_text("end", end + 15, place + 3.5, label, "start"))
    return svg(_HEIGHT, parts + labels, description)


def ticks_of(low: float, high: float) -> list[float]:
    """Round values from at or below ``low`` to at or above ``high``, about five steps apart."""
    step = round_step((high - low) / 5) if high - low > _NOTHING else 1.0
    numbers = range(math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6) + 1)
    ticks = [round(number * step, 12) for number in numbers]
    return ticks if len(ticks) > 1 else [ticks[0], ticks[0] + step]


def steps_of(first: float, last: float) -> list[int]:
    """Round whole numbers from ``first`` to ``last``, and ``first`` itself where none of them is near it."""
    step = max(1, round(round_step((last - first) / 6))) if last > first else 1
    ticks = [number * step for number in range(math.ceil(first / step), math.floor(last / step) + 1)]
    return ticks if ticks and ticks[0] - first < step / 2 else [round(first), *ticks]


def apart(places: Sequence[float]) -> list[float]:
    """Heights of labels, as near to their places as they fit without overlap and inside the plot; in the same order."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    shifted = list(places)
    lowest = -math.inf
    for i in order:
        lowest = shifted[i] = max(places[i], lowest + _LABEL_HEIGHT)
    highest = _FLOOR + 0.0
    for i in reversed(order):
        highest = shifted[i] = min(shifted[i], highest)
        highest -= _LABEL_HEIGHT
    return shifted


def _text(kind: str, x: float, y: float, text: str, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(text)}</text>'
