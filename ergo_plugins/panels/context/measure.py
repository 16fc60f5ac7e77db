"""Where a policy looks for what it cannot see, and for what it can, in scenes that it has not learned from.

python -m ergo_plugins.panels.context.measure recipes/tiny/context_policy --scenes 1024 -o before.json
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin

from ..held_out import main
from .oracle import best_score
from .play import Player, figures
from .world import WorldConfig, scenes

HIDDEN, VISIBLE = WorldConfig(), WorldConfig(target="visible")
WAYS = {"greedy": (HIDDEN, 0.0), "sampled": (HIDDEN, 1.0), "visible": (VISIBLE, 0.0)}
"""Worlds and temperatures."""


def measure(policy: PreTrainedModel, processor: ProcessorMixin, split: str, count: int) -> dict[str, dict[str, float]]:
    """By way: ``greedy`` and ``sampled`` of hidden patterns, and greedily of visible ones in the same scenes."""
    policy.eval()
    found = {}
    for way, (config, temperature) in WAYS.items():
        torch.manual_seed(0)
        found[way] = figures(Player(policy, processor, temperature).play(list(scenes(split, count, config=config))))
    return found


def beside_the_best(policy: PreTrainedModel, processor: ProcessorMixin, split: str, count: int) -> dict[str, Any]:
    """The same, and ``oracle``: the best score on those scenes."""
    best = best_score(list(scenes(split, count)), HIDDEN)
    return {"oracle": round(best, 4), **measure(policy, processor, split, count)}


if __name__ == "__main__":
    main(
        __doc__ or "",
        lambda policy, processor, given: beside_the_best(policy, processor, given.split, given.count),
        what="scenes",
    )
