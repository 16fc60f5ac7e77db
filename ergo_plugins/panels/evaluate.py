"""What a policy can do on held-out scenes: the product's two turns, through the stock processor and ``generate``."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from ..core.geometry import Box, CropRules, Size, to_source
from ..core.replies import is_well_formed_answer, parse_answer
from ..methods.ergo import is_well_formed_look, parse_look
from .boxes import WHOLE_VIEW, box_around, cell_box
from .drawing import coarse_view, crop_view
from .lessons import look_reply
from .policy import END_OF_TURN
from .world import LETTERS, Scene, oracle

BATCH = 64
REPLY_TOKENS = 24
View = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares of scenes, 0 to 1; of one scene, mostly 0 or 1.

    Attributes:
        format: both replies are exactly one thought and one element.
        coverage: share of the target inside the crop.
        region: the crop covers the target and is legible.
        area: share of the image inside the crop; all of it without a usable box, as the product shows it then.
        answer: the letter is right, through the policy's own crop.
        reading: the letter is right, through the target's cell.
        reading_2x2: the letter is right, through 2 x 2 cells round it, where other tiles may lie as well.
        single_pass: the letter is right, without a second look.
    """

    format: float
    coverage: float
    region: float
    area: float
    answer: float
    reading: float
    reading_2x2: float
    single_pass: float

    @classmethod
    def mean(cls, of: Sequence[Figures]) -> Figures:
        """Rounded to four digits."""
        names = (field.name for field in fields(cls))
        return cls(*(round(float(np.mean([getattr(one, name) for one in of])), 4) for name in names))


def evaluate(
    policy: PreTrainedModel,
    processor: ProcessorMixin,
    scenes: Sequence[Scene],
    *,
    temperature: float = 0.0,
) -> Figures:
    """Play every scene, greedily or sampled at a temperature."""
    policy.eval()
    player = Player(policy, processor, temperature)
    rng = random.Random(0)
    batches = (scenes[start : start + BATCH] for start in range(0, len(scenes), BATCH))
    return Figures.mean([one for batch in batches for one in examine(player, batch, rng)])


def examine(player: Player, scenes: Sequence[Scene], rng: random.Random) -> list[Figures]:
    """The figures of each scene."""
    looks, boxes, answers = player.play(scenes)
    cells = [cell_box(scene) for scene in scenes]
    wider = [box_around(scene, 2, rng) for scene in scenes]
    through = [
        answers,
        player.answer(scenes, [look_reply(*pair) for pair in zip(scenes, cells, strict=True)], cells),
        player.answer(scenes, [look_reply(*pair) for pair in zip(scenes, wider, strict=True)], wider),
        player.answer_at_once(scenes),
    ]
    figures = []
    for index, scene in enumerate(scenes):
        is_right = (letter(replies[index]) == scene.answer for replies in through)
        figures.append(Figures(*zoomed(scene, looks[index], boxes[index], answers[index]), *is_right))
    return figures


def zoomed(scene: Scene, look: str, box: Box | None, answer: str) -> tuple[bool, float, bool, float]:
    """``(format, coverage, region, area)`` of an episode, as in `Figures`."""
    verdict = oracle(scene.target_source, scene.to_source(box) if box else None)
    area = (box or WHOLE_VIEW).area / WHOLE_VIEW.area
    return is_well_formed_look(look) and is_well_formed_answer(answer), verdict.coverage, verdict.is_hit, area


@dataclass(frozen=True, slots=True)
class Player:
    """A policy behind the stock processor."""

    policy: PreTrainedModel
    processor: ProcessorMixin
    temperature: float

    def play(self, scenes: Sequence[Scene]) -> tuple[list[str], list[Box | None], list[str]]:
        """Whole episodes: first-turn replies, their boxes of the coarse view, second-turn replies."""
        looks = self.look(scenes)
        boxes = [box_view(look) for look in looks]
        return looks, boxes, self.answer(scenes, looks, boxes)

    def look(self, scenes: Sequence[Scene]) -> list[str]:
        """First-turn replies."""
        return self._replies([[user(scene.stem)] for scene in scenes], [[coarse_view(scene)] for scene in scenes])

    def answer(self, scenes: Sequence[Scene], looks: Sequence[str], boxes: Sequence[Box | None]) -> list[str]:
        """Second-turn replies after ``looks``, on the crops at ``boxes`` (of the coarse view; None for all of it)."""
        chats = [
            [user(scene.stem), {"role": "assistant", "content": look}, user(scene.text)]
            for scene, look in zip(scenes, looks, strict=True)
        ]
        views = [
            [coarse_view(scene), crop_view(scene, box or WHOLE_VIEW)] for scene, box in zip(scenes, boxes, strict=True)
        ]
        return self._replies(chats, views)

    def answer_at_once(self, scenes: Sequence[Scene]) -> list[str]:
        """Replies to the whole question on the coarse view."""
        return self._replies([[user(scene.text)] for scene in scenes], [[coarse_view(scene)] for scene in scenes])

    @torch.inference_mode()
    def _replies(self, chats: list[list[dict[str, Any]]], views: list[list[View]]) -> list[str]:
        """The next reply of every chat, without its end of turn."""
        processor = self.processor
        prompts = [processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
        images = [[Image.fromarray(view) for view in row] for row in views]
        inputs = processor(text=prompts, images=images, padding=True, padding_side="left", return_tensors="pt")
        how: dict[str, Any] = {"max_new_tokens": REPLY_TOKENS}
        if self.temperature:
            how |= {"do_sample": True, "temperature": self.temperature, "top_k": 0}
        tokens = self.policy.generate(**inputs, **how)  # type: ignore[operator]  # see generation.py
        replies = processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=False)
        return [reply.split(END_OF_TURN)[0] for reply in replies]


def box_view(look: str) -> Box | None:
    """The crop that a first-turn reply names, in the coarse view; None if it names none, or one outside.

    By the product's rules: a box without area grows. Its least side is a pixel of the view; 28 pixels of
    an original are 0.4 to 1.4 of them.
    """
    box = parse_look(look).box_frame
    view = Size(round(WHOLE_VIEW.width), round(WHOLE_VIEW.height))
    return None if box is None else to_source(box, view, view, CropRules(min_side_px=1))[0]


def letter(answer: str) -> str | None:
    """The letter of a second-turn reply."""
    text = parse_answer(answer).text
    return text if text in LETTERS else None


def user(text: str) -> dict[str, Any]:
    """A message of an image and a text."""
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}
