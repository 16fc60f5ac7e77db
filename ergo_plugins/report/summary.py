"""The figures of a run. A figure that nothing is known for is None, never 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core import statistics
from ..core.outcome import Outcome
from ..methods import known_methods, method_named, story_of_all
from .read.rows import Row

_TABLE = (
    ("samples", "samples", "{:,}"),
    ("accuracy", "answers correct", "{:.1%}"),
    ("judged", "  of so many judged", "{:,}"),
    ("target_coverage", "target covered by the crop", "{:.1%}"),
    ("overlap", "overlap with the true box", "{:.1%}"),
    ("zoom_success", "zoom found a usable box", "{:.1%}"),
    ("area_ratio", "crop's share of the image", "{:.1%}"),
    ("visual_tokens", "visual tokens, all turns", "{:,.0f}"),
    ("single_pass_tokens", "visual tokens, single pass", "{:,.0f}"),
    ("visual_token_share", "all turns / single pass", "{:.1%}"),
    ("cached_share_turn2", "turn 1 reused in turn 2", "{:.1%}"),
    ("new_tokens", "tokens written", "{:,.1f}"),
    ("latency_s_p50", "seconds a sample, p50", "{:.2f}"),
    ("latency_s_p95", "seconds a sample, p95", "{:.2f}"),
    ("latency_s_mean", "seconds a sample, mean", "{:.2f}"),
)


_OF_TURN = "visual_tokens_"
"""Before the name of a turn: the key of its mean."""


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """The figures of some rows, plain enough for JSON.

    Returns:
        What `core.statistics.summarise` says, and ``accuracy``, correct over ``judged`` samples; ``target_coverage``,
        the mean over samples whose target is known; where boxes are answers ``overlap``, their mean intersection over
        union with the true ones; ``own``, the figures of the run's method that its story has words for; and
        ``failed_samples``, the keys of samples with any problem.
    """
    rows = list(rows)
    verdicts = [row.correct for row in rows if row.correct is not None]
    overlaps = [row.overlap for row in rows if row.overlap is not None]
    covered = [row.target_coverage for row in rows if row.target_coverage is not None]
    return {
        "judged": len(verdicts),
        "accuracy": statistics.mean(verdicts),
        "target_coverage": statistics.mean(covered),
        **({"overlap": statistics.mean(overlaps)} if overlaps else {}),
        **statistics.summarise(row.outcome for row in rows),
        **({"own": own} if (own := own_figures([row.outcome for row in rows])) else {}),
        "failed_samples": [row.key for row in rows if row.outcome.problems],
    }


def own_figures(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """What a method says of its samples beyond what all have; nothing of several methods, or of one not here."""
    methods = {outcome.method for outcome in outcomes}
    if len(methods) != 1:
        return {}
    try:
        method = method_named(methods.pop())
    except ValueError:  # not installed here
        return {}
    if not method.story.figures:
        return {}
    found = method.figures(outcomes)
    return {name: value for name in method.story.figures if (value := found.get(name)) is not None}


def tokens_by_turn(summary: Mapping[str, Any]) -> dict[str, float]:
    """Mean visual tokens of each turn, by its name, in the order in which turns come."""
    return {name.removeprefix(_OF_TURN): mean or 0.0 for name, mean in summary.items() if name.startswith(_OF_TURN)}


def by_task(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """`summarise` for each task, in alphabetical order."""
    return {task: summarise(row for row in rows if row.task == task) for task in sorted({row.task for row in rows})}


def table(columns: Mapping[str, Mapping[str, Any]]) -> str:
    """Summaries side by side as text.

    Args:
        columns: heading to what `summarise` returned.
    """
    kinds = sorted({kind for summary in columns.values() for kind in summary["failures"]})
    turns = dict.fromkeys(name for summary in columns.values() for name in tokens_by_turn(summary))
    at = next(i for i, (key, _, _) in enumerate(_TABLE) if key == "visual_tokens")
    by_turn = [(f"{_OF_TURN}{name}", f"visual tokens, {name}", "{:,.0f}") for name in turns]
    lines = [["", *columns]]
    lines += [
        [label, *(_shown(s.get(key), form) for s in columns.values())]
        for key, label, form in (*_TABLE[:at], *by_turn, *_TABLE[at:])
        if key != "overlap" or any(key in summary for summary in columns.values())
    ]
    own = dict.fromkeys(name for summary in columns.values() for name in summary.get("own", {}))
    said = story_of_all(known_methods()).figures if own else {}
    lines += [
        [said.get(name, name), *(_shown(s.get("own", {}).get(name), "{:.1%}") for s in columns.values())]
        for name in own
    ]
    lines += [[f"problems: {kind}", *(f"{s['failures'].get(kind, 0):,}" for s in columns.values())] for kind in kinds]
    label_width, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
    return "\n".join(
        "  ".join([label.ljust(label_width), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))])
        for label, *cells in lines
    )


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
