"""How a training went: its reward's parts, its crops and its reward over the steps, as plots."""

from __future__ import annotations

from collections.abc import Sequence

from .lines import Line, Point, lines
from .markup import percent
from .overview import panel
from .read.metrics import REWARD, Steps, area_of, parts_of, points, running_mean

MOST_RAW_STEPS = 12
"""Trainings that are longer are shown by their running mean."""


def training_plots(steps: Steps, *, gamma: float | None) -> list[str]:
    """The plots that the steps have metrics for.

    Args:
        steps: numbers by training step.
        gamma: largest share of the image that a crop was rewarded for; None if unknown.
    """
    plots = [_parts_plot(steps), _area_plot(steps, gamma), _reward_plot(steps)]
    return [plot for plot in plots if plot]


def _parts_plot(steps: Steps) -> str:
    drawn = [
        _line(points(steps, name), label, _kind(name)) for name, label in parts_of(steps).items() if points(steps, name)
    ]
    if not drawn:
        return ""
    said = ", ".join(f"{line.label} {percent(line.path[0][1])} → {percent(line.path[-1][1])}" for line in drawn)
    return panel(
        "What was rewarded, and how often it was earned",
        lines(drawn, description=f"Parts of the reward by training step: {said}.", tick=_percent_tick, span=(0, 1)),
        f"Share of all tries in a training step. {_how(steps)} From the first step to the last: {said}.",
    )


def _area_plot(steps: Steps, gamma: float | None) -> str:
    area = area_of(steps)
    found = points(steps, area)
    if not found:
        return ""
    line = _line(found, "close-up", _kind(area))
    said = f"from {percent(line.path[0][1])} to {percent(line.path[-1][1])}"
    limit = f" Up to the limit of {percent(gamma)} a box earns its reward." if gamma is not None else ""
    return panel(
        "How much of the image the close-up shows",
        lines(
            [line],
            description=f"Mean share of the image inside the close-up by training step, {said}.",
            tick=_percent_tick,
            mark=None if gamma is None else (gamma, f"limit {_percent_tick(gamma)}"),
        ),
        f"Mean share of the image’s area by training step, {said}.{limit}",
    )


def _reward_plot(steps: Steps) -> str:
    found = points(steps, REWARD)
    if not found:
        return ""
    line = _line(found, "reward", _kind(REWARD))
    said = f"from {line.path[0][1]:.2f} to {line.path[-1][1]:.2f}"
    return panel(
        "The reward as a whole",
        lines([line], description=f"Mean reward by training step, {said}."),
        f"Mean reward by training step, {said}.",
    )


def _line(found: Sequence[tuple[int, float]], label: str, kind: str) -> Line:
    raw: list[Point] = [(float(step), value) for step, value in found]
    if len(raw) <= MOST_RAW_STEPS:
        return Line(kind, label, raw, raw)
    means = running_mean([value for _, value in raw], _window(len(raw)))
    return Line(kind, label, [(step, mean) for (step, _), mean in zip(raw, means, strict=True)], raw)


def _how(steps: Steps) -> str:
    if len(steps) <= MOST_RAW_STEPS:
        return ""
    return f"Points: single steps; lines: the mean of {_window(len(steps))} steps."


def _window(number: int) -> int:
    return max(5, number // 10)


def _kind(name: str) -> str:
    return f"of-{name.split('/')[1].replace('_', '-')}"


def _percent_tick(value: float) -> str:
    return f"{round(value * 100, 6):g}%"
