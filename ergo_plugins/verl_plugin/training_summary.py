"""What a training run came to, from the metrics that verl's file logger wrote.

``python -m ergo_plugins.verl_plugin.training_summary METRICS.jsonl… -o summary.json``, one file for each start of a run
that was resumed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

CORRELATION = "training/rollout_actor_probs_pearson_corr"
LARGEST_DIFFERENCE = "training/rollout_probs_diff_max"
STEP_SECONDS = "timing_s/step"
TRAINED = "training/global_step"

Steps = dict[int, dict[str, Any]]


def read_steps(files: Iterable[Path]) -> Steps:
    """Metrics by step; where files overlap the later one counts. A line that a killed run left unfinished is ignored.

    Raises:
        ValueError: there is no step at all.
    """
    steps: Steps = {}
    for file in files:
        for line in file.read_text().splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                break
            steps.setdefault(entry["step"], {}).update(entry["data"])
    if not any(TRAINED in metrics for metrics in steps.values()):
        raise ValueError("no training step in the metrics; did the run end before its first one?")
    return dict(sorted(steps.items()))


def summarise(steps: Steps) -> dict[str, Any]:
    """First and last figures of training and validation, and how well rollout and actor agree."""
    trained = [metrics for metrics in steps.values() if TRAINED in metrics]
    validated = [metrics for metrics in steps.values() if any(name.startswith("val-") for name in metrics)]
    correlations = [metrics[CORRELATION] for metrics in trained if CORRELATION in metrics]
    differences = [metrics[LARGEST_DIFFERENCE] for metrics in trained if LARGEST_DIFFERENCE in metrics]
    return {
        "steps": [metrics[TRAINED] for metrics in trained],
        "reward": {"first": trained[0]["critic/rewards/mean"], "last": trained[-1]["critic/rewards/mean"]},
        "parts": {"first": _parts(trained[0]), "last": _parts(trained[-1])},
        "validation": {"first": _validation(validated[0]), "last": _validation(validated[-1])} if validated else None,
        "log_probabilities": {
            "pearson_min": min(correlations, default=None),
            "difference_max": max(differences, default=None),
        },
        "seconds": {
            "steps": round(sum(metrics[STEP_SECONDS] for metrics in trained), 1),
            "median_step": round(sorted(metrics[STEP_SECONDS] for metrics in trained)[len(trained) // 2], 1),
        },
    }


def _parts(metrics: Mapping[str, Any]) -> dict[str, float]:
    section = next(name.partition("/")[0] for name in metrics if name.endswith("/lost_prompts")) + "/"
    return {name.removeprefix(section): round(value, 4) for name, value in metrics.items() if name.startswith(section)}


def _validation(metrics: Mapping[str, Any]) -> dict[str, float]:
    means = {}
    for name, value in metrics.items():
        section, _, rest = name.partition("/")
        _, _, what = rest.partition("/")
        part, _, statistic = what.partition("/")
        if section in ("val-core", "val-aux") and statistic.startswith("mean@"):
            means[part] = round(value, 4)
    return means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metrics", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    text = json.dumps(summarise(read_steps(arguments.metrics)), indent=2)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
