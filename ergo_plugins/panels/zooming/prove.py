"""The table of `prove_tool_zoom.sh`: per experiment, the mean over seeds and its 95 % interval.

    python -m ergo_plugins.panels.zooming.prove runs/prove_tool_zoom [--keep recipes/tiny/proof_tool_zoom]

Prints the table as Markdown and writes ``results.json``, ``table.md``, ``curves.json`` and plots. ``--keep`` copies all
of them to a folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..proof import Results, before_training, cell, collect, heading, line, not_yet_run, tell

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


def table(before: dict[str, Any], results: Results) -> str:
    """Markdown: best guesses, and then sampled replies."""
    heads = ("training", "seeds", *COLUMNS.values(), *(f"{COLUMNS[name]}, sampled" for name in SAMPLED))
    rows = heading(heads)
    if before:
        for way, said in (("greedy", "none: the shipped policy"), ("one_zoom", "none: held to one zoom")):
            cells = [f"{before[way][column]:.3f}" for column in COLUMNS]
            cells += [f"{before['sampled'][column]:.3f}" if way == "greedy" else "–" for column in SAMPLED]
            rows.append(line([said, "–", *cells]))
    for experiment, said in EXPERIMENTS.items():
        if experiment not in results:
            rows.append(not_yet_run(said, heads))
            continue
        row, way = results[experiment], WAYS.get(experiment, "greedy")
        cells = [cell(row[f"{way} {column}"]) for column in COLUMNS]
        # with more turns than it was trained with, a policy's samples say nothing
        cells += [cell(row[f"sampled {column}"]) if way == "greedy" else "–" for column in SAMPLED]
        rows.append(line([said, str(len(row["seeds"])), *cells]))
    return "\n".join(rows) + "\n"


def read(out: Path) -> tuple[Any, str]:
    """Results of the runs in a folder with those before training, and their table."""
    before: dict[str, Any] = next(iter(before_training(out).values()), {})
    results = collect(out, EXPERIMENTS, ("greedy", "sampled", "one_zoom"))
    return {"before": before, "experiments": results}, table(before, results)


if __name__ == "__main__":
    tell(__doc__ or "", "prove_tool_zoom.sh", read, CURVES, PLOTS)
