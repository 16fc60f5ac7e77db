"""A real HTTP server on loopback that answers chat completions by a script, and remembers what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[[dict[str, Any], int], "tuple[int, str | bytes | dict[str, Any] | Iterable[bytes]]"]
"""``(request body, number of the request) -> (status, body)``; a body of text becomes a completion with that text, and
any other iterable of bytes is a stream, sent piece by piece. One that raises `Cut` breaks the connection off."""


class Cut(Exception):
    """Raised by a stream where the connection breaks."""


HANGS_UP = 0
"""For a status: the connection is closed without a word, as by a server that is killed."""


@dataclass
class ScriptedServer:
    """What a test sees of the server.

    Attributes:
        base_url: of the API.
        requests: bodies in the order in which they came.
        keys: their Authorization headers.
    """

    base_url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


def completion(text: str, finish_reason: str = "stop") -> dict[str, Any]:
    """A chat completion with one choice."""
    return {
        "id": "scripted",
        "object": "chat.completion",
        "created": 0,
        "model": "scripted",
        "choices": [{"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def events(whole: dict[str, Any], pieces: Iterable[str]) -> Iterator[bytes]:
    """The same completion as server-sent events, its text in these pieces; token counts last, if it has any."""
    (choice,) = whole["choices"]
    started = {"id": "scripted", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}

    def event(*choices: dict[str, Any], **others: Any) -> bytes:
        text = json.dumps({**started, "choices": choices, **others}, ensure_ascii=False)
        # half of a surrogate pair is no UTF-8, and an escape in JSON
        return b"data: %s\n\n" % text.encode("utf-8", "backslashreplace")

    yield event({"index": 0, "finish_reason": None, "delta": {"role": "assistant", "content": ""}})
    for piece in pieces:
        yield event({"index": 0, "finish_reason": None, "delta": {"content": piece}})
    yield event({**{name: value for name, value in choice.items() if name != "message"}, "delta": {}})
    if whole.get("usage"):
        yield event(usage=whole["usage"])
    yield b"data: [DONE]\n\n"


@contextmanager
def serving(
    script: Script, headers: dict[str, str] | None = None, models: list[dict[str, Any]] | None = None
) -> Iterator[ScriptedServer]:
    """Serve a script while the context lasts; with ``models`` the list of them as well, as vLLM has it."""
    server = ScriptedServer()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(server.requests)
                server.requests.append(body)
                server.keys.append(self.headers["Authorization"])
            status, answer = script(body, number)
            if status == HANGS_UP:
                self.close_connection = True
                return
            if isinstance(answer, str):
                answer = completion(answer)
            if not isinstance(answer, bytes | dict):
                self.stream(status, answer)
                return
            sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if isinstance(answer, bytes) else "application/json")
            self.send_header("Content-Length", str(len(sent)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(sent)

        def stream(self, status: int, pieces: Iterable[bytes]) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream; charset=utf-8")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                for piece in pieces:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            except (Cut, ConnectionError):  # the latter: whoever asked has gone
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")

        def do_GET(self) -> None:
            sent = json.dumps({"object": "list", "data": models}).encode()
            self.send_response(404 if models is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False  # a script may hang on purpose

    http = Server(("127.0.0.1", 0), Handler)
    server.base_url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)  # how soon it ends, in seconds
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
