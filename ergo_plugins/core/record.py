"""The line that both hosts write of a sample and every reader reads: its format, its keys, its name.

lmms-eval's journal holds one line a sample; verl's dumps hold the same line as text among the parts of a reward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from . import first_version
from . import plain as checked
from .geometry import Box
from .outcome import Outcome

JOURNAL_FORMAT = "ergo-plugins/2"
"""Stands under ``journal`` in the first line of a journal: which kind of lines follow."""

READABLE_FORMATS = ("ergo-plugins/1", JOURNAL_FORMAT)
"""What reports read. A run goes on in its own format alone: the first had one image a turn and no method."""

ROLLOUT_RECORD = "ergo_record"
"""Key, among the parts of a reward, of the line as JSON text. verl dumps it with the other parts and, as it is text,
takes no mean of it."""


_same = lru_cache(maxsize=256)(lambda text: text)
"""One object for a word that stands in every line: of 100,000 samples the words alone would take 40 MB."""


def sample_key(task: str, split: str, doc_id: int | str, repeat: int) -> str:
    """The name of a sample in errors, file names and reports: ``task/split/doc_id``, ``#n`` for the n-th repeat."""
    return f"{task}/{split}/{doc_id}" + (f"#{repeat}" if repeat else "")


def image_name(turn: str, at: int) -> str:
    """The name of a turn's image among previews, by its place in the turn: the first has the turn's own name."""
    return turn if at == 0 else f"{turn} {at + 1}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One finished sample.

    Attributes:
        task, split, doc_id, repeat: which sample of the host; in training the data source and the row's index.
        question: the text as the benchmark wrote it.
        returned: what the host was given to score.
        outcome: how it came about.
        previews: turn name to a picture file, relative to the journal.
        image_path: where the original lies; None if that is not known.
        target_box_source: where the evidence is, in pixels of the original; None if unknown.
    """

    task: str
    split: str
    doc_id: int | str
    repeat: int
    question: str
    returned: str
    outcome: Outcome
    previews: Mapping[str, str] = field(default_factory=dict)
    image_path: str | None = None
    target_box_source: Box | None = None

    @property
    def key(self) -> str:
        """Its name; see `sample_key`."""
        return sample_key(self.task, self.split, self.doc_id, self.repeat)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        target = self.target_box_source
        return {
            "task": self.task,
            "split": self.split,
            "doc_id": self.doc_id,
            "repeat": self.repeat,
            "question": self.question,
            "returned": self.returned,
            "previews": dict(self.previews),
            "image_path": self.image_path,
            "target_box_source": list(target.as_tuple()) if target is not None else None,
            "outcome": self.outcome.to_json(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Entry:
        """The entry that `to_json` wrote, of this version or of the first.

        Raises:
            One of `core.plain.FAULTS`: it is something else, or a value in it is.
        """
        if "row" in plain:
            plain = first_version.dumped(plain)
        doc_id, repeat, path = plain["doc_id"], plain.get("repeat", 0), plain.get("image_path")
        if isinstance(doc_id, bool) or not isinstance(doc_id, int | str):
            raise TypeError(f"doc_id is a number or a text, got {doc_id!r:.80}")
        if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 0:
            raise TypeError(f"repeat counts from 0, got {repeat!r:.80}")
        if path is not None and not isinstance(path, str):
            raise TypeError(f"image_path is the path of a file, got {path!r:.80}")
        previews = plain.get("previews") or {}
        target = plain.get("target_box_source") or (plain.get("extra") or {}).get("target_box_source")
        return cls(
            task=_same(checked.text(plain, "task")),
            split=_same(checked.text(plain, "split")),
            doc_id=doc_id,
            repeat=repeat,
            question=checked.text(plain, "question"),
            returned=checked.text(plain, "returned"),
            outcome=checked.outcome(plain["outcome"]),
            previews={name: checked.text(previews, name) for name in previews},
            image_path=path or None,
            target_box_source=checked.box(target),
        )
