"""Training sets: from what others publish to rows that verl reads, every row checked.

Sources by name are those that ship with the package, and others' through the entry points ``ergo_plugins.sources``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from inspect import signature
from typing import Any, TypeGuard

from .grounding import GROUNDING
from .looking import LOOKING
from .sources import SOURCES, Reader

BUILT_IN = {**SOURCES, **GROUNDING, **LOOKING}
"""Readers that ship with the package."""

GROUP = "ergo_plugins.sources"
"""Entry points under which other packages register theirs: ``name = module:function``."""


def known_sources() -> list[str]:
    """The names of all sources that are installed."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def reader_named(name: str) -> Reader:
    """The function that reads a source's entries, by the source's name.

    Raises:
        ValueError: there is none; or what is registered under the name is no such function.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]
    address = {point.name: point.value for point in entry_points(group=GROUP)}.get(name)
    if address is None:
        raise ValueError(f"there is no source {name!r}; known are {', '.join(known_sources())}")
    module, _, attribute = address.partition(":")
    found = getattr(import_module(module), attribute, None)
    if not _takes_an_entry(found):
        raise ValueError(
            f"{address} is registered as the source {name!r} and is {found!r:.80}; it has to be a function "
            "(source, name, record) like those in ergo_plugins.data.sources"
        )
    return found


def _takes_an_entry(found: Any) -> TypeGuard[Reader]:
    """Whether it can be called as a `Reader` is."""
    try:
        signature(found).bind("source", "name", "record")
    except (TypeError, ValueError):  # no function, one of other arguments, or one that does not tell them
        return False
    return True
