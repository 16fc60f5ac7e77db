"""``recipes/tiny/train_tool_zoom.sh``: a policy learns, in stock verl, to look at one place or at two."""

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
    out = tmp_path_factory.mktemp("tool_zoom")
    train("train_tool_zoom", out, STEPS=STEPS, QUESTIONS=QUESTIONS, SAMPLES=160)
    return out


def measured(folder: Path, when: str) -> dict[str, Any]:
    found = json.loads((folder / f"{when}.json").read_text())
    assert found["n"] == QUESTIONS
    return found


@pytest.mark.learning
@pytest.mark.timeout(1800)
def test_it_learns_to_look_at_what_is_asked(trained: Path) -> None:
    before, after = (measured(trained, when) for when in ("before", "after"))
    start, end = before["sampled"], after["sampled"]
    assert start["calls_two"] - start["calls_one"] < 0.3, "the policy looks by coin"
    assert start["accuracy_two"] < 0.5
    assert end["accuracy"] > start["accuracy"] + 0.1
    assert end["accuracy_two"] > start["accuracy_two"] + 0.1
    assert after["greedy"]["accuracy_two"] > before["greedy"]["accuracy_two"] + 0.3
    assert end["calls_two"] > start["calls_two"] + 0.3
    assert end["calls_two"] - end["calls_one"] > start["calls_two"] - start["calls_one"], "more where more is needed"
    assert before["no_zoom"]["accuracy_one"] < 0.4
    assert before["no_zoom"]["accuracy_two"] < 0.2
    for found in (before, after):
        assert found["one_zoom"]["accuracy_two"] < 0.4, "one zoom shows one of two places"
    steps = json.loads((trained / "summary.json").read_text())
    assert steps["steps"] == list(range(1, STEPS + 1))
    assert steps["log_probabilities"]["pearson_min"] >= 0.9999
    rollouts = read_rollouts(trained / "rollouts")
    assert rollouts.notes == []
    assert {len(row.outcome.turns) for row in rollouts.rows} <= {1, 2, 3, 4}
