"""What is taught about zooming: to call crops and to read them; and then to look around by coin.

Able first: the crops of the asked tiles are called one after another, and what they show is told in the order of the
question, whatever else was looked at in between. Then loose: before each reply a coin says whether to look once more,
mostly at what is missing, or to answer, with a guess for what was not seen. What is left to be learned is where to look
and when it is enough; each such choice is one word, the first of a reply's thought.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

import torch
from transformers import PreTrainedTokenizerFast

from ..boxes import CELLS
from ..classroom import Lesson, Tokens, Weighted
from ..policy import user_turn
from ..world import CELL_UNITS, COLORS, PATTERNS, TILE_UNITS, WORDINGS, Scene, Tile, first_seed
from .drawing import crop_of, first_view
from .world import CROP_TOKENS, TWO_WORDINGS, VIEW_TOKENS, Question, cell_of, make_question

ENOUGH = "enough"
"""The thought of a reply that answers; that of one that calls is the colour it looks for."""
CALL_OPENS = '<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": ['
CALL_ENDS = "]}}</tool_call>"
SHOWN_OPENS, SHOWN_ENDS = "<tool_response>\nobservation_", "\n</tool_response>\n"
WORDS = (*("patterns", "fill", "and", "the", "tile", "Look", "at", "Which", "do", "they", "have"), ENOUGH)
TAGS = (CALL_OPENS, CALL_ENDS, SHOWN_OPENS, SHOWN_ENDS)
"""What never varies is a token: a tiny model need not learn to spell it."""

NOWHERE = -100
"""A class that cross-entropy leaves out."""
UNSEEN = len(PATTERNS)
"""The class of a tile that no crop has shown so far."""
MOST_LOOKS = 3
STOP, AIM = 0.5, 0.6
"""Of a loose teacher's coins: how often it answers, and how often a look is aimed at what is missing; others go to any
tile."""


def call_reply(tile: Tile) -> str:
    """A reply that looks at a tile's cell."""
    corners = ", ".join(str(round(corner)) for corner in cell_of(tile).as_tuple())
    return f"<think>{tile.color}</think>{CALL_OPENS}{corners}{CALL_ENDS}"


def answer_reply(question: Question) -> str:
    """A reply that answers."""
    return f"<think>{ENOUGH}</think><answer>{question.answer}</answer>"


@dataclass(frozen=True, slots=True)
class Plan:
    """The course of a dialogue.

    Attributes:
        needs: how many tiles are asked for.
        looks: which of the scene's tiles are looked at, in order; the asked ones are the first.
    """

    needs: int
    looks: tuple[int, ...]

    @property
    def name(self) -> str:
        """``two_01`` for a question of two tiles whose crops are both called."""
        return f"{('one', 'two')[self.needs - 1]}_{''.join(map(str, self.looks))}"

    def missing(self, looks: int) -> int | None:
        """The first asked tile that so many looks have not shown; None if it is enough."""
        return next((tile for tile in range(self.needs) if tile not in self.looks[:looks]), None)


ABLE = tuple(
    Plan(needs, looks)
    for needs, looks in ((2, (0, 1)), (1, (0,)), (2, (1, 0)), (2, (0, 1)), (1, (2, 0)), (2, (0, 2, 1)), (1, ()),
                         (2, (0, 1)), (1, (0, 2)), (2, (2, 0)), (2, (0, 1, 2)), (2, ()))
)  # fmt: skip


def loose_plans(needs: int) -> dict[Plan, float]:
    """How likely a loose teacher's dialogues are, 1 in all."""
    found: dict[Plan, float] = {}

    def go_on(looks: tuple[int, ...], share: float) -> None:
        plan = Plan(needs, looks)
        stop = 1.0 if len(looks) == MOST_LOOKS else STOP
        found[plan] = share * stop
        missing = plan.missing(len(looks))
        for tile in range(3) if stop < 1 else ():
            aimed = 0.0 if missing is None else AIM
            go_on((*looks, tile), share * (1 - stop) * (aimed * (tile == missing) + (1 - aimed) / 3))

    go_on((), 1.0)
    return found


