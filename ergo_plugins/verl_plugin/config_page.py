"""The reference of all settings, ``docs/config.md``, from the dataclasses that read them.

``python -m ergo_plugins.verl_plugin.config_page > docs/config.md``
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..methods import DEFAULT, METHODS, method_named
from ..methods.prompts import PromptTexts
from ..outside.judge import JudgeConfig
from .settings import ImagesConfig, TrainerConfig

HEAD = f"""# Configuration

Made by `python -m ergo_plugins.verl_plugin.config_page` from the dataclasses that read these settings; a test compares.
They stand in the `ergo:` block of a recipe, or behind a command as `ergo.reward.alpha=0.5`. A key that is not listed is
refused. `ergo.method` says whose `ergo.episode` and `ergo.reward` are meant; without it they are those of `{DEFAULT}`.
The keys of an episode are also arguments of evaluation (`--model_args coarse_tokens=640`).
"""

_NAMED = re.compile(r"(\w+(?:, \w+)*): (.*)")
LONGEST_DEFAULT = 44


@dataclass(frozen=True, slots=True)
class Row:
    """A setting.

    Attributes:
        name: with the names of the groups it stands in, ``crop.min_side_px``.
        kind: its type in words, or the words it may be.
        default: as yaml has it; empty where the text is long.
        sentence: what its dataclass says of it.
    """

    name: str
    kind: str
    default: str
    sentence: str


def page() -> str:
    """The whole page, as markdown."""
    parts = [HEAD]
    for name in (DEFAULT, *sorted(set(METHODS) - {DEFAULT})):
        method = method_named(name)
        parts += [f"## Method `{name}`\n", _table("episode", method.config), _table("reward", method.reward)]
    parts.append("## Whatever the method\n")
    parts += [_table(name, kind) for name, kind in _SHARED.items()]
    return "\n".join(parts)


_SHARED = {"judge": JudgeConfig, "images": ImagesConfig, "trainer": TrainerConfig}


def rows(kind: Any, group: str = "") -> Iterator[Row]:
    """The settings of a dataclass, and of those inside it."""
    said, hints = sentences(kind), get_type_hints(kind)
    for field in fields(kind):
        hint, name = hints[field.name], group + field.name
        if is_dataclass(hint):
            is_text = isinstance(hint, type) and issubclass(hint, PromptTexts)
            more = " A path of a file, or its keys:" if is_text else ""
            yield Row(name, "text or keys" if is_text else "keys", "", said[field.name] + more)
            yield from rows(hint, f"{name}.")
        else:
            other = field.metadata.get("argument")
            yield Row(
                name, _kind(hint), _default(field), said[field.name] + (f" In evaluation `{other}`." if other else "")
            )


def sentences(kind: Any) -> dict[str, str]:
    """What the ``Attributes`` of a dataclass's docstring say, by name; of names that share a text, each has it.

    Raises:
        ValueError: a field has no text.
    """
    texts: dict[str, str] = {}
    names: list[str] = []
    _, _, section = (kind.__doc__ or "").partition("Attributes:\n")
    depth = len(section) - len(section.lstrip(" "))
    for line in section.splitlines():
        named = _NAMED.fullmatch(line.strip())
        if named and len(line) - len(line.lstrip(" ")) == depth:
            names = named[1].split(", ")
            texts.update(dict.fromkeys(names, named[2]))
        elif line.strip():
            texts.update({name: f"{texts[name]} {line.strip()}" for name in names})
    silent = [field.name for field in fields(kind) if field.name not in texts]
    if silent:
        raise ValueError(f"the docstring of {kind.__name__} has no attribute {', '.join(silent)}")
    return texts


def _table(group: str, kind: Any) -> str:
    lines = [f"### `ergo.{group}`: `{kind.__name__}`\n", "| key | type | default | meaning |", "|---|---|---|---|"]
    for row in rows(kind):
        default = f"`{row.default}`" if row.default else ""
        lines.append(f"| `{row.name}` | {_cell(row.kind)} | {_cell(default)} | {_cell(row.sentence)} |")
    return "\n".join([*lines, ""])


def _kind(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(hint))
    if get_origin(hint) is tuple:
        return "list"
    return {int: "whole number", float: "number", str: "text", bool: "true, false"}.get(hint, str(hint))


def _default(field: Field[Any]) -> str:
    if field.default is MISSING:
        return "" if field.default_factory is MISSING else repr(field.default_factory())
    value = field.default
    if isinstance(value, tuple):
        return str(list(value))
    if isinstance(value, str):
        return "" if len(value) > LONGEST_DEFAULT or "\n" in value else value or '""'
    return str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
