"""When a policy asks for the full view on questions it has not learned from, and what always, never and full would do.

python -m ergo_plugins.panels.asking.measure recipes/tiny/visionthink_policy --questions 1024 -o before.json
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import get_args

from ...cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: E402

from .play import Ask, Player, figures  # noqa: E402
from .world import Question, questions  # noqa: E402


def measure(folder: Path, held_out: list[Question]) -> dict[str, dict[str, float]]:
    """Figures by way of asking: ``greedy`` and ``sampled`` as the policy decides, and the fixed ways, greedily."""
    policy = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    found = {"greedy": figures(Player(policy, processor).play(held_out))}
    torch.manual_seed(0)
    found["sampled"] = figures(Player(policy, processor, temperature=1.0).play(held_out))
    for ask in get_args(Ask)[1:]:
        found[ask] = figures(Player(policy, processor, ask=ask).play(held_out))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path)
    parser.add_argument("--questions", type=int, default=1024)
    parser.add_argument("--split", default="test")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    found = measure(arguments.policy, list(questions(arguments.split, arguments.questions)))
    text = json.dumps({"n": arguments.questions, **found}, indent=2)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
