"""Samples files of lmms-eval: where they are, and what a line of one holds.

A samples file (``<date>_samples_<task>.jsonl``, written with ``--log_samples``) has one JSON object a document, with
the evaluator's own keys and one key a metric. A metric is a number, or an object whose score stands under one of
`SCORE_KEYS`.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .rows import UnreadableInput

Read = TypeVar("Read")

SCORE_KEYS = ("score", "gpt_score", "is_correct")
"""Where stock tasks keep the score of a sample whose metric is an object."""

LOOKED_PREFIX = "target_"
"""Metrics with this prefix tell where the model looked, not whether it answered well."""

_OF_THE_EVALUATOR = frozenset(
    ("doc_id", "doc", "doc_hash", "target", "arguments", "input", "input_media", "resps", "filtered_resps")
)
_FILE_NAME = re.compile(r"(?:(?P<date>.*?)_)?samples_(?P<task>.+)\.jsonl")


def each_sample(path: Path, read: Callable[[Mapping[str, Any]], Read]) -> Iterator[Read]:
    """What ``read`` makes of each sample in a file. One at a time: a line holds a whole prompt.

    Raises:
        OSError: the file cannot be read.
        UnreadableInput: a line is damaged, or ``read`` misses something in it; what ``read`` raises as such passes.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                found = read(json.loads(line))
            except UnreadableInput:
                raise
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as damage:
                raise UnreadableInput(
                    f"{path}, line {number}, is not a sample of lmms-eval ({type(damage).__name__}: {damage})"
                ) from damage
            yield found


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
