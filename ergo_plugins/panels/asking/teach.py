"""Teach a tiny policy to read two views of an image and to ask for the second: able first, then by coin.

    python -m ergo_plugins.panels.asking.teach --out runs/asking_able
    python -m ergo_plugins.panels.asking.teach --loosen runs/asking_able --steps 200 --learning-rate 3e-4 --out POLICY

``--calls`` is the share of dialogues in which the loose teacher asks: 0.5 unless it is said.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable

from transformers import PreTrainedModel, ProcessorMixin

from ..classroom import Lesson
from ..course import Course, Stage, main
from .heads import Heads
from .lessons import TAGS, WORDS, Lessons
from .measure import measure
from .world import NEEDS_FULL_SHARE

ABLE = ("corner_at_once", "pattern_asked", "pattern_in_full", "corner_asked", "pattern_asked", "pattern_at_once",
        "corner_in_full", "pattern_in_full")  # fmt: skip


def lessons(stage: Stage) -> Callable[[int], Lesson]:
    """Those of `ABLE` in turn; loosely, by coin."""
    of = Lessons(stage.tokenizer, stage.given.batch_size, stage.stream, loose=stage.loose)
    rng = random.Random(stage.given.seed)

    def next_lesson(step: int) -> Lesson:
        name = loose_lesson(rng, stage.given.calls) if stage.loose else ABLE[step % len(ABLE)]
        lesson: Lesson = getattr(of, name)()
        return lesson

    return next_lesson


def loose_lesson(rng: random.Random, calls: float) -> str:
    """The next lesson of a teacher who asks by coin, whatever the question."""
    kind = "pattern" if rng.random() < NEEDS_FULL_SHARE else "corner"
    return f"{kind}_asked" if rng.random() < calls else f"{kind}_at_once"


def _measure(policy: PreTrainedModel, processor: ProcessorMixin, split: str, count: int) -> dict[str, dict[str, float]]:
    """Figures of the policy as it decides, and of asking always and never: both must be within its powers."""
    return measure(policy, processor, split, count, fixed=("always", "never"))


def _calls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=float, default=0.5)


if __name__ == "__main__":
    main(__doc__ or "", Course(lessons, Heads, _measure, words=WORDS, tags=TAGS, steps=900, more=_calls))
