"""How well a policy finds places that it has not learned from, greedily and sampled.

python -m ergo_plugins.panels.locate.measure recipes/tiny/egm_policy_qwen3 --places 1024 -o before.json
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from statistics import stdev
from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin

from ..families import FAMILIES
from ..held_out import main
from .play import Answer, Player, a_thought, figures, no_thought
from .world import KINDS, Kind, places


def measure(
    policy: PreTrainedModel, processor: ProcessorMixin, split: str, count: int, kinds: Sequence[Kind] = KINDS
) -> dict[str, Any]:
    """Figures by kind and way of answering: ``{"colour": {"greedy": {...}, "sampled": {...}}, …}``.

    The kind dotted is also answered by replies that must not or must think; the kind covered is asked for all of a
    tile.
    """
    family = FAMILIES[policy.config.model_type]
    found: dict[str, Any] = {"family": family.name}
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


def _kinds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)


if __name__ == "__main__":
    main(
        __doc__ or "",
        lambda policy, processor, given: measure(policy, processor, given.split, given.count, given.kinds),
        what="places",
        more=_kinds,
    )
