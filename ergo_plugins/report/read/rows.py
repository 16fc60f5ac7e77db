"""What a report is about, independent of where it was read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.geometry import Box, Size
from ...core.grounding import iou
from ...core.outcome import OBJECT, Outcome
from ...core.record import Entry, sample_key

RIGHT_FROM = 0.5
"""Intersection over union from which a box counts as right, as everywhere in the field."""


class UnreadableInput(ValueError):
    """A file that a report is made of is not what it should be; the message names the place and what to do."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A picture that no one kept: what a turn showed, to be made from the original.

    Attributes:
        original: its file.
        source: size that the original must have.
        region: the part that was shown, pixels of the original.
        view: size at which it was shown.
    """

    original: Path
    source: Size
    region: Box
    view: Size


@dataclass(frozen=True, slots=True)
class Row:
    """One sample.

    Attributes:
        task, split, doc_id, repeat: which sample of which data; ``repeat`` counts repetitions from 0.
        question: the text as the model was asked.
        returned: what was handed to whoever scores.
        outcome: what the model did.
        previews: turn name to a picture of what that turn showed; turns without one are absent.
        target: the wanted answer; None if unknown.
        correct: the verdict; None if there is none.
        metrics: numbers a scorer gave this sample.
        target_box_source: where the evidence is, in pixels of the original; None if unknown.
        target_coverage: share of the evidence that the crop covers, 0 without a crop; None if unknown.
        image_path: where the original lies; None if that is not known.
    """

    task: str
    split: str
    doc_id: int | str
    question: str
    returned: str
    outcome: Outcome
    repeat: int = 0
    previews: Mapping[str, Path | Cut] = field(default_factory=dict)
    target: str | None = None
    correct: bool | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    target_box_source: Box | None = None
    target_coverage: float | None = None
    image_path: str | None = None

    @classmethod
    def of(cls, entry: Entry, *, previews: Mapping[str, Path | Cut], **known: Any) -> Row:
        """The row of a line that a host wrote.

        Args:
            previews: its pictures, found.
            known: what else was found out, by the names of the attributes.
        """
        return cls(
            task=entry.task,
            split=entry.split,
            doc_id=entry.doc_id,
            question=entry.question,
            returned=entry.returned,
            outcome=entry.outcome,
            repeat=entry.repeat,
            previews=previews,
            target_box_source=entry.target_box_source,
            image_path=entry.image_path,
            **known,
        )

    @property
    def key(self) -> str:
        """Its name, as in errors and journals."""
        return sample_key(self.task, self.split, self.doc_id, self.repeat)

    @property
    def overlap(self) -> float | None:
        """Intersection over union of the box that is the answer and the true one; None if there is no such thing."""
        if OBJECT not in self.outcome.boxes or self.target_box_source is None:
            return None
        return iou(self.outcome.boxes[OBJECT], self.target_box_source)

    @property
    def is_right_place(self) -> bool | None:
        """Whether the box that is the answer has half in common with the true one; None if there is no such thing."""
        return None if self.overlap is None else self.overlap >= RIGHT_FROM

    @property
    def went_wrong(self) -> bool:
        """Whether it has a problem or a wrong answer."""
        return bool(self.outcome.problems) or self.correct is False


@dataclass(frozen=True, slots=True)
class Run:
    """The samples of one run.

    Attributes:
        name: what it is called, usually a file name.
        rows: in the order in which they ended.
        settings: what the run was made with, plain enough for JSON.
        tasks: names of its tasks, also of those without a sample.
        notes: sentences a reader of the report has to know about the input.
    """

    name: str
    rows: Sequence[Row]
    settings: Mapping[str, Any] = field(default_factory=dict)
    tasks: Sequence[str] = ()
    notes: Sequence[str] = ()
