"""Journals of evaluation runs as rows: JSON lines, a header and then one finished sample a line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from ...core import plain as checked
from ...core.collection import paused_collection
from ...core.outcome import CROP
from ...core.record import JOURNAL_FORMAT, READABLE_FORMATS, Entry
from .rows import Row, Run, UnreadableInput


def read_journal(path: str | Path) -> Run:
    """The run that a journal holds.

    A last line without its line feed is what a killed run leaves: it is left out and noted.

    Raises:
        OSError: the file cannot be read.
        UnreadableInput: it is no journal, or a whole line is damaged.
    """
    path = Path(path)
    rows, torn = [], False
    with path.open("rb") as file:  # line by line: a long journal is large
        first = file.readline()
        if not first.endswith(b"\n"):
            raise UnreadableInput(f"{path} has no whole line; a journal begins with a line of settings")
        header = _header(path, first)
        with paused_collection():
            for number, line in enumerate(file, start=2):
                if line.endswith(b"\n"):
                    rows.append(_row(path, number, line))
                else:
                    torn = bool(line.strip())
    notes = []
    if torn:
        notes.append("The last line of the journal is incomplete: the run was stopped while it wrote that sample.")
    tasks = header.get("tasks") or sorted({row.task for row in rows})
    return Run(name=path.name, rows=rows, settings=header.get("settings") or {}, tasks=tasks, notes=notes)


def _header(path: Path, line: bytes) -> dict[str, Any]:
    plain = _object(path, 1, line)
    if plain.get("journal") not in READABLE_FORMATS:
        raise UnreadableInput(
            f'{path} does not begin with {{"journal": "{JOURNAL_FORMAT}", …}}, so it is no journal that this version '
            "reads"
        )
    tasks, settings = plain.get("tasks") or [], plain.get("settings") or {}
    if not isinstance(settings, dict) or not isinstance(tasks, list) or not all(isinstance(t, str) for t in tasks):
        raise UnreadableInput(f"{path}, line 1: settings are names and values, and tasks a list of names")
    return plain


def _row(path: Path, number: int, line: bytes) -> Row:
    plain = _object(path, number, line)
    try:
        entry = Entry.from_json(plain)
        previews = {name: _beside(path, file) for name, file in entry.previews.items()}
        row = Row.of(entry, previews=previews, target_coverage=_coverage(entry))
        return replace(row, correct=row.is_right_place)
    except checked.FAULTS as damage:
        raise UnreadableInput(
            f"{path}, line {number}, is not a sample of a journal ({type(damage).__name__}: {damage})"
        ) from damage


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(line)
    except ValueError as damage:
        raise UnreadableInput(
            f"{path}, line {number}, is not JSON ({damage}); only the last line of a journal may be torn"
        ) from damage
    if not isinstance(plain, dict):
        raise UnreadableInput(f"{path}, line {number}, is not a JSON object")
    return plain


def _coverage(entry: Entry) -> float | None:
    """Share of a known target inside the crop; None for a sample that was never asked to look."""
    target, outcome = entry.target_box_source, entry.outcome
    was_asked = CROP in outcome.boxes or not outcome.turns
    if target is None or not was_asked:
        return None
    return target.coverage_by(outcome.box_source) if outcome.box_source else 0.0


def _beside(journal: Path, file: str) -> Path:
    """A preview's file. It lies beside the journal or below, so that a journal from elsewhere shows nothing else."""
    relative = PurePosixPath(file)
    if relative.is_absolute() or ".." in relative.parts:
        raise ValueError(f"the preview {file!r} is not in the journal's folder")
    return journal.parent / relative
