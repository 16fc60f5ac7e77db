"""The first message of a conversation in tokens of the checkpoint's own tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from ..core.images import size_of
from ..core.questions import split_question
from ..engines.chat import ChatTokens
from ..methods.base import Sample
from ..outside.processors import load_processor, vision_grid
from ..verl_plugin.settings import Settings

QUESTION = (
    "What is written on the sign that the person in the red coat, left of the bicycle, is holding?\n"
    "A. an arrow to the right\nB. the name of a street\nC. a telephone number\nD. nothing"
)
"""Asked where no row is given: as long as those of the benchmarks, with options."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The first message of a question beside an image that takes its whole budget.

    Attributes:
        visual: tokens of the image.
        words: all others, those of the chat template among them.
    """

    visual: int
    words: int

    @property
    def tokens(self) -> int:
        """Of the prompt."""
        return self.visual + self.words


def count(settings: Settings, model: str, question: str = QUESTION, image: Image.Image | None = None) -> Counted:
    """Play a method up to its first message.

    Args:
        settings: the ``ergo:`` block of a recipe.
        model: folder, or hub id that is on this machine.
        image: the original; None for one that takes the whole budget.

    Raises:
        OSError: the model's processor is not on this machine.
        ValueError: it is not of the kind that the methods work with.
    """
    processor = load_processor(model)
    grid = vision_grid(processor)
    if image is None:
        image = _large(settings, grid.factor)
    turn = next(settings.method.episode(Sample(image, split_question(question)), settings.episode, grid))
    chat: Any = ChatTokens(processor)
    ids = chat.prompt([], turn)
    visual = sum(grid.tokens(size_of(one)) for one in turn.images)
    return Counted(visual, len(ids) - len(turn.images))


def _large(settings: Settings, factor: int) -> Image.Image:
    budget = settings.method.budget(settings.episode)
    side = factor * 2 * (int((budget.first_tokens + budget.later_tokens if budget else 4096) ** 0.5) + 1)
    return Image.new("RGB", (side, side))
