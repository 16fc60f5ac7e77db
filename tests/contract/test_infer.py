"""``ergo infer`` on a server: whose coordinates, several pictures at once, and each picture of a folder."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.contract.test_cli import assert_one_sentence, ergo
from tests.e2e.scripted_server import ScriptedServer, serving

GRID = ("--grid", "qwen2.5-vl")


def in_order(body: dict[str, Any], _number: int = 0) -> tuple[int, str]:
    is_first = not any(message["role"] == "assistant" for message in body["messages"])
    return 200, "<zoom>[10, 10, 60, 60]</zoom>" if is_first else "<answer>B</answer>"


def images_in(body: dict[str, Any]) -> int:
    content = body["messages"][-1]["content"]
    return [part["type"] for part in content].count("image_url")


def on(server: ScriptedServer, model: str = "m") -> tuple[str, ...]:
    return ("--model", model, "--engine", "openai", "--base-url", server.base_url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures whose widths tell them apart, one of them damaged, and what is no picture."""
    path = tmp_path / "pictures"
    (path / "sub.png").mkdir(parents=True)
    for name, width in (("c.png", 140), ("a.png", 84), ("b.jpg", 112), ("a.jpeg", 168)):
        Image.new("RGB", (width, 84), "navy").save(path / name)
    (path / "d.png").write_bytes(b"damaged")
    (path / "notes.txt").write_text("not for the model")
    (path / "._a.png").write_bytes(b"what some systems leave beside a file")
    return path


def test_a_folder_is_asked_about_picture_by_picture(folder: Path, tmp_path: Path) -> None:
    last_first = threading.Event()

    def script(body: dict[str, Any], number: int) -> tuple[int, str]:
        if number == 0:
            last_first.wait(10)  # the first picture is done last
        if number > 5:
            last_first.set()
        return in_order(body)

    with serving(script) as server:
        done = ergo("infer", folder, "Which?", *on(server), *GRID, "--save", tmp_path / "seen")
    assert done.returncode == 1, "one could not be read"
    assert "Traceback" not in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("ergo infer: ")] == [
        line for line in done.stderr.splitlines() if "d.png cannot be read as a picture" in line
    ]
    titles = [line for line in done.stdout.splitlines() if line.startswith("══ ")]
    assert titles == ["══ a.jpeg", "══ a.png", "══ b.jpg", "══ c.png"]
    assert done.stdout.count("answer             B") == 4
    saved = sorted(str(path.relative_to(tmp_path / "seen")) for path in (tmp_path / "seen").rglob("boxed.png"))
    assert saved == ["a.jpeg/boxed.png", "a.png/boxed.png", "b/boxed.png", "c/boxed.png"]
    with Image.open(tmp_path / "seen/c/boxed.png") as boxed:
        assert boxed.width == 140


def test_several_pictures_are_one_question(folder: Path, tmp_path: Path) -> None:
    pictures = [folder / "a.png", folder / "b.jpg", folder / "c.png"]
    with serving(lambda body, _: (200, "<answer>B</answer>")) as server:
        done = ergo("infer", *pictures, "Which of them?", "--method", "single_pass", *on(server), *GRID)
        assert done.returncode == 0, done.stderr
        assert [images_in(body) for body in server.requests] == [3]
        refused = ergo("infer", *pictures, "Which of them?", *on(server), *GRID)
        assert len(server.requests) == 1
    assert_one_sentence(
        refused, "3 pictures at once, and the method ergo takes one picture; methods that take so many: "
    )
    assert_one_sentence(ergo("infer", folder, pictures[0], "q", *on(server)), "a folder is asked about alone")


def test_whose_coordinates_they_are(folder: Path) -> None:
    picture = folder / "a.png"
    with serving(in_order, models=[{"id": "m", "root": "Qwen/Qwen3-VL-8B-Instruct"}]) as server:
        told = ergo("infer", picture, "q", *on(server))
        assert told.returncode == 0, told.stderr
        assert_one_sentence(ergo("infer", picture, "q", *on(server), *GRID), "contradicts Qwen/Qwen3-VL-8B-Instruct")
        assert_one_sentence(
            ergo("infer", picture, "q", *on(server, "x")), "cannot open x: neither the server nor the name"
        )
        mine = ("--model", folder, "--engine", "hf", *GRID)
        assert_one_sentence(ergo("infer", picture, "q", *mine), "--grid is for --engine openai, not for hf")
