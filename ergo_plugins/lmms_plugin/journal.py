"""The journal: one line a sample, written as it ends, so that a run killed at any moment goes on where it stopped.

The first line says what the run was. Then come the samples in the order in which they ended. A line is whole or, after
a kill, torn at the end of the file; a torn line is cut off and its sample played again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ..core.turns import Outcome

FORMAT = "ergo-plugins/1"


class JournalMismatch(Exception):
    """The journal belongs to another model, task or setting."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished sample.

    Attributes:
        task, split, doc_id, repeat: which sample of the host.
        question: the text as the benchmark wrote it.
        returned: what the host was given to score.
        outcome: how it came about.
        previews: turn name to a picture file, relative to the journal.
    """

    task: str
    split: str
    doc_id: int
    repeat: int
    question: str
    returned: str
    outcome: Outcome
    previews: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return sample_key(self.task, self.split, self.doc_id, self.repeat)

    def to_json(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "split": self.split,
            "doc_id": self.doc_id,
            "repeat": self.repeat,
            "question": self.question,
            "returned": self.returned,
            "previews": self.previews,
            "outcome": self.outcome.to_json(),
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Entry:
        return cls(**{**plain, "outcome": Outcome.from_json(plain["outcome"])})


def sample_key(task: str, split: str, doc_id: int, repeat: int) -> str:
    """The name of a sample in errors and file names: ``task/split/doc_id``, ``#n`` for the n-th repeat."""
    return f"{task}/{split}/{doc_id}" + (f"#{repeat}" if repeat else "")


class Journal:
    """An open journal.

    Attributes:
        entries: finished samples by key, those of earlier runs included.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any], tasks: list[str]) -> None:
        """Open a journal, new or to be continued.

        Args:
            path: the file; its folder is made.
            settings: everything that decides replies, plain enough for JSON.
            tasks: names of the tasks of this run.

        Raises:
            JournalMismatch: the file is another run's; the message names each difference.
            ValueError: a line that is not the last is damaged.
        """
        self.path = Path(path)
        self.entries: dict[str, Entry] = {}
        header = {"journal": FORMAT, "settings": settings, "tasks": sorted(tasks)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._read(json.loads(json.dumps(header)))
        self._file: IO[str] = self.path.open("a", encoding="utf-8")
        if self._file.tell() == 0:
            self._write(header)

    def append(self, entry: Entry) -> None:
        """Keep a finished sample; it is in the file when this returns."""
        if entry.key in self.entries:
            raise ValueError(f"{self.path} already holds {entry.key}")
        self._write(entry.to_json())
        self.entries[entry.key] = entry

    def close(self) -> None:
        self._file.close()

    def _write(self, plain: dict[str, Any]) -> None:
        self._file.write(json.dumps(plain) + "\n")
        self._file.flush()

    def _read(self, header: dict[str, Any]) -> None:
        content = self.path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(len(content) - len(torn))
        lines = whole.split(b"\n") if whole else []
        for number, line in enumerate(lines, start=1):
            try:
                plain = json.loads(line)
                if number == 1:
                    _check(self.path, found=plain, wanted=header)
                    continue
                entry = Entry.from_json(plain)
            except (ValueError, KeyError, TypeError) as damage:
                raise ValueError(
                    f"{self.path}, line {number}, is not a line of a journal ({damage}); mend or remove the file"
                ) from damage
            self.entries[entry.key] = entry


def _check(path: Path, *, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    before, now = _flat(found), _flat(wanted)
    differences = [
        f"{name} was {before.get(name, 'not set')!r} and is {now.get(name, 'not set')!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if differences:
        raise JournalMismatch(
            f"{path} is the journal of another run: {'; '.join(differences)}. "
            "Give another journal= or run with the settings it was begun with"
        )


def _flat(plain: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, keys joined by dots."""
    if not isinstance(plain, dict):
        return {prefix: plain}
    flat: dict[str, Any] = {}
    for key, value in plain.items():
        flat.update(_flat(value, f"{prefix}.{key}" if prefix else str(key)))
    return flat
