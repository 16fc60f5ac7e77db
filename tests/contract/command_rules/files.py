"""What every rule speaks of: a command's files, and what is wrong with it."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITTEN = {"output", "out", "save", "keep", "verdicts", "output_path", "journal"}
"""Options, of whatever program, that name what it writes; all other paths are read."""


class Wrong(AssertionError):
    """A documented command that its program would refuse."""


@dataclass(frozen=True)
class Files:
    """What a command needs and leaves; a folder stands for all in it."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    def __add__(self, other: Files) -> Files:
        return Files(self.reads + other.reads, self.writes + other.writes)


def files_in(given: Namespace, words: Sequence[str]) -> Files:
    """The paths among what was parsed: written by their options' names, else read if they stand among the words."""
    reads, writes = [], []
    for name, value in vars(given).items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            # --json is a switch of some commands and a file of another
            if name in WRITTEN or (name == "json" and isinstance(one, Path)):
                writes.append(str(one))
            elif is_path(one) and any(str(one) in word for word in words):
                reads.append(str(one).rpartition("=")[2])
    return Files(tuple(reads), tuple(writes))


def is_path(value: Any) -> bool:
    """Whether a value may name a file: a path, or a text with a slash that is no address and no sentence."""
    if isinstance(value, Path):
        return True
    return isinstance(value, str) and "/" in value and "://" not in value and not any(map(str.isspace, value))


@contextlib.contextmanager
def argv(words: Sequence[str]) -> Iterator[None]:
    """The words of this process, for parsers that take no others."""
    before, sys.argv = sys.argv, list(words)
    try:
        yield
    finally:
        sys.argv = before


@contextlib.contextmanager
def refusals(*, short: bool = False) -> Iterator[None]:
    """What a parser says when it ends the process, as `Wrong`.

    Args:
        short: the command may be cut short, so that what is missing is no fault.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            yield
    except SystemExit as ended:
        is_cut = short and re.search(r"arguments are required|expected (one|at least one) argument", said.getvalue())
        if ended.code not in (0, None) and not is_cut:
            raise Wrong(said.getvalue().strip()[-1000:] or f"it ended with {ended.code}") from ended
