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
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no yaml: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no mapping with the keys {', '.join(known)}")  # noqa: TRY004
    unknown = [str(key) for key in content if key not in known]
    if unknown:
        raise ValueError(f"{path} has unknown keys {', '.join(unknown)}; known are {', '.join(known)}")
    not_text = [key for key, value in content.items() if not isinstance(value, str)]
    if not_text:
        raise ValueError(f"{path}: {', '.join(not_text)} must be text")
    return Prompts(**content)


def _from_constants(path: Path) -> Prompts:
    try:
        module = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except SyntaxError as error:
        raise ValueError(f"{path} is no Python: {error}") from error
    constants: dict[str, str | None] = {}
    for node in module.body:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            constants.update((target.id, _text(node)) for target in targets if isinstance(target, ast.Name))
    prompts = {key: constants.get(name) for key, name in REFERENCE_NAMES.items()}
    missing = [REFERENCE_NAMES[key] for key, text in prompts.items() if text is None]
    if missing:
        raise ValueError(f"{path} has no text constant {', '.join(missing)}")
    return Prompts(
        **{key: text.replace("{Question}", "{question}") for key, text in prompts.items() if text is not None}
    )


def _text(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> str | None:
    """The text that an assignment gives as it stands; None for what Python would have to compute."""
    if isinstance(node, ast.AugAssign) or not isinstance(node.value, ast.Constant):
        return None
    return node.value.value if isinstance(node.value.value, str) else None
