"""``recipes/tiny/train_egm.sh``: a policy learns, in stock verl, to say where something is, from overlaps alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_plugins.report.read.rollouts import read_rollouts
from tests.e2e.tiny_runs import train

STEPS, PLACES = 6, 256


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the recipe leaves, smaller than by default."""
    out = tmp_path_factory.mktemp("egm")
    train("train_egm", out, f"trainer.save_freq={STEPS}", STEPS=STEPS, PLACES=PLACES, SAMPLES=160)
    return out


def measured(folder: Path, when: str) -> dict[str, Any]:
    found = json.loads((folder / f"{when}.json").read_text())
    assert found["n"] == PLACES
    assert found["family"] == "qwen3_vl"
    return found["colour"]


@pytest.mark.learning
@pytest.mark.timeout(1600)
def test_overlaps_grow_and_the_report_shows_the_boxes(trained: Path) -> None:
    before, after = (measured(trained, when)["sampled"] for when in ("before", "after"))
    assert 0.1 < before["iou"] < 0.4, "the policy is able, and answers loosely"
    assert after["iou"] - before["iou"] > 0.15 > 4 * before["iou_error"]
    assert after["right"] - before["right"] > 0.15
    steps = json.loads((trained / "summary.json").read_text())
    assert steps["steps"] == list(range(1, STEPS + 1))
    assert steps["parts"]["last"]["iou"] > steps["parts"]["first"]["iou"]
    assert steps["log_probabilities"]["pearson_min"] >= 0.9999
    rollouts = read_rollouts(trained / "rollouts")
    assert rollouts.notes == []
    paid = [row.metrics["reward"] for row in rollouts.rows]
    mix = [0.5 * (row.metrics["iou"] >= 0.5) + 0.5 * row.metrics["iou"] for row in rollouts.rows]
    assert paid == pytest.approx(mix, abs=1e-6)
    assert (trained / "rollouts.html").read_text().count("<img ") >= len(rollouts.rows)
