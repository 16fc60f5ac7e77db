"""The table of `prove_visionthink.sh`: per experiment, the mean over seeds and its 95 % interval.

    python -m ergo_plugins.panels.asking.prove runs/prove_visionthink [--keep recipes/tiny/proof_visionthink]

Prints the table as Markdown and writes ``results.json``, ``table.md``, ``curves.json`` and plots. ``--keep`` copies all
of them to a folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..proof import Results, before_training, cell, collect, heading, line, not_yet_run, tell

EXPERIMENTS = {
    "conditional": "rule conditional",
    "code": "rule code, theta 0.2",
    "paper": "rule paper, theta 0.2",
    "shuffled": "control: conditional, shuffled",
    "no_penalty": "no penalty",
    "all_calls": "a penalty of 0.8 on every call",
    "theta_0": "rule paper, theta 0",
    "theta_50": "rule paper, theta 0.5",
    "theta_1": "rule paper, theta 1",
    "conditional_90": "conditional, from 90 % calls",
    "code_90": "code, from 90 % calls",
    "paper_90": "paper, from 90 % calls",
}
FIXED = {"never": "never asking", "always": "always asking", "full": "the full image alone"}
"""Ways of asking that no policy decides, measured on the shipped one."""
COLUMNS = {
    "asks_needed": "asks when needed",
    "asks_not_needed": "asks when not",
    "accuracy": "accuracy",
    "visual_tokens": "visual tokens",
}
CURVES = ("critic/rewards/mean", "visionthink/accuracy", "visionthink/asked")
PLOTS = {
    "asked.svg": (("conditional", "shuffled"), "visionthink/asked", "Share of rollouts that ask, by step"),
    "asked_90.svg": (
        ("conditional_90", "code_90", "paper_90"),
        "visionthink/asked",
        "The same from a policy that asks nine times in ten",
    ),
    "accuracy.svg": (("conditional", "shuffled"), "visionthink/accuracy", "Share of right answers, by step"),
}
"""Experiments, metric and description of each plot."""


def table(before: dict[str, Any], results: Results) -> str:
    """Markdown: greedy, and the two rates of sampled replies."""
    heads = ("training", "seeds", *COLUMNS.values(), "asks when needed, sampled", "asks when not, sampled")
    rows = heading(heads)
    for name, said in (("shipped", "none: the shipped policy"), ("from_90", "none: the one that asks in 90 %")):
        if name in before:
            cells = [f"{before[name]['greedy'][column]:.3f}" for column in COLUMNS]
            cells += [f"{before[name]['sampled'][column]:.3f}" for column in ("asks_needed", "asks_not_needed")]
            rows.append(line([said, "–", *cells]))
    for way, said in FIXED.items():
        if "shipped" in before:
            cells = [f"{before['shipped'][way][column]:.3f}" for column in ("accuracy", "visual_tokens")]
            rows.append(line([f"none: {said}", "–", "–", "–", *cells, "–", "–"]))
    for experiment, said in EXPERIMENTS.items():
        if experiment not in results:
            rows.append(not_yet_run(said, heads))
            continue
        row = results[experiment]
        cells = [cell(row[f"greedy {column}"]) for column in COLUMNS]
        cells += [cell(row[f"sampled {column}"]) for column in ("asks_needed", "asks_not_needed")]
        rows.append(line([said, str(len(row["seeds"])), *cells]))
    return "\n".join(rows) + "\n"


def read(out: Path) -> tuple[Any, str]:
    """Results of the runs in a folder with those before training, and their table."""
    first = before_training(out)
    before = {"from_90" if name.endswith("_90") else "shipped": figures for name, figures in first.items()}
    results = collect(out, EXPERIMENTS, ("greedy", "sampled"))
    return {"before": before, "experiments": results}, table(before, results)


if __name__ == "__main__":
    tell(__doc__ or "", "prove_visionthink.sh", read, CURVES, PLOTS)
