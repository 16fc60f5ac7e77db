"""Who says whether a crop holds the evidence, and whether an open answer is right: rules, or a judge."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from ..core.geometry import Size, VisionGrid, whole
from ..core.images import size_of
from ..core.record import ROLLOUT_RECORD
from ..core.turns import Outcome
from ..judge import Effort, Judge, JudgeConfig
from ..methods.ergo_reward import RewardConfig, Score, coverage, covers
from .originals import Original, Originals
from .records import SECONDS, as_text
from .rows import Row, RowError
from .settings import ImagesConfig

JUDGE_GRID = VisionGrid()
"""Grid on which a judge's views are sized, when it is to see them larger or smaller than the policy did."""

ROUTER_ADVICE = (
    "verl's router answers 500 to whatever its server refuses, an over-long request too, and keeps the server's words: "
    "look for 'HTTP error for v1/chat/completions' above and into the log of the reward model"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about a trajectory.

    Attributes:
        region_correct: whether the crop holds the evidence.
        answer_correct: for open answers, whether the judge takes it for right; None for all others.
        effort: what the judge cost for this trajectory.
    """

    region_correct: bool
    answer_correct: bool | None
    effort: Effort


@dataclass(slots=True)
class Verifier:
    """Verifies trajectories of a run.

    Args:
        judge_config: who is asked and what it sees.
        reward: weights; what weighs nothing is not verified.
        images: limits on originals.
        router: address of verl's generative reward model, for ``source=reward_model``.
        model: the name of that model.
        resample: filter that makes the views, the policy's own.
    """

    judge_config: JudgeConfig
    reward: RewardConfig
    images: ImagesConfig = field(default_factory=ImagesConfig)
    router: str | None = None
    model: str = ""
    resample: str = "bicubic"
    judge: Judge | None = None
    originals: Originals = field(init=False)

    def __post_init__(self) -> None:
        self.originals = Originals(self.images)
        config = self.judge_config
        if config.source == "endpoints":
            self.judge = Judge(config, config.urls, config.model)
        elif config.source == "reward_model":
            if not self.router:
                raise ValueError(
                    "ergo.judge.source is reward_model, but verl serves none; set reward.reward_model.enable=True and "
                    "enable_resource_pool=True, or judge.source=endpoints with judge.urls"
                )
            self.judge = Judge(config, (f"http://{self.router}/v1",), config.model or self.model, ROUTER_ADVICE)

    async def verify(self, outcome: Outcome, row: Row) -> Finding:
        """What is to be found out about a trajectory.

        Raises:
            JudgeError: the judge gave no verdict.
            RowError: the row lacks what the rules need.
        """
        effort = Effort()
        region, answer = await asyncio.gather(
            self._region_correct(outcome, row, effort), self._answer_correct(outcome, row, effort)
        )
        return Finding(region, answer, effort)

    async def _region_correct(self, outcome: Outcome, row: Row, effort: Effort) -> bool:
        if not self.reward.needs_region or outcome.box_source is None:
            return False
        target = row.target
        if self.judge is None:
            if target.box_source is None:
                raise RowError(
                    f"{row.name} has no target_box, and ergo.judge.source=rules verifies regions by it; "
                    "add the box, or set judge.source=endpoints or reward_model"
                )
            return covers(outcome, target.box_source, self.reward)
        if row.image is None:
            raise RowError(f"{row.name}: the trajectory brought no image along, and the judge has to see it")
        original = await self.originals.get(row.image)
        if size_of(original.image) != outcome.source:
            raise RowError(
                f"{row.name}: the policy looked at an image of {outcome.source}, and the judge would see one of "
                f"{size_of(original.image)}; the file was changed, or extra_info.image_path is another image"
            )
        views = await asyncio.to_thread(self._views, original, outcome)
        del original
        said = await self.judge.answer_from(row.question, target.kind, views, effort)
        if said is None:
            return False
        if target.kind == "judge":
            return await self.judge.is_same(row.question, target.answer, said, effort)
        return target.is_met_by(said, self.reward)

    async def _answer_correct(self, outcome: Outcome, row: Row, effort: Effort) -> bool | None:
        if row.target.kind != "judge":
            return None
        if self.judge is None:
            raise RowError(f"{row.name} is compared by a judge, and ergo.judge.source=rules has none")
        if not outcome.answer or self.reward.accuracy == 0:
            return False
        return await self.judge.is_same(row.question, row.target.answer, outcome.answer, effort)

    def _views(self, original: Original, outcome: Outcome) -> list[Image.Image]:
        """What the judge sees: the crop, and the original if it is to see both."""
        crop, config = outcome.box_source, self.judge_config
        assert crop is not None
        if config.crop_tokens:
            view = JUDGE_GRID.fit(Size(round(crop.width), round(crop.height)), config.crop_tokens)
        else:
            view = outcome.turns[-1].view
        views = [original.render(original.image, crop, view, resample=self.resample)]
        if config.sees == "crop+original":
            size = size_of(original.image)
            views.append(original.render(original.image, whole(size), JUDGE_GRID.fit(size, config.original_tokens)))
        return views


def parts(
    outcome: Outcome, row: Row, score: Score, finding: Finding, extra_fields: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What verl logs and dumps beside the reward: the same keys for every trajectory.

    ``acc`` is verl's own name for the metric it shows first. ``coverage`` is None without a target box. The seconds
    are those of decoding the original and of resizing and cutting it, as the agent loop measured them.
    """
    seconds = (extra_fields or {}).get(SECONDS) or {}
    box = row.target.box_source
    return {
        "acc": score.accuracy,
        "region": score.region,
        "box": score.box,
        "accuracy": score.accuracy,
        "format": score.format,
        "zoomed": float(outcome.box_source is not None),
        "area_ratio": outcome.area_ratio if outcome.area_ratio is not None else 1.0,
        "coverage": coverage(outcome, box) if box is not None else None,
        "visual_tokens": float(outcome.visual_tokens),
        "truncated": float(any(problem.startswith("truncated") for problem in outcome.problems)),
        "judge_calls": float(finding.effort.calls),
        "judge_errors": float(finding.effort.errors),
        "judge_seconds": finding.effort.seconds,
        "decode_seconds": float(seconds.get("decode", 0.0)),
        "cut_seconds": float(seconds.get("cut", 0.0)),
        ROLLOUT_RECORD: as_text(outcome, row),
    }
