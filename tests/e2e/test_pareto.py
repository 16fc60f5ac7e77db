"""The table of what accuracy costs, by its one command, with the shipped policy on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.lmms_runs import OFFLINE, ROOT

pytestmark = pytest.mark.slow


def test_one_command_gives_table_and_drawing(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        **OFFLINE,
        "PYTHON": sys.executable,
        "OUT": str(tmp_path),
        "SAMPLES": "12",
        "SINGLE": "16 64",
    }
    command = ["bash", "recipes/tiny/pareto.sh"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {row["run"]: row for row in json.loads((tmp_path / "pareto.json").read_text())}
    assert list(found) == ["single_16", "single_64", "ergo_16", "zoom_16"]
    assert all(row["n"] == 12 and row["seconds"] > 0 for row in found.values())
    assert found["single_16"]["visual_tokens"] <= 16 < found["ergo_16"]["visual_tokens"] <= 32
    assert 16 < found["single_64"]["visual_tokens"] <= 64
    assert found["single_16"]["computed_tokens"] < found["ergo_16"]["computed_tokens"]
    assert "| ergo_16" in (tmp_path / "pareto.md").read_text()
    assert (tmp_path / "pareto.svg").read_text().count("<title>") == 12
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert again.returncode == 0
    assert json.loads((tmp_path / "pareto.json").read_text()) == list(found.values()), (
        "started again, it plays nothing twice"
    )
