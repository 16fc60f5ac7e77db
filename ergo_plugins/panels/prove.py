"""The table of `prove.sh`: per experiment, the mean over seeds and its 95 % interval.

    python -m ergo_plugins.panels.prove runs/prove [--keep recipes/tiny/proof]

Prints the table as Markdown and writes ``results.json`` and ``table.md``. ``--keep`` copies both and the control that
quickstarts show to a folder, with the reward of every step beside them.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t

from ..report.lines import Line, lines

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

Results = dict[str, dict[str, Any]]


def collect(out: Path) -> Results:
    """By experiment: ``seeds``, and each figure's ``mean`` and ``half_width`` (None of one seed) and ``values``."""
    found: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
    for path in sorted(out.glob("*/figures.json")):
        experiment, _, seed = path.parent.name.rpartition("_")
        found[experiment][int(seed)] = json.loads(path.read_text())
    return {
        experiment: {
            "seeds": sorted(found[experiment]),
            "n": next(iter(found[experiment].values()))["n"],
            **{name: interval([figures[name] for figures in found[experiment].values()]) for name in FIGURES},
        }
        for experiment in EXPERIMENTS
        if experiment in found
    }


def interval(values: list[float]) -> dict[str, Any]:
    """Mean, and the half width of its 95 % interval by Student's t."""
    n = len(values)
    half_width = float(t.ppf(0.975, n - 1)) * stdev(values) / n**0.5 if n > 1 else None
    return {"mean": round(fmean(values), 4), "half_width": half_width and round(half_width, 4), "values": values}


def table(before: dict[str, float], results: Results) -> str:
    """Markdown."""
    heads = ("seeds", "region, sampled", "region, greedy", "accuracy", "format", "area, sampled", "area, greedy")
    lines = ["| training | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    lines.append("| none: the shipped policy | – | " + " | ".join(f"{before[name]:.3f}" for name in FIGURES) + " |")
    for experiment, said in EXPERIMENTS.items():
        if experiment in results:
            row = results[experiment]
            cells = [cell(row[name]) for name in FIGURES]
            lines.append(f"| {said} | {len(row['seeds'])} | " + " | ".join(cells) + " |")
        else:
            lines.append(f"| {said} | not yet run |" + " |" * len(FIGURES))
    return "\n".join(lines) + "\n"


def cell(figure: dict[str, Any]) -> str:
    """A figure of `interval` as a table shows it."""
    half_width = figure["half_width"]
    return f"{figure['mean']:.3f}" + (f" ± {half_width:.3f}" if half_width is not None else "")


def trained_steps(out: Path, measured: str, names: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """By run, the means of every step.

    Args:
        out: folder of the runs.
        measured: the file by which a finished run is known.
        names: of the metrics.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for folder in sorted(path.parent for path in out.glob(f"*/{measured}")):
        steps = [json.loads(line)["data"] for file in sorted(folder.glob("metrics/*.jsonl")) for line in file.open()]
        trained = [step for step in steps if "training/global_step" in step]
        found[folder.name] = {name: [round(step[name], 4) for step in trained] for name in names}
    return found


STYLE = """<style>svg { font: 10px sans-serif; background: #fff } .tick { fill: #666 } .axis { stroke: #ddd }
.line path { fill: none; stroke: currentColor; stroke-width: 2 } .way path { stroke-width: 1; opacity: .6 }
.line { color: #888 } .full { color: #0a7d3c } .shuffled { color: #b3261e } .shuffled path { stroke-dasharray: 6 3 }
.a_accuracy { color: #5b6abf } .b_region { color: #c26a00 } .c_region_box, .d_weighted { color: #00838f }
.judge_crop { color: #0a7d3c } .judge_original { color: #b3261e } .judge_original path { stroke-dasharray: 6 3 }
.box_60 { color: #c26a00 } .box_10 { color: #5b6abf } .box_10 path { stroke-dasharray: 6 3 }
.thousandths { color: #0a7d3c } .pixels { color: #00838f } .iou { color: #5b6abf } .indicator { color: #c26a00 }
.sigmoid { color: #8e24aa } .dotted { color: #0a7d3c } .covered { color: #c26a00 }
.conditional, .conditional_90, .n_turn { color: #0a7d3c } .one_zoom { color: #5b6abf }
.code_90 { color: #5b6abf } .paper_90 { color: #b3261e }</style>"""


def plot(steps: dict[str, dict[str, list[float]]], experiments: Sequence[str], metric: str, said: str) -> str:
    """A metric by training step, the mean over an experiment's seeds, as an SVG file; empty if none of them was run."""
    drawn = []
    for experiment in experiments:
        runs = [run[metric] for name, run in steps.items() if name.rpartition("_")[0] == experiment]
        means = [fmean(values) for values in zip(*runs, strict=True)]
        if means:
            drawn.append(Line(experiment, experiment.replace("_", " "), [(i + 1.0, y) for i, y in enumerate(means)]))
    if not drawn:
        return ""
    svg = lines(drawn, description=said, tick="{:.0%}".format, span=(0, 1))
    head, _, body = svg.partition(">")
    return head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" width="720" ', 1) + ">" + STYLE + body + "\n"


def keep(written: Mapping[str, str], *folders: Path | None) -> None:
    """Write texts by name, but for empty ones, into each folder."""
    for folder in filter(None, folders):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in written.items():
            if text:
                (folder / name).write_text(text)


def tell(
    said: str,
    script: str,
    read: Callable[[Path], tuple[Any, str]],
    curves: Sequence[str],
    plots: Mapping[str, tuple[Sequence[str], str, str]],
) -> None:
    """The command of a proof whose runs have ``after.json``: results, table, curves, plots, beside the runs and kept.

    Args:
        said: what the command says of itself.
        script: which made the runs.
        read: the results of a folder of runs, plain enough for JSON, and their table.
        curves: names of metrics by step.
        plots: by file name the experiments, the metric, and what is said of it.
    """
    parser = argparse.ArgumentParser(description=said, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help=f"the folder of {script}")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    results, table_of_results = read(arguments.out)
    steps = trained_steps(arguments.out, "after.json", curves)
    written = {
        "results.json": json.dumps(results, indent=2) + "\n",
        "table.md": table_of_results,
        "curves.json": json.dumps(steps, indent=1) + "\n",
        **{name: plot(steps, experiments, metric, about) for name, (experiments, metric, about) in plots.items()},
    }
    keep(written, arguments.out, arguments.keep)
    print(table_of_results)


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
