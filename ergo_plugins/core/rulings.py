"""An answer that is to be judged, and what was ruled of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from .questions import Question, split_question
from .sameness import same_by_rule

By = Literal["rule", "judge"]

RULINGS_FORMAT = "ergo-plugins/1"
"""Stands in the first line of a file of rulings."""


@dataclass(frozen=True)
class Case:
    """An answer and the wanted ones.

    Attributes:
        key: its sample's name.
        task: of a benchmark.
        text: the question as the benchmark wrote it.
        wanted: answers, each of which is right; at least one.
        given: the answer.
        stock: what the benchmark's own scorer said, by the names of its metrics.
    """

    key: str
    task: str
    text: str
    wanted: tuple[str, ...]
    given: str
    stock: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def question(self) -> Question:
        """The question taken apart; one that nobody kept is empty."""
        return split_question(self.text) if self.text.strip() else Question("", "", ())

    @property
    def by_rule(self) -> bool | None:
        """What rules say; None where only a judge can tell."""
        return same_by_rule(self.question, self.wanted, self.given)

    @property
    def digest(self) -> str:
        """Of all that a verdict hangs on."""
        plain = json.dumps([self.text, self.wanted, self.given])
        return hashlib.sha256(plain.encode("ascii")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was ruled of a case.

    Attributes:
        key: the case's.
        digest: the case's, which tells that a later run asks the same.
        right: whether the answer is a wanted one.
        by: who said so.
    """

    key: str
    digest: str
    right: bool
    by: By

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Ruling:
        """What `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        ruling = cls(plain["key"], plain["digest"], plain["right"], plain["by"])
        if not isinstance(ruling.key, str) or not isinstance(ruling.digest, str) or not isinstance(ruling.right, bool):
            raise TypeError("a ruling has a key, a digest and true or false")
        if ruling.by not in get_args(By):
            raise ValueError(f"a ruling is by one of {', '.join(get_args(By))}, got {ruling.by!r:.80}")
        return ruling
