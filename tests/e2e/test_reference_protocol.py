"""With prompts in the reference's format, a server is sent the reference's conversation, message by message."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from tests.e2e.lmms_runs import lmms_eval
from tests.e2e.scripted_server import serving

CONSTANTS = '''
"""Wording of our own in the layout of the reference's file. Nothing in it is ever run."""
raise SystemExit("a prompts file was executed")

SYSTEM_PROMPT = (
    "First part of the system text, "
    "second part."
)

QUESTION_TEMPLATE1 = "{Question} Where should one look? <zoom>[x1, y1, x2, y2]</zoom>"

QUESTION_TEMPLATE2 = "{Question}\\nNow answer in <answer> </answer>"
'''


def test_the_conversation(panels: Path, tmp_path: Path) -> None:
    constants = tmp_path / "const.py"
    constants.write_text(CONSTANTS)
    replies = ["<think>a</think><zoom>[0, 0, 280, 280]</zoom>", "<think>b</think><answer>C</answer>"]

    def script(body: dict[str, Any], _number: int) -> tuple[int, str]:
        return 200, replies[len(body["messages"]) > 2]

    with serving(script) as server:
        run = lmms_eval(
            "ergo_openai",
            panels,
            tmp_path / "run",
            model="ergo",
            base_url=server.base_url,
            grid="qwen2.5-vl",
            prompts=constants,
            coarse_tokens=640,
            crop_tokens=640,
            zoom_new_tokens=1024,
            answer_new_tokens=1024,
            concurrency=1,
        )
    assert run.exit_code == 0, run.log
    assert len(server.requests) == 24
    for sample in range(12):
        first, second = server.requests[2 * sample : 2 * sample + 2]
        question = run.entries[sample]["question"]
        stem, _, options = question.partition("\n")
        assert options.count("\n") == 3, "four options on lines of their own"

        system, look = first["messages"]
        assert system == {"role": "system", "content": "First part of the system text, second part."}
        assert [part["type"] for part in look["content"]] == ["image_url", "text"]
        assert text_of(look) == f"{stem} Where should one look? <zoom>[x1, y1, x2, y2]</zoom>"
        view = image_of(look)
        assert view.width % 28 == view.height % 28 == 0
        assert (view.width // 28) * (view.height // 28) <= 640

        assert second["messages"][:2] == first["messages"]
        reply, answer = second["messages"][2:]
        assert reply == {"role": "assistant", "content": replies[0]}
        assert [part["type"] for part in answer["content"]] == ["image_url", "text"]
        assert text_of(answer) == f"{question}\nNow answer in <answer> </answer>"
        crop = image_of(answer)
        assert (crop.width // 28) * (crop.height // 28) <= 640

        for body in (first, second):
            assert body["temperature"] == 0
            assert body["max_tokens"] == 1024
            assert body["top_p"] == 1
            assert (body["top_k"], body["repetition_penalty"]) == (-1, 1), "a server would follow the checkpoint's"
    seeds = [body["seed"] for body in server.requests]
    assert len(set(seeds)) == len(seeds), "another for each sample and turn"
    assert all(entry["returned"] == "C" for entry in run.entries)


def text_of(message: dict[str, Any]) -> str:
    """The text beside the image."""
    return message["content"][1]["text"]


def image_of(message: dict[str, Any]) -> Image.Image:
    """The image that was sent, decoded."""
    _, _, encoded = message["content"][0]["image_url"]["url"].partition("base64,")
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert image.format == "PNG"
    return image
