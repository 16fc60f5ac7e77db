"""What is taught about context: to name landmarks, to say and to box a direction and an extent, and to read crops.

Where a pattern is visible, the teacher points at it. Where it is hidden, the teacher points by lot, whatever the
landmark looks like. In every lesson patterns are placed by lot as well (`WorldConfig.placed`), so that nothing that is
taught says what a mark or a shape means. A look names the landmark's mark and a direction, its shape and an extent,
then the box that these make. So each word that is left to be learned stands beside the one that it follows from.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache

import torch
from transformers import PreTrainedTokenizerFast

from ...core.geometry import Box
from ..boxes import CELL_PX, CELLS
from ..classroom import Lesson, Tokens, Weighted
from ..policy import user_turn
from ..world import COLORS, first_seed
from .drawing import crop_view, first_view
from .oracle import shows
from .world import (
    CROP_TOKENS,
    DIRECTIONS,
    MARKS,
    PATTERNS,
    SHAPES,
    VIEW_TOKENS,
    WORDINGS,
    Cell,
    Scene,
    WorldConfig,
    cells_at,
    make_scene,
    zone,
)

EXTENTS = {"one": 1, "four": 2, "all": CELLS}
"""Cells along a side of what a look's last word means."""
BY_LOT = (0.45, 0.4, 0.15)
"""How often a teacher who cannot see the pattern says each of `EXTENTS`."""
SURVEY = 0.1
"""How often one who sees it shows the whole image nevertheless, for a crop to be read; that is not taught."""

QUESTION_WORDS = ("Which", "pattern", "is", "near", "the", "landmark", "Look", "there", "There", "a", "one", "it")
WORDS = (*QUESTION_WORDS, *PATTERNS, *MARKS, *SHAPES, *DIRECTIONS, *EXTENTS)
"""Each a token."""

LOOK_WEIGHTS = (1, 3, 1, 3, 1, 1, 1, 1, 3, 1, 3, 1, 3, 1, 3, 1, 1, 1)
"""Of the tokens of a look and its end of turn; `CHOICE` are its direction and its extent."""
CHOICE = slice(2, 5, 2)
READ_WEIGHTS = (1, 6, 1, 1, 6, 1, 1)
"""Of the tokens of an answer from a crop that shows the pattern."""
GUESS_WEIGHTS = (1, 1, 1, 1, 6, 1, 1)
"""Of those of an answer that nobody could give: one of the patterns, and the same again."""
UNLABELLED = -100
"""A class that cross-entropy leaves out."""


@dataclass(frozen=True, slots=True)
class Look:
    """Where a teacher looks.

    Attributes:
        direction, extent: what is said.
        taught: whether to say just this is.
    """

    direction: str
    extent: str
    taught: bool = True

    def box(self, scene: Scene) -> Box:
        """The crop, in pixels of the first view."""
        if self.extent == "all":
            return cells_at(0, 0, CELLS)
        return zone(scene.asked.cell, self.direction, EXTENTS[self.extent])

    def reply(self, scene: Scene) -> str:
        """The first-turn reply."""
        corners = ", ".join(str(round(corner)) for corner in self.box(scene).as_tuple())
        said = f"{scene.asked.mark} {self.direction} {scene.asked.shape} {self.extent}"
        return f"<think>{said}</think><zoom>[{corners}]</zoom>"


def answer_reply(scene: Scene) -> str:
    """The second-turn reply: what was read, and the same as the answer."""
    return f"<think>{scene.answer}</think><answer>{scene.answer}</answer>"


def look_at(scene: Scene, rng: random.Random) -> Look:
    """The smallest look that holds the pattern: one cell if that cell is diagonal to the landmark's, else four."""
    target = scene.pattern.box
    for extent in ("one", "four"):
        zones = {name: zone(scene.asked.cell, name, EXTENTS[extent]) for name in DIRECTIONS}
        holding = [name for name, found in zones.items() if target.coverage_by(found) == 1]
        if holding:
            return Look(rng.choice(holding), extent)
    raise ValueError(f"the pattern at {target} is in no zone of the landmark in cell {scene.asked.cell}")


def look_by_lot(rng: random.Random) -> Look:
    """Any look, whatever the scene."""
    (extent,) = rng.choices(tuple(EXTENTS), BY_LOT)
    return Look(rng.choice(tuple(DIRECTIONS)), extent)


