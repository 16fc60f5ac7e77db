"""Equal prompts of a batch are read once: rollouts of a prompt begin alike, and reading takes longer than replying."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

BY_TOKEN = ("input_ids", "attention_mask", "mm_token_type_ids")


def places(keys: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Where each key stands among the distinct ones in their order, and where each distinct one comes first."""
    seen: dict[Hashable, int] = {}
    order = [seen.setdefault(key, len(seen)) for key in keys]
    return order, [order.index(place) for place in range(len(seen))]


def read_once(model: PreTrainedModel, inputs: dict[str, torch.Tensor], order: Sequence[int]) -> dict[str, Any]:
    """What ``generate`` needs to go on behind prompts that were read once each.

    All tokens but the last are read here; with that one ``generate`` begins. The positions of the tokens that follow
    hang on a row's images, and the model keeps them by row (``rope_deltas``).

    Args:
        model: Qwen2.5-VL or Qwen3-VL.
        inputs: of the distinct prompts, padded on the left; their last token is text.
        order: for each row of the batch, which of the prompts it continues.
    """
    cache = DynamicCache(config=model.config.get_text_config())
    head = {name: tensor[:, :-1] if name in BY_TOKEN else tensor for name, tensor in inputs.items()}
    base: Any = model.base_model
    base(**head, past_key_values=cache, use_cache=True)
    rows = torch.tensor(order)
    cache.batch_select_indices(rows)
    base.rope_deltas = base.rope_deltas[rows]
    return {**{name: inputs[name][rows] for name in BY_TOKEN}, "past_key_values": cache}