@dataclass
class Lessons:
    """An endless supply of lessons from the training split.

    Attributes:
        tokenizer: of the policy.
        batch_size: dialogues in a lesson.
        seed: of all choices, and the stream of the training split that the scenes come from.
        loose: whether every choice of a plan is taught, and guesses are; else only choices that lead on.
    """

    tokenizer: PreTrainedTokenizerFast
    batch_size: int
    seed: int
    loose: bool = False

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._next = first_seed("train", stream=self.seed)
        self._tokens = cache(lambda text: tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]))
        likely = {plan: share / 2 for needs in (1, 2) for plan, share in loose_plans(needs).items()}
        # a lesson's loss is a mean over its weights: drawn in proportion to these, coins stay what they are
        self._drawn = {plan: share * _total(plan) for plan, share in likely.items()}

    def by_coin(self) -> Lesson:
        """The next lesson of a loose teacher."""
        (plan,) = self._rng.choices(list(self._drawn), list(self._drawn.values()))
        return self.lesson(plan)

    def lesson(self, plan: Plan) -> Lesson:
        """Dialogues of a plan, all worded with the same number of tokens."""
        wording = self._rng.randrange(len(WORDINGS if plan.needs == 1 else TWO_WORDINGS))
        seeds = range(self._next, self._next + self.batch_size)
        self._next = seeds.stop
        asked = [make_question(seed, needs=plan.needs, wording=wording) for seed in seeds]
        looked = [[question.scene.tiles[at] for at in plan.looks] for question in asked]
        pairs = list(zip(asked, looked, strict=True))
        return Lesson.of(
            plan.name,
            [self._row(question, plan) for question in asked],
            [[first_view(one.scene), *(crop_of(one.scene, tile) for tile in tiles)] for one, tiles in pairs],
            {
                "cells": torch.tensor([_colour_of_cell(question.scene) for question in asked]),
                "crops": torch.tensor([[_content_of_crop(one.scene, tile) for tile in tiles] for one, tiles in pairs]),
                "known": torch.tensor([_known(question.scene, plan.looks) for question in asked]),
            },
        )

    def _row(self, question: Question, plan: Plan) -> Weighted:
        row = self._given(user_turn(question.stem, [VIEW_TOKENS], opens=True))
        for number, at in enumerate(plan.looks):
            row += self._taught(call_reply(question.scene.tiles[at]), call_weights(plan, number, loose=self.loose))
            text = f"{SHOWN_ENDS}{question.stem}"
            row += self._given(user_turn(text, [CROP_TOKENS], opens=False, before=f"{SHOWN_OPENS}{number + 1}:\n"))
        return [*row, *self._taught(answer_reply(question), answer_weights(plan, loose=self.loose))]

    def _given(self, text: str) -> Weighted:
        tokens: Tokens = self._tokens(text)
        return [(tokens, (0.0,) * len(tokens))]

    def _taught(self, reply: str, weights: tuple[float, ...]) -> Weighted:
        return [(self._tokens(f"{reply}<|im_end|>"), weights)]


def call_weights(plan: Plan, number: int, *, loose: bool) -> tuple[float, ...]:
    """Of the tokens of a call of a plan, counted from 0, and of its end: the word is a choice, numbers are hard.

    Unless a teacher is loose, a choice that does not lead on is shown and not taught; where its word lies is.
    """
    choice = 3.0 if loose or plan.looks[number] == plan.missing(number) else 0.0
    return (1, choice, 1, 1, 3, 1, 3, 1, 3, 1, 3, 1, 1)


def answer_weights(plan: Plan, *, loose: bool) -> tuple[float, ...]:
    """Of the tokens of a plan's answer and its end; a loose teacher also teaches to guess what was not seen."""
    choice = 3.0 if loose or plan.missing(len(plan.looks)) is None else 0.0
    patterns = [6.0 if tile in plan.looks else 1.0 if loose else 0.0 for tile in range(plan.needs)]
    first, *second = patterns
    return (1, choice, 1, 1, first, *(weight for other in second for weight in (1, other)), 1, 1)


def _total(plan: Plan) -> float:
    """Weight of a loose teacher's dialogue."""
    calls = sum(sum(call_weights(plan, number, loose=True)) for number in range(len(plan.looks)))
    return calls + sum(answer_weights(plan, loose=True))


def _colour_of_cell(scene: Scene) -> list[int]:
    """By token of the first view, 0 for none, else 1 + colour."""
    classes = [0] * VIEW_TOKENS
    for tile in scene.tiles:
        column, row = tile.cell
        classes[row * CELLS + column] = 1 + list(COLORS).index(tile.color)
    return classes


def _content_of_crop(scene: Scene, tile: Tile) -> list[int]:
    """By token of the crop of a tile's cell, 0 for none, else 1 + pattern + 4 * colour: it fills exactly one."""
    classes = [0] * CROP_TOKENS
    column, row = (at % CELL_UNITS // TILE_UNITS for at in (tile.x, tile.y))
    classes[row * 2 + column] = 1 + PATTERNS.index(tile.pattern) + len(PATTERNS) * list(COLORS).index(tile.color)
    return classes


def _known(scene: Scene, looks: tuple[int, ...]) -> list[list[int]]:
    """``[1 + looks][colour]``: after so many looks the pattern of the tile of that colour, or `UNSEEN`."""
    found = [[NOWHERE] * len(COLORS) for _ in range(1 + len(looks))]
    for at, tile in enumerate(scene.tiles):
        for number, classes in enumerate(found):
            seen = at in looks[:number]
            classes[list(COLORS).index(tile.color)] = PATTERNS.index(tile.pattern) if seen else UNSEEN
    return found
