"""Words of published checkpoints by name: fetched once from a server, checked, the same everywhere."""

from __future__ import annotations

import argparse
import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ergo_plugins.commands import infer
from ergo_plugins.lmms_plugin.arguments import read_arguments
from ergo_plugins.lmms_plugin.values import WrongArgument
from ergo_plugins.methods import method_named
from ergo_plugins.outside import published_prompts
from ergo_plugins.outside.published_prompts import CACHE_VARIABLE, PUBLISHED, Published, cache_folder, prompts_path
from ergo_plugins.python_api import configured
from ergo_plugins.verl_plugin.settings import Settings

COMMIT = "0123456789" * 4
CONSTANTS = b"""SYSTEM_PROMPT = "Theirs."
QUESTION_TEMPLATE1 = "Where is it? {Question}"
QUESTION_TEMPLATE2 = "{Question} So?"
raise RuntimeError("never run")
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Paths that a server with the file was asked for; the name is known with the right digest."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200 if self.path == f"/them/THEIRS/{COMMIT}/src/const.py" else 404)
            self.end_headers()
            self.wfile.write(CONSTANTS)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(published_prompts, "HOST", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    publish(monkeypatch, hashlib.sha256(CONSTANTS).hexdigest())
    yield paths
    server.shutdown()
    server.server_close()


def publish(monkeypatch: pytest.MonkeyPatch, digest: str) -> None:
    monkeypatch.setitem(PUBLISHED, "ergo-7b", Published("them/THEIRS", COMMIT, "src", {"const.py": digest}))


def test_every_place_that_takes_prompts_takes_the_name_and_the_file_is_fetched_once(asked: list[str]) -> None:
    method = method_named("ergo")
    parser = argparse.ArgumentParser().add_subparsers()
    given = infer.add_parser(parser).parse_args(["a.png", "q", "--model", "m", "--prompts", "ergo-7b"])
    found = [
        read_arguments("hf", {"model": "m", "prompts": "ergo-7b"}).config,
        Settings.read({"episode": {"prompts": "ergo-7b"}}, "ergo").episode,
        configured(method, {"prompts": "ergo-7b"})[0],
        infer._method(given)[1],
    ]
    assert {config.prompts.system for config in found} == {"Theirs."}
    assert {config.prompts.look for config in found} == {"Where is it? {question}"}
    assert asked == [f"/them/THEIRS/{COMMIT}/src/const.py"]


def test_another_file_is_refused_and_not_kept(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, "0" * 64)
    with pytest.raises(WrongArgument, match=r"is not the file that was checked .*not 0000"):
        read_arguments("hf", {"model": "m", "prompts": "ergo-7b"})
    assert not list(cache_folder().rglob("const.py"))


def test_a_file_damaged_in_the_cache_is_fetched_again(asked: list[str]) -> None:
    prompts_path("ergo-7b").write_bytes(b"cut")
    assert prompts_path("ergo-7b").read_bytes() == CONSTANTS
    assert len(asked) == 2


def test_without_a_network_it_says_which_file_to_put_where(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published_prompts, "HOST", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"^prompts=ergo-7b cannot be fetched") as told:
        prompts_path("ergo-7b")
    place = re.search(r"put (\S+) into (\S+), or", str(told.value))
    assert place is not None
    assert place[1] == f"http://127.0.0.1:9/them/THEIRS/{COMMIT}/src/const.py"
    file = Path(place[2])
    file.parent.mkdir(parents=True)
    file.write_bytes(CONSTANTS)
    assert prompts_path("ergo-7b") == file


def test_a_file_of_that_name_is_that_file(asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ergo-7b").write_text("mine")
    assert (prompts_path("ergo-7b"), prompts_path("words.yaml")) == (Path("ergo-7b"), Path("words.yaml"))
    assert asked == []


def test_several_files_are_a_folder_as_of_a_checkout(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    files = {name: hashlib.sha256(CONSTANTS).hexdigest() for name in ("const.py",)}
    monkeypatch.setitem(PUBLISHED, "two", Published("them/THEIRS", COMMIT, "src", {**files, "gone.py": "1" * 64}))
    with pytest.raises(ValueError, match=r"gone\.py .*is|gone\.py into"):
        prompts_path("two")
    folder = cache_folder() / "prompts" / f"two-{COMMIT[:7]}"
    (folder / "gone.py").write_bytes(b"")
    monkeypatch.setitem(
        PUBLISHED, "two", Published("them/THEIRS", COMMIT, "src", {**files, "gone.py": hashlib.sha256(b"").hexdigest()})
    )
    assert prompts_path("two") == folder


def test_what_is_shipped_is_pinned() -> None:
    for published in PUBLISHED.values():
        assert re.fullmatch(r"[0-9a-f]{40}", published.commit)
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in published.files.values())
