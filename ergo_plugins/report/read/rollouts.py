"""Rollouts that verl dumped, as rows: ``<step>.jsonl`` in ``trainer.rollout_data_dir`` or ``validation_data_dir``.

A line is one trajectory: ``input``, ``output``, ``gts``, ``score``, ``step``, ``uid`` (``prompt_session_index``) and
the parts of the reward by name, among them the trajectory itself as JSON text. In training, the parts are there under
``trainer.v1.trainer_mode=ergo_sync`` alone.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core import plain as checked
from ...core.record import ROLLOUT_RECORD, Entry, image_name
from .rows import Cut, Row, Run, UnreadableInput

PADDING = "pad"
"""With what the ``uid`` of a line begins that verl added to fill a batch: a copy of another one's record."""

_NOT_SHOWN = {
    "gone": "are not where they were",
    "in no file": "came as bytes or pixels and not as files",
    "outside": "lie outside the folder given with --images",
}
"""Why a rollout has no pictures, and how that is told."""

_VERDICTS: dict[float | None, bool] = {1.0: True, 0.0: False}

_STEP_FILE = re.compile(r"(\d+)\.jsonl")
_NO_PARTS = frozenset(("input", "output", "gts", "score", "reward", "step", "uid", "acc", "coverage", ROLLOUT_RECORD))
"""What is shown elsewhere in a row; verl repeats the score as ``reward`` and the accuracy as ``acc``."""


def is_rollouts(path: Path) -> bool:
    """Whether it is a folder, or a file that begins with a line of a dump.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_dir():
        return True
    with path.open("rb") as file:
        try:
            first = json.loads(file.readline())
        except ValueError:
            return False
    return isinstance(first, dict) and {"input", "output", "gts", "score", "step"} <= set(first)


def read_rollouts(path: Path, step: int | None = None, images: Path | None = None) -> Run:
    """The trajectories of one step.

    Args:
        path: a dump, or the folder of all.
        step: which one of a folder; the newest if None.
        images: folder in which, or below which, originals have to lie to be shown; None for anywhere.

    Raises:
        OSError: the file cannot be read.
        UnreadableInput: there is no such dump, it holds no record, or a line is damaged.
    """
    file = _file_of(path, step)
    *lines, torn = file.read_bytes().split(b"\n")
    rows = []
    without = 0
    not_shown: Counter[str] = Counter()
    for number, line in enumerate(lines, start=1):
        plain = _object(file, number, line)
        if str(plain.get("uid", "")).startswith(PADDING):
            continue
        if plain.get(ROLLOUT_RECORD) is None:
            without += 1
            continue
        rows.append(_row(file, number, plain, images, not_shown))
    if not rows:
        raise UnreadableInput(
            f"{file} holds no {ROLLOUT_RECORD}: verl dumps it with reward.reward_manager.name=ergo, and of training "
            "steps with trainer.v1.trainer_mode=ergo_sync"
        )
    notes = list(_notes(len(rows), without, not_shown, torn=bool(torn.strip())))
    tasks = sorted({row.task for row in rows})
    name = f"{file.parent.name}/{file.name}"
    return Run(name=name, rows=rows, settings={"dump": str(file)}, tasks=tasks, notes=notes)


def _file_of(path: Path, step: int | None) -> Path:
    if not path.is_dir():
        if step is not None and path.name != f"{step}.jsonl":
            raise UnreadableInput(f"--step chooses from a folder of dumps, and {path} is one file")
        return path
    steps = {int(named[1]): file for file in path.iterdir() if (named := _STEP_FILE.fullmatch(file.name))}
    if not steps:
        raise UnreadableInput(
            f"{path} holds no <step>.jsonl; verl dumps rollouts there with trainer.rollout_data_dir={path}"
        )
    if step is not None and step not in steps:
        raise UnreadableInput(f"{path} holds no step {step}, only {', '.join(map(str, sorted(steps)))}")
    return steps[max(steps) if step is None else step]


def _object(file: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(line)
    except ValueError as damage:
        raise UnreadableInput(f"{file}, line {number}, is not JSON ({damage})") from damage
    if not isinstance(plain, dict):
        raise UnreadableInput(f"{file}, line {number}, is not a JSON object")
    return plain


def _row(file: Path, number: int, plain: Mapping[str, Any], images: Path | None, not_shown: Counter[str]) -> Row:
    try:
        entry = Entry.from_json(json.loads(plain[ROLLOUT_RECORD]))
        score = checked.number(plain["score"])
        if score is None and not isinstance(plain["score"], float):
            raise TypeError(f"the score is a number, got {plain['score']!r:.80}")
        session = re.search(r"_(\d+)_\d+$", str(plain.get("uid", "")))
        return Row.of(
            replace(entry, split=f"step {plain['step']}", repeat=int(session[1]) if session else 0),
            previews=dict(_cuts(entry, images, not_shown)),
            target=None if plain["gts"] is None else str(plain["gts"]),
            correct=_VERDICTS.get(checked.number(plain.get("accuracy"))),
            metrics={**({} if score is None else {"reward": score}), **_parts(plain)},
            target_coverage=checked.number(plain.get("coverage")),
        )
    except checked.FAULTS as damage:
        raise UnreadableInput(
            f"{file}, line {number}, is not a rollout with a record ({type(damage).__name__}: {damage})"
        ) from damage


def _parts(plain: Mapping[str, Any]) -> dict[str, float]:
    """The parts of a reward that are numbers; verl writes NaN where there was none."""
    numbers = {name: checked.number(value) for name, value in plain.items() if name not in _NO_PARTS}
    return {name: value for name, value in numbers.items() if value is not None}


def _cuts(entry: Entry, images: Path | None, not_shown: Counter[str]) -> Iterator[tuple[str, Cut]]:
    """What each turn showed, to be cut out of the original again, if it lies in a file that is to be shown."""
    outcome, path = entry.outcome, entry.image_path
    if outcome.source is None:
        return
    if path is None:
        not_shown["in no file"] += 1
        return
    original = Path(path)
    if images is not None and not original.resolve().is_relative_to(images.resolve()):
        not_shown["outside"] += 1
        return
    if not os.path.isfile(original):  # False, too, for what no file can be called; Path.is_file raises
        not_shown["gone"] += 1
        return
    for turn in outcome.turns:
        for at, shown in enumerate(turn.shown):
            if shown.region_source is not None:
                yield image_name(turn.name, at), Cut(original, outcome.source, shown.region_source, shown.view)


def _notes(rows: int, without: int, not_shown: Mapping[str, int], *, torn: bool) -> Iterator[str]:
    if torn:
        yield "The last line of the dump is incomplete: the run was stopped while it wrote that rollout."
    if without:
        yield f"{without} of {rows + without} rollouts have no record and are not shown."
    for why, said in _NOT_SHOWN.items():
        if not_shown[why]:
            yield f"The originals of {not_shown[why]} of {rows} rollouts {said}: only outlines are drawn."
