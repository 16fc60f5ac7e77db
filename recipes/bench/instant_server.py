"""Chat completions on loopback, at once or after a time: a zoom for one image, an answer for two; or an answer.

    python -m recipes.bench.instant_server

It prints where it stands, and serves until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

if TYPE_CHECKING:  # who imports this file must stay small (see `process.watched`)
    from aiohttp import web

ANSWER = "A"
REPLIES = (
    "<think>The sign stands left of the middle.</think><zoom>[210, 140, 504, 392]</zoom>",
    f"<think>It is red.</think><answer>{ANSWER}</answer>",
)


@dataclass(frozen=True, slots=True)
class InstantServer:
    """A server that runs, by the root of its URLs."""

    root: str

    def base_url(self, delay_s: float, spread_s: float = 0.0, turns: int = len(REPLIES)) -> str:
        """Of its API, for answers after that time, or after up to ``spread_s`` less or more; to one turn, or to two."""
        return f"{self.root}/{delay_s}/{spread_s}/{turns}/v1"

    def answered(self) -> int:
        """Samples so far that came to their last turn."""
        with urlopen(f"{self.root}/answered") as response:
            return int(response.read())


@contextmanager
def serving() -> Iterator[InstantServer]:
    """A server, in a process of its own, while the context lasts."""
    command = [sys.executable, str(Path(__file__).resolve())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield InstantServer(server.stdout.readline().strip())
        finally:
            server.terminate()


def completion(reply: str) -> str:
    """The body of a response."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}
    usage = {"prompt_tokens": 800, "completion_tokens": 20, "total_tokens": 820}
    head = {"id": "bench", "object": "chat.completion", "created": 0, "model": "ergo"}
    return json.dumps({**head, "choices": [choice], "usage": usage})


def application() -> web.Application:
    from aiohttp import web

    completions = [completion(reply) for reply in REPLIES]
    answered = 0
    lot = random.Random(0)

    async def complete(request: web.Request) -> web.Response:
        nonlocal answered
        images_sent = (await request.read()).count(b'"data:image/')  # parsing megabytes of JSON would be our cost too
        delay_s, spread_s = (float(request.match_info[name]) for name in ("delay", "spread"))
        await asyncio.sleep(delay_s + lot.uniform(-spread_s, spread_s))
        turns = int(request.match_info["turns"])
        answered += images_sent == turns
        return web.Response(text=completions[images_sent - 1 - turns], content_type="application/json")

    async def count(_request: web.Request) -> web.Response:
        return web.Response(text=str(answered))

    served = web.Application(client_max_size=2**28)
    served.router.add_post("/{delay}/{spread}/{turns}/v1/chat/completions", complete)
    served.router.add_get("/answered", count)
    return served


async def serve() -> None:
    from aiohttp import web

    runner = web.AppRunner(application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
