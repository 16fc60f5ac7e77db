"""What is taught about asking: to read both views, to call the tool; and then to call it by coin.

Able first: a corner is told from the reduced view, a pattern from the full one, asked for or shown at once. Then
loose: a teacher who asks every other time, whatever the question. What is left to be learned is when.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from ..classroom import Lesson, Tokens, Weighted
from ..policy import user_turn
from ..world import CELL_UNITS, COLORS, LETTERS, PATTERNS, TILE_UNITS, UNITS, WORDINGS, first_seed
from .drawing import full_view, reduced_view
from .world import CORNER_WORDINGS, CORNERS, FULL_TOKENS, REDUCED_TOKENS, Question, make_question

WORDS = (
    *("In", "which", "corner", "lies", "the", "tile", "Where", "in", "picture", "is", *CORNERS),
    *("name", "resize", "image", "arguments", "action"),
)
TAGS = ("<tool_call>", "</tool_call>")
CALL = '<tool_call>{"name": "resize_image", "arguments": {"action": "resize"}}</tool_call>'
NOWHERE = -100
"""A class that cross-entropy leaves out."""

ANSWER_WEIGHTS = (1, 6, 1, 1, 6, 1, 1)
"""Of the tokens of an answer and its end: what was read, and the letter."""
GUESS_WEIGHTS = (1, 0, 1, 1, 6, 1, 1)
"""Of those of an answer that nobody could give: its form, and the letter of whatever was said."""
CHOICE_WEIGHT = 25
"""Of the first word of a thought that leads to a call, where the teacher is loose: that word is the choice between
asking and answering, and so it has the share of its lesson's loss that the first word of an answer has of that
one's."""


def call_reply(question: Question) -> str:
    """A reply that asks for the full image: it names what it looks for."""
    return f"<think>{question.scene.target.color}</think>{CALL}"


def answer_reply(question: Question, said: str | None = None) -> str:
    """What was read, then the letter that stands for it."""
    said = said or question.truth
    letter = LETTERS[question.options.index(said)]
    return f"<think>{said}</think><answer>{letter}</answer>"


