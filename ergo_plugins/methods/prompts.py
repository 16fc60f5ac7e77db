"""The words of a method: filled in, or read from a file, a yaml of ours or an author's Python that is never run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml

from ..core.control_tokens import spelled_out
from ..core.geometry import Coordinates
from ..core.settings import build

COORDINATES: dict[Coordinates, str] = {
    "absolute": "pixels of this image",
    "relative": "thousandths of its width and height (0 to 1000)",
}
"""What a prompt calls the frame of a model's boxes."""


@dataclass(frozen=True, slots=True)
class PromptTexts:
    """Base of a method's prompts; every field is a text. ``{question}`` and ``{coordinates}`` are filled in.

    Attributes:
        asks: the fields that must hold ``{question}``.
        constants: field names and the constants in which the authors' released code keeps them, if one file has all; of
            a class ``Class.name``, of a dictionary ``name[key]``.
        checkout: field names, and file and constant in the authors' repository, if they stand in several.
        around: what stands around such a text, as ``{text}``, where the authors' code puts it together.
    """

    asks: ClassVar[tuple[str, ...]] = ()
    constants: ClassVar[Mapping[str, str]] = {}
    checkout: ClassVar[Mapping[str, tuple[str, str]]] = {}
    around: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        for name in self.asks:
            if "{question}" not in getattr(self, name):
                raise ValueError(f"the prompt {name!r} has no {{question}} in it")


P = TypeVar("P", bound=PromptTexts)


def fill(template: str, question: str, coordinates: Coordinates) -> str:
    """A prompt with its question, control tokens in it spelled out, and the frame in which boxes are written."""
    return template.replace("{coordinates}", COORDINATES[coordinates]).replace("{question}", spelled_out(question))


def question_repairs(question: str) -> tuple[str, ...]:
    """What `fill` changes in a question, as repairs of an outcome."""
    if spelled_out(question) == question:
        return ()
    return ("question: a space was put into each <|name|>, which the model would have taken for a command",)


def read_prompts(path: str | Path, kind: type[P]) -> P:
    """The prompts in a file.

    A ``.yaml`` file has some of the keys of ``kind``, with ``{question}`` where the question goes. A ``.py`` file, or a
    folder that is a checkout of the authors' repository, has their constants, with ``{Question}``; they are parsed and
    never executed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is of another kind, or lacks or misspells something; the message names it.
    """
    path = Path(path)
    if path.is_dir() and kind.checkout:
        return _from_checkout(path, kind)
    if path.suffix == ".py" and kind.constants:
        return _from_constants(path, kind)
    if path.suffix in (".yaml", ".yml"):
        return _from_yaml(path, kind)
    raise ValueError(f"prompts are read from a .yaml{' or .py' if kind.constants else ''} file, got {path}")


def configured(kind: Any, given: Any, where: str, found: Callable[[str], Path] = Path) -> Any:
    """A method's configuration from a plain mapping; its prompts may be the path of a file.

    Args:
        found: where the prompts of a name or path lie (`outside.published_prompts.prompts_path`).

    Raises:
        ValueError: an unknown or missing key, or a value its dataclass refuses; the message names the place.
        FileNotFoundError: there is no such file of prompts.
    """

    def in_a_file(kind: Any, given: Any) -> Any:
        is_named = isinstance(kind, type) and issubclass(kind, PromptTexts) and isinstance(given, str)
        return read_prompts(found(given), kind) if is_named else None

    return build(kind, given, where, in_a_file)


def _from_yaml(path: Path, kind: type[P]) -> P:
    known = [field.name for field in fields(kind)]
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
    return kind(**content)


def _from_constants(path: Path, kind: type[P]) -> P:
    constants = _constants(path)
    prompts = {key: constants.get(name) for key, name in kind.constants.items()}
    missing = [kind.constants[key] for key, text in prompts.items() if text is None]
    if missing:
        raise ValueError(f"{path} has no text constant {', '.join(missing)}")
    return kind(
        **{
            key: _wrapped(kind, key, text).replace("{Question}", "{question}")
            for key, text in prompts.items()
            if text is not None
        }
    )


def _wrapped(kind: type[PromptTexts], field: str, text: str) -> str:
    """A text with what the authors' code puts around it."""
    return kind.around[field].replace("{text}", text) if field in kind.around else text


def _from_checkout(folder: Path, kind: type[P]) -> P:
    prompts = {}
    for field, (file, name) in kind.checkout.items():
        text = _constants(folder / file).get(name)
        if text is None:
            raise ValueError(f"{folder / file} has no text constant {name}")
        prompts[field] = _wrapped(kind, field, text).replace("{Question}", "{image}\n{question}").replace("{{}}", "{}")
    return kind(**prompts)


def _constants(path: Path) -> dict[str, str | None]:
    """The texts of a Python file by name (`PromptTexts.constants`). None for what is no plain text."""
    try:
        module = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except SyntaxError as error:
        raise ValueError(f"{path} is no Python: {error}") from error
    constants = _assigned(module.body)
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            constants |= {f"{node.name}.{name}": text for name, text in _assigned(node.body).items()}
    return constants


def _assigned(body: list[ast.stmt]) -> dict[str, str | None]:
    """The texts that statements give names to."""
    constants: dict[str, str | None] = {}
    for node in body:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in (target.id for target in targets if isinstance(target, ast.Name)):
                constants[name] = _text(node)
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
                    for key, value in zip(node.value.keys, node.value.values, strict=True):
                        if isinstance(key, ast.Constant) and isinstance(key.value, str):
                            constants[f"{name}[{key.value}]"] = _said(value)
    return constants


def _text(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> str | None:
    """The text that an assignment gives as it stands; None for what Python would have to compute."""
    return None if isinstance(node, ast.AugAssign) else _said(node.value)


def _said(node: ast.expr | None) -> str | None:
    """A text that stands there as it is; None for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
