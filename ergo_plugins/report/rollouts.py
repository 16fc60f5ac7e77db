"""Rollouts that verl dumped, as rows: ``<step>.jsonl`` in ``trainer.rollout_data_dir`` or ``validation_data_dir``.

A line is one trajectory: ``input``, ``output``, ``gts``, ``score``, ``step``, ``uid`` (``prompt_session_index``) and
the parts of the reward by name, among them the trajectory itself as JSON text. In training, the parts are there under
``trainer.v1.trainer_mode=ergo_sync`` alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..core.geometry import Box, whole
from ..core.record import ROLLOUT_RECORD
from ..core.turns import Outcome
from .rows import Cut, Row, Run, UnreadableInput

PADDING = "pad"
"""With what the ``uid`` of a line begins that verl added to fill a batch: a copy of another one's record."""

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


def read_rollouts(path: Path, step: int | None = None) -> Run:
    """The trajectories of one step.

    Args:
        path: a dump, or the folder of all.
        step: which one of a folder; the newest if None.

    Raises:
        OSError: the file cannot be read.
        UnreadableInput: there is no such dump, it holds no record, or a line is damaged.
    """
    file = _file_of(path, step)
    *lines, torn = file.read_bytes().split(b"\n")
    rows = []
    without = 0
    for number, line in enumerate(lines, start=1):
        plain = _object(file, number, line)
        if str(plain.get("uid", "")).startswith(PADDING):
            continue
        if plain.get(ROLLOUT_RECORD) is None:
            without += 1
            continue
        rows.append(_row(file, number, plain))
    if not rows:
        raise UnreadableInput(
            f"{file} holds no {ROLLOUT_RECORD}: verl dumps it with reward.reward_manager.name=ergo, and of training "
            "steps with trainer.v1.trainer_mode=ergo_sync"
        )
    notes = list(_notes(rows, without, bool(torn.strip())))
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


def _row(file: Path, number: int, plain: Mapping[str, Any]) -> Row:
    try:
        record = json.loads(plain[ROLLOUT_RECORD])
        outcome = Outcome.from_json(record["outcome"])
        task, _, index = record["row"].rpartition(" ")
        box, accuracy = record["target_box_source"], plain.get("accuracy")
        session = re.search(r"_(\d+)_\d+$", str(plain.get("uid", "")))
        return Row(
            task=task or index,
            split=f"step {plain['step']}",
            doc_id=index,
            repeat=int(session[1]) if session else 0,
            question=record["question"],
            returned=outcome.answer,
            outcome=outcome,
            previews=dict(_cuts(Path(record["image_path"]), outcome)),
            target=None if plain["gts"] is None else str(plain["gts"]),
            correct={1.0: True, 0.0: False}.get(accuracy) if accuracy is not None else None,
            metrics={"reward": float(plain["score"]), **_parts(plain)},
            target_box_source=Box(*map(float, box)) if box else None,
            target_coverage=plain.get("coverage"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as damage:
        raise UnreadableInput(
            f"{file}, line {number}, is not a rollout with a record ({type(damage).__name__}: {damage})"
        ) from damage


def _parts(plain: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in plain.items()
        if name not in _NO_PARTS and isinstance(value, bool | int | float)
    }


def _cuts(original: Path, outcome: Outcome) -> Iterator[tuple[str, Cut]]:
    """What each turn showed, to be cut out of the original again, if it is still there."""
    if outcome.source is None or not original.is_file():
        return
    for turn in outcome.turns:
        region = outcome.box_source if turn.name == "answer" else None
        yield turn.name, Cut(original, outcome.source, region or whole(outcome.source), turn.view)


def _notes(rows: list[Row], without: int, torn: bool) -> Iterator[str]:
    if torn:
        yield "The last line of the dump is incomplete: the run was stopped while it wrote that rollout."
    if without:
        yield f"{without} of {len(rows) + without} rollouts have no record and are not shown."
    lost = sum(1 for row in rows if row.outcome.source is not None and not row.previews)
    if lost:
        yield f"The originals of {lost} of {len(rows)} rollouts are not where they were: only outlines are drawn."
