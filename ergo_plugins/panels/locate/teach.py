"""Teach a tiny policy to find places: able first, then loose, so that there is something to learn.

python -m ergo_plugins.panels.locate.teach --family qwen3_vl --out runs/egm_able
python -m ergo_plugins.panels.locate.teach --loosen runs/egm_able --steps 200 --learning-rate 3e-4 --out POLICY
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from transformers import PreTrainedModel, ProcessorMixin

from ..classroom import Lesson
from ..course import Course, Stage, main
from ..families import FAMILIES
from .heads import Heads
from .lessons import WORDS, Lessons
from .play import Player, a_thought, figures, no_thought
from .world import KINDS, places

ABLE = ("colour", "dotted", "dotted", "covered", "colour", "dotted_at_once", "dotted", "all_of")
LOOSE = ("colour", "dotted", "dotted_at_once", "all_of", "colour", "covered")


def lessons(stage: Stage) -> Callable[[int], Lesson]:
    """Those of `ABLE` or `LOOSE` in turn, if they were not left out."""
    of = Lessons(stage.tokenizer, stage.family, stage.given.batch_size, stage.stream, loose=stage.loose)
    order = [name for name in (LOOSE if stage.loose else ABLE) if name in stage.given.lessons]

    def next_lesson(step: int) -> Lesson:
        lesson: Lesson = getattr(of, order[step % len(order)])()
        return lesson

    return next_lesson


def _measure(policy: PreTrainedModel, processor: ProcessorMixin, split: str, count: int) -> dict[str, dict[str, float]]:
    """Greedy figures of every kind, and of the kind dotted with and without a thought."""
    player = Player(policy, processor, FAMILIES[policy.config.model_type])
    held_out = {kind: list(places(split, kind, count)) for kind in KINDS}
    found: dict[str, dict[str, float]] = {
        kind: figures(player.answer(of, amodal=kind == "covered")) for kind, of in held_out.items()
    }
    ways = {"dotted, thought": a_thought, "dotted, no thought": no_thought}
    return {**found, **{way: figures(player.answer(held_out["dotted"], opened=opened)) for way, opened in ways.items()}}


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--family", choices=FAMILIES, default="qwen3_vl")
    parser.add_argument("--lessons", nargs="+", choices=sorted(set(ABLE)), default=sorted(set(ABLE)))


if __name__ == "__main__":
    main(__doc__ or "", Course(lessons, Heads, _measure, words=WORDS, steps=1200, what="places", more=_more))
