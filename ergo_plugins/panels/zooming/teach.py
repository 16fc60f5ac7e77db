"""Teach a tiny policy to look at places of an image and to tell what they show: able first, then by coin.

python -m ergo_plugins.panels.zooming.teach --out runs/zooming_able
python -m ergo_plugins.panels.zooming.teach --loosen runs/zooming_able --steps 200 --learning-rate 3e-4 --out POLICY
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ...cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
from transformers import AutoModelForImageTextToText, PreTrainedModel  # noqa: E402

from ..classroom import Classroom, Lesson, as_written, run, write  # noqa: E402
from ..families import FAMILIES  # noqa: E402
from ..policy import make_tokenizer  # noqa: E402
from .heads import Heads  # noqa: E402
from .lessons import ABLE, TAGS, WORDS, Lessons  # noqa: E402
from .measure import measure  # noqa: E402
from .world import questions  # noqa: E402

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

    def next_lesson(step: int) -> Lesson:
        return lessons.by_coin() if loosens else lessons.lesson(ABLE[step % len(ABLE)])

    heads = None if loosens else Heads(policy, tokenizer)
    taught = run(
        Classroom(policy, FAMILY, arguments.steps, arguments.learning_rate, heads),
        next_lesson,
        measure=lambda: measure(policy, processor, list(questions("validation", arguments.validation_questions))),
        every=arguments.evaluate_every,
    )
    command = " ".join(["python", "-m", "ergo_plugins.panels.zooming.teach", *sys.argv[1:]])
    as_written(policy)  # what is written, and so what is measured
    test = measure(policy, processor, list(questions("test", arguments.test_questions)))
    write(arguments.out, policy, processor, {"command": command, "test": test, **taught}, arguments.loosen)
    print(json.dumps(test))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--loosen", type=Path, metavar="POLICY", help="an able policy to teach loosely")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--evaluate-every", type=int, default=200, metavar="STEPS")
    parser.add_argument("--validation-questions", type=int, default=64)
    parser.add_argument("--test-questions", type=int, default=512)
    teach(parser.parse_args())


if __name__ == "__main__":
    main()
