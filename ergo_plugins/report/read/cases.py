"""Answers that a judge is to rule on: from a run of ours, or from a samples file of lmms-eval, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.replies import parse_answer
from ...core.rulings import Case
from ...core.sameness import wanted_answers
from .rows import Run, UnreadableInput
from .samples import each_sample, metrics_of, task_of


def is_samples(path: Path) -> bool:
    """Whether a file begins with a sample of lmms-eval.

    Raises:
        OSError: it cannot be read.
    """
    if path.is_dir():
        return False
    with path.open("rb") as file:
        try:
            first = json.loads(file.readline())
        except ValueError:
            return False
    return isinstance(first, dict) and {"doc_id", "target", "filtered_resps"} <= set(first)


def cases_of_run(run: Run) -> list[Case]:
    """The answers of a run.

    Raises:
        UnreadableInput: nobody says which answers are wanted.
    """
    unknown = [row.key for row in run.rows if row.target is None]
    if unknown:
        raise UnreadableInput(
            f"{run.name} does not say which answer is wanted for {unknown[0]} and {len(unknown) - 1} others; give the "
            "samples that lmms-eval logged with --samples, or that file in place of the journal"
        )
    return [
        _case(row.key, row.task, row.question, str(row.target), row.returned, _stock(row.metrics, row.correct))
        for row in run.rows
    ]


def read_samples(path: Path) -> list[Case]:
    """The answers in a samples file, without thoughts and tags.

    Of several lines for one document the last counts, of several replies in a line the first, as lmms-eval scores it.

    Raises:
        OSError: the file cannot be read.
        UnreadableInput: a line is damaged, or holds no text that answers.
    """
    task = task_of(path)

    def read(sample: Mapping[str, Any]) -> Case:
        text, answer = sample.get("input", ""), parse_answer(_first_text(sample["filtered_resps"])).text
        words = text if isinstance(text, str) else ""
        return _case(f"{task}/{sample['doc_id']}", task, words, str(sample["target"]), answer, metrics_of(sample))

    return list({case.key: case for case in each_sample(path, read)}.values())


def _case(key: str, task: str, text: str, target: str, given: str, stock: Mapping[str, float]) -> Case:
    wanted = wanted_answers(target)
    if not all(one.strip() for one in wanted):
        raise UnreadableInput(f"{key} has no wanted answer; a task that keeps its answers to itself cannot be judged")
    return Case(key, task, text, wanted, given, stock)


def _stock(metrics: Mapping[str, float], correct: bool | None) -> Mapping[str, float]:
    return metrics or ({} if correct is None else {"correct": float(correct)})


def _first_text(response: Any) -> str:
    while isinstance(response, list) and response:
        response = response[0]
    if not isinstance(response, str):
        raise TypeError(f"filtered_resps is {response!r:.80}")
    return response
