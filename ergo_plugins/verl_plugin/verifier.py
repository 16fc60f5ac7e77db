"""Who finds out what a reward needs to know of a trajectory: rules, or a judge. It knows no method."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from PIL import Image

from ..core.geometry import Box, Size, VisionGrid, whole
from ..core.images import size_of
from ..core.outcome import Outcome
from ..core.sameness import same_by_rule
from ..methods.base import Findings, Inquiry, SeesAnswer
from ..outside.judge import Effort, Judge, JudgeConfig
from .originals import Original, Originals
from .rows import Row, RowError
from .settings import ImagesConfig

JUDGE_GRID = VisionGrid()
"""Grid on which a judge's views are sized, when it is to see them larger or smaller than the policy did."""

ROUTER_ADVICE = (
    "verl's router answers 500 to whatever its server refuses, an over-long request too, and keeps the server's words: "
    "look for 'HTTP error for v1/chat/completions' above and into the log of the reward model"
)


@dataclass(slots=True)
class Verifier:
    """Verifies trajectories of a run.

    Args:
        judge_config: who is asked and what it sees.
        images: limits on originals.
        router: address of verl's generative reward model, for ``source=reward_model``.
        model: the name of that model.
        resample: filter that makes the views, the policy's own.
    """

    judge_config: JudgeConfig
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

    async def verify(self, inquiries: tuple[Inquiry, ...], outcome: Outcome, row: Row, effort: Effort) -> Findings:
        """The findings of all inquiries about a trajectory, by their names.

        Args:
            effort: what the judge costs is added to it.

        Raises:
            JudgeError: the judge gave no verdict.
            RowError: the row lacks what the rules need.
        """
        verdicts = await asyncio.gather(*(self._verdict(inquiry, outcome, row, effort) for inquiry in inquiries))
        return {inquiry.name: verdict for inquiry, verdict in zip(inquiries, verdicts, strict=True)}

    async def _verdict(self, inquiry: Inquiry, outcome: Outcome, row: Row, effort: Effort) -> bool:
        if isinstance(inquiry, SeesAnswer):
            return await self._shows_the_answer(inquiry, outcome, row, effort)
        if self.judge is None:
            raise RowError(f"{row.name} is compared by a judge, and ergo.judge.source=rules has none")
        return await self._means(row, inquiry.given, effort, self.judge)

    async def _means(self, row: Row, given: str, effort: Effort, judge: Judge) -> bool:
        """Whether an answer is the wanted one: by rules where they can tell, or else by the judge."""
        by_rule = same_by_rule(row.question, (row.target.answer,), given)
        if by_rule is not None:
            return by_rule
        return await judge.is_same(row.question, row.target.answer, given, effort)

    async def _shows_the_answer(self, inquiry: SeesAnswer, outcome: Outcome, row: Row, effort: Effort) -> bool:
        target = row.target
        if self.judge is None:
            if inquiry.by_rule is None:
                raise RowError(
                    f"{row.name} has no target_box, and ergo.judge.source=rules verifies regions by it; "
                    "add the box, or set judge.source=endpoints or reward_model"
                )
            return inquiry.by_rule
        if row.image is None:
            raise RowError(f"{row.name}: the trajectory brought no image along, and the judge has to see it")
        original = await self.originals.get(row.image)
        if size_of(original.image) != outcome.source:
            raise RowError(
                f"{row.name}: the policy looked at an image of {outcome.source}, and the judge would see one of "
                f"{size_of(original.image)}; the file was changed, or extra_info.image_path is another image"
            )
        views = await asyncio.to_thread(self._views, original, inquiry.region_source, outcome)
        del original
        said = await self.judge.answer_from(row.question, target.kind, views, effort)
        if said is None:
            return False
        if target.kind == "judge":
            return await self._means(row, said, effort, self.judge)
        return target.is_met_by(said, inquiry.tolerance)

    def _views(self, original: Original, region: Box, outcome: Outcome) -> list[Image.Image]:
        """What the judge sees: the region as the policy saw it, and the original if it is to see both."""
        config = self.judge_config
        shown = [image.view for turn in outcome.turns for image in turn.shown if image.region_source == region]
        size = Size(round(region.width), round(region.height))
        view = JUDGE_GRID.fit(size, config.crop_tokens) if config.crop_tokens or not shown else shown[-1]
        views = [original.render(original.image, region, view, resample=self.resample)]
        if config.sees == "crop+original":
            size = size_of(original.image)
            views.append(original.render(original.image, whole(size), JUDGE_GRID.fit(size, config.original_tokens)))
        return views
