"""An engine that says what it is told to: for tests of methods, without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..core.geometry import VisionGrid
from ..core.turns import Reply, Turn, play
from .base import Engine, Finished, Job, named

Script = Callable[[str, Turn], str | Reply]
"""Given a sample's key and a turn, what the model says."""


class ScriptedEngine(Engine):
    """Plays one sample after the other.

    Args:
        script: what the model says.
        grid: how it would see images and write coordinates.
    """

    def __init__(self, script: Script, grid: VisionGrid | None = None) -> None:
        self.script, self.grid = script, grid or VisionGrid()
        self.asked: list[Turn] = []

    @property
    def identity(self) -> dict[str, Any]:
        return {"engine": "scripted"}

    def play_all(self, jobs: Iterable[Job], finished: Finished) -> None:
        for job in jobs:
            try:
                outcome = play(job.open(), lambda turn, key=job.key: self._reply(key, turn))  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 - raised with its sample
                raise named(error, [job.key])  # noqa: B904 - it has its cause
            finished(job, outcome)

    def close(self) -> None:
        pass

    def _reply(self, key: str, turn: Turn) -> Reply:
        self.asked.append(turn)
        said = self.script(key, turn)
        return said if isinstance(said, Reply) else Reply(said)
