"""The table of `prove_egm.sh`: per experiment, the mean over seeds and its 95 % interval.

    python -m ergo_plugins.panels.locate.prove runs/prove_egm [--keep recipes/tiny/proof_egm]

Prints the table as Markdown and writes ``results.json``, ``table.md``, ``curves.json`` and plots. ``--keep`` copies
all of them to a folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..proof import Results, cell, finished, heading, interval, line, not_yet_run, tell
from .world import Kind

EXPERIMENTS: dict[str, tuple[str, Kind]] = {
    "thousandths": ("mix, Qwen3-VL: thousandths", "colour"),
    "pixels": ("mix, Qwen2.5-VL: pixels", "colour"),
    "shuffled": ("control: mix, shuffled", "colour"),
    "rate_0": ("control: learning rate 0", "colour"),
    "iou": ("IoU alone", "colour"),
    "indicator": ("[IoU >= 0.5] alone", "colour"),
    "sigmoid": ("sigmoid", "colour"),
    "dotted": ("mix, places named by a dot", "dotted"),
    "covered": ("mix, all of covered tiles", "covered"),
}
"""What each one trains, and the kind of place it is measured on. All but the first are of Qwen2.5-VL."""
COLUMNS = (
    ("sampled", "iou", "IoU, sampled"),
    ("greedy", "iou", "IoU"),
    ("greedy", "right", "Acc@0.5"),
    ("greedy", "iou_whole", "IoU with all of it"),
    ("greedy", "tokens", "tokens written"),
    ("greedy", "thinks", "thinks"),
)
CURVES = ("critic/rewards/mean", "egm/iou", "egm/accuracy", "response_length/mean")
PLOTS = {
    "iou.svg": (("thousandths", "pixels", "shuffled"), "egm/iou", "Mean overlap of rollouts with the truth, by step"),
    "iou_rewards.svg": (("pixels", "iou", "indicator", "sigmoid"), "egm/iou", "The same for four shapes of the reward"),
}
"""Experiments, metric and description of each plot."""


def collect(out: Path) -> Results:
    """By experiment: ``seeds``, and figures ``before`` and ``after``, each with mean, half width and values."""
    found = finished(out)
    return {
        experiment: {
            "seeds": sorted(found[experiment]),
            "n": json.loads((next(iter(found[experiment].values())) / "after.json").read_text())["n"],
            **{when: _figures(list(found[experiment].values()), when, kind) for when in ("before", "after")},
        }
        for experiment, (_, kind) in EXPERIMENTS.items()
        if experiment in found
    }


def _figures(folders: list[Path], when: str, kind: Kind) -> dict[str, Any]:
    measured = [json.loads((folder / f"{when}.json").read_text())[kind] for folder in folders]
    found = {
        f"{how} {name}": interval([figures[how][name] for figures in measured])
        for how in ("greedy", "sampled")
        for name in ("iou", "right", "iou_whole", "tokens", "thinks")
    }
    for way in ("greedy, thought", "greedy, no thought"):
        if way in measured[0]:
            found[f"{way} iou"] = interval([figures[way]["iou"] for figures in measured])
    return found


def table(results: Results) -> str:
    """Markdown: of each experiment a line before and one after."""
    heads = ("training", "seeds", *(head for _, _, head in COLUMNS))
    rows = heading(heads)
    for experiment, (said, _) in EXPERIMENTS.items():
        if experiment not in results:
            rows.append(not_yet_run(said, heads))
            continue
        row = results[experiment]
        for when in ("before", "after"):
            figures = [row[when][f"{how} {name}"] for how, name, _ in COLUMNS]
            # the seeds of training all begin with the same policy
            cells = [cell(figure) if when == "after" else f"{figure['mean']:.3f}" for figure in figures]
            seeds = str(len(row["seeds"])) if when == "after" else ""
            rows.append(line([said if when == "after" else "– before", seeds, *cells]))
    return "\n".join(rows) + "\n"


def read(out: Path) -> tuple[Any, str]:
    """Results of the runs in a folder, and their table."""
    results = collect(out)
    return results, table(results)


if __name__ == "__main__":
    tell(__doc__ or "", "prove_egm.sh", read, CURVES, PLOTS)
