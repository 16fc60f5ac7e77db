"""What a policy does with held-out questions: the method's own conversations, through the stock processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from transformers import PreTrainedModel, ProcessorMixin

from ...core.geometry import VisionGrid
from ...core.outcome import Outcome
from ...core.questions import split_question
from ...methods.base import Sample, Target
from ...methods.tool_zoom import TOOL_ZOOM, ToolZoomConfig, ToolZoomPrompts
from ..generation import BATCH, played
from .drawing import original
from .lessons import MOST_LOOKS
from .world import CROP_TOKENS, VIEW_TOKENS, Question

REPLY_TOKENS = 24
PROMPTS = ToolZoomPrompts(system="", ask="{question}", more="{question}", last="{question}", error="{error}\n")
"""As in recipes/tiny/tool_zoom_prompts.yaml: a tiny policy knows questions only, nothing around them."""


def settings(turns: int = 1 + MOST_LOOKS) -> ToolZoomConfig:
    """The method as in recipes/tiny/train_tool_zoom.yaml, with so many replies at most."""
    return ToolZoomConfig(
        profile="deepeyes",
        view_tokens=VIEW_TOKENS,
        crop_tokens=CROP_TOKENS,
        all_tokens=VIEW_TOKENS + MOST_LOOKS * CROP_TOKENS,
        turns=turns,
        answer_new_tokens=REPLY_TOKENS,
        resample="box",
        prompts=PROMPTS,
    )


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a question.

    Attributes:
        needs: how many crops it takes.
        calls: crops that were shown.
        right: the answer.
        over: whether it was never answered.
    """

    needs: int
    calls: int
    right: bool
    over: bool

    @classmethod
    def of(cls, question: Question, outcome: Outcome) -> Played:
        """Judged by the rule of training."""
        right = Target(question.answer, "text").is_met_by(outcome.answer)
        return cls(question.needs, int(outcome.values["delivered"]), right, bool(outcome.values["over_turns"]))


@dataclass(frozen=True, slots=True)
class Player:
    """A policy behind the stock processor.

    Attributes:
        temperature: 0 for greedy replies.
        turns: most replies; 2 is one zoom.
    """

    policy: PreTrainedModel
    processor: ProcessorMixin
    temperature: float = 0.0
    turns: int = 1 + MOST_LOOKS

    def play(self, questions: Sequence[Question]) -> list[Played]:
        """Each question to its end."""
        found: list[Played] = []
        for start in range(0, len(questions), BATCH):
            batch = questions[start : start + BATCH]
            found += [Played.of(*one) for one in zip(batch, self.outcomes(batch), strict=True)]
        return found

    def outcomes(self, batch: Sequence[Question]) -> list[Outcome]:
        """The conversations about questions, played together."""
        config, grid = settings(self.turns), VisionGrid()
        samples = [Sample(original(question.scene), split_question(question.stem)) for question in batch]
        return played(
            self.policy,
            self.processor,
            [TOOL_ZOOM.episode(sample, config, grid) for sample in samples],
            new_tokens=REPLY_TOKENS,
            temperature=self.temperature,
        )


def figures(played: Sequence[Played]) -> dict[str, float]:
    """Means over questions, and over those that need one crop or two: right answers, crops; and never answered."""
    found = {"accuracy": fmean(one.right for one in played), "over_turns": fmean(one.over for one in played)}
    for needs, name in ((1, "one"), (2, "two")):
        of_kind = [one for one in played if one.needs == needs]
        found[f"accuracy_{name}"] = fmean(one.right for one in of_kind)
        found[f"calls_{name}"] = fmean(one.calls for one in of_kind)
        found[f"exact_{name}"] = fmean(one.calls == needs for one in of_kind)
    return {name: round(value, 4) for name, value in found.items()}
