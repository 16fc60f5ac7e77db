"""The page of ``ergo demo``, served as its users start it and used in a real browser."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageColor
from playwright.sync_api import Browser, Page
from playwright.sync_api import expect as until

from ergo_plugins import open_model
from ergo_plugins.demo.course import BOX_COLOR
from ergo_plugins.python_api import Model
from tests.e2e.lmms_runs import OFFLINE, ROOT
from tests.e2e.scripted_server import completion, events, serving

TINY = ROOT / "recipes/tiny"
WORDS = {"resample": "box", "answer_new_tokens": 24}
LOOK = {"coarse_tokens": 16, "crop_tokens": 16, "zoom_new_tokens": 24, **WORDS}
ZOOM, ASK, NOBODY, LATER = "zoom", "asks", "a server that is down", "trained later"
SLOW = "a server that is slow"
BEGUN, LOOK_REPLY = "<think>It is the", "<think>It is the blue tile.</think><zoom>[10, 10, 60, 60]</zoom>"
ANSWER_REPLY = "<answer>plain</answer>"
ANSWERED_MS = 90_000


@dataclass
class Slow:
    """A server that waits in the middle of its first reply.

    Attributes:
        go_on: what it waits for.
    """

    base_url: str = ""
    go_on: threading.Event = field(default_factory=threading.Event)

    def reply(self, body: dict[str, Any], _number: int) -> tuple[int, Iterator[bytes]]:
        """Streams, as it is asked to."""
        assert body["stream"]
        if len(body["messages"]) > 2:
            return 200, events(completion(ANSWER_REPLY), [ANSWER_REPLY])
        return 200, self.halting()

    def halting(self) -> Iterator[bytes]:
        first, begun, *rest = events(completion(LOOK_REPLY), [BEGUN, LOOK_REPLY[len(BEGUN) :]])
        yield from (first, begun)
        assert self.go_on.wait(ANSWERED_MS / 1000)
        yield from rest


@pytest.fixture(scope="module")
def slow() -> Iterator[Slow]:
    server = Slow()
    with serving(server.reply) as listening:
        server.base_url = listening.base_url
        yield server


@pytest.fixture(scope="module")
def choices(panels: Path, slow: Slow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page offers: two tiny policies, a server that nobody runs, one that is slow, and a model that is not
    there yet."""
    look = {**LOOK, "prompts": str(TINY / "prompts.yaml")}
    ask = {"full_tokens": 64, "ask_new_tokens": 40, **WORDS, "prompts": str(TINY / "visionthink_prompts.yaml")}
    once = {"coarse_tokens": 64, **WORDS}
    gallery = str(panels / "questions.jsonl")
    down = {"base_url": f"http://127.0.0.1:{free_port()}/v1", "processor": str(TINY / "policy"), "retry_delay_s": 0.01}
    up = {"base_url": slow.base_url, "processor": str(TINY / "policy")}
    entries = [
        {"name": ZOOM, "model": str(TINY / "policy"), "method": "ergo", "options": look, "baseline": once},
        {"name": ASK, "model": str(TINY / "visionthink_policy"), "method": "visionthink", "options": ask},
        {"name": NOBODY, "model": "some-model", "engine": "openai", "method": "ergo", "options": {**look, **down}},
        {"name": SLOW, "model": "some-model", "engine": "openai", "method": "ergo", "options": {**look, **up}},
        {"name": LATER, "model": "not/there", "method": "ergo", "made_by": "bash recipes/make_it.sh"},
    ]
    for entry in (entries[0], entries[2], entries[3]):
        entry["examples"] = gallery
    entries[1]["baseline"] = entries[3]["baseline"] = None
    path = tmp_path_factory.mktemp("demo") / "choices.yaml"
    path.write_text(json.dumps(entries))  # which is yaml, too
    return path


