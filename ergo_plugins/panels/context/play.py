"""What a policy does with held-out scenes: the method's own conversations, through the stock processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.stats import spearmanr
from transformers import PreTrainedModel, ProcessorMixin

from ...core.geometry import VisionGrid
from ...core.outcome import Outcome
from ...core.questions import split_question
from ...methods.base import Sample, Target
from ...methods.ergo import ERGO, Prompts, RewardConfig, ZoomConfig, coverage, covers, r_format
from ..generation import played
from .drawing import original
from .oracle import MIN_COVERAGE
from .world import CROP_TOKENS, SIDE_STROKES, VIEW_TOKENS, Scene

REPLY_TOKENS = 24
TOGETHER = 256
"""Scenes that are played together."""
ASK = "{question}"
SETTINGS = ZoomConfig(
    coarse_tokens=VIEW_TOKENS,
    crop_tokens=CROP_TOKENS,
    zoom_new_tokens=REPLY_TOKENS,
    answer_new_tokens=REPLY_TOKENS,
    resample="box",
    prompts=Prompts(system="", look=ASK, answer=ASK, direct=ASK),
)
"""The method as in recipes/tiny/train_context.yaml: a tiny policy knows questions only, nothing around them."""
RULES = RewardConfig(min_coverage=MIN_COVERAGE, min_target_px=SIDE_STROKES)
"""When a crop shows the pattern, as in training."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a scene.

    Attributes:
        wide: whether its landmark leaves the place open.
        coverage: share of the pattern in the crop.
        region: the crop covers and shows it.
        accuracy: the answer is right.
        format: both replies are well formed.
        area: share of the image in the crop; all of it without a usable box, as it is shown then.
    """

    wide: bool
    coverage: float
    region: float
    accuracy: float
    format: float
    area: float

    @classmethod
    def of(cls, scene: Scene, outcome: Outcome) -> Played:
        """Judged by the rules of training."""
        return cls(
            wide=scene.is_wide,
            coverage=coverage(outcome, scene.target_source),
            region=float(covers(outcome, scene.target_source, RULES)),
            accuracy=float(Target(scene.answer, "text").is_met_by(outcome.answer)),
            format=r_format(outcome),
            area=1.0 if outcome.area_ratio is None else outcome.area_ratio,
        )


@dataclass(frozen=True, slots=True)
class Player:
    """A policy behind the stock processor.

    Attributes:
        temperature: 0 for greedy replies.
    """

    policy: PreTrainedModel
    processor: ProcessorMixin
    temperature: float = 0.0

    def play(self, scenes: Sequence[Scene]) -> list[Played]:
        """Each scene to its answer."""
        found: list[Played] = []
        for start in range(0, len(scenes), TOGETHER):
            batch = scenes[start : start + TOGETHER]
            found += [Played.of(*one) for one in zip(batch, self.outcomes(batch), strict=True)]
        return found

    def outcomes(self, scenes: Sequence[Scene]) -> list[Outcome]:
        """The conversations about scenes, played together."""
        samples = [Sample(original(scene), split_question(scene.question)) for scene in scenes]
        return played(
            self.policy,
            self.processor,
            [ERGO.episode(sample, SETTINGS, VisionGrid()) for sample in samples],
            new_tokens=REPLY_TOKENS,
            temperature=self.temperature,
        )


def figures(found: Sequence[Played]) -> dict[str, float]:
    """Means over scenes, over those with each kind of landmark, and how crops follow the kind.

    ``ambiguity`` is the rank correlation of a crop's area with how large the zone is; 0 if all crops are alike.
    """
    means = {
        name: fmean(getattr(one, name) for one in found)
        for name in ("coverage", "region", "accuracy", "format", "area")
    }
    for name, wide in (("narrow", False), ("wide", True)):
        of_kind = [one for one in found if one.wide is wide]
        for figure in ("coverage", "region", "accuracy", "area"):
            means[f"{figure}_{name}"] = fmean(getattr(one, figure) for one in of_kind)
    areas = [one.area for one in found]
    means["ambiguity"] = float(spearmanr([one.wide for one in found], areas).statistic) if len(set(areas)) > 1 else 0.0
    return {name: round(value, 4) for name, value in means.items()}
