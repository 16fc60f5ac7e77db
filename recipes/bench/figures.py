"""What a benchmark found, beside what it was held against: a table to read and a JSON file to keep."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A line of the table.

    Attributes:
        ours, other: the figure, and what it is held against (None for nothing but the target).
        ratio: ours / other.
        target: the most that ``ratio`` may be, or ``ours`` where there is no other; None if it is only told.
    """

    name: str
    ours: float
    other: float | None = None
    target: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if not self.other else self.ours / self.other

    @property
    def met(self) -> bool | None:
        measured = self.ours if self.ratio is None else self.ratio
        return None if self.target is None else measured <= self.target

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


class AtMost(Figure):
    """A target for the ratio; nothing is met where there is nothing to compare with."""

    @property
    def met(self) -> bool | None:
        return None if None in (self.ratio, self.target) else self.ratio <= self.target


class AtLeast(Figure):
    """Likewise, for what is to be large."""

    @property
    def met(self) -> bool | None:
        return None if None in (self.ratio, self.target) else self.ratio >= self.target


def table(figures: Sequence[Figure]) -> str:
    lines = [f"{'':62}{'ours':>10}{'other':>10}{'ratio':>8}{'target':>9}  met"]
    for figure in figures:
        numbers = (figure.ours, figure.other, figure.ratio, figure.target)
        cells = [
            "–" if number is None else f"{number:,.0f}" if number >= 100 else f"{number:.3g}" for number in numbers
        ]
        met = {True: "yes", False: "NO", None: ""}[figure.met]
        lines.append(f"{figure.name:62}{cells[0]:>10}{cells[1]:>10}{cells[2]:>8}{cells[3]:>9}  {met}")
    return "\n".join(lines)


def write(figures: Sequence[Figure], out: Path) -> None:
    """``{"rows": [...]}``, a row for each figure: name, ours, other, target, ratio, met. Folders are made."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"rows": [figure.to_json() for figure in figures]}, indent=2) + "\n")
