"""``recipes/tiny/train_visionthink.sh``: a policy learns, in stock verl, when to ask for the full image."""

from __future__ import annotations

import json
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


@pytest.mark.beside
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
