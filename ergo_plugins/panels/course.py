"""How the policy of a world is taught: able first, then loose, so that there is something to learn."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForImageTextToText,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
)

from .classroom import Classroom, Heads, Lesson, as_halves, run, write  # noqa: E402
from .families import FAMILIES, Family  # noqa: E402
from .policy import make_tokenizer  # noqa: E402

LOOSE_STREAM = 500
"""Loosening takes its scenes from this many streams after those of making able."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the two: making able, or loosening.

    Attributes:
        tokenizer: of the policy.
        family: of the policy.
        given: what the command was given; ``seed`` and ``batch_size`` among it.
        loose: which of the two.
    """

    tokenizer: PreTrainedTokenizerFast
    family: Family
    given: argparse.Namespace
    loose: bool

    @property
    def stream(self) -> int:
        """Of the training split, for the scenes."""
        return int(self.given.seed) + (LOOSE_STREAM if self.loose else 0)


@dataclass(frozen=True, slots=True)
class Course:
    """What is a world's own in the teaching of its policy.

    Attributes:
        lessons: of a stage, by step from 0.
        heads: while it is made able (`classroom.Heads`).
        measure: figures of a policy on so many of a split.
        words, tags: a token each, beside those of all worlds.
        steps, threads, evaluate_every, validation, test: defaults of a command.
        what: is counted when figures are found.
        family: unless ``more`` adds ``--family``.
        halves: whether the policy is written in bfloat16, half the size; it is measured as it is written.
        more: adds the world's own arguments.
    """

    lessons: Callable[[Stage], Callable[[int], Lesson]]
    heads: Callable[[PreTrainedModel, PreTrainedTokenizerFast], Heads]
    measure: Callable[[PreTrainedModel, ProcessorMixin, str, int], dict[str, Any]]
    words: Sequence[str]
    steps: int
    tags: Sequence[str] = ()
    threads: int = 1
    evaluate_every: int = 150
    validation: int = 128
    test: int = 512
    what: str = "questions"
    family: str = "qwen2_5_vl"
    halves: bool = True
    more: Callable[[argparse.ArgumentParser], None] | None = None


def teach(course: Course, given: argparse.Namespace) -> None:
    """Teach a policy, write its folder and, in its training.json, how it was made and what it can do."""
    torch.set_num_threads(given.threads)
    tokenizer = make_tokenizer(words=course.words, tags=course.tags)
    loosens = given.loosen is not None
    if loosens:
        policy: PreTrainedModel = AutoModelForImageTextToText.from_pretrained(given.loosen, dtype=torch.float32)
        family = FAMILIES[policy.config.model_type]
    else:
        family = FAMILIES[getattr(given, "family", course.family)]
        policy = family.make_model(tokenizer, given.seed)
    processor = family.make_processor(tokenizer)
    next_lesson = course.lessons(Stage(tokenizer, family, given, loosens))

    def measured(split: str, count: int) -> dict[str, Any]:
        policy.eval()
        return course.measure(policy, processor, split, count)

    heads = None if loosens else course.heads(policy, tokenizer)
    taught = run(
        Classroom(policy, family, given.steps, given.learning_rate, heads),
        next_lesson,
        measure=lambda: measured("validation", given.validation),
        every=given.evaluate_every,
    )
    if course.halves:
        as_halves(policy)
    record = {"command": _command(), "family": family.name, "test": measured("test", given.test), **taught}
    write(given.out, policy, processor, record, given.loosen, halves=course.halves)
    print(json.dumps(record["test"]))


def _command() -> str:
    """The line that was typed; Python knows a module by ``-m`` under this name."""
    module = sys.modules["__main__"].__spec__
    return " ".join(["python", "-m", module.name if module else sys.argv[0], *sys.argv[1:]])


def main(said: str, course: Course) -> None:
    """The command of a world; ``said`` is what it says of itself."""
    parser = argparse.ArgumentParser(description=said, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--loosen", type=Path, metavar="POLICY", help="an able policy to teach loosely")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=course.steps)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=course.threads)
    parser.add_argument("--evaluate-every", type=int, default=course.evaluate_every, metavar="STEPS")
    counts = {"validation": course.validation, "test": course.test}
    for split, count in counts.items():
        parser.add_argument(f"--{split}-{course.what}", type=int, default=count, dest=split, metavar="N")
    if course.more:
        course.more(parser)
    teach(course, parser.parse_args())
