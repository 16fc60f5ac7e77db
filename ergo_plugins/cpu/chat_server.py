"""An OpenAI-compatible chat endpoint for a model that runs in this process, as verl's reward router expects it."""

from __future__ import annotations

import base64
import io
from typing import Any, Protocol

from aiohttp import web
from PIL import Image

HOST = "127.0.0.1"
"""Everything on a CPU runs on one machine."""

LARGEST_REQUEST_BYTES = 256 * 2**20


class Model(Protocol):
    """What runs in this process: `server.HFServer`."""

    processor: Any
    tokenizer: Any

    async def generate(
        self, request_id: str, prompt_ids: list[int], sampling_params: dict[str, Any], *, image_data: list[Image.Image]
    ) -> Any:
        """A reply's tokens (``token_ids``)."""
        ...


async def serve_chat(server: Model) -> str:
    """Answer ``/v1/chat/completions`` with a server's model; the ``host:port`` it listens on."""

    async def complete(request: web.Request) -> web.Response:
        asked = await request.json()
        messages, images = _with_images(asked["messages"])
        text = server.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompt = server.processor(text=[text], images=images or None)["input_ids"][0]
        output = await server.generate(
            "",
            list(prompt),
            {"temperature": asked.get("temperature", 1.0), "max_tokens": asked.get("max_tokens") or 64},
            image_data=images,
        )
        reply = server.tokenizer.decode(output.token_ids, skip_special_tokens=True)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}
        return web.json_response({"object": "chat.completion", "model": asked.get("model"), "choices": [choice]})

    application = web.Application(client_max_size=LARGEST_REQUEST_BYTES)
    application.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    return f"{HOST}:{runner.addresses[0][1]}"


def _with_images(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    """The messages with placeholders for their images, and the images, decoded from data URLs."""
    images: list[Image.Image] = []
    plain: list[dict[str, Any]] = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            parts = []
            for part in content:
                if part["type"] == "image_url":
                    _, _, encoded = part["image_url"]["url"].partition(",")
                    images.append(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))
                    parts.append({"type": "image"})
                else:
                    parts.append(part)
            content = parts
        plain.append({"role": message["role"], "content": content})
    return plain, images
