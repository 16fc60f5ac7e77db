"""Words that are commands to a chat model: ``<|image_pad|>`` stands for pixels, ``<|im_end|>`` ends a message.

A chat template does not tell them from the text around them, and a tokenizer reads them as commands wherever they
stand. In a benchmark's question or in what a model wrote they are plain text, and have to reach the model as such.
"""

from __future__ import annotations

import re

NOT_IN_A_REPLY = ("<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|video_pad|>")
"""Beside an image's own placeholder: tokens that would begin a message, or stand for pixels that are not there. A reply
is cut before them, in evaluation and in training."""

_CONTROL_TOKEN = re.compile(r"<\|(?=\w[\w.:-]*\|>)")


def spelled_out(text: str) -> str:
    """The text with a space in each ``<|name|>``, so that no tokenizer takes it for a command: ``<| name|>``."""
    return _CONTROL_TOKEN.sub("<| ", text)
