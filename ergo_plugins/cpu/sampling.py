"""Sampling that does not ask when a request came or what shared its batch: each reply has a generator of its own.

Agent loops send their requests as they get ready, so that two runs of one seed differ in order and in batches. With one
generator for all they would differ in every reply.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Sequence

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


class Seeds:
    """Seeds of requests, from the run's seed, the weights' step, what is asked, and how often it was asked before.

    The rollouts of a prompt are alike but for their number, so that it does not matter which comes first.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._step: int | None = None
        self._asked: Counter[Hashable] = Counter()

    def seed(self, step: int | None, asked: bytes) -> int:
        """The seed, below 2**63, of a request that says ``asked`` when weights of ``step`` answer."""
        if step != self._step:
            self._step, self._asked = step, Counter()
        key = hashlib.sha256(asked).digest()
        number = self._asked[key]
        self._asked[key] += 1
        drawn = hashlib.sha256(f"{self._seed} {step} {number} ".encode() + key).digest()
        return int.from_bytes(drawn[:8], "big") >> 1


class DrawEachByItsSeed(LogitsProcessor):
    """Leaves in each row one token, drawn from the row's scores by the row's own generator (the Gumbel-max trick)."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores of shape (rows, vocabulary), -inf but for the drawn token.

        An exponential variable divided by probability is least for each token as often as its probability says.
        """
        waits = torch.stack([torch.empty(scores.shape[-1]).exponential_(generator=of) for of in self._generators])
        drawn = (scores.float().cpu() - waits.log()).argmax(-1, keepdim=True).to(scores.device)
        return torch.full_like(scores, -torch.inf).scatter(-1, drawn, 0.0)  # type: ignore[return-value]  # torch says Tensor


def sampling(seeds: Sequence[int], *, temperature: float, top_p: float, top_k: int) -> LogitsProcessorList:
    """What ``generate`` applies with ``do_sample=False`` to sample each row by its seed.

    Args:
        seeds: one a row.
        temperature: above 0.
        top_p: 1 keeps all tokens.
        top_k: below 1 keeps all tokens.
    """
    processors = LogitsProcessorList([TemperatureLogitsWarper(float(temperature))])
    if top_k > 0:
        processors.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        processors.append(TopPLogitsWarper(top_p))
    processors.append(DrawEachByItsSeed(seeds))
    return processors
