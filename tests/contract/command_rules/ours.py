"""``ergo X`` and ``python -m`` of this repository, each given to its own parser and stopped there."""

from __future__ import annotations

import argparse
import contextlib
import re
import runpy
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ergo_plugins.cli import build_parser
from ergo_plugins.commands import sft
from ergo_plugins.data import known_sources
from tests.contract.command_rules.files import Files, Wrong, argv, files_in, refusals
from tests.contract.command_rules.hosts import composes
from tests.contract.documents import PLACEHOLDER, ROOT, Command


def ergo(command: Command, words: Sequence[str]) -> Files:
    """``ergo X``; a recipe that it names composes, a source is known."""
    given = _parsed(words, short=command.inline)
    if given is None:
        return Files()
    if given.command == "data" and given.source not in (known := (*known_sources(), *sft.SOURCES)):
        raise Wrong(f"ergo data has no source {given.source}; known are {', '.join(known)}")
    if given.command in ("plan", "doctor"):
        named = [given.recipe, *given.settings] if given.command == "plan" else given.recipe
        if named and not PLACEHOLDER.fullmatch(named[0]):
            composes(named[0], ROOT / "recipes", named[1:])
        return Files()
    return files_in(given, words)


def _parsed(words: Sequence[str], *, short: bool) -> argparse.Namespace | None:
    """None if they ask for help or, with ``short``, are not all there; then each option still has to be one."""
    parser = build_parser()
    with refusals(short=short):
        return parser.parse_args(words)
    commands = next(one for one in parser._actions if isinstance(one, argparse._SubParsersAction)).choices
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    if strange := given - set(commands[words[0]]._option_string_actions):
        raise Wrong(f"ergo {words[0]} has no option {', '.join(sorted(strange))}")
    return None


def module(name: str, words: Sequence[str], *, short: bool) -> Files:
    """``python -m NAME``: started, and stopped where its parser is done.

    Raises:
        Wrong: there is no such module, or it refuses the words.
    """
    spec = find_spec(name) if find_spec(name.partition(".")[0]) else None
    if spec is None or spec.origin is None:
        raise Wrong(f"there is no module {name}")
    source = Path(spec.origin).read_text(encoding="utf-8")
    if "argparse" not in source and not re.search(
        r"import .*\b(main|tell)\b", source
    ):  # without a parser it would do its work
        if words:
            raise Wrong(f"{name} takes no words, got {' '.join(words)}")
        return Files()
    with _stopping_where_parsed(), argv([name, *words]), refusals(short=short):
        try:
            runpy.run_module(name, run_name="__main__")
        except _ParsedError as done:
            return files_in(done.given, words)
    return Files()


class _ParsedError(BaseException):
    """Past everything that a program would catch."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given


@contextlib.contextmanager
def _stopping_where_parsed() -> Iterator[None]:
    real = argparse.ArgumentParser.parse_args

    def stop(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> Any:
        raise _ParsedError(real(self, args, namespace))

    argparse.ArgumentParser.parse_args = stop  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        argparse.ArgumentParser.parse_args = real  # type: ignore[method-assign]
