"""What a policy does with held-out questions: the product's one or two turns, through the stock processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from ...core.replies import parse_answer
from ...core.turns import Reply
from ...methods.visionthink import read_call
from ..generation import BATCH, next_replies
from .drawing import full_view, reduced_view
from .world import FULL_TOKENS, REDUCED_TOKENS, Question

REPLY_TOKENS = 40
Ask = Literal["policy", "never", "always", "full"]


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a question.

    Attributes:
        needs_full: whether the reduced view could not show it.
        asked: for the full view.
        right: the answer.
        visual_tokens: of all views that were shown.
    """

    needs_full: bool
    asked: bool
    right: bool
    visual_tokens: int


@dataclass(frozen=True, slots=True)
class Player:
    """A policy behind the stock processor.

    Attributes:
        temperature: 0 for greedy replies.
        ask: ``policy`` as it decides; else as `methods.visionthink.VisionThinkConfig.ask` says.
    """

    policy: PreTrainedModel
    processor: ProcessorMixin
    temperature: float = 0.0
    ask: Ask = "policy"

    def play(self, questions: Sequence[Question]) -> list[Played]:
        """Each question to its end."""
        played: list[Played] = []
        for start in range(0, len(questions), BATCH):
            played += self._played(questions[start : start + BATCH])
        return played

    def _played(self, batch: Sequence[Question]) -> list[Played]:
        only = self.ask == "full"
        chats = [[_user(question)] for question in batch]
        views = [[full_view(one.scene) if only else reduced_view(one.scene)] for one in batch]
        replies = self._replies(chats, views)
        asked = [self.ask in ("policy", "always") and read_call(Reply(reply))[0] for reply in replies]
        more = [index for index in range(len(batch)) if asked[index] or self.ask == "always"]
        tokens = [FULL_TOKENS if only else REDUCED_TOKENS] * len(batch)
        if more:
            again = self._replies(
                [[*chats[i], {"role": "assistant", "content": replies[i]}, _user(batch[i])] for i in more],
                [[*views[i], full_view(batch[i].scene)] for i in more],
            )
            for index, reply in zip(more, again, strict=True):
                replies[index] = reply
                tokens[index] += FULL_TOKENS
        return [
            Played(question.needs_full, bool(has_asked), parse_answer(reply).text == question.answer, shown)
            for question, has_asked, reply, shown in zip(batch, asked, replies, tokens, strict=True)
        ]

    def _replies(self, chats: list[list[dict[str, Any]]], views: list[list[Any]]) -> list[str]:
        images = [[Image.fromarray(view) for view in row] for row in views]
        return next_replies(
            self.policy, self.processor, chats, images, new_tokens=REPLY_TOKENS, temperature=self.temperature
        )


def _user(question: Question) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question.text}]}


def figures(played: Sequence[Played]) -> dict[str, float]:
    """Means over questions: how often it asked where it must and where it need not, right answers, visual tokens."""
    need, need_not = ([one for one in played if one.needs_full is kind] for kind in (True, False))
    return {
        "asks_needed": round(fmean(one.asked for one in need), 4),
        "asks_not_needed": round(fmean(one.asked for one in need_not), 4),
        "accuracy": round(fmean(one.right for one in played), 4),
        "accuracy_needed": round(fmean(one.right for one in need), 4),
        "accuracy_not_needed": round(fmean(one.right for one in need_not), 4),
        "visual_tokens": round(fmean(one.visual_tokens for one in played), 2),
        "oracle_tokens": round(fmean(REDUCED_TOKENS + FULL_TOKENS * one.needs_full for one in played), 2),
    }
