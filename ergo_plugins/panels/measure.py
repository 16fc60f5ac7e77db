"""What a policy does on held-out scenes, greedily and sampled, as figures with their uncertainty.

The views are made without drawing the originals (drawing.py: the same to the last bit), so a thousand scenes take a
minute.

    python -m ergo_plugins.panels.measure recipes/tiny/policy --scenes 512 -o before.json
"""

from __future__ import annotations

import math
from statistics import fmean

import torch
from tqdm import tqdm
from transformers import PreTrainedModel, ProcessorMixin

from .evaluate import BATCH, Player, letter, zoomed
from .held_out import main
from .world import Scene, scenes

Episode = dict[str, float]


def measure(policy: PreTrainedModel, processor: ProcessorMixin, split: str, count: int) -> dict[str, float]:
    """``region_sampled``, ``region_greedy`` and so on: means over scenes, and the sampled region's standard error.

    ``accuracy``, ``format`` and ``area`` are of greedy replies; with ``_sampled`` of replies at temperature 1.
    """
    held_out = list(scenes(split, count))
    greedy = _mean(_episodes(Player(policy, processor, 0.0), held_out, "greedy"))
    torch.manual_seed(0)
    sampled = _mean(_episodes(Player(policy, processor, 1.0), held_out, "sampled"))
    return {
        "region_sampled": sampled["region"],
        "region_greedy": greedy["region"],
        **{name: greedy[name] for name in ("accuracy", "format", "area")},
        **{f"{name}_sampled": sampled[name] for name in ("accuracy", "format", "area")},
        "region_sampled_error": round(math.sqrt(sampled["region"] * (1 - sampled["region"]) / len(held_out)), 4),
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


if __name__ == "__main__":
    main(
        __doc__ or "",
        lambda policy, processor, given: measure(policy, processor, given.split, given.count),
        what="scenes",
    )
