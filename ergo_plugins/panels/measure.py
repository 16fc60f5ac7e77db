"""What a policy does on held-out scenes, greedily and sampled, as figures with their uncertainty.

The views are made without drawing the originals (drawing.py: the same to the last bit), so a thousand scenes take a
minute.

    python -m ergo_plugins.panels.measure recipes/tiny/policy --scenes 512 -o before.json
"""

from __future__ import annotations

import argparse
import json
import math
import os
from pathlib import Path
from statistics import fmean

from ..cpu.torchvision import make_importable

make_importable()  # before anything imports torchvision

import torch  # noqa: E402
from tqdm import tqdm  # noqa: E402
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor  # noqa: E402

from .evaluate import BATCH, Player, letter, zoomed  # noqa: E402
from .world import Scene, scenes  # noqa: E402

Episode = dict[str, float]


def measure(folder: Path, held_out: list[Scene]) -> dict[str, float]:
    """``region_sampled``, ``region_greedy`` and so on: means over scenes, and the sampled region's standard error.

    ``accuracy``, ``format`` and ``area`` are of greedy replies; with ``_sampled`` of replies at temperature 1.
    """
    policy = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = Qwen2_5_VLProcessor.from_pretrained(folder)
    greedy = _mean(_episodes(Player(policy, processor, 0.0), held_out, "greedy"))
    torch.manual_seed(0)
    sampled = _mean(_episodes(Player(policy, processor, 1.0), held_out, "sampled"))
    return {
        "region_sampled": sampled["region"],
        "region_greedy": greedy["region"],
        **{name: greedy[name] for name in ("accuracy", "format", "area")},
        **{f"{name}_sampled": sampled[name] for name in ("accuracy", "format", "area")},
        "region_sampled_error": round(math.sqrt(sampled["region"] * (1 - sampled["region"]) / len(held_out)), 4),
        "n": len(held_out),
    }


def _episodes(player: Player, held_out: list[Scene], how: str) -> list[Episode]:
    played: list[Episode] = []
    with tqdm(total=len(held_out), unit="scene", desc=how) as bar:
        for start in range(0, len(held_out), BATCH):
            batch = held_out[start : start + BATCH]
            for scene, look, box, answer in zip(batch, *player.play(batch), strict=True):
                is_well_formed, _, is_hit, area = zoomed(scene, look, box, answer)
                right = letter(answer) == scene.answer
                played.append({"region": is_hit, "accuracy": right, "format": is_well_formed, "area": area})
            bar.update(len(batch))
    return played


def _mean(episodes: list[Episode]) -> Episode:
    return {name: round(fmean(episode[name] for episode in episodes), 4) for name in episodes[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policy", type=Path)
    parser.add_argument("--scenes", type=int, default=512)
    parser.add_argument("--split", default="test")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    text = json.dumps(measure(arguments.policy, list(scenes(arguments.split, arguments.scenes))), indent=2)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
