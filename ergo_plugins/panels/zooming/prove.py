"""The table of `prove_tool_zoom.sh`: per experiment, the mean over seeds and its 95 % interval.

    python -m ergo_plugins.panels.zooming.prove runs/prove_tool_zoom [--keep recipes/tiny/proof_tool_zoom]

Prints the table as Markdown and writes ``results.json``, ``table.md``, ``curves.json`` and plots. ``--keep`` copies all
of them to a folder.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from ..prove import cell, interval, tell

EXPERIMENTS = {
    "n_turn": "n-turn zoom",
    "one_zoom": "one zoom at most, trained so",
    "no_efficiency": "n-turn zoom, plain GRPO",
    "shuffled": "control: plain GRPO, shuffled",
}
WAYS = {"one_zoom": "one_zoom"}
"""How an experiment is measured, if not greedily with as many turns as there are."""
COLUMNS = {
    "accuracy_one": "one place: right",
    "calls_one": "one place: crops",
    "accuracy_two": "two places: right",
    "calls_two": "two places: crops",
}
SAMPLED = ("accuracy_one", "calls_one", "accuracy_two", "calls_two")
CURVES = ("critic/rewards/mean", "tool_zoom/accuracy", "tool_zoom/calls", "tool_zoom/over_turns")
PLOTS = {
    "accuracy.svg": (("n_turn", "one_zoom", "shuffled"), "tool_zoom/accuracy", "Share of right answers, by step"),
}
"""Experiments, metric and description of each plot."""

Results = dict[str, dict[str, Any]]


def collect(out: Path) -> tuple[dict[str, Any], Results]:
    """``(figures before training, by experiment those after)``; of the latter each with mean, half width and values."""
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    before: dict[str, Any] = {}
    for path in sorted(out.glob("*/after.json")):
        experiment, _, seed = path.parent.name.rpartition("_")
        found[experiment][int(seed)] = path
        before = json.loads((path.parent / "before.json").read_text())
    results = {}
    for experiment in EXPERIMENTS:
        if experiment in found:
            measured = [json.loads(path.read_text()) for path in found[experiment].values()]
            results[experiment] = {
                "seeds": sorted(found[experiment]),
                "n": measured[0]["n"],
                **{
                    f"{way} {name}": interval([figures[way][name] for figures in measured])
                    for way in ("greedy", "sampled", "one_zoom")
                    for name in measured[0][way]
                },
            }
    return before, results


def table(before: dict[str, Any], results: Results) -> str:
    """Markdown: best guesses, and then sampled replies."""
    heads = ("seeds", *COLUMNS.values(), *(f"{COLUMNS[name]}, sampled" for name in SAMPLED))
    lines = ["| training | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    if before:
        for way, said in (("greedy", "none: the shipped policy"), ("one_zoom", "none: held to one zoom")):
            cells = [f"{before[way][column]:.3f}" for column in COLUMNS]
            cells += [f"{before['sampled'][column]:.3f}" if way == "greedy" else "–" for column in SAMPLED]
            lines.append(f"| {said} | – | " + " | ".join(cells) + " |")
    for experiment, said in EXPERIMENTS.items():
        if experiment not in results:
            lines.append(f"| {said} | not yet run |" + " |" * (len(heads) - 1))
            continue
        row, way = results[experiment], WAYS.get(experiment, "greedy")
        cells = [cell(row[f"{way} {column}"]) for column in COLUMNS]
        # with more turns than it was trained with, a policy's samples say nothing
        cells += [cell(row[f"sampled {column}"]) if way == "greedy" else "–" for column in SAMPLED]
        lines.append(f"| {said} | {len(row['seeds'])} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def read(out: Path) -> tuple[Any, str]:
    """Results of the runs in a folder with those before training, and their table."""
    before, results = collect(out)
    return {"before": before, "experiments": results}, table(before, results)


if __name__ == "__main__":
    tell(__doc__ or "", "prove_tool_zoom.sh", read, CURVES, PLOTS)
