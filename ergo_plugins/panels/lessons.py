"""What the policy is taught: lessons about training scenes, and the ground truth that goes with them.

``facts`` of a lesson: ``tile_of_cell`` ``(batch, 16)`` for the visual tokens of the coarse view, 0 for none, else
1 + colour; ``letter_of_pattern`` ``(batch, 4)``; with a crop also ``pattern_of_crop`` ``(batch, 16)`` for its
visual tokens, 0 for none, else 1 + pattern, and ``pattern_of_target`` ``(batch,)``, `UNLABELLED` if it is not shown.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from ..core.geometry import Box
from .boxes import CELL_PX, CELLS, BoxHabit, LooseHabit, cell_box
from .classroom import Lesson, Tokens, Weighted
from .drawing import coarse_view, crop_view
from .policy import user_turn
from .world import (
    COLORS,
    PATTERNS,
    TILE_UNITS,
    UNITS_PER_VIEW_PX,
    VIEW_TOKENS,
    WORDINGS,
    Scene,
    WorldConfig,
    first_seed,
    make_scene,
    oracle,
)

UNLABELLED = -100
"""A class that `torch.nn.functional.cross_entropy` leaves out."""


def look_reply(scene: Scene, box_view: Box) -> str:
    """The first-turn reply that points at a box: it names what it looks for, then where that is."""
    x1, y1, x2, y2 = (round(corner) for corner in box_view.as_tuple())
    return f"<think>{scene.target.color}</think><zoom>[{x1}, {y1}, {x2}, {y2}]</zoom>"


def answer_reply(scene: Scene) -> str:
    """The second-turn reply: what was read, then the letter that stands for it."""
    return f"<think>{scene.target.pattern}</think><answer>{scene.answer}</answer>"


LOOK_WEIGHTS = (1, 1, 1, 1, 1, 3, 1, 3, 1, 3, 1, 3, 1, 1, 1)
"""Of the tokens of a look reply and its end of turn: the four numbers are what is hard."""
ANSWER_WEIGHTS = (2, 6, 2, 2, 6, 2, 2)
"""Of the tokens of an answer: the pattern and the letter."""
FORM_WEIGHTS = (2, 0, 2, 2, 6, 2, 2)
"""Of those of an answer that nobody could give: its form, and the letter of whatever pattern was said."""
GUESS_WEIGHTS = (2, 2, 2, 2, 6, 2, 2)
"""Of those of an answer that nobody could give, to a policy that will be sampled: it guesses one of the patterns."""
LETTER_WEIGHTS = (0, 0, 0, 0, 1, 0, 0)


@dataclass
class Lessons:
    """An endless supply of lessons from the training split.

    Attributes:
        tokenizer: of the policy.
        batch_size: dialogues in a lesson.
        seed: of wordings, boxes and orders, and the stream of the training split that the scenes come from.
        habit: where the teacher looks in whole episodes.
        unread_weights: of the tokens of an answer from a crop that does not show it.
    """

    tokenizer: PreTrainedTokenizerFast
    batch_size: int
    seed: int
    habit: BoxHabit | LooseHabit = field(default_factory=BoxHabit)
    unread_weights: Sequence[float] = FORM_WEIGHTS

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._next_scene = first_seed("train", stream=self.seed)
        self._tokens = cache(lambda text: tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]))

    def pointing(self) -> Lesson:
        """Several questions on one coarse view, each answered by the cell of its tile: where is what?"""
        scenes = self._scenes(tiles=self._rng.choice((1, 2, 3)))
        rows: list[Weighted] = []
        for scene in scenes:
            row: Weighted = []
            for tile in scene.tiles:
                asked = replace(scene, tiles=(tile, *(other for other in scene.tiles if other != tile)))
                row += self._given(self._user(asked.stem, images=0 if row else 1, opens=not row))
                row += self._taught(look_reply(asked, cell_box(asked)), LOOK_WEIGHTS)
            rows.append(row)
        return self._lesson("pointing", scenes, rows, [[coarse_view(scene)] for scene in scenes])

    def choosing(self) -> Lesson:
        """The options without any image: a pattern that was read stands for which letter?"""
        scenes = self._scenes()
        rows: list[Weighted] = []
        for scene in scenes:
            row = self._given(self._user(scene.text, images=0, opens=True))
            for pattern in self._rng.sample(PATTERNS, len(PATTERNS)):
                supposed = replace(scene, tiles=(replace(scene.target, pattern=pattern), *scene.tiles[1:]))
                row += self._taught(answer_reply(supposed), LETTER_WEIGHTS)
            rows.append(row)
        return self._lesson("choosing", scenes, rows, [[] for _ in scenes])

    def episodes(self) -> Lesson:
        """Whole zooms: look, crop, answer. With six tiles a wider crop mostly holds others beside the one asked for."""
        scenes = self._scenes(tiles=self._rng.choice((3, 6)))
        rows: list[Weighted] = []
        views: list[list[NDArray[np.uint8]]] = []
        crop_classes: list[list[int]] = []
        target_classes: list[int] = []
        for scene in scenes:
            box_view, is_taught = self.habit.choose(scene, self._rng)
            is_hit = oracle(scene.target_source, scene.to_source(box_view)).is_hit
            row = self._given(self._user(scene.stem, images=1, opens=True))
            row += self._taught(look_reply(scene, box_view), [is_taught * weight for weight in LOOK_WEIGHTS])
            row += self._given(self._user(scene.text, images=1, opens=False))
            row += self._taught(answer_reply(scene), ANSWER_WEIGHTS if is_hit else self.unread_weights)
            rows.append(row)
            views.append([coarse_view(scene), crop_view(scene, box_view)])
            crop_classes.append(_pattern_of_crop(scene, box_view))
            target_classes.append(PATTERNS.index(scene.target.pattern) if is_hit else UNLABELLED)
        seen = {"pattern_of_crop": torch.tensor(crop_classes), "pattern_of_target": torch.tensor(target_classes)}
        return self._lesson("episodes", scenes, rows, views, seen)

    def single_pass(self) -> Lesson:
        """The whole question on the coarse view: there is nothing to read, but the answer has its form."""
        scenes = self._scenes()
        rows = [
            self._given(self._user(scene.text, images=1, opens=True))
            + self._taught(answer_reply(scene), self.unread_weights)
            for scene in scenes
        ]
        return self._lesson("single_pass", scenes, rows, [[coarse_view(scene)] for scene in scenes])

    def _scenes(self, tiles: int = 3) -> list[Scene]:
        """The next training scenes, all asked in the same words."""
        wording = self._rng.choice(WORDINGS)
        seeds = range(self._next_scene, self._next_scene + self.batch_size)
        self._next_scene = seeds.stop
        return [replace(make_scene(seed, WorldConfig(panels=tiles)), wording=wording) for seed in seeds]

    def _user(self, text: str, *, images: int, opens: bool) -> Tokens:
        return self._tokens(user_turn(text, [VIEW_TOKENS] * images, opens=opens))

    def _given(self, tokens: Tokens) -> Weighted:
        return [(tokens, (0.0,) * len(tokens))]

    def _taught(self, reply: str, weights: Sequence[float]) -> Weighted:
        return [(self._tokens(f"{reply}<|im_end|>"), weights)]

    def _lesson(
        self,
        name: str,
        scenes: list[Scene],
        rows: list[Weighted],
        views: list[list[NDArray[np.uint8]]],
        seen: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> Lesson:
        facts = {
            "tile_of_cell": torch.tensor([_tile_of_cell(scene) for scene in scenes]),
            "letter_of_pattern": torch.tensor([[s.options.index(pattern) for pattern in PATTERNS] for s in scenes]),
        }
        return Lesson.of(name, rows, views, {**facts, **seen})


def _tile_of_cell(scene: Scene) -> list[int]:
    classes = [0] * CELLS**2
    for tile in scene.tiles:
        column, row = tile.cell
        classes[row * CELLS + column] = 1 + list(COLORS).index(tile.color)
    return classes


def _pattern_of_crop(scene: Scene, box_view: Box) -> list[int]:
    """Classes of the crop's 4 x 4 visual tokens; `UNLABELLED` where a tile fills little of one, or is not legible."""
    if box_view.width > 2 * CELL_PX:
        return [UNLABELLED] * CELLS**2
    side = box_view.width / CELLS
    classes = []
    for token in range(CELLS**2):
        x, y = box_view.x1 + token % CELLS * side, box_view.y1 + token // CELLS * side
        seen = Box(x, y, x + side, y + side).scaled(UNITS_PER_VIEW_PX, UNITS_PER_VIEW_PX)
        shares = [
            seen.coverage_by(Box(tile.x, tile.y, tile.x + TILE_UNITS, tile.y + TILE_UNITS)) for tile in scene.tiles
        ]
        most = max(shares)
        tile = scene.tiles[shares.index(most)]
        classes.append(1 + PATTERNS.index(tile.pattern) if most >= 0.5 else UNLABELLED if most > 0.1 else 0)
    return classes
