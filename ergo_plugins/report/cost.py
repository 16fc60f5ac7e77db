"""What runs over the same task cost and how often they were right, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.costs import summarise_costs
from ..core.statistics import mean
from .judged import aligned
from .read.rows import Run

_COLUMNS = (
    ("samples", "samples", "{:,}"),
    ("accuracy", "accuracy", "{:.1%}"),
    ("visual_new", "visual new", "{:,.1f}"),
    ("visual_cached", "cached", "{:,.1f}"),
    ("prompt_computed", "prompt computed", "{:,.1f}"),
    ("new_tokens", "written", "{:,.1f}"),
    ("turns", "turns", "{:.2f}"),
    ("seconds_p50", "p50 s", "{:.3f}"),
    ("seconds_p95", "p95 s", "{:.3f}"),
)


def costs_of(run: Run) -> dict[str, Any]:
    """`core.costs.summarise_costs` of a run, its ``accuracy``, and the scorer's own ``metrics`` as means.

    Accuracy is the share of right answers, or of several metrics or graded ones the mean of the first.
    """
    verdicts = [row.correct for row in run.rows if row.correct is not None]
    names = dict.fromkeys(name for row in run.rows for name in row.metrics)
    metrics = {name: mean([row.metrics[name] for row in run.rows if name in row.metrics]) for name in names}
    accuracy = mean(verdicts) if verdicts else next(iter(metrics.values()), None)
    return {**summarise_costs(row.outcome for row in run.rows), "accuracy": accuracy, "metrics": metrics}


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A line a run."""
    lines = [["", *(heading for _, heading, _ in _COLUMNS)]]
    for name, of in found.items():
        lines.append([name, *("–" if of[key] is None else form.format(of[key]) for key, _, form in _COLUMNS)])
    return aligned(lines)
