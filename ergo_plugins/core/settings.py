"""Frozen dataclasses from plain mappings, as yaml and JSON hold them: unknown keys and wrong kinds are named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

ReadFile = Callable[[Any, Any], Any]
"""Given a dataclass and what stands for it: an object of it, read from the file of that name, or None to build it."""


def build(kind: Any, given: Any, where: str, read_file: ReadFile = lambda _kind, _given: None) -> Any:
    """A dataclass, and those inside it, from plain mappings.

    Args:
        kind: the dataclass.
        given: names and values of its fields.
        where: what errors call the place.
        read_file: see `ReadFile`.

    Raises:
        ValueError: an unknown or missing key, or a value its dataclass refuses; the message names the place.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"{where} holds keys {', '.join(names_of(kind))}, got {given!r}")  # noqa: TRY004
    unknown = sorted(map(str, set(given) - set(names_of(kind))))
    if unknown:
        raise ValueError(f"{where} has no key {', '.join(unknown)}; its keys are {', '.join(names_of(kind))}")
    missing = [f.name for f in fields(kind) if f.default is f.default_factory is MISSING and f.name not in given]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    hints = get_type_hints(kind)
    values = {name: _value(hints[name], value, f"{where}.{name}", read_file) for name, value in given.items()}
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from error


def names_of(kind: Any) -> list[str]:
    """The names of a dataclass's fields."""
    return [f.name for f in fields(kind)]


def _value(hint: Any, value: Any, where: str, read_file: ReadFile) -> Any:
    if is_dataclass(hint):
        found = read_file(hint, value)
        return build(hint, value, where, read_file) if found is None else found
    if get_origin(hint) is Literal and set(get_args(hint)) == {"on", "off"} and isinstance(value, bool):
        return ("off", "on")[value]  # as yaml reads these words
    if isinstance(value, list):
        return tuple(value)
    wanted = {int: (int,), float: (int, float), str: (str,)}.get(hint)
    if wanted and (not isinstance(value, wanted) or isinstance(value, bool)):
        raise ValueError(f"{where} is of type {hint.__name__}, got {value!r}")
    return value
