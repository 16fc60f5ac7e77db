"""What a judge says of a run beside what the benchmark's own scorer said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.rulings import Case, Ruling
from ..core.statistics import mean

HEADINGS = ("", "samples", "by rule", "judged", "right", "stock metric", "mean", "stock only", "judge only")


def figures(cases: Sequence[Case], rulings: Mapping[str, Ruling]) -> dict[str, dict[str, Any]]:
    """The figures of each task and, of several, of all.

    Returns:
        By task: ``samples``, ``by_rule`` and ``by_judge``, counts of rulings; ``right``, the share of right answers;
        and ``stock``: by metric its ``mean`` and, where it is 0 or 1 for every sample, how many answers it alone and
        the judge alone call right, as ``stock_only`` and ``judge_only``.
    """
    tasks = sorted({case.task for case in cases})
    parts = {task: [case for case in cases if case.task == task] for task in tasks}
    return {name: _of(part, rulings) for name, part in (parts if len(parts) == 1 else {"all": cases, **parts}).items()}


def _of(cases: Sequence[Case], rulings: Mapping[str, Ruling]) -> dict[str, Any]:
    ruled = [rulings[case.key] for case in cases]
    names = dict.fromkeys(name for case in cases for name in case.stock)
    return {
        "samples": len(cases),
        "by_rule": sum(ruling.by == "rule" for ruling in ruled),
        "by_judge": sum(ruling.by == "judge" for ruling in ruled),
        "right": mean([ruling.right for ruling in ruled]),
        "stock": {name: _stock(name, cases, ruled) for name in names},
    }


def _stock(name: str, cases: Sequence[Case], ruled: Sequence[Ruling]) -> dict[str, Any]:
    pairs = [(case.stock[name], ruling.right) for case, ruling in zip(cases, ruled, strict=True) if name in case.stock]
    values = [value for value, _ in pairs]
    is_plain = set(values) <= {0.0, 1.0}
    return {
        "samples": len(values),
        "mean": mean(values),
        "stock_only": sum(value == 1.0 and not right for value, right in pairs) if is_plain else None,
        "judge_only": sum(value == 0.0 and right for value, right in pairs) if is_plain else None,
    }


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures as text; a line for each metric of a task."""
    lines: list[tuple[str, ...]] = [HEADINGS]
    for name, of in found.items():
        first: tuple[str, ...] = (
            name,
            f"{of['samples']:,}",
            f"{of['by_rule']:,}",
            f"{of['by_judge']:,}",
            _share(of["right"]),
        )
        for metric, stock in of["stock"].items() or [("–", {})]:
            counts = (f"{stock[key]:,}" if stock.get(key) is not None else "–" for key in ("stock_only", "judge_only"))
            lines.append((*first, metric, _share(stock.get("mean")), *counts))
            first = ("",) * len(first)
    return aligned(lines)


def aligned(lines: Iterable[Sequence[str]]) -> str:
    """Cells in columns, the first to the left and the others to the right."""
    rows = [list(line) for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}" if 0 <= value <= 1 else f"{value:,.2f}"
