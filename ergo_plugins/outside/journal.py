"""The journal: one line a sample, written as it ends, so that a run killed at any moment goes on where it stopped.

The first line says what the run was. Then come the samples in the order in which they ended. A line is whole or, after
a kill, torn at the end of the file; a torn line is cut off and its sample played again. Nothing is cut off, and nothing
written, before the file has shown that it is this run's journal and that nobody else writes it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from ..core import plain as checked
from ..core.collection import paused_collection
from ..core.record import JOURNAL_FORMAT, Entry
from ..usage import Told


class JournalMismatch(Told):
    """The journal belongs to another model, task or setting."""


class JournalUnusable(Told, ValueError):
    """The file cannot be this run's journal: damaged, something else, another process's, or not to be written."""


class Line(Protocol):
    """What stands in a line: a name that no other line has, and plain values."""

    @property
    def key(self) -> str:
        """The name."""

    def to_json(self) -> dict[str, Any]:
        """The values."""


L = TypeVar("L", bound=Line)


class Lines(Generic[L]):
    """An open file of lines.

    Attributes:
        entries: finished samples by key, those of earlier runs included.
        kind: what the file is, and the key of its format in the first line.
        form: the format.
        option: how a user names the file.
    """

    kind: ClassVar[str]
    form: ClassVar[str]
    option: ClassVar[str]

    def __init__(self, path: str | Path, settings: dict[str, Any], tasks: list[str]) -> None:
        """Open a journal, new or to be continued.

        Args:
            path: the file; its folder is made.
            settings: everything that decides replies, plain enough for JSON.
            tasks: names of the tasks of this run.

        Raises:
            JournalMismatch: the file is another run's; the message names each difference.
            JournalUnusable: the file is no journal, is damaged before its end, holds a sample twice, is written by
                another process, or cannot be written.
        """
        self.path = Path(path)
        self.entries: dict[str, L] = {}
        header = {self.kind: self.form, "settings": settings, "tasks": sorted(tasks)}
        self._file = self._opened()
        try:
            self.is_locked = self._lock()
            self._continue(json.loads(json.dumps(header)))
        except BaseException:
            self._file.close()
            raise

    def read(self, plain: dict[str, Any]) -> L:
        """What a line says.

        Raises:
            One of `core.plain.FAULTS`: it is no such line.
        """
        raise NotImplementedError

    def append(self, entry: L) -> None:
        """Keep a finished sample; it is in the file when this returns.

        Raises:
            JournalUnusable: it could not be written; the file ends with the sample before.
            ValueError: the sample is there already.
        """
        if entry.key in self.entries:
            raise ValueError(f"{self.path} already holds {entry.key}")
        self._write(entry.to_json(), entry.key)
        self.entries[entry.key] = entry

    def close(self) -> None:
        self._file.close()

    def _opened(self) -> Any:
        """The file without a buffer, so that a line is in it or is not."""
        try:
            if self.path.exists() and not self.path.is_file():
                raise OSError("it is no file")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path.open("a+b", buffering=0)
        except OSError as error:
            raise JournalUnusable(
                f"{self.option}{self.path} cannot be opened ({error}); name a file that can be written, in a folder "
                "that exists or can be made"
            ) from error

    def _lock(self) -> bool:
        """Keep other processes away until the file is closed; False on a file system that has no locks."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise JournalUnusable(
                f"{self.path} is being written by another process: let that run end, or give this one another "
                f"{self.option.strip()}"
            ) from held
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                return False
            raise
        return True

    def _write(self, plain: dict[str, Any], what: str) -> None:
        rest = json.dumps(plain, allow_nan=False).encode("ascii") + b"\n"
        length = os.fstat(self._file.fileno()).st_size
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            try:
                self._file.truncate(length)
            except OSError:
                self._file.close()  # nothing may follow a torn line
            raise JournalUnusable(
                f"{what} could not be written to {self.path} ({error}); make room, then start the same command again: "
                "it goes on behind the last sample in it"
            ) from error

    def _continue(self, header: dict[str, Any]) -> None:
        """Read what there is, then mend the end of the file and begin it if it has no header."""
        self._file.seek(0)
        with open(self._file.fileno(), "rb", closefd=False) as file:  # line by line: a long journal is large
            first = file.readline()
            has_header = first.endswith(b"\n")
            if has_header:
                self._check(found=self._header(first[:-1]), wanted=header)
            elif not self._may_be_torn_header(first):
                raise JournalUnusable(
                    f"{self.path} is no {self.kind}: it begins with {first[:60]!r}. Name another file"
                )
            whole = len(first) if has_header else 0
            with paused_collection():
                for number, line in enumerate(file, start=2):
                    if not line.endswith(b"\n"):
                        break
                    self._take(line, number)
                    whole += len(line)
        self._file.truncate(whole)
        if not has_header:
            self._write(header, "the header")

    def _header(self, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except ValueError as damage:
            found = damage
        if not isinstance(found, dict) or self.kind not in found:
            raise JournalUnusable(f"{self.path} is no {self.kind}: its first line is {line[:60]!r}. Name another file")
        return found

    def _take(self, line: bytes, number: int) -> None:
        try:
            entry = self.read(json.loads(line))
        except checked.FAULTS as damage:
            raise JournalUnusable(
                f"{self.path}, line {number}, is not a line of a {self.kind} ({type(damage).__name__}: {damage}); take "
                "the line out, and its sample is played again, or name another file"
            ) from damage
        if entry.key in self.entries:
            raise JournalUnusable(
                f"{self.path}, line {number}: {entry.key} stands there twice; take one of the two out"
            )
        self.entries[entry.key] = entry

    def _may_be_torn_header(self, line: bytes) -> bool:
        """Whether a file's only line, without its end, is what a kill left of a header."""
        start = json.dumps({self.kind: self.form}).encode("ascii")[:-1]
        return line.startswith(start) or start.startswith(line)

    def _check(self, *, found: dict[str, Any], wanted: dict[str, Any]) -> None:
        before, now = _flat(found), _flat(wanted)
        differences = [
            f"{name} was {before.get(name, 'not set')!r} and is {now.get(name, 'not set')!r}"
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        if differences:
            raise JournalMismatch(
                f"{self.path} is the {self.kind} of another run: {'; '.join(differences)}. "
                f"Give another {self.option.strip()} or run with the settings it was begun with"
            )


class Journal(Lines[Entry]):
    """The samples of an evaluation."""

    kind, form, option = "journal", JOURNAL_FORMAT, "journal="

    def read(self, plain: dict[str, Any]) -> Entry:
        """See the class above."""
        return Entry.from_json(plain)


def _flat(plain: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined by dots."""
    if not isinstance(plain, dict):
        return {prefix: plain}
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        flat.update(_flat(value, f"{prefix}.{key}" if prefix else str(key)))
    return flat