@pytest.fixture(scope="module")
def address(choices: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port, log = free_port(), tmp_path_factory.mktemp("demo") / "log.txt"
    command = [str(Path(sys.executable).parent / "ergo"), "demo", "--choices", str(choices), "--port", str(port)]
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **OFFLINE}, cwd=choices.parent)
    try:
        waited = time.monotonic() + 120
        while "Running on local URL" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < waited, log.read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(30)
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, opened; nothing on it may come from anywhere else."""
    opened, elsewhere = browser.new_page(viewport={"width": 1300, "height": 1400}), []
    opened.on("request", lambda sent: elsewhere.append(sent.url) if is_elsewhere(sent.url, address) else None)
    opened.goto(address)
    opened.wait_for_selector("#ask")
    yield opened
    assert elsewhere == []
    opened.close()


@pytest.fixture(scope="module")
def zoom() -> Iterator[Model]:
    with open_model(TINY / "policy", prompts=TINY / "prompts.yaml", **LOOK) as model:
        yield model


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_elsewhere(url: str, address: str) -> bool:
    return not url.startswith((address, "data:", "blob:"))


def lines_of(panels: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (panels / "questions.jsonl").read_text().splitlines()]


def take(page: Page, index: int, question: str) -> None:
    """Choose a picture of the gallery; its question comes with it."""
    page.locator("#gallery button.thumbnail-item").nth(index).click()
    until(page.locator("#question textarea")).to_have_value(question)
    until(page.locator("#where img")).to_be_visible()


def ask(page: Page) -> None:
    page.locator("#ask").click()


def says(page: Page, words: str | re.Pattern[str]) -> None:
    until(page.locator("#status")).to_contain_text(words, timeout=ANSWERED_MS)


def rows(page: Page) -> list[list[str]]:
    """The table of costs."""
    found = page.locator("#numbers tbody tr")
    cells = [found.nth(index).locator("td").all_inner_texts() for index in range(found.count())]
    return [[cell.strip() for cell in row] for row in cells if any(cell.strip() for cell in row)]


def box_drawn(page: Page) -> bool:
    """Whether the picture has pixels of the colour of boxes, as the browser shows it."""
    seen = Image.open(BytesIO(page.locator("#where img").screenshot())).convert("RGB")
    wanted = ImageColor.getrgb(BOX_COLOR)
    near = [count for count, pixel in seen.getcolors(seen.width * seen.height) or [] if distance(pixel, wanted) < 24]
    return sum(near) > 100


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("index", [0, 3])
def test_a_picture_of_the_gallery_is_asked_about(page: Page, panels: Path, zoom: Model, index: int) -> None:
    until(page.locator("body")).to_contain_text(f"{LATER}: bash recipes/make_it.sh makes it")
    line = lines_of(panels)[index]
    take(page, index, line["question"])
    ask(page)
    wanted = zoom.ask(panels / "images" / line["image"], line["question"])
    says(page, re.compile(rf"{wanted.answer}\s*{wanted.outcome.visual_tokens} visual tokens; .* would take"))
    assert wanted.outcome.box_source is not None
    assert box_drawn(page)
    method, single = rows(page)
    assert method[:3] == [ZOOM, wanted.answer, str(wanted.outcome.visual_tokens)]
    assert method[3] == str(sum(turn.prompt_tokens or 0 for turn in wanted.outcome.turns))
    assert float(method[6]) > 0
    assert single[0] == "single pass"
    assert single[2] == "64"
    talk = page.locator("#method")
    for turn in wanted.outcome.turns:
        until(talk).to_contain_text(turn.reply)
    assert talk.locator(".message img").count() == 2  # the whole image, and the crop
    assert page.locator("#single .message img").count() == 1


def test_an_image_of_ones_own(page: Page, panels: Path, zoom: Model) -> None:
    line = lines_of(panels)[1]
    page.locator("input[type=file]").first.set_input_files(panels / "images" / line["image"])
    until(page.locator("#where img")).to_be_visible()
    assert not box_drawn(page)
    page.locator("#question textarea").fill(line["question"])
    ask(page)
    wanted = zoom.ask(panels / "images" / line["image"], line["question"])
    says(page, f"{wanted.outcome.visual_tokens} visual tokens")
    assert rows(page)[0][1] == wanted.answer


def test_another_method_without_a_single_pass(page: Page, panels: Path) -> None:
    line = lines_of(panels)[2]
    choose(page, ASK)
    page.locator("input[type=file]").first.set_input_files(panels / "images" / line["image"])
    page.locator("#question textarea").fill(line["question"])
    ask(page)
    says(page, "visual tokens;")
    (row,) = rows(page)
    assert row[0] == ASK
    assert int(row[2]) in (16, 80)
    assert page.locator("#single .message").count() == 0


def test_what_is_wrong_is_a_sentence(page: Page, panels: Path, tmp_path: Path) -> None:
    ask(page)
    says(page, "An image and a question are needed.")
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes((panels / "images" / lines_of(panels)[0]["image"]).read_bytes()[:700])
    page.locator("input[type=file]").first.set_input_files(damaged)
    says(page, "truncated")
    page.locator("#question textarea").fill("What is it?")
    ask(page)
    says(page, "truncated")


def test_a_very_wide_image(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (20_000, 1_500), "teal").save(tmp_path / "wide.png", compress_level=1)
    page.locator("input[type=file]").first.set_input_files(tmp_path / "wide.png")
    until(page.locator("#where img")).to_be_visible(timeout=ANSWERED_MS)
    page.locator("#question textarea").fill(
        "Look at the blue tile. Which pattern does it have?\nA. plain\nB. checkered"
    )
    ask(page)
    says(page, "visual tokens;")
    assert len(rows(page)) == 2


def test_an_outage_is_a_sentence(page: Page, panels: Path) -> None:
    choose(page, NOBODY)
    take(page, 0, lines_of(panels)[0]["question"])
    ask(page)
    says(page, re.compile("⚠ .*(Connection|connect)"))
    assert rows(page) == []


def test_a_reply_is_shown_while_it_grows(page: Page, panels: Path, slow: Slow) -> None:
    choose(page, SLOW)
    take(page, 0, lines_of(panels)[0]["question"])
    ask(page)
    talk = page.locator("#method")
    until(talk).to_contain_text(BEGUN, timeout=ANSWERED_MS)
    until(talk).not_to_contain_text(LOOK_REPLY)
    assert rows(page) == []
    slow.go_on.set()
    until(talk).to_contain_text(LOOK_REPLY)
    until(talk).to_contain_text(ANSWER_REPLY)
    says(page, "visual tokens;")
    assert talk.get_by_text(BEGUN).count() == 1, "what had begun is gone when the whole is there"
    assert box_drawn(page)


def test_two_visitors_at_once(browser: Browser, address: str, panels: Path, zoom: Model) -> None:
    lines, pages = lines_of(panels), [browser.new_page(), browser.new_page()]
    for index, visitor in enumerate(pages):
        visitor.goto(address)
        take(visitor, index, lines[index]["question"])
    for visitor in pages:
        ask(visitor)
    for index, visitor in enumerate(pages):
        wanted = zoom.ask(panels / "images" / lines[index]["image"], lines[index]["question"])
        says(visitor, "visual tokens;")
        assert rows(visitor)[0][1:3] == [wanted.answer, str(wanted.outcome.visual_tokens)]
        for turn in wanted.outcome.turns:
            until(visitor.locator("#method")).to_contain_text(turn.reply)
        visitor.close()


def choose(page: Page, name: str) -> None:
    """Another model and method."""
    page.get_by_label("Model and method").click()
    page.get_by_role("option", name=name).click()
