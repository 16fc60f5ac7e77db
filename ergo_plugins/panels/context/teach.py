"""Teach a tiny policy to name landmarks, to box what it says, and to read; not where hidden patterns are.

It begins as the shipped policy of `panels`, which knows colours, boxes and textures; new words begin at random.

python -m ergo_plugins.panels.context.teach --elder recipes/tiny/policy --out POLICY
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ...cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForImageTextToText,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from ..classroom import Classroom, Lesson, as_halves, run, write  # noqa: E402
from ..families import FAMILIES  # noqa: E402
from ..policy import make_tokenizer  # noqa: E402
from .heads import Heads  # noqa: E402
from .lessons import WORDS, Lessons  # noqa: E402
from .measure import measure  # noqa: E402

FAMILY = FAMILIES["qwen2_5_vl"]


def teach(given: argparse.Namespace) -> None:
    """Run the recipe, write the folder and, in its training.json, the figures."""
    torch.set_num_threads(given.threads)
    tokenizer = make_tokenizer(words=WORDS)
    policy, processor = FAMILY.make_model(tokenizer, given.seed), FAMILY.make_processor(tokenizer)
    inherit(policy, tokenizer, given.elder)
    lessons = Lessons(tokenizer, given.batch_size, given.seed)

    def next_lesson(step: int) -> Lesson:
        return lessons.episodes() if step % 2 else lessons.looks()

    taught = run(
        Classroom(policy, FAMILY, given.steps, given.learning_rate, Heads(policy, tokenizer)),
        next_lesson,
        measure=lambda: measure(policy, processor, "validation", given.validation_scenes),
        every=given.evaluate_every,
    )
    command = " ".join(["python", "-m", "ergo_plugins.panels.context.teach", *sys.argv[1:]])
    as_halves(policy)  # as it is written, and so measured
    test = measure(policy, processor, "test", given.test_scenes)
    record = {"command": command, "n": given.test_scenes, "test": test, **taught}
    write(given.out, policy, processor, record, None, halves=True)
    print(json.dumps(test))


def inherit(policy: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, elder: Path) -> None:
    """Take over the weights of a policy of the same architecture; of words, those that both know."""
    older = AutoModelForImageTextToText.from_pretrained(elder, dtype=torch.float32).state_dict()
    known = AutoTokenizer.from_pretrained(elder).get_vocab()
    pairs = [(index, known[text]) for text, index in tokenizer.get_vocab().items() if text in known]
    ours, theirs = (torch.tensor(side) for side in zip(*pairs, strict=True))
    mine = policy.state_dict()
    for name in mine:
        if name.endswith(("embed_tokens.weight", "lm_head.weight")):
            mine[name][ours] = older[name][theirs]
        else:
            mine[name].copy_(older[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--elder", type=Path, required=True, metavar="POLICY", help="whose weights it begins with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=24)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--evaluate-every", type=int, default=150, metavar="STEPS")
    parser.add_argument("--validation-scenes", type=int, default=64)
    parser.add_argument("--test-scenes", type=int, default=256)
    teach(parser.parse_args())


if __name__ == "__main__":
    main()
