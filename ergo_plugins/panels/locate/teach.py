"""Teach a tiny policy to find places: able first, then loose, so that there is something to learn.

python -m ergo_plugins.panels.locate.teach --family qwen3_vl --out runs/egm_able
python -m ergo_plugins.panels.locate.teach --loosen runs/egm_able --steps 200 --learning-rate 3e-4 --out POLICY
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ...cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
from transformers import AutoModelForImageTextToText, PreTrainedModel, ProcessorMixin  # noqa: E402

from ..classroom import Classroom, as_written, run, write  # noqa: E402
from ..families import FAMILIES, Family  # noqa: E402
from ..policy import make_tokenizer  # noqa: E402
from .heads import Heads  # noqa: E402
from .lessons import WORDS, Lessons  # noqa: E402
from .play import Player, a_thought, figures, no_thought  # noqa: E402
from .world import KINDS, places  # noqa: E402

ABLE = ("colour", "dotted", "dotted", "covered", "colour", "dotted_at_once", "dotted", "all_of")
LOOSE = ("colour", "dotted", "dotted_at_once", "all_of", "colour", "covered")
LOOSE_STREAM = 500
"""Loosening takes its places from this many streams after those of making able."""


def teach(arguments: argparse.Namespace) -> None:
    """Run the recipe, write the folder and, in its training.json, the figures."""
    torch.set_num_threads(arguments.threads)
    tokenizer = make_tokenizer(words=WORDS)
    loosens = arguments.loosen is not None
    if loosens:
        policy: PreTrainedModel = AutoModelForImageTextToText.from_pretrained(arguments.loosen, dtype=torch.float32)
        family = FAMILIES[policy.config.model_type]
    else:
        family = FAMILIES[arguments.family]
        policy = family.make_model(tokenizer, arguments.seed)
    processor = family.make_processor(tokenizer)
    stream = arguments.seed + (LOOSE_STREAM if loosens else 0)
    lessons = Lessons(tokenizer, family, arguments.batch_size, stream, loose=loosens)
    order = [name for name in (LOOSE if loosens else ABLE) if name in arguments.lessons]
    classroom = Classroom(
        policy, family, arguments.steps, arguments.learning_rate, None if loosens else Heads(policy, tokenizer)
    )
    taught = run(
        classroom,
        lambda step: getattr(lessons, order[step % len(order)])(),
        measure=lambda: measure(policy, processor, family, "validation", arguments.validation_places),
        every=arguments.evaluate_every,
    )
    command = " ".join(["python", "-m", "ergo_plugins.panels.locate.teach", *sys.argv[1:]])
    as_written(policy)  # what is written, and so what is measured
    test = measure(policy, processor, family, "test", arguments.test_places)
    write(
        arguments.out,
        policy,
        processor,
        {"command": command, "family": family.name, "test": test, **taught},
        arguments.loosen,
    )
    print(json.dumps(test))


def measure(
    policy: PreTrainedModel, processor: ProcessorMixin, family: Family, split: str, count: int
) -> dict[str, dict[str, float]]:
    """Greedy figures of every kind, and of the kind dotted with and without a thought."""
    policy.eval()
    player = Player(policy, processor, family)
    held_out = {kind: list(places(split, kind, count)) for kind in KINDS}
    found: dict[str, dict[str, float]] = {
        kind: figures(player.answer(of, amodal=kind == "covered")) for kind, of in held_out.items()
    }
    ways = {"dotted, thought": a_thought, "dotted, no thought": no_thought}
    return {**found, **{way: figures(player.answer(held_out["dotted"], opened=opened)) for way, opened in ways.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--family", choices=FAMILIES, default="qwen3_vl")
    parser.add_argument("--loosen", type=Path, metavar="POLICY", help="an able policy to teach loosely")
    parser.add_argument("--lessons", nargs="+", choices=sorted(set(ABLE)), default=sorted(set(ABLE)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--evaluate-every", type=int, default=150, metavar="STEPS")
    parser.add_argument("--validation-places", type=int, default=128)
    parser.add_argument("--test-places", type=int, default=512)
    teach(parser.parse_args())


if __name__ == "__main__":
    main()