@dataclass
class Lessons:
    """An endless supply of lessons from the training split.

    Attributes:
        tokenizer: of the policy.
        batch_size: dialogues in a lesson that shows crops; of looks alone there are twice as many.
        seed: of all choices, and the stream of the training split that the scenes come from.
    """

    tokenizer: PreTrainedTokenizerFast
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._next = first_seed("train", stream=self.seed)
        self._tokens = cache(lambda text: tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]))

    def looks(self) -> Lesson:
        """First turns; every other pattern is visible."""
        scenes = self._scenes(2 * self.batch_size, visible=0.5)
        looks = [self.look(scene) for scene in scenes]
        rows = [self._first_turn(*pair) for pair in zip(scenes, looks, strict=True)]
        return Lesson.of("looks", rows, [[first_view(scene)] for scene in scenes], _facts(scenes))

    def episodes(self) -> Lesson:
        """Whole zooms; most patterns are visible, so that most crops can be read."""
        scenes = self._scenes(self.batch_size, visible=0.75)
        rows, views, crops = [], [], []
        for scene in scenes:
            look = self.look(scene)
            if scene.visible and self._rng.random() < SURVEY:
                look = replace(look, extent="all", taught=False)
            box = look.box(scene)
            weights = READ_WEIGHTS if shows(scene, box) else GUESS_WEIGHTS
            second = user_turn(scene.question, [CROP_TOKENS], opens=False)
            answer = self._taught(answer_reply(scene), weights)
            rows.append([*self._first_turn(scene, look), *self._given(second), *answer])
            views.append([first_view(scene), crop_view(scene, box)])
            crops.append(_content_of_crop(scene, box))
        return Lesson.of("episodes", rows, views, {**_facts(scenes), "crop": torch.tensor(crops)})

    def look(self, scene: Scene) -> Look:
        """Where the teacher looks: at a pattern that is visible, and for a hidden one by lot."""
        return look_at(scene, self._rng) if scene.visible else look_by_lot(self._rng)

    def _scenes(self, count: int, *, visible: float) -> list[Scene]:
        """The next training scenes, all asked in the same words, their patterns placed by lot."""
        wording = self._rng.choice(WORDINGS)
        seeds = range(self._next, self._next + count)
        self._next = seeds.stop
        made = (make_scene(seed, WorldConfig(placed="by_lot")) for seed in seeds)
        return [replace(scene, wording=wording, visible=self._rng.random() < visible) for scene in made]

    def _first_turn(self, scene: Scene, look: Look) -> Weighted:
        weights = [float(weight) for weight in LOOK_WEIGHTS]
        if not look.taught:
            weights[CHOICE] = [0.0, 0.0]
        asked = self._given(user_turn(scene.question, [VIEW_TOKENS], opens=True))
        return [*asked, *self._taught(look.reply(scene), tuple(weights))]

    def _given(self, text: str) -> Weighted:
        tokens: Tokens = self._tokens(text)
        return [(tokens, (0.0,) * len(tokens))]

    def _taught(self, reply: str, weights: tuple[float, ...]) -> Weighted:
        return [(self._tokens(f"{reply}<|im_end|>"), weights)]


def _facts(scenes: list[Scene]) -> dict[str, torch.Tensor]:
    """Ground truth of first views.

    ``color`` (0 for none, else 1 + colour), ``mark``, ``shape`` and ``framed``, ``(batch, 16)`` by visual token; of the
    landmark asked about ``asked`` and of a visible pattern ``target``, ``(batch,)``: their tokens.
    """
    rows: dict[str, list[list[int]]] = {"color": [], "mark": [], "shape": [], "framed": []}
    for scene in scenes:
        color, mark, shape = [0] * VIEW_TOKENS, [UNLABELLED] * VIEW_TOKENS, [UNLABELLED] * VIEW_TOKENS
        for landmark in scene.landmarks:
            at = _token(landmark.cell)
            color[at] = 1 + list(COLORS).index(landmark.color)
            mark[at], shape[at] = list(MARKS).index(landmark.mark), list(SHAPES).index(landmark.shape)
        framed = [int(at == _target(scene)) for at in range(VIEW_TOKENS)]
        for name, row in (("color", color), ("mark", mark), ("shape", shape), ("framed", framed)):
            rows[name].append(row)
    facts = {name: torch.tensor(row) for name, row in rows.items()}
    facts["asked"] = torch.tensor([_token(scene.asked.cell) for scene in scenes])
    facts["target"] = torch.tensor([_target(scene) for scene in scenes])
    return facts


def _token(cell: Cell) -> int:
    column, row = cell
    return row * CELLS + column


def _target(scene: Scene) -> int:
    """The token of the first view that a visible pattern lies in."""
    return _token((scene.pattern.x // CELL_PX, scene.pattern.y // CELL_PX)) if scene.visible else UNLABELLED


def _content_of_crop(scene: Scene, box_view: Box) -> list[int]:
    """By visual token of a square crop 0 for none, else 1 + pattern; unlabelled where illegible or mostly outside."""
    side = round(CROP_TOKENS**0.5)
    step, pattern = box_view.width / side, scene.pattern
    classes = []
    for token in range(CROP_TOKENS):
        x, y = box_view.x1 + token % side * step, box_view.y1 + token // side * step
        share = Box(x, y, x + step, y + step).coverage_by(pattern.box)
        known = share >= 0.5 and shows(scene, box_view)
        classes.append(1 + PATTERNS.index(pattern.name) if known else UNLABELLED if share else 0)
    return classes
