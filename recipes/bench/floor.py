"""The least time that a model's work can take on a machine: what its matrices multiply, and what decoding has to read.

    python -m recipes.bench.floor [cpu float32 | cuda bfloat16]      # what this machine does at best, as JSON

Counted from the model's config: every prompt token prefilled once, every image encoded once, every generated token
decoded once. Left out, so that it stays a floor: normalisation, softmax, rotary positions, sampling, anything on the
host, and memory traffic of the prefill.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Rates:
    """What a machine does at best, a second: operations on floating-point numbers, bytes moved to or from memory."""

    flops: float
    bytes: float


@dataclass(frozen=True, slots=True)
class Work:
    """What one sample asks of a model, summed over its turns.

    Attributes:
        turns: ``(tokens of the prompt that no earlier turn had, generated tokens)`` of each turn, in order.
        images: visual tokens of each image.
    """

    turns: tuple[tuple[int, int], ...]
    images: tuple[int, ...]

    @property
    def generated(self) -> int:
        return sum(new for _, new in self.turns)


@dataclass(frozen=True, slots=True)
class Shape:
    """A Qwen2.5-VL's dimensions: widths in numbers per token or patch, weights in numbers of a layer's matrices."""

    layers: int
    layer_weights: int
    head_weights: int
    attention_width: int
    key_value_width: int
    vision_layers: int
    vision_full_layers: int
    vision_layer_weights: int
    vision_width: int
    window_patches: int
    patch_weights: int
    merger_weights: int
    patches_per_token: int

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> Shape:
        """From a model folder's ``config.json``."""
        text, vision = config["text_config"], config["vision_config"]
        width, heads = text["hidden_size"], text["num_attention_heads"]
        head_width = text.get("head_dim") or width // heads
        attention, key_value = heads * head_width, text["num_key_value_heads"] * head_width
        seen, merged = vision["hidden_size"], vision["spatial_merge_size"] ** 2
        patch_numbers = vision["in_channels"] * vision["temporal_patch_size"] * vision["patch_size"] ** 2
        return cls(
            layers=text["num_hidden_layers"],
            layer_weights=2 * width * attention + 2 * width * key_value + 3 * width * text["intermediate_size"],
            head_weights=width * text["vocab_size"],
            attention_width=attention,
            key_value_width=key_value,
            vision_layers=vision["depth"],
            vision_full_layers=len(vision["fullatt_block_indexes"]),
            vision_layer_weights=4 * seen**2 + 3 * seen * vision["intermediate_size"],
            vision_width=seen,
            window_patches=(vision["window_size"] // vision["patch_size"]) ** 2,
            patch_weights=patch_numbers * seen,
            merger_weights=(merged * seen) ** 2 + merged * seen * vision["out_hidden_size"],
            patches_per_token=merged,
        )

    def encode_flops(self, visual_tokens: int) -> int:
        """Operations for one image."""
        patches = visual_tokens * self.patches_per_token
        windowed = self.vision_layers - self.vision_full_layers
        seen = self.vision_full_layers * patches + windowed * min(patches, self.window_patches)
        weights = self.patch_weights + self.vision_layers * self.vision_layer_weights
        return 2 * (weights * patches + self.merger_weights * visual_tokens) + 4 * self.vision_width * patches * seen

    def forward_flops(self, before: int, tokens: int, predictions: int) -> int:
        """Operations for ``tokens`` that follow ``before`` others, with a next token predicted at some of them."""
        pairs = tokens * before + tokens * (tokens + 1) // 2
        matrices = 2 * (self.layers * self.layer_weights * tokens + self.head_weights * predictions)
        return matrices + 4 * self.layers * self.attention_width * pairs

    @property
    def read_numbers(self) -> int:
        """Weights that a decoding step reads; of the embedding, a row a token, nothing is counted."""
        return self.layers * self.layer_weights + self.head_weights

    def cache_numbers(self, before: int, tokens: int) -> int:
        """Keys and values that ``tokens`` decoding steps after ``before`` tokens read."""
        return 2 * self.layers * self.key_value_width * (tokens * before + tokens * (tokens + 1) // 2)


@dataclass(frozen=True, slots=True)
class Floor:
    """A model on a machine.

    Attributes:
        number_bytes: of a weight, and of a number in the key-value cache.
    """

    shape: Shape
    rates: Rates
    number_bytes: int

    def latency_s(self, work: Work) -> float:
        """One sample alone: its prefill, and then a step a generated token, each reading all weights."""
        prefill, _, cache_bytes = self._costs(work)
        steps = work.generated - len(work.turns)  # the first token of a reply comes with its prefill
        read = steps * self.shape.read_numbers * self.number_bytes + cache_bytes
        return prefill / self.rates.flops + read / self.rates.bytes

    def seconds(self, works: Sequence[Work], at_once: int) -> float:
        """Many samples: all operations, or all reading if that takes longer; a step serves ``at_once`` samples."""
        costs = [self._costs(work) for work in works]
        steps = sum(work.generated - len(work.turns) for work in works) / at_once
        flops = sum(prefill + decode for prefill, decode, _ in costs)
        read = steps * self.shape.read_numbers * self.number_bytes + sum(cache_bytes for _, _, cache_bytes in costs)
        return max(flops / self.rates.flops, read / self.rates.bytes)

    def _costs(self, work: Work) -> tuple[int, int, int]:
        """``(operations of the prefill, operations of decoding, bytes of keys and values that decoding reads)``."""
        prefill = sum(self.shape.encode_flops(tokens) for tokens in work.images)
        decode = cached = before = 0
        for prompt, new in work.turns:
            prefill += self.shape.forward_flops(before, prompt, 1)
            before += prompt
            decode += self.shape.forward_flops(before, new - 1, new - 1)
            cached += self.shape.cache_numbers(before, new - 1)
            before += new
        return prefill, decode, cached * self.number_bytes


def measured(device: str, dtype: str, seconds: float = 1.0) -> Rates:
    """The best that torch gets out of this machine, over about ``seconds`` each: a square product, and a copy."""
    import torch

    large = device == "cuda"
    side, length = (8192, 2**30) if large else (1024, 2**26)
    kind = getattr(torch, dtype)
    square = torch.randn(side, side, dtype=torch.float32).to(device, kind)
    line, copy = (torch.zeros(length, dtype=torch.uint8, device=device) for _ in range(2))
    wait = torch.cuda.synchronize if large else lambda: None
    product = torch.empty_like(square)

    def best(run: Any) -> float:
        times, until = [], time.perf_counter() + seconds
        while not times or time.perf_counter() < until:
            wait()
            started = time.perf_counter()
            run()
            wait()
            times.append(time.perf_counter() - started)
        return min(times)

    multiply = best(lambda: torch.matmul(square, square, out=product))
    move = best(lambda: copy.copy_(line))
    return Rates(flops=2 * side**3 / multiply, bytes=2 * length / move)


if __name__ == "__main__":
    device, dtype = sys.argv[1:] or ("cpu", "float32")
    rates = measured(device, dtype)
    print(json.dumps({"flops": rates.flops, "bytes": rates.bytes}))
