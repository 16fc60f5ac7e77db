"""The table of `prove.sh`: per experiment, the mean over seeds and its 95 % interval.

    python -m ergo_plugins.panels.prove runs/prove [--keep recipes/tiny/proof]

Prints the table as Markdown and writes ``results.json`` and ``table.md``. ``--keep`` copies both and the control that
quickstarts show to a folder, with the reward of every step beside them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .proof import Results, cell, finished, heading, interval, keep, line, not_yet_run, plot, trained_steps

EXPERIMENTS = {
    "full": "full reward (row E)",
    "shuffled": "control: full reward, shuffled",
    "rate_0": "control: learning rate 0",
    "a_accuracy": "A: r_acc alone",
    "b_region": "B: r_region alone",
    "c_region_box": "C: r_region + r_box",
    "d_weighted": "D: the same, weighted",
    "box_60": "r_box alone, gamma 0.6",
    "box_10": "r_box alone, gamma 0.1",
    "judge_crop": "D, judge sees the crop",
    "judge_original": "D, judge sees crop and original",
}
FIGURES = ("region_sampled", "region_greedy", "accuracy", "format", "area_sampled", "area")
CURVES = ("critic/rewards/mean", "ergo/region", "ergo/box", "ergo/accuracy", "ergo/format", "ergo/area_ratio")

REWARDS = ("full", "a_accuracy", "b_region", "c_region_box", "d_weighted")
PLOTS = {
    "region.svg": (("full", "shuffled"), "ergo/region", "Share of rollouts that show the right place, by step"),
    "ablation_region.svg": (REWARDS, "ergo/region", "The same for the rows of the ablation"),
    "ablation_area.svg": (REWARDS, "ergo/area_ratio", "Crop's share of the image for the rows of the ablation"),
}
"""Experiments, metric and description of each plot."""


def collect(out: Path) -> Results:
    """By experiment: ``seeds``, and each figure's ``mean`` and ``half_width`` (None of one seed) and ``values``."""
    found = finished(out, "figures.json")
    results = {}
    for experiment in EXPERIMENTS:
        if experiment in found:
            runs = [json.loads((folder / "figures.json").read_text()) for folder in found[experiment].values()]
            figures = {name: interval([run[name] for run in runs]) for name in FIGURES}
            results[experiment] = {"seeds": sorted(found[experiment]), "n": runs[0]["n"], **figures}
    return results


def table(before: dict[str, float], results: Results) -> str:
    """Markdown."""
    measured = ("region, sampled", "region, greedy", "accuracy", "format", "area, sampled", "area, greedy")
    heads = ("training", "seeds", *measured)
    rows = heading(heads)
    rows.append(line(["none: the shipped policy", "–", *(f"{before[name]:.3f}" for name in FIGURES)]))
    for experiment, said in EXPERIMENTS.items():
        if experiment not in results:
            rows.append(not_yet_run(said, heads))
            continue
        row = results[experiment]
        rows.append(line([said, str(len(row["seeds"])), *(cell(row[name]) for name in FIGURES)]))
    return "\n".join(rows) + "\n"


def recorded_control(results: Results) -> dict[str, Any]:
    """What a quickstart without ``--control`` shows: means of the shuffled runs."""
    control = results["shuffled"]
    means = {name: control[name]["mean"] for name in FIGURES}
    seeds = ", ".join(map(str, control["seeds"]))
    source = f"mean of seeds {seeds} of recipes/tiny/prove.sh, {control['n']} scenes each"
    return {**means, "n": control["n"], "recorded": True, "source": source}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder of prove.sh")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    before, results = json.loads((arguments.out / "before.json").read_text()), collect(arguments.out)
    steps = trained_steps(arguments.out, "figures.json", CURVES)
    written = {
        "results.json": json.dumps({"before": before, "experiments": results}, indent=2) + "\n",
        "table.md": table(before, results),
        "curves.json": json.dumps(steps, indent=1) + "\n",
    }
    for name, (experiments, metric, said) in PLOTS.items():
        written[name] = plot(steps, experiments, metric, said)
    if "shuffled" in results:
        written["control.json"] = json.dumps(recorded_control(results), indent=2) + "\n"
    keep(written, arguments.out, arguments.keep)
    print(written["table.md"])


if __name__ == "__main__":
    main()
