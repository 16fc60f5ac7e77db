"""How well a policy finds places that it has not learned from, greedily and sampled.

python -m ergo_plugins.panels.locate.measure recipes/tiny/egm_policy --places 1024 -o before.json
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import stdev
from typing import Any

from ...cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: E402

from ..families import FAMILIES  # noqa: E402
from .play import Answer, Player, a_thought, figures, no_thought  # noqa: E402
from .world import KINDS, Kind, places  # noqa: E402


def measure(folder: Path, count: int, split: str = "test", kinds: Sequence[Kind] = KINDS) -> dict[str, Any]:
    """Figures by kind and way of answering: ``{"colour": {"greedy": {...}, "sampled": {...}}, …}``.

    The kind dotted is also answered by replies that must not or must think; the kind covered is asked for all of a
    tile.
    """
    policy = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    family = FAMILIES[policy.config.model_type]
    processor = AutoProcessor.from_pretrained(folder)
    found: dict[str, Any] = {"family": family.name, "n": count}
    for kind in kinds:
        held_out = list(places(split, kind, count))
        found[kind] = {}
        for how, temperature in (("greedy", 0.0), ("sampled", 1.0)):
            torch.manual_seed(0)
            player = Player(policy, processor, family, temperature)
            answers = player.answer(held_out, amodal=kind == "covered")
            found[kind][how] = {**figures(answers), "iou_error": _error(answers, whole=kind == "covered")}
        if kind == "dotted":
            player = Player(policy, processor, family)
            found[kind]["greedy, no thought"] = figures(player.answer(held_out, opened=no_thought))
            found[kind]["greedy, thought"] = figures(player.answer(held_out, opened=a_thought))
    return found


def _error(answers: Sequence[Answer], *, whole: bool) -> float:
    """Standard error of the mean overlap."""
    return round(stdev([answer.whole if whole else answer.seen for answer in answers]) / math.sqrt(len(answers)), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path)
    parser.add_argument("--places", type=int, default=1024)
    parser.add_argument("--split", default="test")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    found = measure(arguments.policy, arguments.places, arguments.split, arguments.kinds)
    text = json.dumps(found, indent=2)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
