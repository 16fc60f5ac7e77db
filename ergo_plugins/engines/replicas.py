"""Several servers of one model: a conversation stays with the one that holds its earlier turns, until that one dies."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

REST_S = 30.0
"""A server that gave no reply gets no new conversations for so long; by then it may have been started again."""


@dataclass(slots=True, eq=False)
class Replica:
    """One of the servers.

    Attributes:
        base_url: of its API.
        client: that talks to it.
        under_way: requests that it has not replied to yet.
        failed_s: when it last gave no reply, on `time.monotonic`'s clock; None if it always did.
    """

    base_url: str
    client: Any
    under_way: int = 0
    failed_s: float | None = None

    @contextmanager
    def busy(self) -> Iterator[None]:
        """A request is under way."""
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1


@dataclass(slots=True)
class Replicas:
    """The servers, for one event loop."""

    all: Sequence[Replica]
    _turn: Iterator[int] = field(default_factory=itertools.count)

    def least_busy(self, *, but: Replica | None = None) -> Replica:
        """Where a conversation should go: with the fewest requests under way, in turns among equals.

        Args:
            but: not this one, if there is any other.
        """
        others = [one for one in self.all if one is not but] or list(self.all)
        now = time.monotonic()
        healthy = [one for one in others if one.failed_s is None or now - one.failed_s > REST_S] or others
        first = next(self._turn) % len(healthy)
        return min([*healthy[first:], *healthy[:first]], key=lambda one: one.under_way)

    def after_failure(self, failed: Replica) -> Replica:
        """Where a conversation goes on whose server gave no reply."""
        failed.failed_s = time.monotonic()
        return self.least_busy(but=failed)


def addresses(base_url: str) -> list[str]:
    """The addresses in ``base_url``, which stand between semicolons.

    Raises:
        ValueError: there is none, or one twice.
    """
    listed = [one.strip() for one in base_url.split(";")]
    if not all(listed) or len(set(listed)) < len(listed):
        raise ValueError(f"base_url is one address, or several different ones with ';' between them, got {base_url!r}")
    return listed
