"""Throw-away heads for zooming: what a visual token shows, where a colour word's tile lies, what crops say of it.

As in `panels.heads`: seeing is quick to learn, binding words to places and to what was seen there is the wall.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..classroom import Lesson
from ..policy import HIDDEN
from ..states import States, which_token, word_of_token
from ..world import COLORS, PATTERNS
from .lessons import NOWHERE
from .world import VIEW_TOKENS


class Heads(States):
    """Losses on inner states of a policy."""

    colour_of_token: Tensor

    def __init__(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(policy)
        self._image_begins: int = policy.config.vision_start_token_id
        self.colour = nn.Linear(HIDDEN, 1 + len(COLORS))
        self.cell = nn.Linear(HIDDEN, VIEW_TOKENS)
        self.content = nn.Linear(HIDDEN, 1 + len(PATTERNS) * len(COLORS))
        self.cell_of_word = nn.Linear(HIDDEN, VIEW_TOKENS)
        self.known_of_word = nn.Linear(HIDDEN, len(PATTERNS) + 1)
        self.register_buffer("colour_of_token", word_of_token(policy, tokenizer, tuple(COLORS)))

    def losses(self, lesson: Lesson) -> dict[str, Tensor]:
        """See `panels.classroom.Heads`."""
        seen = self.seen.view(len(lesson.tokens), -1, HIDDEN)
        first, crops = seen[:, :VIEW_TOKENS], seen[:, VIEW_TOKENS:]
        losses = {
            "colour": F.cross_entropy(self.colour(first).flatten(0, 1), lesson.facts["cells"].flatten()),
            "cell": 0.5 * which_token(self.cell(first)),
        }
        if crops.shape[1]:
            content = self.content(crops).flatten(0, 1)
            losses["content"] = 2.0 * F.cross_entropy(content, lesson.facts["crops"].flatten())
        return losses | self._bindings(lesson)

    def _bindings(self, lesson: Lesson) -> dict[str, Tensor]:
        """Of every colour word: the cell of its tile, and its pattern as far as the crops before the word show it."""
        colour = self.colour_of_token[lesson.tokens]
        row, at = (colour >= 0).nonzero(as_tuple=True)
        named, bound = colour[row, at], self.bound[row, at]
        is_it = lesson.facts["cells"][row] == 1 + named[:, None]
        crops = (lesson.tokens == self._image_begins).cumsum(-1)[row, at] - 1
        known = lesson.facts["known"][row, crops, named]
        return {
            "spot": 0.5 * F.cross_entropy(self.cell_of_word(bound), is_it.float().argmax(-1)),
            "known": 0.5 * F.cross_entropy(self.known_of_word(bound), known, ignore_index=NOWHERE),
        }
