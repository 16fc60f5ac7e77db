"""What boxes of a run are like, and whether crops hold targets better than boxes of their size laid anywhere would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from ..core.geometry import Box, Size
from ..core.statistics import percentile
from .markup import UNKNOWN
from .read.rows import Row, UnreadableInput

WHOLE_FROM = 0.95
"""Share of the image from which a box counts as all of it."""
COVERED_FROM = 0.9
"""Share of a target from which it counts as covered."""
SIDES = ("left", "top", "right", "bottom")
_POINTS = 64
"""Along a side of a target, to reckon by how likely each is covered."""


def box_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Sizes, shapes and places of the boxes of some rows, and what had to be mended.

    Returns:
        ``n``; ``boxes``, how many have one; of these ``area`` (share of the image: mean, p10, p50, p90), ``aspect``
        (width over height: p10, p50, p90), ``corner`` (mean upper left and lower right corner, in shares of the sides),
        ``whole`` (share from `WHOLE_FROM` on), ``touches`` (share that reaches each side); ``repairs``, by kind. None
        where there was no box.
    """
    known = [(row.outcome.pointed_at, row.outcome.source) for row in rows]
    boxes = [(box, source) for box, source in known if box is not None and source is not None]
    areas = [box.area / source.area for box, source in boxes]
    aspects = [box.width / box.height for box, _ in boxes if box.height]
    places = [box.scaled(1 / source.width, 1 / source.height).as_tuple() for box, source in boxes]
    return {
        "n": len(rows),
        "boxes": len(boxes),
        "area": {"mean": fmean(areas) if areas else None, **_percentiles(areas)},
        "aspect": _percentiles(aspects),
        "corner": [fmean(corner) for corner in zip(*places, strict=True)] if places else None,
        "whole": fmean(area >= WHOLE_FROM for area in areas) if areas else None,
        "touches": _touching(boxes),
        "repairs": dict(Counter(repair for row in rows for repair in row.outcome.repairs).most_common()),
    }


def occlusion_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """How much of known targets the crops of some rows hold, beside what their size alone would hold.

    Returns:
        ``n`` rows with a target that were asked to look; means of ``coverage``, ``covered`` (from `COVERED_FROM` on),
        of the crop's ``area`` (0 without one), of ``chance``, the coverage of a box of the same size laid anywhere
        with equal likelihood, and ``gain``, coverage less chance: none for crops of the whole image.
    """
    found = [row for row in rows if row.target_coverage is not None]
    if not found:
        return {"n": 0, "coverage": None, "covered": None, "area": None, "chance": None, "gain": None}
    coverages = [row.target_coverage or 0.0 for row in found]
    chances = [_chance(row) for row in found]
    return {
        "n": len(found),
        "coverage": fmean(coverages),
        "covered": fmean(coverage >= COVERED_FROM for coverage in coverages),
        "area": fmean(row.outcome.area_ratio or 0.0 for row in found),
        "chance": fmean(chances),
        "gain": fmean(coverages) - fmean(chances),
    }


def chance_of_coverage(target: Box, box: Box, source: Size) -> float:
    """The mean share of a target that a box covers which is laid anywhere inside an image with equal likelihood."""
    across = _chance_along(target.x1, target.x2, box.width, source.width)
    return across * _chance_along(target.y1, target.y2, box.height, source.height)


def box_table(by_task: Mapping[str, Mapping[str, Any]]) -> str:
    """`box_figures` by task as Markdown."""
    heads = ["n", "boxes", "area", "area p10", "p50", "p90", "aspect p10", "p50", "p90", "whole image"]
    heads += [*(f"at the {side}" for side in SIDES), "repairs"]
    lines = ["| task | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for task, found in by_task.items():
        area, aspect, touches = found["area"], found["aspect"], found["touches"]
        shares = [area["mean"], *(area[name] for name in ("p10", "p50", "p90"))]
        shares += [
            *(aspect[name] for name in ("p10", "p50", "p90")),
            found["whole"],
            *(touches[side] for side in SIDES),
        ]
        repairs = ", ".join(f"{count} {kind}" for kind, count in found["repairs"].items()) or "none"
        cells = [f"{found['n']:,}", f"{found['boxes']:,}", *map(_shown, shares), repairs]
        lines.append(f"| {task} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def occlusion_table(by_task: Mapping[str, Mapping[str, Any]]) -> str:
    """`occlusion_figures` by task as Markdown."""
    names = {
        "coverage": "target covered",
        "covered": f"at least {COVERED_FROM}",
        "area": "crop's area",
        "chance": "covered by a box of that size anywhere",
        "gain": "gain",
    }
    lines = ["| task | n | " + " | ".join(names.values()) + " |", "|---" * (len(names) + 2) + "|"]
    for task, found in by_task.items():
        lines.append(f"| {task} | {found['n']:,} | " + " | ".join(_shown(found[name]) for name in names) + " |")
    return "\n".join(lines)


def with_targets(rows: Sequence[Row]) -> list[Row]:
    """The rows of which it is known how much of the target the crop holds.

    Raises:
        UnreadableInput: there is none.
    """
    found = [row for row in rows if row.target_coverage is not None]
    if not found:
        raise UnreadableInput(
            "no sample of the run has a target box and was asked to look; tasks and rows with a target_box have one"
        )
    return found


def _chance(row: Row) -> float:
    outcome, target = row.outcome, row.target_box_source
    if outcome.box_source is None or outcome.source is None or target is None:
        return 0.0
    return chance_of_coverage(target, outcome.box_source, outcome.source)


def _chance_along(low: float, high: float, length: float, side: float) -> float:
    """Of points between ``low`` and ``high`` the mean chance to lie in an interval laid anywhere within a side."""
    room = side - length
    if room <= 0:
        return 1.0
    points = [low + (high - low) * (at + 0.5) / _POINTS for at in range(_POINTS)]
    return fmean((min(point, room) - max(0.0, point - length)) / room for point in points)


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    return {f"p{percent}": percentile(values, percent) for percent in (10, 50, 90)}


def _touching(boxes: Sequence[tuple[Box, Size]]) -> dict[str, float | None]:
    reached = [(box.x1 <= 0, box.y1 <= 0, box.x2 >= size.width, box.y2 >= size.height) for box, size in boxes]
    return {side: fmean(one[at] for one in reached) if reached else None for at, side in enumerate(SIDES)}


def _shown(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"
