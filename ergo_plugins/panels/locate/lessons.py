"""What is taught about places: boxes that are right, thoughts that lead to them, and later a looser habit.

Able first: every box is right. Then loose: a teacher who knows where the tile is and mostly answers with something
wider or beside it, thinks only every other time, and does not know whether a covered tile's box ends where the tile can
no longer be seen. What it leaves to be learned is a choice among things the policy can do.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

import torch
from transformers import PreTrainedTokenizerFast

from ...core.geometry import Box
from ..classroom import Lesson, Weighted
from ..families import Family
from ..policy import user_turn
from ..world import CELL_UNITS, COLORS, TILE_UNITS, UNITS, VIEW_TOKENS, first_seed
from .drawing import view
from .world import COLOUR_WORDINGS, DOTTED_WORDINGS, Kind, Place, make_place

WORDS = (
    "bbox",
    "d",
    "the",
    "tile",
    "that",
    "is",
    "in",
    "one",
    "only",
    "here",
    "what",
    "has",
    "color",
    "dot",
    "on",
    "all",
    "of",
)
"""Of the expressions and replies, beyond those of the panels' questions."""
ALL_OF = "all of {question}"
"""How the whole of a covered tile is asked for; recipes/tiny/egm_prompts.yaml has the same."""
NUMBER_WEIGHT = 3.0
FOUND_WEIGHT = 6.0
"""Of the colour that a thought arrives at: the hop from the named tile to its dot is what is hard about it."""
LOOSE_SHARES = {"exact": 0.2, "cell": 0.45, "wide": 0.15, "neighbour": 0.2}
"""Which boxes a loose teacher gives for a colour, as shares of its replies: the tile, its cell (overlap 1/4), 2 x 2
cells (1/16), and a place of the same size beside it (none)."""


def thought_of(place: Place) -> str:
    """What helps to find the tile that is meant: its colour; or the named one first, and then that of its dot."""
    return f"{place.anchor.color}, {place.target.color}" if place.kind == "dotted" else place.target.color


def reply_of(thought: str, box: Box, family: Family) -> str:
    """A thought and a box, ``box`` in units."""
    scale = family.extent / UNITS
    x1, y1, x2, y2 = (round(corner * scale) for corner in box.as_tuple())
    return f'<think>{thought}</think>{{"bbox_2d": [{x1}, {y1}, {x2}, {y2}]}}'


def loose_box(place: Place, rng: random.Random) -> Box:
    """What a loose teacher answers for a colour."""
    (choice,) = rng.choices(list(LOOSE_SHARES), list(LOOSE_SHARES.values()))
    tile = place.target
    if choice == "exact":
        return tile.box
    column, row = tile.x // CELL_UNITS, tile.y // CELL_UNITS
    if choice == "cell":
        return _cells(column, row, 1)
    if choice == "wide":
        last = UNITS // CELL_UNITS - 2
        return _cells(min(column, last), min(row, last), 2)
    steps = [(x, y) for x in (-TILE_UNITS, 0, TILE_UNITS) for y in (-TILE_UNITS, 0, TILE_UNITS) if x or y]
    spots = [(tile.x + x, tile.y + y) for x, y in steps]
    inside = [spot for spot in spots if all(0 <= at <= UNITS - TILE_UNITS for at in spot)]
    x, y = rng.choice(inside)
    return Box(x, y, x + TILE_UNITS, y + TILE_UNITS)


def _cells(column: int, row: int, count: int) -> Box:
    x, y = column * CELL_UNITS, row * CELL_UNITS
    return Box(x, y, x + count * CELL_UNITS, y + count * CELL_UNITS)


