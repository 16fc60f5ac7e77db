"""Teach a tiny policy to read two views of an image and to ask for the second: able first, then by coin.

    python -m ergo_plugins.panels.asking.teach --out runs/asking_able
    python -m ergo_plugins.panels.asking.teach --loosen runs/asking_able --steps 200 --learning-rate 3e-4 --out POLICY

``--calls`` is the share of dialogues in which the loose teacher asks: 0.5 unless it is said.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from ...cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
from transformers import AutoModelForImageTextToText, PreTrainedModel, ProcessorMixin  # noqa: E402

from ..classroom import Classroom, Lesson, as_written, run, write  # noqa: E402
from ..families import FAMILIES  # noqa: E402
from ..policy import make_tokenizer  # noqa: E402
from .heads import Heads  # noqa: E402
from .lessons import TAGS, WORDS, Lessons  # noqa: E402
from .play import Player, figures  # noqa: E402
from .world import NEEDS_FULL_SHARE, questions  # noqa: E402

ABLE = ("corner_at_once", "pattern_asked", "pattern_in_full", "corner_asked", "pattern_asked", "pattern_at_once",
        "corner_in_full", "pattern_in_full")  # fmt: skip
LOOSE_STREAM = 500
"""Loosening takes its scenes from this many streams after those of making able."""
FAMILY = FAMILIES["qwen2_5_vl"]


def teach(arguments: argparse.Namespace) -> None:
    """Run the recipe, write the folder and, in its training.json, the figures."""
    torch.set_num_threads(arguments.threads)
    tokenizer = make_tokenizer(words=WORDS, tags=TAGS)
    loosens = arguments.loosen is not None
    if loosens:
        policy: PreTrainedModel = AutoModelForImageTextToText.from_pretrained(arguments.loosen, dtype=torch.float32)
    else:
        policy = FAMILY.make_model(tokenizer, arguments.seed)
    processor = FAMILY.make_processor(tokenizer)
    stream = arguments.seed + (LOOSE_STREAM if loosens else 0)
    lessons = Lessons(tokenizer, arguments.batch_size, stream, loose=loosens)
    rng = random.Random(arguments.seed)

    def next_lesson(step: int) -> Lesson:
        name = loose_lesson(rng, arguments.calls) if loosens else ABLE[step % len(ABLE)]
        lesson: Lesson = getattr(lessons, name)()
        return lesson

    heads = None if loosens else Heads(policy, tokenizer)
    taught = run(
        Classroom(policy, FAMILY, arguments.steps, arguments.learning_rate, heads),
        next_lesson,
        measure=lambda: measure(policy, processor, "validation", arguments.validation_questions),
        every=arguments.evaluate_every,
    )
    command = " ".join(["python", "-m", "ergo_plugins.panels.asking.teach", *sys.argv[1:]])
    as_written(policy)  # what is written, and so what is measured
    test = measure(policy, processor, "test", arguments.test_questions)
    write(arguments.out, policy, processor, {"command": command, "test": test, **taught}, arguments.loosen)
    print(json.dumps(test))


def loose_lesson(rng: random.Random, calls: float) -> str:
    """The next lesson of a teacher who asks by coin, whatever the question."""
    kind = "pattern" if rng.random() < NEEDS_FULL_SHARE else "corner"
    return f"{kind}_asked" if rng.random() < calls else f"{kind}_at_once"


def measure(policy: PreTrainedModel, processor: ProcessorMixin, split: str, count: int) -> dict[str, dict[str, float]]:
    """Figures of the policy as it decides, greedily and sampled, and of asking always and never."""
    policy.eval()
    held_out = list(questions(split, count))
    torch.manual_seed(0)
    return {
        "greedy": figures(Player(policy, processor).play(held_out)),
        "sampled": figures(Player(policy, processor, temperature=1.0).play(held_out)),
        "always": figures(Player(policy, processor, ask="always").play(held_out)),
        "never": figures(Player(policy, processor, ask="never").play(held_out)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--loosen", type=Path, metavar="POLICY", help="an able policy to teach loosely")
    parser.add_argument("--calls", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--evaluate-every", type=int, default=150, metavar="STEPS")
    parser.add_argument("--validation-questions", type=int, default=128)
    parser.add_argument("--test-questions", type=int, default=512)
    teach(parser.parse_args())


if __name__ == "__main__":
    main()
