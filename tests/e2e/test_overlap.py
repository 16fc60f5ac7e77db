"""Many samples on a slow server: bounded in memory, and second turns overlap the first turns of others."""

from __future__ import annotations

import threading
import time
from typing import Any

from PIL import Image

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Episode
from ergo_plugins.engines import Job
from ergo_plugins.engines.openai import OpenAIEngine
from ergo_plugins.methods.ergo import ZoomConfig, zoom_episode
from tests.e2e.scripted_server import serving

CONCURRENCY = 4
SAMPLES = 16
REPLIES = ("<think>t</think><zoom>[1, 1, 50, 50]</zoom>", "<think>t</think><answer>A</answer>")


def turn_of(body: dict[str, Any]) -> int:
    """1 or 2: messages of the user so far."""
    return sum(message["role"] == "user" for message in body["messages"])


def test_one_at_a_time_stays_one_at_a_time() -> None:
    events: list[str] = []
    with serving(lambda body, _number: (200, REPLIES[turn_of(body) - 1])) as server:
        engine = OpenAIEngine("m", base_url=server.base_url, grid="qwen2.5-vl", concurrency=1)

        def open_episode() -> Episode:
            events.append("opened")
            return zoom_episode(Image.new("RGB", (80, 60)), split_question("What?"), ZoomConfig(), engine.grid)

        engine.play_all([Job(str(i), open_episode) for i in range(4)], lambda *_: events.append("finished"))
        engine.close()
    assert events == ["opened", "finished"] * 4


def test_window_and_overlap() -> None:
    lock = threading.Lock()
    under_way = most_under_way = asked = most_asked = 0
    image = Image.new("RGB", (800, 600))
    all_asked = threading.Barrier(CONCURRENCY)  # the first ones wait for each other, however slow this machine is

    def slow(body: dict[str, Any], number: int) -> tuple[int, str]:
        nonlocal asked, most_asked
        with lock:
            asked += 1
            most_asked = max(most_asked, asked)
        if number < CONCURRENCY:
            all_asked.wait(timeout=60)
        time.sleep(0.05 if number % 3 else 0.15)
        with lock:
            asked -= 1
        return 200, REPLIES[turn_of(body) - 1]

    with serving(slow) as server:
        engine = OpenAIEngine("m", base_url=server.base_url, grid="qwen2.5-vl", concurrency=CONCURRENCY)

        def open_episode() -> Episode:
            nonlocal under_way, most_under_way
            with lock:
                under_way += 1
                most_under_way = max(most_under_way, under_way)
            return zoom_episode(image, split_question("What?"), ZoomConfig(), engine.grid)

        def finished(_job: Job, outcome: Outcome) -> None:
            nonlocal under_way
            with lock:
                under_way -= 1
            assert outcome.answer == "A"
            assert outcome.seconds >= sum(turn.seconds for turn in outcome.turns)

        engine.play_all([Job(str(i), open_episode) for i in range(SAMPLES)], finished)
        engine.close()

    assert under_way == 0
    assert most_asked == CONCURRENCY
    assert CONCURRENCY < most_under_way < 2 * CONCURRENCY, "some are decoded ahead, and few"
    turns = [turn_of(body) for body in server.requests]
    assert sorted(turns) == [1] * SAMPLES + [2] * SAMPLES
    assert turns.index(2) < SAMPLES - CONCURRENCY, "the first second turn does not wait for the last first turn"
