"""What the engine benchmark plays: synthetic samples with a made-up box and replies of drawn lengths, in some way."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from ergo_plugins.core.images import to_rgb
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Episode
from ergo_plugins.engines import Job
from ergo_plugins.methods.base import Sample
from ergo_plugins.methods.ergo import ERGO, Prompts, ZoomConfig
from ergo_plugins.outside.image_files import open_image

from .forced import ForcedEngine, Played, pointing

SINGLE_TOKENS, ZOOM_TOKENS = 16384, (640, 1280)
BOX_SIDE = 0.3
"""Of either side of the image. At 640 a turn, two turns then have about the 1,025 visual tokens that the paper reports
on V*."""
QUESTION = "What is the colour of the scarf?\n(A) red\n(B) green\n(C) blue\n(D) white"
CHARACTERS_PER_TOKEN = 4.3, 1.4
"""Of English in Qwen's vocabulary, and in the tiny policy's."""
SPREAD = 0.6
"""Standard deviation of the logarithm of a reply's length."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is played.

    Attributes:
        options: of the engine.
        device: torch's name of it.
        shrink: the images' sides are divided by this, budgets by its square.
        look_tokens, answer_tokens: median lengths of the two replies.
        alone: samples played one after the other.
        samples, at_once: all of those played together, and how many of them are under way.
        rounds: how often each way is played, in turn with the others.
        full_size: whether the targets that need a full-size model apply.
    """

    model: Path
    options: dict[str, Any]
    device: str
    shrink: int
    look_tokens: int
    answer_tokens: int
    alone: int
    samples: int
    at_once: int
    rounds: int
    full_size: bool = False

    def budget_tokens(self, way: Way) -> int:
        return way.tokens // self.shrink**2

    def name(self, way: Way) -> str:
        return f"{'two-turn' if way.zoom else 'single-pass'}@{self.budget_tokens(way)}"


@dataclass(frozen=True, slots=True)
class Way:
    """A way of playing samples.

    Attributes:
        tokens: budget of either turn, or of the only one, before shrinking.
        reuse, retemplated: see `ForcedEngine.play`.
        all_at_once: the whole set is under way, and waits in vLLM.
        lockstep: in batches of what is under way.
    """

    tokens: int
    zoom: bool = True
    reuse: bool = True
    retemplated: bool = False
    all_at_once: bool = False
    lockstep: bool = False


ZOOMS = tuple(Way(tokens) for tokens in ZOOM_TOKENS)
SINGLE = Way(SINGLE_TOKENS, zoom=False)
PLAIN = (*ZOOMS, SINGLE)
WITHOUT_REUSE = {way: replace(way, reuse=False) for way in PLAIN}
FROM_TEXT = Way(ZOOM_TOKENS[0], retemplated=True)
BATCHES = Way(ZOOM_TOKENS[0], lockstep=True)
ALL, ALL_LOCKSTEP = Way(ZOOM_TOKENS[0], all_at_once=True), Way(ZOOM_TOKENS[0], all_at_once=True, lockstep=True)


@dataclass(slots=True)
class Samples:
    """Samples on one engine.

    Attributes:
        photo: the image behind all of them.
        shown: numbers of their openings: each paints another patch, so that no cache knows the pixels.
    """

    setting: Setting
    engine: ForcedEngine
    photo: Path
    shown: Iterator[int] = field(default_factory=lambda: count(1))

    def play_alone(self, way: Way, samples: int) -> Played:
        """One after the other, all replies of the median lengths."""
        return self._play(way, samples, at_once=1, spread=0.0)

    def play_together(self, way: Way, samples: int) -> Played:
        """Many at once, with lengths that differ between the samples and not between the ways."""
        return self._play(way, samples, samples if way.all_at_once else self.setting.at_once, SPREAD)

    def _play(self, way: Way, samples: int, at_once: int, spread: float) -> Played:
        jobs = [self._job(way, number, spread) for number in range(samples)]
        marks = {"no reuse": not way.reuse, "from text": way.retemplated, "lockstep": way.lockstep}
        told = ", ".join([self.setting.name(way), *(mark for mark, holds in marks.items() if holds)])
        return self.engine.play(
            jobs,
            at_once=at_once,
            reuse=way.reuse,
            retemplated=way.retemplated,
            lockstep=way.lockstep,
            told=f"{told}, {at_once} at once",
        )

    def _job(self, way: Way, number: int, spread: float) -> Job:
        chance = random.Random(number)
        lengths = [
            max(2, round(median * math.exp(chance.gauss(0, 1) * spread)))
            for median in (self.setting.look_tokens, self.setting.answer_tokens)
        ]
        corner = chance.uniform(0, 1 - BOX_SIDE), chance.uniform(0, 1 - BOX_SIDE)
        budget = self.setting.budget_tokens(way)
        config = ZoomConfig(
            coarse_tokens=budget,
            crop_tokens=budget,
            zoom_new_tokens=lengths[0],
            answer_new_tokens=lengths[1] if way.zoom else sum(lengths),
            zoom="on" if way.zoom else "off",
            prompts=short_prompts(),
        )
        return Job(str(number), lambda: self._open(config, corner))

    def _open(self, config: ZoomConfig, corner: tuple[float, float]) -> Episode:
        image = to_rgb(open_image(self.photo))
        number = next(self.shown)
        inside = [(start + BOX_SIDE * share) for share in (0.3, 0.7) for start in corner]
        patch = [round(share * extent) for share, extent in zip(inside, image.size * 2, strict=True)]
        image.paste(tuple(number.to_bytes(3, "little")), tuple(patch))
        method, chosen = ERGO.variant(config)
        episode = method.episode(Sample(image, split_question(QUESTION)), chosen, self.engine.grid)
        return pointing(episode, corner, BOX_SIDE)


def short_prompts() -> Prompts:
    """Our own prompts, cut so that they have about as many tokens as ours have for Qwen."""
    usual, (in_qwen, in_tiny) = Prompts(), CHARACTERS_PER_TOKEN

    def cut(text: str) -> str:
        words = text.replace("{question}", "").strip()
        return words[: round(len(words) * in_tiny / in_qwen)]

    return Prompts(
        system=cut(usual.system),
        look="{question} " + cut(usual.look),
        answer="{question} " + cut(usual.answer),
        direct="{question}",
    )
