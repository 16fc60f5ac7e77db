"""The reward of a trajectory and all its parts: one body for our reward manager and for verl's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.outcome import Outcome
from ..core.record import ROLLOUT_RECORD
from ..methods.base import Score
from ..outside.judge import Effort
from .collapse import UNLEARNT
from .records import SECONDS, as_text, recorded
from .rows import Row, RowError
from .settings import Settings
from .verifier import Verifier


@dataclass(frozen=True, slots=True)
class Rewarder:
    """Gives rewards in one process.

    Attributes:
        settings: the ``ergo:`` block.
        verifier: finds out what the method wants to know.
    """

    settings: Settings
    verifier: Verifier

    @classmethod
    def of(cls, settings: Settings, *, router: str | None, model: str = "") -> Rewarder:
        """One with a verifier of its own.

        Args:
            router: address of verl's generative reward model.
            model: the name of that model.
        """
        verifier = Verifier(
            judge_config=settings.judge,
            images=settings.images,
            router=router,
            model=model,
            resample=getattr(settings.episode, "resample", "bicubic"),
        )
        return cls(settings, verifier)

    async def reward(
        self, row: Row, extra_fields: Mapping[str, Any] | None, response: str, *, may_lack: bool
    ) -> tuple[float, dict[str, Any]]:
        """``(reward, what verl logs and dumps beside it)`` of a trajectory.

        Args:
            row: what it was about.
            extra_fields: of the trajectory, with its record.
            response: its text, all turns, special tokens removed.
            may_lack: whether a trajectory without a record simply never called the tool.

        Raises:
            JudgeError, RowError, ValueError: there is no reward.
        """
        method, weights, effort = self.settings.method, self.settings.reward, Effort()
        if "target_box" in method.needs and row.target.box_source is None:
            raise RowError(f"{row.name} has no target_box, and the method {method.name} is rewarded by it")
        try:
            outcome = recorded(extra_fields, response, method.name, may_lack=may_lack)
        except ValueError as error:
            raise ValueError(f"{row.name}: {error}") from error
        inquiries = method.inquiries(outcome, row.target, weights)
        findings = await self.verifier.verify(inquiries, outcome, row, effort)
        score = method.score(outcome, row.target, findings, weights)
        known = parts(outcome, row, score, effort, extra_fields)
        return score.total, {**known, UNLEARNT: float(method.is_unlearnt(outcome, weights))}


def parts(
    outcome: Outcome, row: Row, score: Score, effort: Effort, extra_fields: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What verl logs and dumps beside the reward: the same keys for every trajectory of a method.

    ``acc`` is verl's own name for the metric it shows first. The seconds are those of decoding the original and of
    resizing and cutting it, as the agent loop measured them.
    """
    seconds = (extra_fields or {}).get(SECONDS) or {}
    return {
        "acc": score.accuracy,
        **score.parts,
        "visual_tokens": float(outcome.visual_tokens),
        "truncated": float(any(problem.startswith("truncated") for problem in outcome.problems)),
        "judge_calls": float(effort.calls),
        "judge_errors": float(effort.errors),
        "judge_seconds": effort.seconds,
        "decode_seconds": float(seconds.get("decode", 0.0)),
        "cut_seconds": float(seconds.get("cut", 0.0)),
        ROLLOUT_RECORD: as_text(outcome, row),
    }