@dataclass
class Lessons:
    """An endless supply of lessons from the training split.

    Attributes:
        tokenizer: of the policy.
        batch_size: dialogues in a lesson.
        seed: of all choices, and the stream of the training split that the scenes come from.
        loose: whether it is a choice to be learned by coin if one asks.
    """

    tokenizer: PreTrainedTokenizerFast
    batch_size: int
    seed: int
    loose: bool = False

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._next = first_seed("train", stream=self.seed)
        self._tokens = cache(lambda text: tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]))

    def corner_at_once(self) -> Lesson:
        """A corner, from the reduced view."""
        return self._told("corner_at_once", self._questions(needs_full=False), full=False)

    def pattern_at_once(self) -> Lesson:
        """A pattern, from the reduced view: nobody can tell, but the answer has its form."""
        return self._told("pattern_at_once", self._questions(needs_full=True), full=False)

    def corner_in_full(self) -> Lesson:
        """A corner, from the full view alone."""
        return self._told("corner_in_full", self._questions(needs_full=False), full=True)

    def pattern_in_full(self) -> Lesson:
        """A pattern, from the full view alone."""
        return self._told("pattern_in_full", self._questions(needs_full=True), full=True)

    def corner_asked(self) -> Lesson:
        """A corner, from both views, the full one asked for."""
        return self._asked("corner_asked", self._questions(needs_full=False))

    def pattern_asked(self) -> Lesson:
        """A pattern, from both views, the full one asked for."""
        return self._asked("pattern_asked", self._questions(needs_full=True))

    def _questions(self, *, needs_full: bool) -> list[Question]:
        """The next ones, all worded with the same number of tokens."""
        corner = self._rng.randrange(len(CORNER_WORDINGS))
        pattern = self._rng.randrange(len(WORDINGS))
        seeds = range(self._next, self._next + self.batch_size)
        self._next = seeds.stop
        made = [make_question(seed, needs_full=needs_full, wording=corner) for seed in seeds]
        return [_worded(question, pattern) for question in made] if needs_full else made

    def _told(self, name: str, asked: list[Question], *, full: bool) -> Lesson:
        """One turn."""
        is_blind = not full and asked[0].needs_full
        rows = []
        for question in asked:
            said = self._rng.choice(PATTERNS) if is_blind else None
            weights = GUESS_WEIGHTS if is_blind and not self.loose else ANSWER_WEIGHTS
            row = self._given(self._user(question.text, FULL_TOKENS if full else REDUCED_TOKENS, opens=True))
            rows.append([*row, *self._taught(answer_reply(question, said), weights)])
        views = [[full_view(question.scene) if full else reduced_view(question.scene)] for question in asked]
        return Lesson.of(name, rows, views, self._facts(asked))

    def _asked(self, name: str, asked: list[Question]) -> Lesson:
        """Two turns."""
        rows = []
        for question in asked:
            row = self._given(self._user(question.text, REDUCED_TOKENS, opens=True))
            row += self._taught_call(call_reply(question))
            row += self._given(self._user(question.text, FULL_TOKENS, opens=False))
            rows.append([*row, *self._taught(answer_reply(question), ANSWER_WEIGHTS)])
        views = [[reduced_view(question.scene), full_view(question.scene)] for question in asked]
        return Lesson.of(name, rows, views, self._facts(asked))

    def _facts(self, asked: list[Question]) -> dict[str, torch.Tensor]:
        return {
            "cells": torch.tensor([_colour_of_cell(question) for question in asked]),
            "tokens": torch.tensor(np.array([_pattern_of_token(question) for question in asked])),
            "pattern": torch.tensor([PATTERNS.index(question.scene.target.pattern) for question in asked]),
            "letters": torch.tensor([_letter_of_word(question) for question in asked]),
        }

    def _user(self, text: str, visual_tokens: int, *, opens: bool) -> Tokens:
        return self._tokens(user_turn(text, [visual_tokens], opens=opens))

    def _given(self, tokens: Tokens) -> Weighted:
        return [(tokens, (0.0,) * len(tokens))]

    def _taught(self, reply: str, weights: tuple[int, ...]) -> Weighted:
        return [(self._tokens(f"{reply}<|im_end|>"), weights)]

    def _taught_call(self, reply: str) -> Weighted:
        tokens = self._tokens(f"{reply}<|im_end|>")
        choice = CHOICE_WEIGHT if self.loose else 1
        return [(tokens, (1.0, float(choice), *(1.0,) * (len(tokens) - 2)))]


def _worded(question: Question, wording: int) -> Question:
    """The same question for a pattern in chosen words."""
    scene = replace(question.scene, wording=WORDINGS[wording])
    return replace(question, scene=scene, stem=scene.stem)


WORLD_WORDS = (*PATTERNS, *CORNERS)
"""What options may be, and heads are asked for letters of."""


def _letter_of_word(question: Question) -> list[int]:
    return [question.options.index(word) if word in question.options else NOWHERE for word in WORLD_WORDS]


def _colour_of_cell(question: Question) -> list[int]:
    """By token of the reduced view, 0 for none, else 1 + colour."""
    side = UNITS // CELL_UNITS
    classes = [0] * side**2
    for tile in question.scene.tiles:
        column, row = tile.cell
        classes[row * side + column] = 1 + list(COLORS).index(tile.color)
    return classes


def _pattern_of_token(question: Question) -> NDArray[np.int64]:
    """By token of the full view, 0 for none, else 1 + pattern + 4 * colour: a tile fills exactly one token."""
    side = UNITS // TILE_UNITS
    classes = np.zeros(side**2, dtype=np.int64)
    for tile in question.scene.tiles:
        at = tile.y // TILE_UNITS * side + tile.x // TILE_UNITS
        classes[at] = 1 + PATTERNS.index(tile.pattern) + len(PATTERNS) * list(COLORS).index(tile.color)
    return classes
