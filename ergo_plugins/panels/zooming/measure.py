"""Where a policy looks, and how often, on questions it has not learned from; and what one zoom alone would do.

python -m ergo_plugins.panels.zooming.measure recipes/tiny/tool_zoom_policy --questions 1024 -o before.json
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel, ProcessorMixin

from ..held_out import main
from .play import Player, figures
from .world import questions

WAYS = {"greedy": (0.0, 4), "sampled": (1.0, 4), "one_zoom": (0.0, 2), "no_zoom": (0.0, 1)}
"""Temperature and most replies."""


def measure(policy: PreTrainedModel, processor: ProcessorMixin, split: str, count: int) -> dict[str, dict[str, float]]:
    """Figures by way: ``greedy`` and ``sampled``, and greedily with one zoom at most and with none."""
    held_out = list(questions(split, count))
    found = {}
    for way, (temperature, turns) in WAYS.items():
        torch.manual_seed(0)
        found[way] = figures(Player(policy, processor, temperature, turns).play(held_out))
    return found


if __name__ == "__main__":
    main(__doc__ or "", lambda policy, processor, given: measure(policy, processor, given.split, given.count))
