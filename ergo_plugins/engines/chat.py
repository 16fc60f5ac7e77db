"""Turns as tokens, by the model's own chat template, so that a second turn continues the first one exactly.

Writing a reply back as text and tokenising it anew may give other tokens than the model generated, and then nothing
after them can be taken from a prefix cache. Here the tokens of the first turn are kept and only the new message is
templated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.turns import Turn

_MARK = "\u241e"  # stands for the earlier reply in the template; cut off again


class ChatTokens:
    """Token ids of conversations with one image a turn, in the words of one processor's chat template.

    Ids hold one placeholder an image, as vLLM wants them; `expanded` repeats it for transformers.
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.image_token_id: int = processor.image_token_id

    def prompt(self, so_far: Sequence[int], turn: Turn) -> list[int]:
        """Ids of the conversation up to where the model is to reply.

        Args:
            so_far: ids of the earlier turns and replies as they were prompted and generated; empty at first.
            turn: the next message.
        """
        message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": turn.text}]}
        if not so_far:
            system = [{"role": "system", "content": [{"type": "text", "text": turn.system}]}] if turn.system else []
            return self._ids(self._templated([*system, message]))
        before = [{"role": "user", "content": [{"type": "text", "text": ""}]}, {"role": "assistant", "content": _MARK}]
        _, _, tail = self._templated([*before, message]).rpartition(_MARK)
        tail_ids = self._ids(tail)
        ended_itself = so_far[-1] == tail_ids[0]  # the reply closed its message; the template would close it again
        return [*so_far, *(tail_ids[1:] if ended_itself else tail_ids)]

    def expanded(self, ids: Sequence[int], image_tokens: Sequence[int]) -> list[int]:
        """The ids with each image's placeholder repeated as often as it has visual tokens."""
        counts = iter(image_tokens)
        out: list[int] = []
        for token in ids:
            out.extend([token] * next(counts) if token == self.image_token_id else [token])
        return out

    def text(self, new_ids: Sequence[int], stop: Sequence[str]) -> str:
        """A reply as text: special tokens removed, nothing behind the first stop string."""
        text: str = self.tokenizer.decode(new_ids, skip_special_tokens=True)
        ends = [text.find(word) + len(word) for word in stop if word in text]
        return text[: min(ends)] if ends else text

    def _templated(self, messages: list[dict[str, Any]]) -> str:
        text: str = self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids
