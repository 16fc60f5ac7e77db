"""What recipes/tiny/tool_zoom.md says of its runs is what their results say."""

from __future__ import annotations

import json
from pathlib import Path

TINY = Path(__file__).resolve().parents[3] / "recipes" / "tiny"
TEXT = (TINY / "tool_zoom.md").read_text(encoding="utf-8")
TABLE = (TINY / "proof_tool_zoom" / "table.md").read_text(encoding="utf-8").strip()


def row(training: str) -> list[str]:
    """The cells of a row of the table, its name left out."""
    (line,) = (line for line in TABLE.splitlines() if line.startswith(f"| {training} |"))
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


def test_the_table_is_the_one_that_was_made_from_the_results() -> None:
    assert TABLE in TEXT


def test_figures_in_words_are_those_of_the_table() -> None:
    shipped, held, trained = row("none: the shipped policy"), row("none: held to one zoom"), row("n-turn zoom")
    assert f"is right in {shipped[3]}, and\n  in {held[3]} if it is held to one zoom" in TEXT
    assert f"it is right in {trained[3]}, with {trained[4]} crops" in TEXT
    assert f"{trained[2]} crops, from {shipped[2]}" in TEXT


def test_several_zooms_settle_what_one_cannot() -> None:
    assert float(row("none: held to one zoom")[3]) <= 0.3
    assert float(row("n-turn zoom")[3]) >= 0.95


def test_another_seed_says_the_same() -> None:
    found = json.loads((TINY / "proof_tool_zoom" / "seed_1_after.json").read_text(encoding="utf-8"))
    best = found["greedy"]
    assert found["n"] == 1024
    assert f"ends at {best['accuracy_one']:.3f} right\nwith {best['calls_one']:.3f} crops" in TEXT
    assert f"at {best['accuracy_two']:.3f} with {best['calls_two']:.3f} crops" in TEXT
    assert best["accuracy_two"] >= 0.95
