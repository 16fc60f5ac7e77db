"""The verdicts of lmms-eval: its samples files, read and joined to rows.

A samples file (``<date>_samples_<task>.jsonl``, written with ``--log_samples``) has one JSON object a document, with
the evaluator's own keys and one key a metric. A metric is a number, or an object whose score stands under one of
`SCORE_KEYS`.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .rows import Row, Run, UnreadableInput

SCORE_KEYS = ("score", "gpt_score", "is_correct")
"""Where stock tasks keep the score of a sample whose metric is an object."""

LOOKED_PREFIX = "target_"
"""Metrics with this prefix tell where the model looked, not whether it answered well."""

COVERAGE = "target_coverage"
TARGET_HIT = "target_hit"

_OF_THE_EVALUATOR = frozenset(
    ("doc_id", "doc", "doc_hash", "target", "arguments", "input", "input_media", "resps", "filtered_resps")
)
_FILE_NAME = re.compile(r"(?:(?P<date>.*?)_)?samples_(?P<task>.+)\.jsonl")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What lmms-eval says of one document.

    Attributes:
        target: the wanted answer.
        metrics: the numbers among its metrics.
    """

    target: str
    metrics: Mapping[str, float]

    @property
    def correct(self) -> bool | None:
        """True if all metrics that judge the answer are 1, False if all are 0; None if they are anything else,
        disagree, or are absent."""
        judging = {value for name, value in self.metrics.items() if not name.startswith(LOOKED_PREFIX)}
        if judging == {1.0}:
            return True
        return False if judging == {0.0} else None


def join_verdicts(run: Run, samples: str | Path) -> Run:
    """The run with the verdicts of lmms-eval, joined by task and document.

    Answers are right or wrong only in tasks where every sample is plainly one of the two (`Verdict.correct`): counting
    the plain ones among graded scores would mislead. A document that was run several times has one verdict, and
    lmms-eval's scorers take the first reply for it: later repetitions get the target and no verdict. What could not
    be joined or judged is said in the run's notes.

    Args:
        run: rows without verdicts.
        samples: a samples file, or a folder searched with all folders below for each task's newest one.

    Raises:
        OSError: a file cannot be read.
        UnreadableInput: there is no samples file for any task of the run, or one is damaged.
    """
    tasks = sorted({row.task for row in run.rows} | set(run.tasks))
    files = samples_files(Path(samples), tasks)
    verdicts = {task: read_verdicts(file) for task, file in files.items()}
    plain = {task for task, found in verdicts.items() if all(verdict.correct is not None for verdict in found.values())}
    rows = [
        _judged(row, verdicts.get(row.task, {}).get(str(row.doc_id)), is_plain=row.task in plain) for row in run.rows
    ]
    return replace(run, rows=rows, notes=[*run.notes, *_mismatches(run.rows, tasks, verdicts, plain)])


def samples_files(path: Path, tasks: Sequence[str]) -> dict[str, Path]:
    """The samples file of each task that has one; the date in its name decides which is the newest.

    Raises:
        OSError: there is no such file or folder.
        UnreadableInput: it is, or holds, no samples file of these tasks.
    """
    if not path.is_dir():
        path.stat()  # a missing file is told as such
        named = _FILE_NAME.fullmatch(path.name)
        if named and named["task"] in tasks:
            return {named["task"]: path}
        if len(tasks) == 1 and not named:
            return {tasks[0]: path}
        raise UnreadableInput(f"{path} is not named *samples_<task>.jsonl after a task of the run: {', '.join(tasks)}")
    newest: dict[str, tuple[str, float, Path]] = {}
    for file in sorted(path.rglob("*samples_*.jsonl")):
        named = _FILE_NAME.fullmatch(file.name)
        if named and named["task"] in tasks:
            found = (named["date"] or "", file.stat().st_mtime, file)
            newest[named["task"]] = max(found, newest.get(named["task"], found))
    if not newest:
        raise UnreadableInput(
            f"{path} and the folders below hold no *_samples_<task>.jsonl for {', '.join(tasks)}; "
            "lmms-eval writes them with --log_samples --output_path"
        )
    return {task: file for task, (_, _, file) in newest.items()}


def read_verdicts(path: Path) -> dict[str, Verdict]:
    """The verdicts in a samples file by document, as text; of several lines for one document the last.

    Raises:
        OSError: the file cannot be read.
        UnreadableInput: a line is damaged.
    """
    verdicts: dict[str, Verdict] = {}
    with path.open("rb") as file:  # line by line: it holds every prompt
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                sample = json.loads(line)
                verdicts[str(sample["doc_id"])] = Verdict(str(sample["target"]), metrics_of(sample))
            except (ValueError, KeyError, TypeError, OverflowError) as damage:
                raise UnreadableInput(
                    f"{path}, line {number}, is not a sample of lmms-eval ({type(damage).__name__}: {damage})"
                ) from damage
    return verdicts


def task_of(path: Path) -> str:
    """The task that a samples file is named after, or the file's own name."""
    named = _FILE_NAME.fullmatch(path.name)
    return named["task"] if named else path.stem


def metrics_of(sample: Mapping[str, Any]) -> dict[str, float]:
    """The numbers among a sample's metrics, by name."""
    metrics: dict[str, float] = {}
    for name, value in sample.items():
        if name in _OF_THE_EVALUATOR:
            continue
        if isinstance(value, dict):  # token_counts, too, is one without a score
            value = next((value[key] for key in SCORE_KEYS if key in value), None)
        if isinstance(value, bool | int | float):
            metrics[sys.intern(name)] = float(value)
            if name.startswith(LOOKED_PREFIX) and not math.isfinite(metrics[name]):
                del metrics[name]  # unknown; a verdict that is no number stays, so that nobody is told right or wrong
    return metrics


def _judged(row: Row, verdict: Verdict | None, *, is_plain: bool) -> Row:
    if verdict is None:
        return row
    if row.repeat:
        return replace(row, target=verdict.target)
    return replace(
        row,
        target=verdict.target,
        correct=verdict.correct if is_plain else row.is_right_place,
        metrics=verdict.metrics,
        target_coverage=verdict.metrics.get(COVERAGE, row.target_coverage),
    )


def _mismatches(
    rows: Sequence[Row], tasks: Sequence[str], verdicts: Mapping[str, Mapping[str, Verdict]], plain: Set[str]
) -> list[str]:
    notes = []
    for task in tasks:
        played = {str(row.doc_id) for row in rows if row.task == task}
        if task not in verdicts:
            notes.append(f"There is no samples file for {task}, so its answers are not judged.")
            continue
        is_grounding = any(row.overlap is not None for row in rows if row.task == task)
        if task not in plain and not is_grounding:
            notes.append(f"The scores of {task} are not all 0 or 1, so its answers are not counted as right or wrong.")
        without, beyond = len(played - set(verdicts[task])), len(set(verdicts[task]) - played)
        if without:
            notes.append(f"{without} of {len(played)} samples of {task} are not in its samples file and not judged.")
        if beyond:
            notes.append(f"{beyond} samples in the samples file of {task} are not in the journal and not shown.")
    return notes
