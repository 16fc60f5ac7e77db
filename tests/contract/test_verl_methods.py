"""Conversations of other shapes through verl's own agent loop, on Qwen's real tokenizer: exact to the token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.verl_plugin.agent_loop import ErgoZoomLoop
from tests.contract.verl_parts import Bench, ScriptedPolicy, panel_row, tiny

END = "<|im_end|>"
ANSWER = "<think>checkered</think><answer>B</answer>"
RESIZE = '<think>small</think>\n<tool_call>\n{"name": "resize_image", "arguments": {"action": "%s"}}\n</tool_call>'
ZOOM = (
    '<think>closer</think>\n<tool_call>\n{"name": "image_zoom_in_tool", "arguments": '
    '{"bbox_2d": [0, 0, 500, 500], "img_idx": %d}}\n</tool_call>'
)

CONVERSATIONS = {
    "asked for": ("visionthink", ("full_tokens=64",), (RESIZE % "resize", ANSWER), [1, 1]),
    "a call that failed": ("visionthink", ("full_tokens=64",), (RESIZE % "crop", ANSWER), [1, 0]),
    "at once": ("visionthink", ("full_tokens=64",), (ANSWER,), [1]),
    "three looks": ("tool_zoom", ("view_tokens=16", "crop_tokens=16"), (ZOOM % 0, ZOOM % 1, ANSWER), [1, 1, 1]),
    "two at once": ("tool_zoom", ("view_tokens=16", "crop_tokens=16"), (ZOOM % 0 + ZOOM % 0, ANSWER), [1, 2]),
    "no such image": ("tool_zoom", ("view_tokens=16", "crop_tokens=16"), (ZOOM % 7, ANSWER), [1, 0]),
    "grounded": ("egm", ("view_tokens=16",), ('<think>there</think>{"bbox_2d": [0, 0, 56, 56]}',), [1]),
}


@pytest.mark.parametrize(("method", "options", "replies", "images"), CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_what_verl_is_handed_reads_as_the_chat_template_writes_it(
    qwen_for_verl: Path,
    tmp_path: Path,
    method: str,
    options: tuple[str, ...],
    replies: tuple[str, ...],
    images: list[int],
) -> None:
    config = tiny(
        f"+ergo.method={method}",
        "~ergo.zoom",
        "~ergo.reward",
        *(f"+ergo.episode.{option}" for option in options),
        f"actor_rollout_ref.model.path={qwen_for_verl}",
        "data.max_prompt_length=1024",
        "data.max_response_length=2048",
    )
    made = Bench(config, ErgoZoomLoop, ScriptedPolicy(lambda turn: []), folder=qwen_for_verl)
    tokens = [made.tokenizer.encode(reply + END, add_special_tokens=False) for reply in replies]
    made.policy.replies = lambda turn: tokens[turn]
    (output,) = made.run(panel_row(tmp_path))
    outcome = Outcome.from_json(output.extra_fields["ergo"])
    assert [len(turn.shown) for turn in outcome.turns] == images
    assert [turn.reply for turn in outcome.turns] == list(replies)

    asked = said_to(made, output)
    assert len(asked) == len(replies)
    generated = [token for token, mask in zip(output.response_ids, output.response_mask, strict=True) if mask]
    assert generated == [token for reply in tokens for token in reply], "sampled tokens, all of them and no others"
    text = made.processor.apply_chat_template(conversation(made, output, replies), tokenize=False)
    expected = made.processor(text=[text], images=output.multi_modal_data["images"])["input_ids"][0]
    assert output.prompt_ids + output.response_ids == list(expected)[:-1]  # the template ends with a newline


def said_to(made: Bench, output: Any) -> list[list[int]]:
    """The prompts of the turns, as the policy got them; each begins with all that came before it."""
    prompts = [list(asked["prompt_ids"]) for asked in made.policy.asked]
    whole = list(output.prompt_ids) + list(output.response_ids)
    assert all(whole[: len(prompt)] == prompt for prompt in prompts), "token-exact continuation"
    return prompts


def conversation(made: Bench, output: Any, replies: tuple[str, ...]) -> list[dict[str, Any]]:
    """The conversation as messages, read back from what verl was handed."""
    decoded = made.tokenizer.decode(list(output.prompt_ids) + list(output.response_ids))
    messages = []
    for piece in decoded.split("<|im_start|>")[1:]:
        role, _, content = piece.partition("\n")
        content = content.split(END)[0]
        if role == "assistant":
            messages.append({"role": role, "content": content})
            continue
        parts: list[dict[str, Any]] = []
        for number, text in enumerate(content.split("<|vision_start|>")):
            words = text if number == 0 else text.partition("<|vision_end|>")[2]
            parts += [{"type": "image"}] if number else []
            parts += [{"type": "text", "text": words}] if words else []
        messages.append({"role": role, "content": parts if role == "user" else content})
    assert [m["content"] for m in messages if m["role"] == "assistant"] == list(replies), json.dumps(messages)[:500]
    return messages
