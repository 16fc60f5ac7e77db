"""The samples that two runs share, side by side, and which of them are worth a look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .read.rows import Row

Change = Literal["wrong → right", "right → wrong", "both wrong", "both right", "not judged"]

CHANGES: Mapping[tuple[bool | None, bool | None], Change] = {
    (False, True): "wrong → right",
    (True, False): "right → wrong",
    (False, False): "both wrong",
    (True, True): "both right",
}
"""Verdicts before and after to what has changed; without one of them nothing can be told."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One sample as two runs played it."""

    before: Row
    after: Row

    @property
    def change(self) -> Change:
        """What became of the verdict."""
        return CHANGES.get((self.before.correct, self.after.correct), "not judged")


@dataclass(frozen=True, slots=True)
class Joined:
    """Two runs over the same samples.

    Attributes:
        pairs: the shared samples, by task, document and repetition.
        only_before, only_after: how many samples the other run does not have.
    """

    pairs: Sequence[Pair]
    only_before: int
    only_after: int

    @property
    def notes(self) -> list[str]:
        """What a reader has to know about samples that could not be compared or may not be the same."""
        notes = [
            f"{number:,} {'sample is' if number == 1 else 'samples are'} only in the run {name} and left out here."
            for number, name in ((self.only_before, "before"), (self.only_after, "after"))
            if number
        ]
        changed = sum(pair.before.question != pair.after.question for pair in self.pairs)
        if changed:
            notes.append(f"{changed:,} of {len(self.pairs):,} samples have another question in the run after.")
        return notes


def join(before: Sequence[Row], after: Sequence[Row]) -> Joined:
    """The samples of two runs joined by task, split, document and repetition."""
    earlier, later = ({_identity(row): row for row in rows} for rows in (before, after))
    shared = sorted(earlier.keys() & later.keys(), key=_place)
    return Joined(
        [Pair(earlier[key], later[key]) for key in shared],
        only_before=len(earlier.keys() - later.keys()),
        only_after=len(later.keys() - earlier.keys()),
    )


def changes(pairs: Sequence[Pair]) -> dict[Change, int]:
    """How many pairs there are of each kind, those that are not judged only where there are any."""
    counted = Counter(pair.change for pair in pairs)
    told = {change: counted[change] for change in CHANGES.values()}
    return {**told, "not judged": counted["not judged"]} if counted["not judged"] else told


def chosen(pairs: Sequence[Pair], limit: int) -> list[Pair]:
    """At most ``limit`` pairs: first those that became right, then those that became wrong, then the others."""
    rank = {"wrong → right": 0, "right → wrong": 1}
    return sorted(pairs, key=lambda pair: rank.get(pair.change, 2))[:limit]


_Identity = tuple[str, str, str, int]


def _identity(row: Row) -> _Identity:
    return row.task, row.split, str(row.doc_id), row.repeat


def _place(identity: _Identity) -> tuple[str, str, int, str, int]:
    task, split, document, repeat = identity
    return task, split, int(document) if document.isdecimal() else -1, document, repeat
