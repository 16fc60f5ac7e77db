"""Metrics over training steps, from verl's file logger: one ``{"step": n, "data": {name: value}}`` a line."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...methods import known_methods, story_of
from .rows import UnreadableInput

REWARD = "critic/rewards/mean"
LOST = "lost_prompts"
"""What every method's training logs, under its name."""

Steps = Mapping[int, Mapping[str, float]]
"""The numbers of each training step, in the order of the steps."""


def read_training(files: Iterable[Path]) -> Steps:
    """Metrics by step; where files overlap the later one counts. Steps that only validate are no training steps.

    A last line that is no JSON is what a killed run leaves, and is ignored.

    Raises:
        OSError: a file cannot be read.
        UnreadableInput: a line before the last is damaged, or there is no training step.
    """
    files = list(files)
    steps: dict[int, dict[str, float]] = {}
    for file in files:
        for step, metrics in _entries(file):
            steps.setdefault(step, {}).update(metrics)
    trained = {step: steps[step] for step in sorted(steps) if REWARD in steps[step] or method_of(steps[step])}
    if not trained:
        names = ", ".join(map(str, files))
        raise UnreadableInput(f"{names} holds no training step; did the run end before its first one?")
    return trained


def method_of(metrics: Collection[str]) -> str | None:
    """The method that some metrics tell of, by what stands before their names; None if they tell of none."""
    sections = {metric.partition("/")[0] for metric in metrics}
    lost = {metric.partition("/")[0] for metric in metrics if metric.partition("/")[2] == LOST}
    return next(iter(sorted(lost or sections & set(known_methods()))), None)


def parts_of(steps: Steps) -> dict[str, str]:
    """Metrics of the reward's parts between 0 and 1, and what each rewards in the method's own words."""
    method = _trained(steps)
    return {f"{method}/{name}": said for name, said in story_of(method).parts.items()}


def area_of(steps: Steps) -> str:
    """The metric of the crop's share of the image."""
    return f"{_trained(steps)}/area_ratio"


def points(steps: Steps, name: str) -> list[tuple[int, float]]:
    """``(step, value)`` of one metric, without the steps that lack it."""
    return [(step, metrics[name]) for step, metrics in steps.items() if name in metrics]


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """For each value the mean of it and of up to ``window - 1`` values before it."""
    spans = [values[max(0, i + 1 - window) : i + 1] for i in range(len(values))]
    return [sum(span) / len(span) for span in spans]


def _trained(steps: Steps) -> str:
    """The method that was trained; empty if no metric tells."""
    return next((found for metrics in steps.values() if (found := method_of(metrics))), "")


def _entries(file: Path) -> Iterable[tuple[int, dict[str, float]]]:
    lines = file.read_bytes().rstrip().split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            plain = json.loads(line)
        except ValueError as damage:
            if number == len(lines):
                return
            raise UnreadableInput(f"{file}, line {number}, is not JSON ({damage})") from damage
        try:
            yield int(plain["step"]), _numbers(plain["data"])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as damage:
            raise UnreadableInput(
                f'{file}, line {number}, is not {{"step": …, "data": {{…}}}} as verl\'s file logger writes it'
            ) from damage


def _numbers(data: Mapping[str, Any]) -> dict[str, float]:
    numbers = ((name, value) for name, value in data.items() if isinstance(value, int | float))
    return {name: float(value) for name, value in numbers if math.isfinite(value)}
