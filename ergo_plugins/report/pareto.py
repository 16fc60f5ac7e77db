"""What accuracy costs: several runs over the same samples as a table and a drawing, each compared with the first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.outcome import Outcome
from ..core.paired import Interval, difference, interval
from ..core.statistics import mean
from .markup import UNKNOWN, escaped
from .pairs import join
from .plots import round_step
from .read.rows import Row, Run, UnreadableInput

COLOURS = ("#2f6fb3", "#c7622b", "#3b8a57", "#7b5aa6", "#8a8a8a")
"""By method, in the order in which they come."""

_PANEL, _HEIGHT, _LEFT, _TOP, _BOTTOM = 300, 250, 44, 16, 44


@dataclass(frozen=True, slots=True)
class Point:
    """A run among others.

    Attributes:
        name: what it is called.
        method: what was run.
        samples: how many all runs share and all have a verdict for.
        accuracy: share of right answers.
        gain: accuracy less that of the first run, by sample; None for the first run itself.
        visual_tokens: a sample, all turns together.
        computed_tokens: prompt tokens a sample that the engine did not find in its prefix cache; None if unknown.
        seconds: a sample, waiting for its turn left out; None if unknown.
        is_best: whether no other run is as accurate at fewer visual tokens.
    """

    name: str
    method: str
    samples: int
    accuracy: Interval
    gain: Interval | None
    visual_tokens: float
    computed_tokens: float | None
    seconds: float | None
    is_best: bool = False


def points(runs: Sequence[Run]) -> list[Point]:
    """The runs as points, over the samples that all of them share; the first is what the others are compared with.

    Raises:
        UnreadableInput: they share no sample, or one of them has no verdicts.
    """
    shared = [list(rows) for rows in zip(*_shared(runs), strict=True)]
    judged = [rows for rows in shared if all(row.correct is not None for row in rows)]
    if not judged:
        lacking = [run.name for run in runs if all(row.correct is None for row in run.rows)]
        named = f"; {', '.join(lacking)} have none" if lacking else ""
        raise UnreadableInput(f"no sample has a verdict in all runs{named}: lmms-eval writes them with --log_samples")
    found = []
    base = [float(bool(rows[0].correct)) for rows in judged]
    for at, run in enumerate(runs):
        rows = [each[at] for each in judged]
        right = [float(bool(row.correct)) for row in rows]
        found.append(
            Point(
                name=run.name,
                method=rows[0].outcome.method,
                samples=len(rows),
                accuracy=interval(right),
                gain=difference(base, right) if at else None,
                visual_tokens=mean([float(row.outcome.visual_tokens) for row in rows]) or 0.0,
                computed_tokens=_mean_known(rows, computed),
                seconds=_mean_known(rows, lambda outcome: outcome.seconds),
            )
        )
    return [_marked(point, found) for point in found]


def computed(outcome: Outcome) -> float | None:
    """Prompt tokens of all turns without those that came from the prefix cache; None where the engine does not say."""
    counted = [(turn.prompt_tokens, turn.cached_tokens or 0) for turn in outcome.turns]
    if not counted or any(prompt is None for prompt, _ in counted):
        return None
    return float(sum((prompt or 0) - cached for prompt, cached in counted))


def table(found: Sequence[Point]) -> str:
    """The points as Markdown; ``*`` marks those that no other beats at its cost."""
    head = ["run", "accuracy", f"against {found[0].name}", "visual tokens", "computed prompt tokens", "seconds", "n"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for point in found:
        gain = "" if point.gain is None else _signed(point.gain)
        cells = [point.name + (" *" if point.is_best else ""), _percent(point.accuracy), gain]
        cells += [f"{point.visual_tokens:,.0f}", _number(point.computed_tokens, ",.0f"), _number(point.seconds, ".2f")]
        lines.append("| " + " | ".join([*cells, f"{point.samples:,}"]) + " |")
    return "\n".join(lines)


def plain(found: Sequence[Point]) -> list[dict[str, Any]]:
    """The points for JSON."""
    return [
        {
            "run": point.name,
            "method": point.method,
            "n": point.samples,
            "accuracy": point.accuracy.mean,
            "accuracy_half": point.accuracy.half,
            "gain": point.gain.mean if point.gain else None,
            "gain_half": point.gain.half if point.gain else None,
            "visual_tokens": point.visual_tokens,
            "computed_tokens": point.computed_tokens,
            "seconds": point.seconds,
            "best": point.is_best,
        }
        for point in found
    ]


def drawing(found: Sequence[Point]) -> str:
    """Accuracy with its interval against each of the three costs, as an SVG that needs no style sheet."""
    costs: list[tuple[str, Callable[[Point], float | None]]] = [
        ("visual tokens", lambda point: point.visual_tokens),
        ("computed prompt tokens", lambda point: point.computed_tokens),
        ("seconds", lambda point: point.seconds),
    ]
    methods = list(dict.fromkeys(point.method for point in found))
    drawn = []
    for at, (label, cost) in enumerate(costs):
        known = [(value, point) for point in found if (value := cost(point)) is not None]
        drawn.append(f'<g transform="translate({at * _PANEL} 0)">{_panel(label, known, methods)}</g>')
    for at, method in enumerate(methods):
        x, colour = _LEFT + at * 120, COLOURS[at % len(COLOURS)]
        drawn.append(f'<circle cx="{x}" cy="{_HEIGHT + 12}" r="4" fill="{colour}"/>')
        drawn.append(f'<text x="{x + 8}" y="{_HEIGHT + 16}">{escaped(method)}</text>')
    size = f"{len(costs) * _PANEL} {_HEIGHT + 24}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" font-family="sans-serif" font-size="11" '
        f'fill="#333" role="img" aria-label="accuracy against its costs"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(drawn)}</svg>\n"
    )


def _panel(label: str, known: Sequence[tuple[float, Point]], methods: Sequence[str]) -> str:
    floor, room = _HEIGHT - _BOTTOM, _PANEL - _LEFT - 14
    step = round_step(max((value for value, _ in known), default=1.0) / 4 or 1.0)
    farthest = step * max(1, math.ceil(max((value for value, _ in known), default=0.0) / step))
    drawn = [f'<path d="M{_LEFT} {_TOP}V{floor}H{_LEFT + room}" fill="none" stroke="#999"/>']
    for share in (0, 25, 50, 75, 100):
        y = floor - share / 100 * (floor - _TOP)
        drawn.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share} %</text>')
    for i in range(round(farthest / step) + 1):
        x = _LEFT + i * step / farthest * room
        drawn.append(f'<text x="{x:.1f}" y="{floor + 15}" text-anchor="middle">{i * step:g}</text>')
    drawn.append(f'<text x="{_LEFT + room / 2}" y="{floor + 32}" text-anchor="middle">{label}</text>')
    for value, point in known:
        x, half = _LEFT + value / farthest * room, point.accuracy.half or 0.0
        low, middle, high = (
            floor - min(max(share, 0.0), 1.0) * (floor - _TOP)
            for share in (point.accuracy.mean - half, point.accuracy.mean, point.accuracy.mean + half)
        )
        colour = COLOURS[methods.index(point.method) % len(COLOURS)]
        drawn.append(f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" opacity=".5"/>')
        title = f"<title>{escaped(point.name)}</title>"
        drawn.append(f'<circle cx="{x:.1f}" cy="{middle:.1f}" r="4" fill="{colour}">{title}</circle>')
    return "".join(drawn)


def _shared(runs: Sequence[Run]) -> list[list[Row]]:
    """The rows of each run that all have, in one order."""
    first = list(runs[0].rows)
    for run in runs[1:]:
        first = [pair.before for pair in join(first, run.rows).pairs]
    if not first:
        raise UnreadableInput("the runs share no sample: run them over the same tasks")
    return [[pair.after for pair in join(first, run.rows).pairs] for run in runs]


def _marked(point: Point, others: Sequence[Point]) -> Point:
    beaten = any(
        other.visual_tokens <= point.visual_tokens
        and other.accuracy.mean >= point.accuracy.mean
        and (other.visual_tokens, -other.accuracy.mean) != (point.visual_tokens, -point.accuracy.mean)
        for other in others
    )
    return Point(**{**{name: getattr(point, name) for name in point.__slots__}, "is_best": not beaten})


def _mean_known(rows: Sequence[Row], of: Callable[[Outcome], float | None]) -> float | None:
    values = [of(row.outcome) for row in rows]
    known = [value for value in values if value is not None]
    return mean(known) if len(known) == len(values) else None


def _percent(found: Interval) -> str:
    return f"{100 * found.mean:.1f}" + (f" ± {100 * found.half:.1f}" if found.half is not None else "")


def _signed(found: Interval) -> str:
    return f"{100 * found.mean:+.1f}" + (f" ± {100 * found.half:.1f}" if found.half is not None else "")


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)
