"""The first command of the README: what it teaches, what it leaves, and commands that look at that."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ergo_plugins.core.geometry import Box, Size, VisionGrid
from tests.e2e.lmms_runs import OFFLINE, ROOT, TINY_ZOOM, journal_entries

SAMPLES, SCENES, STEPS = 8, 256, 6
pytestmark = pytest.mark.learning

ERGO = [sys.executable, "-m", "ergo_plugins.cli"]


def command(*words: str | Path, **environment: str) -> str:
    """Run a command from the root of the checkout; its output."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=ROOT,
        env={**os.environ, **OFFLINE, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1700,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_quickstart(out: Path, *options: str) -> str:
    """The quickstart, smaller than by default."""
    sizes = {"SAMPLES": str(SAMPLES), "SCENES": str(SCENES), "STEPS": str(STEPS)}
    return command("bash", "recipes/quickstart.sh", *options, VENV=sys.prefix, OUT=str(out), **sizes)


def read_summary(out: Path) -> dict[str, Any]:
    return json.loads((out / "summary.json").read_text())


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``recipes/quickstart.sh`` leaves."""
    out = tmp_path_factory.mktemp("quickstart")
    run_quickstart(out)
    return out


@pytest.fixture(scope="module")
def summary(quickstart: Path) -> dict[str, Any]:
    return read_summary(quickstart)


def noise(first: dict[str, Any], second: dict[str, Any]) -> float:
    """Three standard errors of a difference of two measurements."""
    return 3 * math.hypot(first["region_sampled_error"], second["region_sampled_error"])


@pytest.mark.timeout(1800)
def test_the_policy_learns_from_its_reward(summary: dict[str, Any]) -> None:
    before, after = summary["before"], summary["after"]
    assert before["n"] == after["n"] == SCENES
    gained = after["region_sampled"] - before["region_sampled"]
    assert gained > 0.15 > noise(before, after)
    assert after["area"] < before["area"]
    assert summary["control"]["recorded"] is True


def test_the_summary_is_for_programs(quickstart: Path, summary: dict[str, Any]) -> None:
    assert summary["samples"] == SAMPLES
    assert 0 <= summary["accuracy"] <= 1
    assert summary["zoom_success"] >= 0.75
    assert summary["visual_tokens_look"] == TINY_ZOOM["coarse_tokens"]
    entries = [entry["outcome"] for entry in journal_entries(quickstart / "after" / "journal.jsonl")]
    shown = [Box(*(entry["boxes"]["crop"] or [0, 0, *entry["source"]])) for entry in entries]
    views = [VisionGrid().fit(Size(int(box.width), int(box.height)), TINY_ZOOM["crop_tokens"]) for box in shown]
    assert summary["visual_tokens_answer"] == statistics.mean(VisionGrid().tokens(view) for view in views)
    assert summary["visual_token_share"] < 0.01
    assert summary["latency_s_p50"] > 0
    assert summary["failed_samples"] == []
    assert summary["training"]["steps"] == list(range(1, STEPS + 1))
    for name in ("before", "after", "control"):
        assert set(summary[name]) >= {"region_sampled", "region_greedy", "accuracy", "format", "area", "n"}


def test_rollout_and_actor_agree(summary: dict[str, Any]) -> None:
    assert summary["training"]["log_probabilities"]["pearson_min"] >= 0.9999


def test_the_journals_have_every_sample(quickstart: Path) -> None:
    for name in ("before", "after"):
        entries = journal_entries(quickstart / name / "journal.jsonl")
        assert sorted(entry["doc_id"] for entry in entries) == list(range(SAMPLES))


def test_the_page_stands_alone(quickstart: Path) -> None:
    html = (quickstart / "report.html").read_text()
    assert html.count("data:image/") >= SAMPLES
    assert "http://" not in html.replace("http://www.w3.org/", "")
    assert "https://" not in html.replace("https://arxiv.org/", "").replace("https://github.com/", "")


@pytest.mark.timeout(600)
def test_again_it_goes_on_where_it_was(quickstart: Path) -> None:
    names = ("before/journal.jsonl", "after/journal.jsonl", "training/summary.json", "after/figures.json")
    before = [(quickstart / name).read_bytes() for name in names]
    said = run_quickstart(quickstart)
    assert "Training Progress" not in said
    assert [(quickstart / name).read_bytes() for name in names] == before


def test_infer_shows_both_turns_and_saves_the_pictures(quickstart: Path, tmp_path: Path) -> None:
    image = sorted((quickstart / "panels" / "images").glob("*.png"))[0]
    question = journal_entries(quickstart / "after" / "journal.jsonl")[0]["question"]
    budgets = ("prompts", "coarse_tokens", "crop_tokens", "resample")
    options = [f"--{name.replace('_', '-')}={TINY_ZOOM[name]}" for name in budgets]
    said = command(*ERGO, "infer", image, question, "--model", "recipes/tiny/policy", *options, "--save", tmp_path)
    assert "<zoom>" in said
    assert "<answer>" in said
    assert {path.name for path in tmp_path.iterdir()} == {"boxed.png", "crop.png"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_does_not_learn_from_a_shuffled_reward(quickstart: Path) -> None:
    """Last, since it adds its control to the folder."""
    run_quickstart(quickstart, "--control")
    summary = read_summary(quickstart)
    before, control = summary["before"], summary["control"]
    assert control["recorded"] is False
    assert control["n"] == SCENES
    assert control["region_sampled"] - before["region_sampled"] < noise(before, control)
