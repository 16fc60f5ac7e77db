"""Several servers of one model: conversations stay where they began, and leave a server that dies."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import ExitStack
from typing import Any

import pytest
from PIL import Image

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.engines import EngineFault, Job
from ergo_plugins.engines.openai import OpenAIEngine
from ergo_plugins.engines.replicas import REST_S, Replica, Replicas
from ergo_plugins.methods.ergo import ZoomConfig, zoom_episode
from tests.e2e.scripted_server import HANGS_UP, Script, ScriptedServer, serving

LOOK = "<think>there</think><zoom>[10, 10, 60, 60]</zoom>"
ANSWER = "<think>seen</think><answer>B</answer>"
SAMPLES = 24


def in_order(body: dict[str, Any], _number: int = 0) -> tuple[int, str]:
    """A policy that zooms and answers properly."""
    return 200, LOOK if sum(m["role"] == "user" for m in body["messages"]) == 1 else ANSWER


def play(*scripts: Script, attempts: int = 4) -> tuple[dict[str, Outcome], list[ScriptedServer]]:
    """Outcomes by question on a server for each script, and the servers."""
    outcomes: dict[str, Outcome] = {}
    image = Image.new("RGB", (640, 480), "navy")
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(script)) for script in scripts]
        address = ";".join(server.base_url for server in servers)
        engine = OpenAIEngine(
            "m", base_url=address, grid="qwen2.5-vl", concurrency=6, retry_delay_s=0.01, attempts=attempts
        )
        stack.callback(engine.close)

        def job(number: int) -> Job:
            asked = split_question(f"Which one is sample {number:02d}?\nA. this\nB. that")
            return Job(f"task/test/{number:02d}", lambda: zoom_episode(image, asked, ZoomConfig(), engine.grid))

        engine.play_all(map(job, range(SAMPLES)), lambda job, outcome: outcomes.__setitem__(job.key, outcome))
    return outcomes, servers


def turns_by_sample(servers: list[ScriptedServer]) -> dict[int, list[tuple[int, int]]]:
    """``(turn, server)`` of each sample's requests that came."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, server in enumerate(servers):
        for body in server.requests:
            sample = int(json.dumps(body["messages"]).split("sample ")[1][:2])
            found[sample].append((sum(m["role"] == "user" for m in body["messages"]), number))
    return found


def test_a_conversation_stays_with_its_server_and_both_have_as_much_to_do() -> None:
    outcomes, servers = play(in_order, in_order)
    assert len(outcomes) == SAMPLES
    for turns in turns_by_sample(servers).values():
        assert sorted(turns) == [(1, turns[0][1]), (2, turns[0][1])]
    assert min(len(server.requests) for server in servers) >= SAMPLES * 2 // 3


@pytest.mark.parametrize("fault", ["killed", "500"])
def test_a_server_that_dies_costs_no_sample_and_is_left_alone(fault: str) -> None:
    def dies(body: dict[str, Any], number: int) -> tuple[int, Any]:
        if number < 6:
            return in_order(body)
        if fault == "killed":
            return HANGS_UP, ""
        return 500, {"error": {"message": "engine dead"}}

    outcomes, (dead, alive) = play(dies, in_order)
    assert {outcome.answer for outcome in outcomes.values()} == {"B"}
    assert len(outcomes) == SAMPLES
    assert len(alive.requests) + 6 == 2 * SAMPLES
    assert len(dead.requests) <= 6 + 6, "only conversations that had begun there find out"
    moved = [turns for turns in turns_by_sample([dead, alive]).values() if {server for _, server in turns} == {0, 1}]
    assert moved
    assert all(len(body["messages"]) in (1, 2, 3, 4) for body in alive.requests)


def test_all_of_them_dead_is_a_fault() -> None:
    with pytest.raises(EngineFault, match=r"answered 500"):
        play(*[lambda body, number: (500, {"error": {"message": "dead"}})] * 2, attempts=2)


def test_a_busy_server_keeps_its_conversations() -> None:
    refused: set[str] = set()

    def busy(body: dict[str, Any], _number: int) -> tuple[int, Any]:
        """Once for every third sample and turn: one in five requests might be the same conversation's each time."""
        asked = json.dumps(body["messages"])
        if asked in refused or int(asked.split("sample ")[1][:2]) % 3:
            return in_order(body)
        refused.add(asked)
        return 429, {"error": {"message": "later"}}

    outcomes, servers = play(busy, in_order)
    assert len(outcomes) == SAMPLES
    assert refused
    assert all(len({server for _, server in turns}) == 1 for turns in turns_by_sample(servers).values())


def test_servers_of_different_models_are_refused() -> None:
    with (
        serving(in_order, models=[{"id": "m", "root": "org/Qwen2.5-VL-7B"}]) as one,
        serving(in_order, models=[{"id": "m", "root": "org/Qwen2.5-VL-3B"}]) as other,
        pytest.raises(ValueError, match=r"one model are wanted.*7B.*3B"),
    ):
        OpenAIEngine("m", base_url=f"{one.base_url};{other.base_url}")


@pytest.mark.parametrize("address", ["", "http://a/v1;", "http://a/v1;http://a/v1"])
def test_addresses_that_make_no_sense_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="base_url is one address, or several"):
        OpenAIEngine("m", base_url=address, grid="qwen2.5-vl")


def test_a_server_that_was_silent_rests_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("ergo_plugins.engines.replicas.time.monotonic", lambda: clock[0])
    first, second = Replica("a", None), Replica("b", None)
    both = Replicas([first, second])
    assert both.after_failure(first) is second
    assert {both.least_busy().base_url for _ in range(4)} == {"b"}
    with second.busy():
        assert both.least_busy() is second, "rests, however busy the other one is"
        clock[0] += REST_S + 1
        assert both.least_busy() is first
    assert {both.least_busy().base_url for _ in range(4)} == {"a", "b"}
    assert Replicas([first]).after_failure(first) is first
