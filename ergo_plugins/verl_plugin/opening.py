"""How a prompt itself begins the policy's reply: some chat templates open ``<think>``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MESSAGE = "<|im_start|>"
"""The token that begins a message in the chat templates of Qwen's models; its role and a new line follow."""


def opened(tokenizer: Any, prompt_ids: Sequence[int]) -> str:
    """What stands behind the header of a prompt's last message; empty for templates of another kind."""
    start = tokenizer.convert_tokens_to_ids(MESSAGE)
    last = next((i for i in range(len(prompt_ids) - 1, -1, -1) if prompt_ids[i] == start), None)
    if last is None:
        return ""
    _role, _newline, begun = tokenizer.decode(list(prompt_ids[last + 1 :])).partition("\n")
    return str(begun)


def opened_by_template(tokenizer: Any) -> str:
    """The same of any prompt that the tokenizer's own chat template makes; empty if it has none."""
    if not tokenizer.chat_template:
        return ""
    message = {"role": "user", "content": ""}
    text = tokenizer.apply_chat_template([message], add_generation_prompt=True, tokenize=False)
    return opened(tokenizer, tokenizer.encode(text, add_special_tokens=False))
