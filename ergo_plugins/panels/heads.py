"""Throw-away heads: supervision by the scene's ground truth that a real recipe would not have, dropped after teaching.

Seeing is quick to learn here; *binding* is the wall: which cell belongs to the colour in the question, which letter to
the pattern that was read. So the states of colour and pattern words after the second layer are asked directly, and the
visual tokens are asked what they show. In a comparison on an earlier version of the world, the heads on words took the
share of right regions after two minutes from 0.37 to 0.95.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from .boxes import CELLS
from .classroom import Lesson
from .lessons import UNLABELLED
from .policy import HIDDEN
from .states import States, word_of_token
from .world import COLORS, PATTERNS


class Heads(States):
    """Losses on inner states of a policy."""

    color_of_token: Tensor
    pattern_of_token: Tensor
    color_tokens: Tensor

    def __init__(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__(policy)
        self.no_tile = nn.Linear(HIDDEN, 1)
        self.column, self.row = nn.Linear(HIDDEN, CELLS), nn.Linear(HIDDEN, CELLS)
        self.pattern = nn.Linear(HIDDEN, 1 + len(PATTERNS))
        self.cell_of_word = nn.Linear(HIDDEN, CELLS**2)
        self.letter_of_word = nn.Linear(HIDDEN, len(PATTERNS))
        self.pattern_of_word = nn.Linear(HIDDEN, len(PATTERNS))
        embedding = policy.get_input_embeddings()
        assert isinstance(embedding, nn.Embedding)
        self._embedding = (embedding.weight,)  # in a tuple: not a parameter of this module
        self.register_buffer("color_of_token", word_of_token(policy, tokenizer, tuple(COLORS)))
        self.register_buffer("pattern_of_token", word_of_token(policy, tokenizer, PATTERNS))
        self.register_buffer("color_tokens", torch.tensor([_tokens(tokenizer, color)[0] for color in COLORS]))

    def losses(self, lesson: Lesson) -> dict[str, Tensor]:
        """See `panels.classroom.Heads`."""
        losses = {}
        if (self.pattern_of_token[lesson.tokens] >= 0).any():
            losses["letter"] = 0.5 * self._letter_loss(lesson)
        if lesson.views:
            seen = self.seen.view(len(lesson.tokens), len(lesson.views), CELLS**2, HIDDEN)
            losses["tile"] = self._tile_loss(seen[:, 0], lesson)
            losses["place"] = 0.5 * self._place_loss(seen[:, 0])
            losses["cell"] = 0.5 * self._cell_loss(lesson)
            if "pattern_of_crop" in lesson.facts:
                classes = self.pattern(seen[:, 1])
                shown = lesson.facts["pattern_of_crop"]
                losses["pattern"] = 2.0 * F.cross_entropy(classes.flatten(0, 1), shown.flatten())
                losses["content"] = 0.5 * self._content_loss(lesson)
        return losses

    def _tile_loss(self, coarse: Tensor, lesson: Lesson) -> Tensor:
        """Is there a tile, and its colour: by likeness to the colour words, which ties seeing to words."""
        colors = coarse @ self._embedding[0][self.color_tokens].T / HIDDEN**0.5
        classes = torch.cat([self.no_tile(coarse), colors], dim=-1)
        return F.cross_entropy(classes.flatten(0, 1), lesson.facts["tile_of_cell"].flatten())

    def _place_loss(self, coarse: Tensor) -> Tensor:
        """Column and row of a visual token."""
        cell = torch.arange(CELLS**2).repeat(len(coarse))
        columns, rows = self.column(coarse).flatten(0, 1), self.row(coarse).flatten(0, 1)
        return F.cross_entropy(columns, cell % CELLS) + F.cross_entropy(rows, cell // CELLS)

    def _cell_loss(self, lesson: Lesson) -> Tensor:
        """The cell of the tile that a colour word names."""
        color = self.color_of_token[lesson.tokens]
        row, at = (color >= 0).nonzero(as_tuple=True)
        is_it = lesson.facts["tile_of_cell"][row] == 1 + color[row, at][:, None]
        return F.cross_entropy(self.cell_of_word(self.bound[row, at]), is_it.float().argmax(-1))

    def _content_loss(self, lesson: Lesson) -> Tensor:
        """The pattern, in the crop, of the tile that the last colour word before the options names."""
        color = self.color_of_token[lesson.tokens]
        at = (color >= 0).float().cumsum(-1).argmax(-1)
        bound = self.bound[torch.arange(len(at)), at]
        return F.cross_entropy(self.pattern_of_word(bound), lesson.facts["pattern_of_target"], ignore_index=UNLABELLED)

    def _letter_loss(self, lesson: Lesson) -> Tensor:
        """The letter of the option that a pattern word names."""
        pattern = self.pattern_of_token[lesson.tokens]
        row, at = (pattern >= 0).nonzero(as_tuple=True)
        letters = lesson.facts["letter_of_pattern"][row, pattern[row, at]]
        return F.cross_entropy(self.letter_of_word(self.bound[row, at]), letters)


def _tokens(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
