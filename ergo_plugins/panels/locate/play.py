"""What a policy answers on held-out places: the product's one turn, through the stock processor and ``generate``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from ...core.geometry import Size
from ...core.grounding import iou, on_source, parse_located
from ..families import Family
from ..policy import END_OF_TURN
from ..world import UNITS
from .drawing import view
from .lessons import ALL_OF
from .world import Place

BATCH = 64
REPLY_TOKENS = 48


def no_thought(place: Place) -> str:
    """What opens the reply of a policy that is not allowed to think."""
    return "<think></think>"


def a_thought(place: Place) -> str:
    """What opens the reply of a policy that has to think: the colour that the expression names."""
    return f"<think>{place.anchor.color}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said of a place.

    Attributes:
        reply: the text, with what opened it.
        seen: overlap with the box of what can be seen of the tile.
        whole: overlap with the box of all of it.
        tokens: written by the policy.
        thinks: whether there is anything between its thought's tags.
    """

    reply: str
    seen: float
    whole: float
    tokens: int
    thinks: bool


@dataclass(frozen=True, slots=True)
class Player:
    """A policy behind the stock processor.

    Attributes:
        temperature: 0 for greedy replies.
    """

    policy: PreTrainedModel
    processor: ProcessorMixin
    family: Family
    temperature: float = 0.0

    @torch.inference_mode()
    def answer(
        self, places: Sequence[Place], *, amodal: bool = False, opened: Callable[[Place], str] = lambda place: ""
    ) -> list[Answer]:
        """An answer to each place.

        Args:
            places: what to find.
            amodal: all of each tile is asked for, not what can be seen.
            opened: how a reply begins, written for the policy.
        """
        found: list[Answer] = []
        for start in range(0, len(places), BATCH):
            batch = places[start : start + BATCH]
            replies, lengths = self._replies(
                [ALL_OF.format(question=place.expression) if amodal else place.expression for place in batch],
                [Image.fromarray(view(place, self.family.view_px)) for place in batch],
                [opened(place) for place in batch],
            )
            found += [self._read(*one) for one in zip(batch, replies, lengths, strict=True)]
        return found

    def _read(self, place: Place, reply: str, tokens: int) -> Answer:
        source, frame = Size(UNITS, UNITS), Size(self.family.extent, self.family.extent)
        written = parse_located(reply).box_frame
        box = on_source(written, frame, source)[0] if written else None
        thought = reply.partition("<think>")[2].partition("</think>")[0]
        return Answer(reply, iou(box, place.seen), iou(box, place.whole), tokens, thinks=bool(thought.strip()))

    def _replies(self, asked: list[str], images: list[Image.Image], opened: list[str]) -> tuple[list[str], list[int]]:
        content: list[Any] = [[{"type": "image"}, {"type": "text", "text": words}] for words in asked]
        prompts = [
            self.processor.apply_chat_template(
                [{"role": "user", "content": parts}], tokenize=False, add_generation_prompt=True
            )
            + begins
            for parts, begins in zip(content, opened, strict=True)
        ]
        inputs = self.processor(text=prompts, images=images, padding=True, padding_side="left", return_tensors="pt")
        how: dict[str, Any] = {"max_new_tokens": REPLY_TOKENS}
        if self.temperature:
            how |= {"do_sample": True, "temperature": self.temperature, "top_k": 0}
        tokens = self.policy.generate(**inputs, **how)  # type: ignore[operator]  # torch calls every attribute a Tensor
        new = tokens[:, inputs["input_ids"].shape[1] :]
        texts = [text.split(END_OF_TURN)[0] for text in self.processor.batch_decode(new, skip_special_tokens=False)]
        ends = self.processor.tokenizer.convert_tokens_to_ids(END_OF_TURN)
        lengths = [int((row == ends).nonzero()[0]) if (row == ends).any() else len(row) for row in new]
        return [begins + text for begins, text in zip(opened, texts, strict=True)], lengths


def figures(answers: Sequence[Answer]) -> dict[str, float]:
    """Means over places, rounded to four digits: overlap with what is seen and with all, shares right, tokens."""
    return {
        "iou": round(fmean(answer.seen for answer in answers), 4),
        "right": round(fmean(answer.seen >= 0.5 for answer in answers), 4),
        "iou_whole": round(fmean(answer.whole for answer in answers), 4),
        "tokens": round(fmean(answer.tokens for answer in answers), 2),
        "thinks": round(fmean(answer.thinks for answer in answers), 4),
    }
