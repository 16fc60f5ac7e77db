"""Throw-away heads for context: what a visual token shows, and what the words about a landmark are bound to.

As in `panels.heads`: seeing is quick to learn, binding words to places is the wall. None is asked what a mark means.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..classroom import Lesson
from ..policy import HIDDEN
from ..states import States, which_token, word_of_token
from ..world import COLORS
from .world import MARKS, PATTERNS, SHAPES, VIEW_TOKENS


class Heads(States):
    """Losses on inner states of a policy."""

    color_of_token: Tensor
    look_of_token: Tensor

    def __init__(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(policy)
        self.cell = nn.Linear(HIDDEN, VIEW_TOKENS)
        self.color, self.mark = nn.Linear(HIDDEN, 1 + len(COLORS)), nn.Linear(HIDDEN, len(MARKS))
        self.shape, self.framed = nn.Linear(HIDDEN, len(SHAPES)), nn.Linear(HIDDEN, 2)
        self.content = nn.Linear(HIDDEN, 1 + len(PATTERNS))
        self.asked_of_word, self.target_of_word = nn.Linear(HIDDEN, VIEW_TOKENS), nn.Linear(HIDDEN, VIEW_TOKENS)
        self.mark_of_word, self.shape_of_word = nn.Linear(HIDDEN, len(MARKS)), nn.Linear(HIDDEN, len(SHAPES))
        self.register_buffer("color_of_token", word_of_token(policy, tokenizer, tuple(COLORS)))
        self.register_buffer("look_of_token", word_of_token(policy, tokenizer, (*MARKS, *SHAPES)))

    def losses(self, lesson: Lesson) -> dict[str, Tensor]:
        """See `panels.classroom.Heads`."""
        seen = self.seen.view(len(lesson.tokens), -1, HIDDEN)
        first, crop = seen[:, :VIEW_TOKENS], seen[:, VIEW_TOKENS:]
        losses = {
            name: _loss(head(first), lesson.facts[name])
            for name, head in (
                ("color", self.color),
                ("mark", self.mark),
                ("shape", self.shape),
                ("framed", self.framed),
            )
        }
        losses["cell"] = 0.5 * which_token(self.cell(first))
        if crop.shape[1]:
            losses["content"] = 2.0 * _loss(self.content(crop), lesson.facts["crop"])
        return losses | self._bindings(lesson)

    def _bindings(self, lesson: Lesson) -> dict[str, Tensor]:
        """Of words for the landmark's colour, mark and shape: where it is and where a visible pattern is; of the first,
        what it looks like."""
        facts = lesson.facts
        is_color, is_look = self.color_of_token[lesson.tokens] >= 0, self.look_of_token[lesson.tokens] >= 0
        row, at = (is_color | is_look).nonzero(as_tuple=True)
        bound = self.bound[row, at]
        losses = {
            "spot": 0.5 * _loss(self.asked_of_word(bound), facts["asked"][row]),
            "goal": 0.5 * _loss(self.target_of_word(bound), facts["target"][row]),
        }
        row, at = is_color.nonzero(as_tuple=True)
        bound, asked = self.bound[row, at], facts["asked"][row]
        losses["look"] = 0.5 * (
            _loss(self.mark_of_word(bound), facts["mark"][row, asked])
            + _loss(self.shape_of_word(bound), facts["shape"][row, asked])
        )
        return losses


def _loss(logits: Tensor, classes: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, -2), classes.flatten())
