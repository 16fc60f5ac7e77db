"""Teach the tiny policy, measure it on held-out scenes, and write the folder that everything else loads.

Able first: two thirds of the steps cycle through pointing, choosing and whole episodes, the rest is mostly whole
episodes. Then loose, ``--loosen`` a policy that is able: a teacher who mostly looks elsewhere (`boxes.LooseHabit`)
leaves it something to be learned by reinforcement. Both are warm starts, and are meant to be: they show what the
plugins do, they are not results about zooming.

    python -m ergo_plugins.panels.teach --out runs/able
    python -m ergo_plugins.panels.teach --loosen runs/able --steps 150 --learning-rate 3e-4 --out recipes/tiny/policy
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import torch
from transformers import PreTrainedModel, ProcessorMixin

from .boxes import LooseHabit
from .classroom import Lesson
from .course import Course, Stage, main
from .evaluate import evaluate
from .heads import Heads
from .lessons import GUESS_WEIGHTS, Lessons
from .world import scenes

SKILLS_FIRST = ("pointing", "choosing", "episodes")
LOOSE = ("episodes", "episodes", "episodes", "single_pass")
MOSTLY_EPISODES = ("episodes", "episodes", "pointing", "episodes", "episodes", "single_pass")
SKILLS_SHARE = 2 / 3


def lessons(stage: Stage) -> Callable[[int], Lesson]:
    """Skills first, then mostly whole episodes; or, loosely, episodes alone."""
    loosely = (LooseHabit(), GUESS_WEIGHTS) if stage.loose else ()
    of = Lessons(stage.tokenizer, stage.given.batch_size, stage.stream, *loosely)

    def next_lesson(step: int) -> Lesson:
        able = SKILLS_FIRST if step < SKILLS_SHARE * stage.given.steps else MOSTLY_EPISODES
        cycle = LOOSE if stage.loose else able
        lesson: Lesson = getattr(of, cycle[step % len(cycle)])()
        return lesson

    return next_lesson


def measure(policy: PreTrainedModel, processor: ProcessorMixin, split: str, count: int) -> dict[str, dict[str, float]]:
    """Figures of greedy replies, and of replies sampled at temperature 1 as reinforcement learning does."""
    held_out = list(scenes(split, count))
    greedy = evaluate(policy, processor, held_out)
    torch.manual_seed(0)
    return {"greedy": asdict(greedy), "sampled": asdict(evaluate(policy, processor, held_out, temperature=1.0))}


if __name__ == "__main__":
    main(
        __doc__ or "",
        Course(
            lessons,
            Heads,
            measure,
            words=(),
            steps=700,
            threads=2,
            evaluate_every=100,
            validation=256,
            test=1024,
            what="scenes",
            halves=False,
        ),
    )
