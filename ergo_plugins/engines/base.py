"""What every engine is: something that plays episodes to their end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.geometry import VisionGrid
from ..core.outcome import Outcome
from ..core.turns import Episode


class EngineUnavailable(Exception):
    """The engine did not reply as it should; the same request may succeed later.

    Attributes:
        retry_after_s: how long it asks to wait.
        is_silent: there was no reply at all, or one that is none; another server, where there are several, may reply.
    """

    def __init__(self, message: str, retry_after_s: float | None = None, *, is_silent: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s, self.is_silent = retry_after_s, is_silent


class EngineRefused(Exception):
    """The engine will not reply to this request however often it is asked."""


class EngineFault(Exception):
    """A sample could not be played because the engine failed: an outage, never a wrong answer.

    Attributes:
        keys: the samples that were not finished because of it.
    """

    def __init__(self, message: str, keys: tuple[str, ...]) -> None:
        super().__init__(message)
        self.keys = keys


def named(error: Exception, keys: Sequence[str]) -> Exception:
    """An error that names one of its samples already, as those of opening them may; any other as an `EngineFault`."""
    if any(key in str(error) for key in keys):
        return error
    fault = EngineFault(f"{', '.join(keys)}: {type(error).__name__}: {error}", tuple(keys))
    fault.__cause__ = error
    return fault


Heard = Callable[[str], None]
"""Told a reply as it grows: all of its text so far (`core.turns.Partial`). Called from any thread; it must not wait."""


@dataclass(frozen=True, slots=True)
class Job:
    """One sample to play.

    Attributes:
        key: names the sample in errors.
        open: decodes the image and returns the episode, not started. Called in a worker thread when the sample is
            about to have its turn, so that memory grows with the samples under way and not with all there are.
        heard: told each reply as it grows, by an engine that can stream; one that cannot never calls it. What comes of
            the sample is the same with and without.
    """

    key: str
    open: Callable[[], Episode]
    heard: Heard | None = None


Finished = Callable[[Job, Outcome], None]
"""Told of each sample as it ends, in the order in which they end."""


class Engine(ABC):
    """A model that replies to turns.

    Attributes:
        grid: how the model sees images and writes coordinates.
    """

    grid: VisionGrid

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """What decides the replies (engine, model, decoding), plain enough for JSON; a journal is kept for one."""

    @abstractmethod
    def play_all(self, jobs: Iterable[Job], finished: Finished) -> None:
        """Play every job to its end.

        Raises:
            EngineFault: the engine failed on a sample for good. No further job was started; those under way were
                finished and told.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what the engine holds."""

    def play_one(self, open_episode: Callable[[], Episode], heard: Heard | None = None) -> Outcome:
        """Play a single episode; ``heard`` as of `Job`."""
        outcomes: list[Outcome] = []
        self.play_all([Job("the image", open_episode, heard)], lambda _job, outcome: outcomes.append(outcome))
        return outcomes[0]
