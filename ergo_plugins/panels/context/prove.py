"""The table of `prove_context.sh`: per experiment, the mean over seeds and its 95 % interval.

    python -m ergo_plugins.panels.context.prove runs/prove_context [--keep recipes/tiny/proof_context]

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
            figures = {
                f"{way} {name}": interval([one[way][name] for one in measured])
                for way in ("greedy", "sampled", "visible")
                for name in measured[0][way]
            }
            results[experiment] = {"seeds": sorted(found[experiment]), "n": measured[0]["n"], **figures}
    return before, results


def table(before: dict[str, Any], results: Results) -> str:
    """Markdown."""
    lines = ["| training | seeds | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    if before:
        cells = [f"{before[way][name]:.3f}" for way, name in (column.split() for column in COLUMNS)]
        lines.append("| none: the shipped policy | – | " + " | ".join(cells) + " |")
    for experiment, said in EXPERIMENTS.items():
        if experiment in results:
            row = results[experiment]
            cells = [cell(row[column]) for column in COLUMNS]
            lines.append(f"| {said} | {len(row['seeds'])} | " + " | ".join(cells) + " |")
        else:
            lines.append(f"| {said} | not yet run |" + " |" * len(COLUMNS))
    return "\n".join(lines) + "\n"


def read(out: Path) -> tuple[Any, str]:
    """Results of the runs in a folder with those before training and, by run and step, what looks said; their table."""
    before, results = collect(out)
    said = {path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob("*/words.json"))}
    return {"before": before, "experiments": results, "words": said}, table(before, results)


if __name__ == "__main__":
    tell(__doc__ or "", "prove_context.sh", read, CURVES, PLOTS)
