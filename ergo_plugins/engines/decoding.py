"""How the next token is chosen: the same for every engine, whatever a checkpoint's ``generation_config`` wishes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Decoding:
    """Neutral unless told otherwise, as verl samples in training.

    Checkpoints come with wishes of their own (Qwen2.5-VL's with a repetition penalty, which falls on the digits of
    coordinates). Transformers and servers follow them silently, vLLM in this process does not; here only what is given
    counts, so that the three engines are comparable.

    Attributes:
        temperature: 0 decodes greedily.
        top_p: the most likely tokens that make up this probability are considered; 1 for all.
        top_k: this many most likely tokens are considered; 0 for all.
        repetition_penalty: divides the score of what stands in the prompt or the reply already; 1 for none.
        seed: of the run; see `seed_of`.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int = 42

    def __post_init__(self) -> None:
        for name, allowed, wanted in (
            ("temperature", self.temperature >= 0, "0 (greedy) or more"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1 (all tokens)"),
            ("top_k", self.top_k >= 0, "0 (all tokens) or more"),
            ("repetition_penalty", self.repetition_penalty > 0, "above 0; 1 is none"),
        ):
            if not allowed:
                raise ValueError(f"{name} is {wanted}, got {getattr(self, name)!r}")

    def seed_of(self, key: str, turn: str) -> int:
        """The seed of one reply, from 0 to 2^31-1: another for each sample, repeat and turn, the same in a later run.

        Args:
            key: names the sample and its repeat (`Job.key`).
            turn: the turn's name.
        """
        digest = hashlib.sha256(f"{self.seed}\n{key}\n{turn}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    @property
    def identity(self) -> dict[str, Any]:
        """For `Engine.identity`."""
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repetition_penalty": self.repetition_penalty,
            "seed": self.seed,
        }
