"""The bench text says what was measured: its tables agree with the JSON and the picture that were kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from recipes.bench.figures import Figure, table

BENCH = Path(__file__).resolve().parents[2] / "recipes" / "bench"
README = (BENCH / "README.md").read_text(encoding="utf-8")
CLIENT = README.partition("![the ratios](host.svg)")[0]
"""Up to the picture of the client's table."""

RESULTS = sorted((BENCH / "results").glob("*.json"))


def number(cell: str) -> float | None:
    return None if cell == "–" else float(cell.replace(",", ""))


def lines(text: str) -> list[tuple[str, float, float | None, float | None]]:
    """``(name, ours, other, ratio)`` of all tables."""
    cell = r"(–|[\d.,e+-]+)"
    found = re.findall(rf"(?m)^(\S.*?\S) +{cell} +{cell} +{cell} +{cell}  (?:yes|NO|)$", text)
    return [(name, float(ours.replace(",", "")), number(other), number(ratio)) for name, ours, other, ratio, _ in found]


def of_kind(part: str) -> list[tuple[float, float | None]]:
    """``(ours, ratio)`` of the client's rows whose name is of a kind."""
    return [(ours, ratio) for name, ours, _, ratio in lines(CLIENT) if re.fullmatch(part, name)]


@pytest.mark.parametrize("kept", RESULTS, ids=lambda path: path.stem)
def test_the_table_of_kept_results_stands_in_the_text(kept: Path) -> None:
    rows: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))["rows"]
    figures = [Figure(row["name"], row["ours"], row["other"], row["target"]) for row in rows]
    told = README.splitlines()
    for row, line in zip(rows, table(figures).splitlines()[1:], strict=True):
        met = {True: "yes", False: "NO", None: ""}[row["met"]]  # as the kind of figure says, which is not kept
        assert f"{line.rpartition('  ')[0]}  {met}" in told, row["name"]


def test_something_was_kept_and_the_text_says_what_was_not() -> None:
    assert RESULTS
    assert "The JSON of the other runs was **not kept**" in README


def test_ratios_are_those_of_the_figures_beside_them() -> None:
    compared = [row for row in lines(README) if row[3] is not None]
    assert len(compared) >= 60
    for name, ours, other, ratio in compared:
        assert other is not None
        assert ratio == pytest.approx(ours / other, rel=0.013), name  # three digits of each


def test_the_clients_table_is_the_one_that_was_drawn() -> None:
    svg = (BENCH / "host.svg").read_text(encoding="utf-8")
    drawn = re.findall(r'class="name"[^>]*>([^<]*)<.*?class="value"[^>]*>([^<]*)<', svg)
    told = {
        name: ratio for name, _, _, ratio in lines(CLIENT) if ratio is not None and name.startswith(("vstar", "hr"))
    }
    assert len(drawn) == len(told) == 31
    assert {name: float(value) for name, value in drawn} == told


def test_what_is_said_of_the_client_is_in_its_table() -> None:
    cpu = [ratio for _, ratio in of_kind(r"vstar.*CPU-s") if ratio]
    rate = [ratio for _, ratio in of_kind(r"vstar.*cores: samples/s") if ratio]
    peak = [ratio for _, ratio in of_kind(r"(vstar|hr).*cores: peak MB") if ratio]
    assert (round(min(cpu), 2), round(max(cpu), 2)) == (0.18, 0.28)
    assert (round(min(rate), 1), round(max(rate), 1)) == (4.7, 8.0)
    assert (round(min(peak), 2), round(max(peak), 2)) == (0.67, 1.28)
    megabytes = {
        name: ours for name, ours, _, _ in lines(CLIENT) if name.startswith("vstar") and "2 cores: peak" in name
    }
    for samples, at_once, peak_mb in ((10, 16, 340), (100, 16, 599), (1000, 16, 642), (100, 1, 120), (100, 64, 1452)):
        assert megabytes[f"vstar, {samples} samples, {at_once} at once, 2 cores: peak MB"] == peak_mb
