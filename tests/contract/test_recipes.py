"""Scripts are short, strict, and refuse with a sentence when something is missing."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ergo_plugins.cli import build_parser

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*ROOT.glob("recipes/**/*.sh"), *ROOT.glob("tests/*.sh")])


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


DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
COMMANDS = [
    (document.name, command)
    for document in DOCUMENTS
    for block in re.findall(r"```bash\n(.*?)```", document.read_text(), re.DOTALL)
    for command in block.replace("\\\n", " ").splitlines()
    if command and not command.startswith("#")
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_documents_name_exist(document: Path) -> None:
    named = re.findall(r"(?:recipes|tests|constraints|docs)/[\w./-]+\w", document.read_text())
    assert named or document.name != "README.md"
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_commands_are_found_in_the_documents() -> None:
    assert len(COMMANDS) > 20


@pytest.mark.parametrize(("document", "command"), COMMANDS, ids=lambda text: text[:50])
def test_a_documented_command_is_one(document: str, command: str) -> None:
    """Shell that parses; scripts that are there, and options of ours that our own parser takes."""
    if not re.match(r"srun|export|head=", command):  # lines of one batch script belong together
        subprocess.run(["bash", "-n", "-c", command.removesuffix("&")], check=True)
    words = shlex.split(command, comments=True)
    assert all((ROOT / word).is_file() for word in words if re.fullmatch(r"recipes/\S+\.sh", word))
    if words[:1] == ["ergo"]:
        build_parser().parse_args(words[1:])
