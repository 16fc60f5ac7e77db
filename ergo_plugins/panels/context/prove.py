"""The table of `prove_context.sh`: per experiment, the mean over seeds and its 95 % interval.

    python -m ergo_plugins.panels.context.prove runs/prove_context [--keep recipes/tiny/proof_context]

Prints the table as Markdown and writes ``results.json``, ``table.md``, ``curves.json`` and plots. ``--keep`` copies all
of them to a folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..proof import Results, before_training, cell, collect, heading, line, not_yet_run, tell

EXPERIMENTS = {
    "full": "full reward (row E; gamma 0.6, beta 0.5)",
    "visible": "full reward, on visible patterns",
    "shuffled": "control: full reward, shuffled",
    "rate_0": "control: learning rate 0",
    "a_accuracy": "A: r_acc alone",
    "b_region": "B: r_region alone",
    "c_region_box": "C: r_region + r_box",
    "d_weighted": "D: the same, weighted",
    "gamma_10": "gamma 0.1",
    "gamma_30": "gamma 0.3",
    "gamma_100": "gamma 1",
    "beta_0": "beta 0",
    "beta_25": "beta 0.25",
    "beta_100": "beta 1",
    "beta_200": "beta 2",
}
COLUMNS = {
    "sampled coverage": "coverage, sampled",
    "greedy coverage": "coverage",
    "greedy region": "region",
    "greedy accuracy": "accuracy",
    "greedy area_narrow": "area, narrow",
    "greedy area_wide": "area, wide",
    "greedy ambiguity": "rank correlation",
    "sampled area": "area, sampled",
    "visible region": "visible: region",
    "visible accuracy": "visible: accuracy",
}
"""What is shown of a run; of hidden patterns and greedy, where nothing else is said."""
CURVES = ("critic/rewards/mean", "ergo/coverage", "ergo/region", "ergo/box", "ergo/accuracy", "ergo/area_ratio")
REWARDS = ("full", "a_accuracy", "b_region", "c_region_box", "d_weighted")
PLOTS = {
    "coverage.svg": (("full", "shuffled"), "ergo/coverage", "Share of the hidden pattern in crops, by step"),
    "ablation_area.svg": (REWARDS, "ergo/area_ratio", "Crop's share of the image for the rows of the ablation"),
}
"""Experiments, metric and description of each plot."""


def table(before: dict[str, Any], results: Results) -> str:
    """Markdown."""
    heads = ("training", "seeds", *COLUMNS.values())
    rows = heading(heads)
    if before:
        cells = [f"{before[way][name]:.3f}" for way, name in (column.split() for column in COLUMNS)]
        rows.append(line(["none: the shipped policy", "–", *cells]))
    for experiment, said in EXPERIMENTS.items():
        if experiment not in results:
            rows.append(not_yet_run(said, heads))
            continue
        row = results[experiment]
        rows.append(line([said, str(len(row["seeds"])), *(cell(row[column]) for column in COLUMNS)]))
    return "\n".join(rows) + "\n"


def read(out: Path) -> tuple[Any, str]:
    """Results of the runs in a folder with those before training and, by run and step, what looks said; their table."""
    before: dict[str, Any] = next(iter(before_training(out).values()), {})
    results = collect(out, EXPERIMENTS, ("greedy", "sampled", "visible"))
    said = {path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob("*/words.json"))}
    return {"before": before, "experiments": results, "words": said}, table(before, results)


if __name__ == "__main__":
    tell(__doc__ or "", "prove_context.sh", read, CURVES, PLOTS)
