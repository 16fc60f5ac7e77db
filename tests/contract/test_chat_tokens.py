"""A second turn is the first one, token for token, and what the template writes behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from transformers import AutoProcessor

from ergo_plugins.core.turns import Turn, View
from ergo_plugins.engines.chat import ChatTokens

LOOK = Turn("look", (View(Image.new("RGB", (56, 56)), None), "Where is it?"), 64)
ANSWER = Turn("answer", (View(Image.new("RGB", (56, 56)), None), "What is it?"), 64)
TAIL = "\n<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What is it?<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def chat(qwen_processor: Path) -> ChatTokens:
    return ChatTokens(AutoProcessor.from_pretrained(qwen_processor))


def ids(chat: ChatTokens, *texts: str) -> list[int]:
    """Each text tokenised on its own, as a model may say it and no tokenizer would."""
    return [token for text in texts for token in chat.tokenizer(text, add_special_tokens=False)["input_ids"]]


def test_what_the_model_said_is_not_tokenised_again(chat: ChatTokens) -> None:
    said = [*ids(chat, "t", "h", "e", "re", " ", " ", "<", "zo", "om", ">"), *ids(chat, "\u00e9")[:1], 0, 1]
    assert ids(chat, chat.tokenizer.decode(said)) != said
    so_far = [*chat.prompt([], LOOK), *said]
    following = chat.prompt(so_far, ANSWER)
    assert following[: len(so_far)] == so_far
    assert chat.tokenizer.decode(following[len(so_far) :]) == "<|im_end|>" + TAIL


def test_a_reply_that_ended_its_message_is_not_closed_again(chat: ChatTokens) -> None:
    so_far = [*chat.prompt([], LOOK), *ids(chat, "there<|im_end|>")]
    following = chat.prompt(so_far, ANSWER)
    assert following[: len(so_far)] == so_far
    assert chat.tokenizer.decode(following[len(so_far) :]) == TAIL
