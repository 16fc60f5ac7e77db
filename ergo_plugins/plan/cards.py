"""GPUs: what their makers publish, and how much of it training is assumed to reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU.

    Attributes:
        memory_gib: what CUDA reports as its whole memory.
        peak_flops: dense bfloat16 operations a second, as published; verl has the same of those it knows.
        bytes_per_s: of its memory, as published.
        trained_share: of the peak that forward and backward passes are assumed to reach.
        read_share: of the memory's speed that generation is assumed to reach.
    """

    title: str
    memory_gib: float
    peak_flops: float
    bytes_per_s: float
    trained_share: float
    read_share: float = 0.5


CARDS: Mapping[str, Card] = {
    "h200": Card("H200 141 GB", 139.8, 989e12, 4.8e12, 0.18),
    "h100": Card("H100 80 GB", 79.1, 989e12, 3.35e12, 0.18),
    "a100": Card("A100 80 GB", 79.1, 312e12, 2.04e12, 0.35),
    "a100-40": Card("A100 40 GB", 39.4, 312e12, 1.56e12, 0.35),
    "l40s": Card("L40S 48 GB", 44.4, 362e12, 0.86e12, 0.25),
    "l20": Card("L20 48 GB", 44.4, 119.5e12, 0.86e12, 0.35),
    "4090": Card("RTX 4090 24 GB", 23.5, 165e12, 1.01e12, 0.3),
}
"""``--card``. The shares are assumed: those of H100 and L20 from EasyR1's measured 7B (13.6 % and 26.5 % of the peak
without counting what checkpointing computes again, which is a third more), the others between them."""
