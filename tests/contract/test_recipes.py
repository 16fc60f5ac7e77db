"""Scripts are short, strict, and refuse with a sentence when something is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.script_text import variables_of

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*ROOT.glob("recipes/**/*.sh"), *ROOT.glob("recipes/**/*.sbatch"), *ROOT.glob("tests/*.sh")])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_valid_and_strict(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n#"), "a script opens with what it does"
    assert "set -euo pipefail" in text
    assert os.access(script, os.X_OK)


GNU_ONLY = re.compile(
    r"\b(realpath|readlink -f|sha256sum|md5sum|nproc|tac|shuf|numfmt|flock|setsid|timeout|free|mapfile|readarray)\b"
    r"(?=[ )|;]|$)|\bsed -i\b|\bgrep -[a-zA-Z]*P|\bstat -c|\bdate -d|\bxargs -r|\bsort -V|\bbase64 -w|\bcp -[a-z]*t\b"
    r"|\bfind .*-printf|\bhead -n -|\bdeclare -A|/proc/|\$\{\w+(\^\^|,,)\}"
)
"""Commands and options of GNU, Linux or a bash younger than macOS has."""


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / ".ci/run"], ids=lambda path: path.name)
def test_a_script_asks_for_nothing_that_only_linux_has(script: Path) -> None:
    lines = [line for line in script.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert [line for line in lines if GNU_ONLY.search(line)] == []


HEAD = re.compile(r"\A#!.*\n((?:#.*\n)+)")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_reads_the_variables_that_its_head_names(script: Path) -> None:
    head = HEAD.match(script.read_text())
    assert head is not None
    named = set(re.findall(r"\b([A-Z][A-Z_]+)=", head[1]))
    told_of = {str(script.relative_to(ROOT)), *re.findall(r"recipes/[\w/]+\.(?:sh|sbatch)", head[1])}
    assert named - frozenset.union(*map(variables_of, told_of)) == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_names_scripts_and_recipes_that_there_are(script: Path) -> None:
    named = re.findall(r"\brecipes/[\w/]+\.(?:sh|sbatch|yaml|jinja)\b", script.read_text())
    named += [
        f"recipes/{name}.yaml" for name in re.findall(r"(?<![.\w])train_\w+[a-z0-9]\b(?![/.*])", script.read_text())
    ]
    assert [
        name for name in named if not (ROOT / name).exists() and not (script.parent / Path(name).name).exists()
    ] == []


@pytest.mark.parametrize(
    "line", ['out=$(realpath -m "$1")', "x=$(cat a | sha256sum | cut -c1-12)", "sed -i s/a/b/ f", "d=$(readlink -f x)"]
)
def test_such_a_command_would_be_found(line: str) -> None:
    assert GNU_ONLY.search(line)


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
