"""``recipes/tiny/train_visionthink.sh``: a policy learns, in stock verl, when to ask for the full image."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from ergo_plugins.report.read.rollouts import read_rollouts
from tests.e2e.tiny_runs import train

STEPS, QUESTIONS = 8, 256


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the recipe leaves, smaller than by default."""
    out = tmp_path_factory.mktemp("visionthink")
    train("train_visionthink", out, STEPS=STEPS, QUESTIONS=QUESTIONS, SAMPLES=160)
    return out


def measured(folder: Path, when: str) -> dict[str, Any]:
    found = json.loads((folder / f"{when}.json").read_text())
    assert found["n"] == QUESTIONS
    return found


@pytest.mark.learning
@pytest.mark.timeout(1800)
def test_it_learns_to_ask_where_it_must_and_not_where_it_need_not(trained: Path) -> None:
    before, after = (measured(trained, when) for when in ("before", "after"))
    start, end = before["sampled"], after["sampled"]
    apart = [figures["asks_needed"] - figures["asks_not_needed"] for figures in (start, end)]
    assert apart[0] < 0.25, "the policy asks by coin"
    assert apart[1] - apart[0] > 0.3
    assert end["accuracy"] > start["accuracy"]
    assert before["never"]["visual_tokens"] == 16
    assert before["always"]["visual_tokens"] == 80
    assert before["full"]["visual_tokens"] == 64
    assert before["never"]["accuracy"] < 0.9 < before["always"]["accuracy"]
    steps = json.loads((trained / "summary.json").read_text())
    assert steps["steps"] == list(range(1, STEPS + 1))
    assert steps["log_probabilities"]["pearson_min"] >= 0.9999
    rollouts = read_rollouts(trained / "rollouts")
    assert rollouts.notes == []
    assert {len(row.outcome.turns) for row in rollouts.rows} <= {1, 2}


def last_step(folder: Path) -> dict[str, float]:
    """The metrics of the last step that verl's file logger wrote."""
    lines = [line for file in (folder / "metrics").glob("*.jsonl") for line in file.read_text().splitlines()]
    return next(data for line in reversed(lines) if "training/global_step" in (data := json.loads(line)["data"]))


@pytest.mark.learning
def test_the_group_rule_acts_on_what_the_step_trains_on(trained: Path) -> None:
    """.1 is taken for asking where .8 of a prompt's direct answers are right, and for not asking elsewhere."""
    groups = defaultdict(list)
    for line in (trained / "rollouts" / f"{STEPS}.jsonl").read_text().splitlines():
        rollout = json.loads(line)
        groups[rollout["uid"].rsplit("_", 2)[0]].append(rollout)
    assert {len(group) for group in groups.values()} == {8}
    for group in groups.values():
        direct = [rollout["accuracy"] for rollout in group if not rollout["asked"]]
        enough = sum(direct) / len(direct) >= 0.8 if direct else None
        for rollout in group:
            costs = enough is not None and bool(rollout["asked"]) == enough
            earned = rollout["accuracy"] + 0.5 * rollout["format"]
            assert rollout["score"] == pytest.approx(earned - 0.1 * costs, abs=1e-6)
    rollouts = [rollout for group in groups.values() for rollout in group]
    changed = [abs(rollout["score"] - rollout["reward_raw"]) > 1e-6 for rollout in rollouts]
    logged = last_step(trained)
    assert logged["visionthink/group_step_changed"] == pytest.approx(sum(changed) / len(changed)) != 0
    scores = [rollout["score"] for rollout in rollouts]
    assert logged["critic/rewards/mean"] == pytest.approx(sum(scores) / len(scores), abs=1e-5)
