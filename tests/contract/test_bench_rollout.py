"""The rollout benchmark on tiny images: its figures are there, and those that do not depend on the machine hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY_SIZES = ("--rollouts", "3", "--prompts", "1", "--tokens", "16", "--scales", "4")


def test_decodes_and_bytes_keep_their_targets(tmp_path: Path) -> None:
    out = tmp_path / "bench" / "rollout.json"
    run = subprocess.run(
        [sys.executable, "-m", "recipes.bench.rollout", *TINY_SIZES, "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    figures = json.loads(out.read_text())["rows"]
    assert all(set(figure) == {"name", "ours", "other", "ratio", "target", "met"} for figure in figures)
    assert all(figure["name"] in run.stdout for figure in figures)
    kept = {figure["name"].partition(": ")[2]: figure for figure in figures}
    assert len(kept) == 10
    decodes, size = kept["decodes a prompt of 3 rollouts"], kept["bytes beyond tokens, a trajectory"]
    assert (decodes["ours"], decodes["met"]) == (1, True)
    assert 0 < size["ours"] <= 50_000
    assert size["met"]
