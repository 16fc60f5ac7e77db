"""What proofs in the tiny worlds share: runs by seed, means with 95 % intervals, rows of tables, curves, plots."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t

from ..report.lines import Line, lines

Results = dict[str, dict[str, Any]]
"""By experiment: ``seeds``, ``n``, and each figure as `interval` gives it."""


def finished(out: Path, measured: str = "after.json") -> dict[str, dict[int, Path]]:
    """By experiment and seed, the folders of finished runs: ``out/EXPERIMENT_SEED`` with a file ``measured``."""
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    for path in sorted(out.glob(f"*/{measured}")):
        experiment, _, seed = path.parent.name.rpartition("_")
        found[experiment][int(seed)] = path.parent
    return found


def collect(out: Path, experiments: Iterable[str], ways: Sequence[str]) -> Results:
    """Figures of finished runs, in the order of ``experiments``.

    Args:
        out: folder of the runs.
        experiments: names; those that were not run are left out.
        ways: keys of ``after.json`` whose figures are taken, each named ``WAY FIGURE``.
    """
    found = finished(out)
    results = {}
    for experiment in experiments:
        if experiment in found:
            runs = [json.loads((folder / "after.json").read_text()) for folder in found[experiment].values()]
            figures = {
                f"{way} {name}": interval([run[way][name] for run in runs]) for way in ways for name in runs[0][way]
            }
            results[experiment] = {"seeds": sorted(found[experiment]), "n": runs[0]["n"], **figures}
    return results


def before_training(out: Path) -> dict[str, Any]:
    """By experiment, what was measured before one of its runs: all its seeds begin with one policy."""
    found = finished(out)
    return {name: json.loads((next(iter(runs.values())) / "before.json").read_text()) for name, runs in found.items()}


def interval(values: list[float]) -> dict[str, Any]:
    """Mean, and the half width of its 95 % interval by Student's t."""
    n = len(values)
    half_width = float(t.ppf(0.975, n - 1)) * stdev(values) / n**0.5 if n > 1 else None
    return {"mean": round(fmean(values), 4), "half_width": half_width and round(half_width, 4), "values": values}


def cell(figure: dict[str, Any]) -> str:
    """A figure of `interval` as a table shows it."""
    half_width = figure["half_width"]
    return f"{figure['mean']:.3f}" + (f" ± {half_width:.3f}" if half_width is not None else "")


def line(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def heading(heads: Sequence[str]) -> list[str]:
    """The first two rows of a Markdown table."""
    return [line(heads), "|---" * len(heads) + "|"]


def not_yet_run(said: str, heads: Sequence[str]) -> str:
    """The row of an experiment that has no run."""
    return f"| {said} | not yet run |" + " |" * (len(heads) - 2)


def trained_steps(out: Path, measured: str, names: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """By run, the means of every step.

    Args:
        out: folder of the runs.
        measured: the file by which a finished run is known.
        names: of the metrics.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for folder in sorted(path.parent for path in out.glob(f"*/{measured}")):
        steps = [json.loads(text)["data"] for file in sorted(folder.glob("metrics/*.jsonl")) for text in file.open()]
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
