"""Questions about panels of which some can be answered from a quarter of the pixels and some cannot.

*In which corner lies the red tile?* is settled by the reduced view, where every tile has its colour. *Which pattern
fills it?* is not: a unit of a pattern is half a pixel there, and all patterns average to the same bytes. In the full
view a unit is a whole pixel. Scenes are those of `panels.world`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..world import LETTERS, UNITS, Scene, first_seed, make_scene

REDUCED_TOKENS, FULL_TOKENS = 16, 64
REDUCED_PX, FULL_PX = 112, 224
"""Sides of the two views: 4 x 4 and 8 x 8 tokens of 28 pixels."""
NEEDS_FULL_SHARE = 0.3
"""Of the questions ask for a pattern."""
SCALE = 4
"""Pixels of an original along a unit: 896 a side."""
CORNERS = ("northwest", "northeast", "southwest", "southeast")
CORNER_WORDINGS = (
    "In which corner lies the {color} tile?",
    "Where in the picture is the {color} tile?",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A scene and what is asked about ``scene.target``.

    Attributes:
        scene: the panels.
        needs_full: whether the pattern is asked for, which the reduced view does not show.
        stem: what is asked, without options.
        options: in the order of their letters.
    """

    scene: Scene
    needs_full: bool
    stem: str
    options: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole question, one option a line."""
        return "\n".join((self.stem, *(f"{a}. {b}" for a, b in zip(LETTERS, self.options, strict=True))))

    @property
    def truth(self) -> str:
        """The right option: a pattern or a corner."""
        tile = self.scene.target
        if self.needs_full:
            return tile.pattern
        return CORNERS[2 * (tile.y >= UNITS // 2) + (tile.x >= UNITS // 2)]

    @property
    def answer(self) -> str:
        """Its letter."""
        return LETTERS[self.options.index(self.truth)]


def make_question(seed: int, *, needs_full: bool | None = None, wording: int | None = None) -> Question:
    """The question of a seed; the same on every machine.

    Args:
        seed: of everything that is drawn by lot.
        needs_full: which kind; by lot if None.
        wording: which of the kind's wordings; by lot if None.
    """
    scene = make_scene(seed)
    rng = random.Random(f"asking {seed}")
    drawn, corner = rng.random() < NEEDS_FULL_SHARE, rng.randrange(len(CORNER_WORDINGS))
    options = tuple(rng.sample(CORNERS, len(CORNERS)))
    if drawn if needs_full is None else needs_full:
        return Question(scene, True, scene.stem, scene.options)
    chosen = CORNER_WORDINGS[corner if wording is None else wording]
    return Question(scene, False, chosen.format(color=scene.target.color), options)


def questions(split: str, count: int, *, stream: int = 0) -> Iterator[Question]:
    """The first ``count`` questions of a stream of a split (`panels.world.SPLITS`)."""
    first = first_seed(split, stream=stream)
    return (make_question(seed) for seed in range(first, first + count))
