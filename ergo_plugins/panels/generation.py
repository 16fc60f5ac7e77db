"""Replies of a policy through the stock processor and ``generate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from transformers import PreTrainedModel, ProcessorMixin

from ..core.outcome import Outcome
from ..core.turns import Episode, Reply, Turn, play_batch
from .policy import END_OF_TURN

BATCH = 64
"""Chats that are generated together."""


@torch.inference_mode()
def next_replies(
    policy: PreTrainedModel,
    processor: ProcessorMixin,
    chats: Sequence[Sequence[dict[str, Any]]],
    images: Sequence[Sequence[Image.Image]],
    *,
    new_tokens: int,
    temperature: float = 0.0,
) -> list[str]:
    """The next reply of every chat, without its end of turn.

    Args:
        policy: in evaluation mode.
        processor: of the policy.
        chats: messages as chat templates take them.
        images: of each chat, in order.
        new_tokens: most tokens of a reply.
        temperature: 0 for the best guess.
    """
    prompts = [processor.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True) for chat in chats]
    shown = [list(row) for row in images]
    inputs = processor(text=prompts, images=shown, padding=True, padding_side="left", return_tensors="pt")
    how: dict[str, Any] = {"max_new_tokens": new_tokens}
    if temperature:
        how |= {"do_sample": True, "temperature": temperature, "top_k": 0}
    tokens = policy.generate(**inputs, **how)  # type: ignore[operator]  # torch calls every attribute a Tensor
    texts = processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=False)
    return [text.split(END_OF_TURN)[0] for text in texts]


@dataclass(slots=True)
class _Chat:
    messages: list[dict[str, Any]] = field(default_factory=list)
    images: list[Image.Image] = field(default_factory=list)


def played(
    policy: PreTrainedModel,
    processor: ProcessorMixin,
    episodes: Sequence[Episode],
    *,
    new_tokens: int,
    temperature: float = 0.0,
) -> list[Outcome]:
    """Episodes of a method, played together; the arguments are those of `next_replies`."""
    chats = [_Chat() for _ in episodes]

    def ask_all(asked: list[tuple[int, Turn]]) -> list[Reply]:
        among = [chats[index] for index, _ in asked]
        for chat, (_, turn) in zip(among, asked, strict=True):
            chat.messages.append({"role": "user", "content": turn.content(lambda image: {"type": "image"})})
            chat.images += turn.images
        texts = next_replies(
            policy,
            processor,
            [chat.messages for chat in among],
            [chat.images for chat in among],
            new_tokens=new_tokens,
            temperature=temperature,
        )
        for chat, text in zip(among, texts, strict=True):
            chat.messages.append({"role": "assistant", "content": text})
        return [Reply(text) for text in texts]

    return play_batch(episodes, ask_all)
