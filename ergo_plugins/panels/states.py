"""Inner states of a policy that throw-away heads are asked about, and the tokens that spell a world's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

BINDING_LAYER = 1
"""The decoder layer whose output is asked what a word is bound to, counted from 0."""


class States(nn.Module):
    """Keeps what the latest forward pass of a policy had inside; heads are built on it.

    Attributes:
        seen: visual tokens, ``(tokens of the batch, hidden)``.
        bound: states after `BINDING_LAYER`, ``(batch, length, hidden)``.
    """

    seen: Tensor
    bound: Tensor

    def __init__(self, policy: PreTrainedModel) -> None:
        super().__init__()
        policy.model.visual.register_forward_hook(self._keep_seen)
        policy.model.language_model.layers[BINDING_LAYER].register_forward_hook(self._keep_bound)

    def _keep_seen(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        self.seen = output.pooler_output

    def _keep_bound(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        self.bound = output[0] if isinstance(output, tuple) else output


def word_of_token(policy: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, words: Sequence[str]) -> Tensor:
    """For every token the index of the word it spells, with or without a space before it; -1 for all others."""
    embedding = policy.get_input_embeddings()
    assert isinstance(embedding, nn.Embedding)
    found = torch.full((len(embedding.weight),), -1)
    for index, word in enumerate(words):
        for text in (word, f" {word}"):
            (token,) = tokenizer(text, add_special_tokens=False)["input_ids"]
            found[token] = index
    return found


def which_token(logits: Tensor) -> Tensor:
    """Each of a view's visual tokens should know which one it is; the loss of ``(batch, tokens, tokens)``."""
    batch, tokens, _ = logits.shape
    return F.cross_entropy(logits.flatten(0, 1), torch.arange(tokens).repeat(batch))
