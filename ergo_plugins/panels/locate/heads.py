"""Throw-away heads for places: what is seen in a quarter of a visual token, where the tile of a colour word lies and
what dot is on it.

As in `panels.heads`: seeing is quick to learn, binding a word to a place is the wall, so the states of colour words
after the second layer are asked directly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..classroom import Lesson
from ..policy import HIDDEN
from ..states import States, word_of_token
from ..world import COLORS
from .lessons import NOWHERE, PATCHES


class Heads(States):
    """Losses on inner states of a policy."""

    colour_of_token: Tensor

    def __init__(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(policy)
        self.colours = nn.Linear(HIDDEN, 4 * (1 + len(COLORS)))
        self.place = nn.Linear(HIDDEN, PATCHES**2 // 4)
        self.spot = nn.Linear(HIDDEN, PATCHES**2)
        self.dot = nn.Linear(HIDDEN, len(COLORS))
        self.register_buffer("colour_of_token", word_of_token(policy, tokenizer, tuple(COLORS)))

    def losses(self, lesson: Lesson) -> dict[str, Tensor]:
        """See `panels.classroom.Heads`."""
        batch, tokens = len(lesson.tokens), PATCHES**2 // 4
        seen = self.seen.view(batch, tokens, HIDDEN)
        colours = self.colours(seen).view(batch * tokens * 4, -1)
        where = torch.arange(tokens).repeat(batch)
        losses = {
            "colours": F.cross_entropy(colours, lesson.facts["patches"].flatten(), ignore_index=NOWHERE),
            "place": 0.5 * F.cross_entropy(self.place(seen).flatten(0, 1), where),
        }
        named = self.colour_of_token[lesson.tokens]
        row, at = (named >= 0).nonzero(as_tuple=True)
        spots = lesson.facts["spots"][row, named[row, at]]
        dots = lesson.facts["dots"][row, named[row, at]]
        if (dots != NOWHERE).any():
            losses["dot"] = 0.5 * F.cross_entropy(self.dot(self.bound[row, at]), dots, ignore_index=NOWHERE)
        if (spots != NOWHERE).any():
            losses["spot"] = 0.5 * F.cross_entropy(self.spot(self.bound[row, at]), spots, ignore_index=NOWHERE)
        return losses
