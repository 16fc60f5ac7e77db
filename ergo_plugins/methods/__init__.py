"""Papers by name: those that ship with the package, and others' through the entry points ``ergo_plugins.methods``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from .base import Method, Story, Tool

METHODS = {
    "ergo": "ergo_plugins.methods.ergo:ERGO",
    "egm": "ergo_plugins.methods.egm:EGM",
    "single_pass": "ergo_plugins.methods.single_pass:SINGLE_PASS",
    "tool_zoom": "ergo_plugins.methods.tool_zoom:TOOL_ZOOM",
    "visionthink": "ergo_plugins.methods.visionthink:VISIONTHINK",
}
"""Name and address of each method that ships with the package."""

GROUP = "ergo_plugins.methods"
"""Entry points under which other packages register theirs: ``name = module:object``."""

DEFAULT = "ergo"

OLD_NAME_OF_EPISODE = "zoom"
"""What the key ``episode`` of settings was called while there was one method."""


def known_methods() -> list[str]:
    """The names of all methods that are installed."""
    return sorted({*METHODS, *_registered()})


def _registered() -> dict[str, str]:
    """Name and address of each method of other packages."""
    return {point.name: point.value for point in entry_points(group=GROUP)}


@cache
def method_named(name: str) -> Method:
    """A method by its name.

    Raises:
        ValueError: there is none; or what is registered under the name is no method, or has another name.
    """
    address = METHODS.get(name, _registered().get(name))
    if address is None:
        raise ValueError(f"there is no method {name!r}; known are {', '.join(known_methods())}")
    module, _, attribute = address.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, Method) or found.name != name:
        raise ValueError(
            f"{address} is registered as the method {name!r} and is {found!r:.80}; it has to be an object of a "
            "subclass of ergo_plugins.methods.base.Method with that name"
        )
    return found


@cache
def tool_method() -> tuple[Method, Tool]:
    """The method that verl's own tool loop can play, and the tool that it is there."""
    method = method_named(DEFAULT)
    assert method.tool is not None, "the default method has a tool"
    return method, method.tool


def story_of_all(names: Iterable[str]) -> Story:
    """The words of several methods together; where two have words for the same thing, those of the first."""
    stories = [story_of(name) for name in dict.fromkeys(names)]

    def together(kind: str) -> dict[str, str]:
        return {key: said for story in reversed(stories) for key, said in getattr(story, kind).items()}

    return Story(
        turns=together("turns"),
        shown=together("shown"),
        parts=together("parts"),
        problems=together("problems"),
        figures=together("figures"),
        values=together("values"),
        lead="".join(story.lead for story in stories),
    )


def story_of(name: str) -> Story:
    """A method's words for reports; an empty story for one that is not installed here."""
    is_known = name in METHODS or name in known_methods()  # which looks through all that is installed
    return method_named(name).story if is_known else Story()
