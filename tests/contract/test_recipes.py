"""Scripts are short, strict, and refuse with a sentence when something is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*ROOT.glob("recipes/**/*.sh"), *ROOT.glob("tests/*.sh")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_valid_and_strict(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n#"), "a script opens with what it does"
    assert "set -euo pipefail" in text
    assert os.access(script, os.X_OK)


def test_the_gpu_recipe_refuses_a_machine_without_one() -> None:
    refused = subprocess.run(
        ["bash", ROOT / "recipes/eval_ergo_7b.sh"],
        env={**os.environ, "PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("No CUDA GPU in sight")


def test_the_environment_refuses_an_unsupported_python(tmp_path: Path) -> None:
    refused = subprocess.run(
        ["bash", ROOT / "recipes/environment.sh", "eval"],
        env={"PATH": os.environ["PATH"], "VENV": str(tmp_path / "venv"), "PYTHON": "/nowhere/python"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "Python 3.10, 3.11 or 3.12 is needed" in refused.stderr


def test_files_the_readme_names_exist() -> None:
    named = re.findall(r"(?:recipes|tests|constraints)/[\w./]+\w", (ROOT / "README.md").read_text())
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
