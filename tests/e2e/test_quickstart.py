"""The first command of the README, and those that look at what it leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs import OFFLINE, ROOT, TINY_ZOOM, journal_entries

SAMPLES = 8
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
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``recipes/quickstart.sh`` leaves."""
    out = tmp_path_factory.mktemp("quickstart")
    command("bash", "recipes/quickstart.sh", VENV=sys.prefix, OUT=str(out), SAMPLES=str(SAMPLES))
    return out


def test_the_summary_is_for_programs(quickstart: Path) -> None:
    summary = json.loads((quickstart / "summary.json").read_text())
    assert summary["samples"] == SAMPLES
    assert summary["accuracy"] >= 0.75
    assert summary["target_coverage"] >= 0.75
    assert summary["zoom_success"] >= 0.75
    assert summary["visual_tokens_look"] == summary["visual_tokens_answer"] == 16
    assert summary["visual_token_share"] < 0.01
    assert summary["latency_s_p50"] > 0
    assert summary["failed_samples"] == []


def test_the_journal_has_every_sample(quickstart: Path) -> None:
    assert sorted(entry["doc_id"] for entry in journal_entries(quickstart / "journal.jsonl")) == list(range(SAMPLES))


def test_the_report_stands_alone(quickstart: Path) -> None:
    html = (quickstart / "report.html").read_text()
    assert html.count("data:image/") >= SAMPLES
    assert "http://" not in html.replace("http://www.w3.org/", "")
    assert "https://" not in html.replace("https://arxiv.org/", "").replace("https://github.com/", "")


def test_again_it_goes_on_where_it_was(quickstart: Path) -> None:
    before = (quickstart / "journal.jsonl").read_bytes()
    command("bash", "recipes/quickstart.sh", VENV=sys.prefix, OUT=str(quickstart), SAMPLES=str(SAMPLES))
    assert (quickstart / "journal.jsonl").read_bytes() == before


def test_infer_shows_both_turns_and_saves_the_pictures(quickstart: Path, tmp_path: Path) -> None:
    image = sorted((quickstart / "panels" / "images").glob("*.png"))[0]
    question = journal_entries(quickstart / "journal.jsonl")[0]["question"]
    budgets = ("prompts", "coarse_tokens", "crop_tokens", "resample")
    options = [f"--{name.replace('_', '-')}={TINY_ZOOM[name]}" for name in budgets]
    said = command(*ERGO, "infer", image, question, "--model", "recipes/tiny/policy", *options, "--save", tmp_path)
    assert "<zoom>" in said
    assert "<answer>" in said
    assert {path.name for path in tmp_path.iterdir()} == {"boxed.png", "crop.png"}
