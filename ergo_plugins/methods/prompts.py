"""Prompts from a file: a yaml of ours, or the constants of a Python file, read without running it."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import yaml

from .ergo import Prompts

REFERENCE_NAMES = {"system": "SYSTEM_PROMPT", "look": "QUESTION_TEMPLATE1", "answer": "QUESTION_TEMPLATE2"}
"""The constants in which ERGO's released code keeps the prompts that its checkpoint was trained on."""


def read_prompts(path: str | Path) -> Prompts:
    """The prompts in a file.

    A ``.yaml`` file has some of the keys of `Prompts`, with ``{question}`` where the question goes. A ``.py`` file has
    the reference's three constants, with ``{Question}``; it is parsed and never executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is of another kind, or lacks or misspells something; the message names it.
    """
    path = Path(path)
    if path.suffix == ".py":
        return _from_constants(path)
    if path.suffix in (".yaml", ".yml"):
        return _from_yaml(path)
    raise ValueError(f"prompts are read from a .yaml or .py file, got {path}")


def _from_yaml(path: Path) -> Prompts:
    known = [field.name for field in fields(Prompts)]
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no mapping with the keys {', '.join(known)}")  # noqa: TRY004
    unknown = sorted(set(content) - set(known))
    if unknown:
        raise ValueError(f"{path} has unknown keys {', '.join(map(str, unknown))}; known are {', '.join(known)}")
    not_text = [key for key, value in content.items() if not isinstance(value, str)]
    if not_text:
        raise ValueError(f"{path}: {', '.join(not_text)} must be text")
    return Prompts(**content)


def _from_constants(path: Path) -> Prompts:
    constants: dict[str, str] = {}
    for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Constant):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                constants[target.id] = node.value.value
    missing = [name for name in REFERENCE_NAMES.values() if name not in constants]
    if missing:
        raise ValueError(f"{path} has no text constant {', '.join(missing)}")
    return Prompts(
        **{key: constants[name].replace("{Question}", "{question}") for key, name in REFERENCE_NAMES.items()}
    )
