"""``recipes/tiny/train_context.sh``: a policy learns, in stock verl, to look for the unseen where a landmark says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from ergo_plugins.report.read.rollouts import read_rollouts
from tests.e2e.tiny_runs import train

WHOLE = bool(os.environ.get("SLOW"))
STEPS, SCENES = (40, 256) if WHOLE else (12, 128)
REWARD = () if WHOLE else ("+ergo.reward.accuracy=0",)
"""The ablation's row D learns directions soonest; in full the reward is ERGO's."""

BY_LOT = 0.25
"""Share of looks whose direction is the one that their mark means, for who does not know the rule."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the recipe leaves; by default after less than a third of its steps."""
    out = tmp_path_factory.mktemp("context")
    seeds = ("data.seed=0", "actor_rollout_ref.rollout.seed=0")
    train("train_context", out, *seeds, *REWARD, f"trainer.save_freq={STEPS}", STEPS=STEPS, SCENES=SCENES)
    return out


def measured(folder: Path, when: str) -> dict[str, Any]:
    found = json.loads((folder / f"{when}.json").read_text())
    assert found["n"] == SCENES
    return found


def follows(folder: Path, steps: range) -> float:
    """Mean over steps of the share of looks whose direction is the one that their mark means."""
    said = json.loads((folder / "words.json").read_text())
    return fmean(said[str(step)]["by_the_mark"] for step in steps)


@pytest.mark.learning
@pytest.mark.timeout(1800)
def test_it_looks_where_the_landmark_says(trained: Path) -> None:
    """By lot a direction follows the mark in one of four looks; over three steps the standard error is .03 at most."""
    assert abs(follows(trained, range(1, 2)) - BY_LOT) < 0.1, "the policy does not know the rule"
    assert follows(trained, range(STEPS - 2, STEPS + 1)) > BY_LOT + 0.15
    before, after = (measured(trained, when) for when in ("before", "after"))
    assert after["greedy"]["coverage"] > before["greedy"]["coverage"] + 0.1
    assert before["oracle"] > after["greedy"]["region"]
    steps = json.loads((trained / "summary.json").read_text())
    assert steps["steps"] == list(range(1, STEPS + 1))
    assert steps["log_probabilities"]["pearson_min"] >= 0.9999
    rollouts = read_rollouts(trained / "rollouts")
    assert rollouts.notes == []
    assert {len(row.outcome.turns) for row in rollouts.rows} == {2}
