"""Figures of grounding runs: how far boxes and truths agree, by task and by size, and what the replies cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from ..core.geometry import RELATIVE_EXTENT
from ..core.grounding import iou_reference
from ..core.outcome import OBJECT
from ..core.statistics import percentile
from .markup import UNKNOWN
from .read.rows import Row, Run, UnreadableInput

THRESHOLDS = (0.3, 0.5, 0.7, 0.9)
SIZES = (("small", 32.0**2), ("medium", 96.0**2), ("large", math.inf))
"""COCO's kinds of object by the area of the true box in pixels of the original, and where each ends."""

_Z = 1.959963984540054  # 95 % of a normal distribution lie within


def grounded(rows: Sequence[Row]) -> list[Row]:
    """The rows whose true box is known.

    Raises:
        UnreadableInput: there is none.
    """
    known = [row for row in rows if row.target_box_source is not None]
    if not known:
        raise UnreadableInput(
            "no sample of the journal has a true box; tasks with a column target_box have one, such as those of "
            "python -m ergo_plugins.tasks.make_refcoco"
        )
    return known


def overlap(row: Row) -> float:
    """Exact intersection over union with the true box; 0 for a sample that was never played."""
    return row.overlap or 0.0


def overlap_reference(row: Row) -> float:
    """The same as EGM's own evaluation reckons it."""
    written, source = row.outcome.values.get("written"), row.outcome.source
    if written is None or source is None or row.target_box_source is None:
        return 0.0
    frame = row.outcome.values.get("frame") or (RELATIVE_EXTENT, RELATIVE_EXTENT)
    scales = [RELATIVE_EXTENT / side for side in frame] * 2
    corners = [value * scale for value, scale in zip(written, scales, strict=True)]
    return iou_reference(corners, row.target_box_source, source)


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """The figures of some rows, plain enough for JSON; each share with its 95 % interval."""
    overlaps = [overlap(row) for row in rows]
    theirs = [overlap_reference(row) for row in rows]
    written = [sum(turn.new_tokens or 0 for turn in row.outcome.turns) for row in rows if row.outcome.turns]
    seconds = [row.outcome.seconds for row in rows if row.outcome.seconds is not None]
    served = [found for row in rows if (found := _without_queue(row)) is not None]
    return {
        "n": len(rows),
        "iou": _interval_of_mean(overlaps),
        **{f"acc@{least}": _wilson([value >= least for value in overlaps]) for least in THRESHOLDS},
        "iou_reference": _interval_of_mean(theirs),
        "acc@0.5_reference": _wilson([value > 0.5 for value in theirs]),
        "without_box": sum(row.outcome.boxes.get(OBJECT) is None for row in rows),
        "new_tokens": fmean(written) if written else None,
        "latency_s_mean": fmean(seconds) if seconds else None,
        "latency_s_p50": percentile(seconds, 50),
        "latency_s_p95": percentile(seconds, 95),
        "served_s_p50": percentile(served, 50),
        "served_s_p95": percentile(served, 95),
    }


def _without_queue(row: Row) -> float | None:
    """Seconds from the engine's first step on a turn to its last, over all turns; None if the engine tells no queue."""
    turns = row.outcome.turns
    known = [(turn.seconds, turn.queued_s) for turn in turns]
    if not known or any(part is None for pair in known for part in pair):
        return None
    return sum(seconds - queued for seconds, queued in known if seconds is not None and queued is not None)


def summary(run: Run) -> dict[str, Any]:
    """All figures of a run: each task, their plain mean, and by the size of the true box."""
    rows = grounded(run.rows)
    tasks = {task: figures([row for row in rows if row.task == task]) for task in sorted({row.task for row in rows})}
    return {
        "run": run.name,
        "model": run.settings.get("model"),
        "tasks": tasks,
        "plain_mean": {
            name: _mean_of([found[name] for found in tasks.values()])
            for name in ("iou", "acc@0.5", "iou_reference", "acc@0.5_reference")
        },
        "sizes": {name: figures(kept) for name, kept in _by_size(rows).items() if kept},
    }


def table(summaries: Sequence[Mapping[str, Any]]) -> str:
    """Summaries as Markdown: a row for each task of each run, their plain mean, then the sizes."""
    head = ["run", "task", "n", "IoU", *(f"Acc@{least}" for least in THRESHOLDS)]
    head += ["IoU ref.", "Acc@0.5 ref.", "no box", "tokens written", "s p50", "s p95", "served s p50", "served s p95"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for found in summaries:
        for task, row in found["tasks"].items():
            lines.append(_line(found["run"], task, row))
        mean = found["plain_mean"]
        cells = [found["run"], f"plain mean of {len(found['tasks'])}", "", _share(mean["iou"])]
        cells += ["", _share(mean["acc@0.5"]), "", ""]
        cells += [_share(mean["iou_reference"]), _share(mean["acc@0.5_reference"]), "", "", "", "", "", ""]
        lines.append("| " + " | ".join(cells) + " |")
        lines += [_line(found["run"], f"{name} objects", row) for name, row in found["sizes"].items()]
    return "\n".join(lines)


def _line(run: str, task: str, row: Mapping[str, Any]) -> str:
    cells = [run, task, f"{row['n']:,}", _share(row["iou"])]
    cells += [_share(row[f"acc@{least}"]) for least in THRESHOLDS]
    cells += [_share(row["iou_reference"]), _share(row["acc@0.5_reference"]), f"{row['without_box']:,}"]
    cells.append(_number(row["new_tokens"], ".1f"))
    cells += [_number(row[f"{kind}_s_{part}"], ".2f") for kind in ("latency", "served") for part in ("p50", "p95")]
    return "| " + " | ".join(cells) + " |"


def _share(found: Mapping[str, float]) -> str:
    half = (found["high"] - found["low"]) / 2
    return f"{100 * found['mean']:.1f} ± {100 * half:.1f}"


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else format(value, form)


def _by_size(rows: Sequence[Row]) -> dict[str, list[Row]]:
    kept: dict[str, list[Row]] = {name: [] for name, _ in SIZES}
    for row in rows:
        assert row.target_box_source is not None, "grounded() keeps those with one"
        kept[next(name for name, end in SIZES if row.target_box_source.area < end)].append(row)
    return kept


def _interval_of_mean(values: Sequence[float]) -> dict[str, float]:
    """The mean, and where 95 % of means of so many values would lie."""
    mean = fmean(values)
    half = _Z * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return {"mean": mean, "low": max(0.0, mean - half), "high": min(1.0, mean + half)}


def _wilson(hits: Sequence[bool]) -> dict[str, float]:
    """A share with Wilson's interval, which also holds near 0 and 1."""
    n, share = len(hits), fmean(hits)
    scale = 1 + _Z**2 / n
    middle = (share + _Z**2 / (2 * n)) / scale
    half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / scale
    return {"mean": share, "low": middle - half, "high": middle + half}


def _mean_of(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The plain mean of several tasks, whatever their sizes, and its interval from theirs."""
    mean = fmean([one["mean"] for one in found])
    half = math.sqrt(sum(((one["high"] - one["low"]) / 2) ** 2 for one in found)) / len(found)
    return {"mean": mean, "low": mean - half, "high": mean + half}