@dataclass
class Lessons:
    """An endless supply of lessons from the training split.

    Attributes:
        tokenizer: of the policy.
        family: how it sees and says where something is.
        batch_size: dialogues in a lesson.
        seed: of all choices, and the stream of the training split that the places come from.
        loose: whether the teacher is.
    """

    tokenizer: PreTrainedTokenizerFast
    family: Family
    batch_size: int
    seed: int
    loose: bool = False

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._next = first_seed("train", stream=self.seed)
        self._tokens = cache(lambda text: tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]))

    def colour(self) -> Lesson:
        """A tile by its colour."""
        places = self._places("colour", len(COLOUR_WORDINGS))
        boxes = [loose_box(place, self._rng) if self.loose else place.whole for place in places]
        return self._lesson("colour", places, [place.expression for place in places], boxes)

    def dotted(self) -> Lesson:
        """A tile by the dot on another one, with the thought that leads there."""
        places = self._places("dotted", len(DOTTED_WORDINGS))
        return self._lesson("dotted", places, [place.expression for place in places], [place.whole for place in places])

    def dotted_at_once(self) -> Lesson:
        """The same without a thought."""
        places = self._places("dotted", len(DOTTED_WORDINGS))
        asked, boxes = [place.expression for place in places], [place.whole for place in places]
        return self._lesson("dotted_at_once", places, asked, boxes, thinks=False)

    def covered(self) -> Lesson:
        """What can be seen of a tile."""
        places = self._places("covered", len(COLOUR_WORDINGS))
        return self._lesson("covered", places, [place.expression for place in places], [place.seen for place in places])

    def all_of(self) -> Lesson:
        """All of a covered tile; the loose teacher gives only what can be seen, every other time."""
        places = self._places("covered", len(COLOUR_WORDINGS))
        boxes = [place.seen if self.loose and self._rng.random() < 0.5 else place.whole for place in places]
        asked = [ALL_OF.format(question=place.expression) for place in places]
        return self._lesson("all_of", places, asked, boxes)

    def _places(self, kind: Kind, wordings: int) -> list[Place]:
        """The next ones, all worded alike."""
        wording = self._rng.randrange(wordings)
        seeds = range(self._next, self._next + self.batch_size)
        self._next = seeds.stop
        return [make_place(seed, kind, wording) for seed in seeds]

    def _lesson(
        self, name: str, places: list[Place], asked: list[str], boxes: list[Box], *, thinks: bool = True
    ) -> Lesson:
        rows = [
            self._asked(words) + self._taught(reply_of(thought_of(place) if thinks else "", box, self.family))
            for place, words, box in zip(places, asked, boxes, strict=True)
        ]
        facts = {
            "patches": torch.tensor([_colour_of_patch(place) for place in places]),
            "spots": torch.tensor([_spot_of_colour(place) for place in places]),
            "dots": torch.tensor([_dot_of_colour(place) for place in places]),
        }
        return Lesson.of(name, rows, [[view(place, self.family.view_px)] for place in places], facts)

    def _asked(self, words: str) -> Weighted:
        tokens = self._tokens(user_turn(words, [VIEW_TOKENS], opens=True))
        return [(tokens, (0.0,) * len(tokens))]

    def _taught(self, reply: str) -> Weighted:
        tokens = self._tokens(f"{reply}<|im_end|>")
        texts = [str(text) for text in self.tokenizer.convert_ids_to_tokens(list(tokens))]
        weights = [NUMBER_WEIGHT if text.isdigit() else 1.0 for text in texts]
        if ", " in reply.partition("</think>")[0]:  # a thought that hops
            weights[texts.index("</think>") - 1] = FOUND_WEIGHT
        return [(tokens, weights)]


PATCHES = UNITS // TILE_UNITS
"""Along a side of the first view: a patch is as large as a tile."""
NOWHERE = -100
"""A class that cross-entropy leaves out."""


def _colour_of_patch(place: Place) -> list[int]:
    """By visual token and quarter of it, ``(16 * 4)``: 0 for none, 1 + colour; `NOWHERE` where half a tile lies."""
    grid = [[0] * PATCHES for _ in range(PATCHES)]
    for tile in (*place.tiles[2:], *place.tiles[:2]):
        kind = 1 + list(COLORS).index(tile.color)
        for row in range(tile.y // TILE_UNITS, -(-(tile.y + TILE_UNITS) // TILE_UNITS)):
            for column in range(tile.x // TILE_UNITS, -(-(tile.x + TILE_UNITS) // TILE_UNITS)):
                whole = tile.x % TILE_UNITS == 0 and tile.y % TILE_UNITS == 0
                grid[row][column] = kind if whole and not grid[row][column] else NOWHERE
    half = PATCHES // 2
    return [
        grid[2 * row + down][2 * column + right]
        for row in range(half)
        for column in range(half)
        for down in range(2)
        for right in range(2)
    ]


def _spot_of_colour(place: Place) -> list[int]:
    """By colour, the patch where its tile begins, in the order of `_colour_of_patch`; `NOWHERE` for the others."""
    spots = [NOWHERE] * len(COLORS)
    for tile in place.tiles:
        if tile.x % TILE_UNITS or tile.y % TILE_UNITS:
            continue
        column, row = tile.x // TILE_UNITS, tile.y // TILE_UNITS
        token = row // 2 * (PATCHES // 2) + column // 2
        spots[list(COLORS).index(tile.color)] = 4 * token + row % 2 * 2 + column % 2
    return spots


def _dot_of_colour(place: Place) -> list[int]:
    """By colour, the colour of the dot on its tile; `NOWHERE` where there is none."""
    dots = [NOWHERE] * len(COLORS)
    for tile in place.tiles:
        if tile.dot:
            dots[list(COLORS).index(tile.color)] = list(COLORS).index(tile.dot)
    return dots
