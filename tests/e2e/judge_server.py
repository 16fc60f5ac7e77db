"""A judge that does as it is told: a real OpenAI-compatible server on loopback, which keeps what it was asked."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from PIL import Image

Script = Callable[[int, str, list[Image.Image]], Any]
"""Given the request's number, its text and its images: the reply's text, a mapping for a whole choice of a completion,
an int for a bare status, a float of seconds to be silent for, bytes for a bare body, or ``None`` for one that is no
chat completion."""


@dataclass
class Asked:
    """A request that arrived."""

    text: str
    images: list[Image.Image]
    body: dict[str, Any]
    authorization: str | None


@dataclass
class JudgeServer:
    """Runs in a thread of its own; ``with JudgeServer(script) as judge``."""

    script: Script
    asked: list[Asked] = field(default_factory=list)
    most_at_once: int = 0
    port: int = 0
    _under_way: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> JudgeServer:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Close the port and drop what is under way."""
        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        application = web.Application(client_max_size=2**28)
        application.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        self._loop.run_until_complete(self._runner.setup())
        self._loop.run_until_complete(web.TCPSite(self._runner, "127.0.0.1", self.port).start())
        self.port = self._runner.addresses[0][1]
        started.set()
        self._loop.run_forever()

    async def _complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        text, images = "", []
        for part in body["messages"][-1]["content"]:
            if part["type"] == "image_url":
                encoded = part["image_url"]["url"].partition(",")[2]
                images.append(Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB"))
            else:
                text += part["text"]
        number = len(self.asked)
        self.asked.append(Asked(text, images, body, request.headers.get("Authorization")))
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            reply = self.script(number, text, images)
            if isinstance(reply, float):
                await asyncio.sleep(reply)
                reply = "<answer>B</answer>"
            else:
                await asyncio.sleep(0.01)
        finally:
            self._under_way -= 1
        if reply is None:
            return web.Response(text="<html>bad gateway</html>")
        if isinstance(reply, int):
            return web.Response(status=reply, text="told to fail")
        if isinstance(reply, bytes):
            return web.Response(body=reply, content_type="application/json")
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}
        if isinstance(reply, dict):
            choice |= reply
        return web.Response(text=json.dumps({"choices": [choice]}), content_type="application/json")
