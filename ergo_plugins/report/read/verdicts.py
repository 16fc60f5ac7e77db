"""The verdicts of lmms-eval: its samples files, read and joined to rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .rows import Row, Run
from .samples import LOOKED_PREFIX, each_sample, metrics_of, samples_files

COVERAGE = "target_coverage"
TARGET_HIT = "target_hit"


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


def read_verdicts(path: Path) -> dict[str, Verdict]:
    """The verdicts in a samples file by document, as text; of several lines for one document the last.

    Raises:
        OSError: the file cannot be read.
        UnreadableInput: a line is damaged.
    """

    def read(sample: Mapping[str, Any]) -> tuple[str, Verdict]:
        return str(sample["doc_id"]), Verdict(str(sample["target"]), metrics_of(sample))

    return dict(each_sample(path, read))


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
