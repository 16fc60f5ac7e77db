"""A server that fails: transient faults are waited out, lasting ones stop the run loudly and cost no sample."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import Question, split_question
from ergo_plugins.engines import EngineFault, Job
from ergo_plugins.engines.openai import OpenAIEngine
from ergo_plugins.methods.ergo import ZoomConfig, zoom_episode
from tests.e2e.lmms_runs import lmms_eval
from tests.e2e.scripted_server import Script, ScriptedServer, serving

LOOK = "<think>there</think><zoom>[10, 10, 60, 60]</zoom>"
ANSWER = "<think>seen</think><answer>B</answer>"
QUESTION = split_question("Which one?\nA. this\nB. that")
GRID = "qwen2.5-vl"
NOBODY = "http://127.0.0.1:9/v1"


def served(server: ScriptedServer) -> dict[str, str]:
    """Options of an engine for a server that does not say which model it serves."""
    return {"base_url": server.base_url, "grid": GRID}


def in_order(body: dict[str, Any], _number: int = 0) -> tuple[int, str]:
    """A policy that zooms and answers properly."""
    return 200, LOOK if sum(m["role"] == "user" for m in body["messages"]) == 1 else ANSWER


def play(
    script: Script,
    samples: int = 4,
    headers: dict[str, str] | None = None,
    outcomes: dict[str, Outcome] | None = None,
    question: Question = QUESTION,
    **options: Any,
) -> dict[str, Outcome]:
    """Outcomes by job of some samples on a scripted server; ``outcomes`` is filled also when it fails."""
    outcomes = {} if outcomes is None else outcomes
    image = Image.new("RGB", (640, 480), "navy")
    with serving(script, headers) as server:
        engine = OpenAIEngine("m", **served(server), concurrency=2, retry_delay_s=0.01, **options)
        jobs = [
            Job(f"task/test/{i}", lambda: zoom_episode(image, question, ZoomConfig(), engine.grid))
            for i in range(samples)
        ]
        try:
            engine.play_all(jobs, lambda job, outcome: outcomes.__setitem__(job.key, outcome))
        finally:
            engine.close()
    return outcomes


FAULTS: dict[str, tuple[int, Any]] = {
    "500": (500, {"error": {"message": "out of luck"}}),
    "429": (429, {"error": {"message": "slow down"}}),
    "html": (200, b"<html>a proxy's page</html>"),
    "broken json": (200, b'{"choices": ['),
    "no choices": (200, {"object": "chat.completion", "choices": []}),
    "json of another kind": (200, {"detail": "hello"}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_waited_out(fault: str) -> None:
    outcomes = play(lambda body, number: FAULTS[fault] if number in (0, 3) else in_order(body))
    assert len(outcomes) == 4
    assert all(outcome.answer == "B" and not outcome.problems for outcome in outcomes.values())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lasting_fault_names_sample_and_server(fault: str) -> None:
    with pytest.raises(EngineFault, match=r"task/test/\d.*127\.0\.0\.1"):
        play(lambda body, number: FAULTS[fault], attempts=2)


def test_a_hanging_server_is_given_up() -> None:
    forever = threading.Event()

    def hang(body: dict[str, Any], number: int) -> tuple[int, str]:
        forever.wait(20)
        return in_order(body)

    started = time.monotonic()
    with pytest.raises(EngineFault, match=r"127\.0\.0\.1.*gave no reply.*[Tt]ime"):
        play(hang, samples=1, attempts=2, timeout_s=0.5)
    forever.set()
    assert time.monotonic() - started < 15


def test_nobody_listens() -> None:
    engine = OpenAIEngine("m", base_url=NOBODY, grid=GRID, attempts=2, retry_delay_s=0.01)
    image = Image.new("RGB", (64, 64))
    with pytest.raises(EngineFault, match=r"127\.0\.0\.1:9"):
        engine.play_one(lambda: zoom_episode(image, QUESTION, ZoomConfig(), engine.grid))
    engine.close()


def test_a_refusal_is_not_repeated() -> None:
    asked: list[int] = []

    def refuse(_body: dict[str, Any], number: int) -> tuple[int, Any]:
        asked.append(number)
        return 400, {"error": {"message": "the prompt is too long"}}

    with pytest.raises(EngineFault, match="too long"):
        play(refuse, samples=1, attempts=5)
    assert asked == [0]


def test_the_server_says_how_long_to_wait() -> None:
    started = time.monotonic()
    play(
        lambda body, number: FAULTS["429"] if number == 0 else in_order(body),
        samples=1,
        headers={"Retry-After": "1"},
    )
    assert 1.0 <= time.monotonic() - started < 10


def test_what_was_finished_before_the_fault_is_kept() -> None:
    def fails_later(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return in_order(body) if number < 6 else FAULTS["500"]

    finished: dict[str, Outcome] = {}
    with pytest.raises(EngineFault) as fault:
        play(fails_later, samples=20, attempts=2, outcomes=finished)
    assert len(finished) >= 2
    assert not set(fault.value.keys) & set(finished)
    assert len(fault.value.keys) + len(finished) < 20, "no new sample is started on a broken server"


def test_images_are_sent_once_encoded_and_unchanged() -> None:
    with serving(in_order) as server:
        engine = OpenAIEngine("m", **served(server))
        image = Image.effect_noise((900, 700), 80).convert("RGB")
        engine.play_one(lambda: zoom_episode(image, QUESTION, ZoomConfig(), engine.grid))
        engine.close()
    first, second = server.requests
    assert first["messages"] == second["messages"][: len(first["messages"])]
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "user"]
    for message in second["messages"]:
        if message["role"] == "user":
            url = message["content"][0]["image_url"]["url"]
            assert re.match(r"data:image/png;base64,iVBORw0KGgo", url), "the media type is the bytes' own"


def test_words_that_no_request_carries_are_told_before_anything_is_sent() -> None:
    sent: list[int] = []

    def script(body: dict[str, Any], number: int) -> tuple[int, str]:
        sent.append(number)
        return in_order(body)

    with pytest.raises(EngineFault, match=r"task/test/\d.*no Unicode text"):
        play(script, samples=1, question=split_question("Which \ud83d one?\nA. this\nB. that"))
    assert not sent


def test_lmms_eval_ends_with_an_error_and_goes_on_later(panels: Path, tmp_path: Path) -> None:
    """Stock lmms-eval would turn an exception into exit code 0."""

    def dies(body: dict[str, Any], number: int) -> tuple[int, Any]:
        return in_order(body) if number < 8 else FAULTS["500"]

    options = {"model": "m", "grid": GRID, "coarse_tokens": 16, "attempts": 2, "retry_delay_s": 0.01, "concurrency": 2}
    with serving(dies) as server:
        broken = lmms_eval("ergo_openai", panels, tmp_path, base_url=server.base_url, **options)
    assert broken.exit_code != 0
    assert re.search(r"EngineFault: ergo_panels/test/\d+.*500", broken.log)
    kept = len(broken.entries)
    assert kept >= 2

    with serving(in_order) as server:
        continued = lmms_eval("ergo_openai", panels, tmp_path, base_url=server.base_url, **options)
        assert len(server.requests) == 2 * (12 - kept)
    assert continued.exit_code == 0, continued.log
    assert len(continued.by_doc) == 12
