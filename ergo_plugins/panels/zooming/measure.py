"""Where a policy looks, and how often, on questions it has not learned from; and what one zoom alone would do.

python -m ergo_plugins.panels.zooming.measure recipes/tiny/tool_zoom_policy --questions 1024 -o before.json
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from ...cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, ProcessorMixin  # noqa: E402

from .play import Player, figures  # noqa: E402
from .world import Question, questions  # noqa: E402

WAYS = {"greedy": (0.0, 4), "sampled": (1.0, 4), "one_zoom": (0.0, 2), "no_zoom": (0.0, 1)}
"""Temperature and most replies."""


def measure(
    policy: PreTrainedModel, processor: ProcessorMixin, held_out: list[Question]
) -> dict[str, dict[str, float]]:
    """Figures by way: ``greedy`` and ``sampled``, and greedily with one zoom at most and with none."""
    policy.eval()
    found = {}
    for way, (temperature, turns) in WAYS.items():
        torch.manual_seed(0)
        found[way] = figures(Player(policy, processor, temperature, turns).play(held_out))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path)
    parser.add_argument("--questions", type=int, default=1024)
    parser.add_argument("--split", default="test")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    policy = AutoModelForImageTextToText.from_pretrained(arguments.policy, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(arguments.policy)
    found = measure(policy, processor, list(questions(arguments.split, arguments.questions)))
    text = json.dumps({"n": arguments.questions, **found}, indent=2)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
