"""Throw-away heads for asking: what a visual token shows, where a colour word's tile lies, what a letter stands for.

As in `panels.heads`: seeing is quick to learn, binding words to places and letters to words is the wall.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ..classroom import Lesson
from ..policy import HIDDEN
from ..states import States, which_token, word_of_token
from ..world import COLORS, PATTERNS
from .lessons import NOWHERE, WORLD_WORDS
from .world import FULL_TOKENS, REDUCED_TOKENS


class Heads(States):
    """Losses on inner states of a policy."""

    colour_of_token: Tensor
    word_of_token: Tensor

    def __init__(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(policy)
        self.colour = nn.Linear(HIDDEN, 1 + len(COLORS))
        self.cell = nn.Linear(HIDDEN, REDUCED_TOKENS)
        self.cell_of_word = nn.Linear(HIDDEN, REDUCED_TOKENS)
        self.content = nn.Linear(HIDDEN, 1 + len(PATTERNS) * len(COLORS))
        self.token = nn.Linear(HIDDEN, FULL_TOKENS)
        self.pattern_of_word = nn.Linear(HIDDEN, len(PATTERNS))
        self.letter_of_word = nn.Linear(HIDDEN, 4)
        self.register_buffer("colour_of_token", word_of_token(policy, tokenizer, tuple(COLORS)))
        self.register_buffer("word_of_token", word_of_token(policy, tokenizer, WORLD_WORDS))

    def losses(self, lesson: Lesson) -> dict[str, Tensor]:
        """See `panels.classroom.Heads`."""
        batch = len(lesson.tokens)
        seen = self.seen.view(batch, -1, HIDDEN)
        losses: dict[str, Tensor] = {}
        if seen.shape[1] != FULL_TOKENS:  # the reduced view is the first, or the only one
            reduced = seen[:, :REDUCED_TOKENS]
            losses["colour"] = F.cross_entropy(self.colour(reduced).flatten(0, 1), lesson.facts["cells"].flatten())
            losses["cell"] = 0.5 * which_token(self.cell(reduced))
        if seen.shape[1] != REDUCED_TOKENS:
            full = seen[:, -FULL_TOKENS:]
            losses["content"] = 2.0 * F.cross_entropy(
                self.content(full).flatten(0, 1), lesson.facts["tokens"].flatten()
            )
            losses["token"] = 0.5 * which_token(self.token(full))
        losses |= self._bindings(lesson, shows_full=seen.shape[1] != REDUCED_TOKENS)
        return losses

    def _bindings(self, lesson: Lesson, *, shows_full: bool) -> dict[str, Tensor]:
        colour = self.colour_of_token[lesson.tokens]
        row, at = (colour >= 0).nonzero(as_tuple=True)
        is_it = lesson.facts["cells"][row] == 1 + colour[row, at][:, None]
        losses = {"spot": 0.5 * F.cross_entropy(self.cell_of_word(self.bound[row, at]), is_it.float().argmax(-1))}
        if shows_full:
            last = (colour >= 0).float().cumsum(-1).argmax(-1)
            bound = self.bound[torch.arange(len(last)), last]
            losses["pattern"] = 0.5 * F.cross_entropy(self.pattern_of_word(bound), lesson.facts["pattern"])
        word = self.word_of_token[lesson.tokens]
        row, at = (word >= 0).nonzero(as_tuple=True)
        letters = lesson.facts["letters"][row, word[row, at]]
        losses["letter"] = 0.5 * F.cross_entropy(
            self.letter_of_word(self.bound[row, at]), letters, ignore_index=NOWHERE
        )
        return losses
