"""pip, uv and conda: real options, extras that there are, pins that agree, a Python that is supported."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.contract.command_rules.files import Files, Wrong, refusals
from tests.contract.documents import ROOT, Command


def pip(_command: Command, words: Sequence[str]) -> Files:
    """``pip install``: pip's own parser, our extras, and pins that are those of constraints/cpu.txt."""
    from pip._internal.commands import create_command

    if words[:1] != ["install"]:
        raise Wrong(f"pip is for installing here, got {' '.join(words)}")
    with refusals():
        options, requirements = create_command("install").parse_args(list(words[1:]))
    for editable in options.editables:
        named = re.fullmatch(r"\.(?:\[([\w,-]+)\])?", editable)
        if named is None:
            raise Wrong(f"what is installed from a folder is this one, got {editable}")
        if strange := set(filter(None, (named[1] or "").split(","))) - extras():
            raise Wrong(f"setup.py has no extra {', '.join(sorted(strange))}")
    pins = (ROOT / "constraints/cpu.txt").read_text()
    for given in map(Requirement, requirements):
        pinned = re.search(rf"^{re.escape(given.name)}==([^;\s]+)", pins, re.MULTILINE)
        if pinned and not given.specifier.contains(pinned[1]):
            raise Wrong(f"{given} is {pinned[1]} in constraints/cpu.txt")
    # pip's configuration may name constraints as well
    return Files(reads=tuple(one for one in options.constraints if one in words))


def uv(command: Command, words: Sequence[str]) -> Files:
    """``uv pip install`` as pip's; ``uv venv`` with a Python that is supported."""
    if words[:1] == ["pip"]:
        return pip(command, words[1:])
    if words[:1] == ["venv"]:
        return _supported(words)
    raise Wrong(f"uv is for venv and pip here, got {' '.join(words)}")


def conda(_command: Command, words: Sequence[str]) -> Files:
    """``conda create`` and ``conda activate``, with a Python that is supported."""
    if words[:1] not in (["create"], ["activate"]):
        raise Wrong(f"conda is for create and activate here, got {' '.join(words)}")
    return _supported(words)


def _supported(words: Sequence[str]) -> Files:
    wanted = re.search(r'python_requires="([^"]+)"', (ROOT / "setup.py").read_text())
    assert wanted is not None
    for version in re.findall(r"\b3\.\d+\b", " ".join(words)):
        if version not in SpecifierSet(wanted[1]):
            raise Wrong(f"Python {version} is not {wanted[1]}")
    return Files()


def extras() -> set[str]:
    """The extras that setup.py declares."""
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())):
        if isinstance(node, ast.keyword) and node.arg == "extras_require":
            return set(ast.literal_eval(node.value))
    raise Wrong("setup.py declares no extras")
