"""Teach a tiny policy to look at places of an image and to tell what they show: able first, then by coin.

python -m ergo_plugins.panels.zooming.teach --out runs/zooming_able
python -m ergo_plugins.panels.zooming.teach --loosen runs/zooming_able --steps 200 --learning-rate 3e-4 --out POLICY
"""

from __future__ import annotations

from collections.abc import Callable

from ..classroom import Lesson
from ..course import Course, Stage, main
from .heads import Heads
from .lessons import ABLE, TAGS, WORDS, Lessons
from .measure import measure


def lessons(stage: Stage) -> Callable[[int], Lesson]:
    """Each plan in turn; loosely, any of them by coin."""
    of = Lessons(stage.tokenizer, stage.given.batch_size, stage.stream, loose=stage.loose)
    return lambda step: of.by_coin() if stage.loose else of.lesson(ABLE[step % len(ABLE)])


if __name__ == "__main__":
    main(
        __doc__ or "",
        Course(lessons, Heads, measure, words=WORDS, tags=TAGS, steps=400, evaluate_every=200, validation=64),
    )
