"""Scripts as text: the variables they read and the folders they leave."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tests.contract.documents import ROOT


@cache
def variables_of(script: str) -> frozenset[str]:
    """The variables that a script, or one that it starts, reads."""
    text, seen = code_of(script), {script}
    while called := {name for name in re.findall(r"recipes/[\w/]+\.sh", text) if name not in seen}:
        seen |= called
        text += "".join(code_of(name) for name in called)
    return frozenset(re.findall(r"\$\{?([A-Z][A-Z_]+)\b", text))


@cache
def left_by(script: str) -> tuple[str, ...]:
    """The folders under ``runs/`` that a script's code names."""
    found = re.findall(r"\bruns/[\w$/]+", code_of(script))
    return tuple({name.replace("$recipe", Path(script).stem) for name in found})


def code_of(script: str) -> str:
    """A script without its comments."""
    lines = (ROOT / script).read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#")) + "\n"
