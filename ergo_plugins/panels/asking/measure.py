"""When a policy asks for the full view on questions it has not learned from, and what always, never and full would do.

python -m ergo_plugins.panels.asking.measure recipes/tiny/visionthink_policy --questions 1024 -o before.json
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, ProcessorMixin

from ..held_out import main
from .play import Ask, Player, figures
from .world import questions

FIXED: tuple[Ask, ...] = ("never", "always", "full")


def measure(
    policy: PreTrainedModel, processor: ProcessorMixin, split: str, count: int, fixed: Sequence[Ask] = FIXED
) -> dict[str, dict[str, float]]:
    """Figures by way of asking: ``greedy`` and ``sampled`` as the policy decides, and the fixed ways, greedily."""
    held_out = list(questions(split, count))
    found = {"greedy": figures(Player(policy, processor).play(held_out))}
    torch.manual_seed(0)
    found["sampled"] = figures(Player(policy, processor, temperature=1.0).play(held_out))
    return {**found, **{ask: figures(Player(policy, processor, ask=ask).play(held_out)) for ask in fixed}}


if __name__ == "__main__":
    main(__doc__ or "", lambda policy, processor, given: measure(policy, processor, given.split, given.count))
