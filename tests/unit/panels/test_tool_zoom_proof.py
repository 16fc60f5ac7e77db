"""What recipes/tiny/tool_zoom.md says of its runs is what their results say."""

from __future__ import annotations

import json
from pathlib import Path

TINY = Path(__file__).resolve().parents[3] / "recipes" / "tiny"
TEXT = (TINY / "tool_zoom.md").read_text(encoding="utf-8")
RESULTS = json.loads((TINY / "proof_tool_zoom" / "results.json").read_text(encoding="utf-8"))["experiments"]
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
    assert f"  {trained[4].split()[0]} crops on average" in TEXT
    assert f"{trained[2].split()[0]} crops, from {shipped[2]}" in TEXT
    one, random = row("one zoom at most, trained so"), row("control: plain GRPO, shuffled")
    assert f"is right in {one[1]} where one place is asked for and in\n  {one[3]} where two are" in TEXT
    assert f"ends at {random[1]} and {random[3]}" in TEXT
    assert f"({random[2]} crops where one is needed)" in TEXT


def test_several_zooms_settle_what_one_cannot_in_every_seed() -> None:
    found = RESULTS["n_turn"]["greedy accuracy_two"]["values"]
    assert [f"{value:.3f}" for value in found] == ["0.994", "0.979", "0.963"]
    assert "0.994, 0.979 and 0.963 in the three seeds" in TEXT
    assert min(found) >= 0.95
    assert float(row("none: held to one zoom")[3]) <= 0.3
    assert float(row("one zoom at most, trained so")[3]) <= 0.3
    assert all(experiment["n"] == 1024 for experiment in RESULTS.values())


def test_the_run_as_it_is_typed_came_as_it_is_told() -> None:
    found = json.loads((TINY / "proof_tool_zoom" / "as_typed.json").read_text(encoding="utf-8"))["after"]["greedy"]
    words = " ".join(TEXT.split())
    assert f"to {found['accuracy_one']:.3f} right by {found['calls_one']:.3f} crops" in words
    assert f"and {found['accuracy_two']:.3f} by {found['calls_two']:.3f} where two are" in words
