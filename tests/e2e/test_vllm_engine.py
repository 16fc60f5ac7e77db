"""vLLM with two replicas in a process of its own, as the engine opens it: seeds, caches, refusals, streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lmms_runs import OFFLINE, ROOT

pytestmark = pytest.mark.slow  # three starts of vLLM, which answers in test_engines_agree
SCRIPT = Path(__file__).with_name("vllm_engine_script.py")


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What `vllm_engine_script` printed."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), '{"data_parallel_size": 2}'],
        cwd=ROOT,
        env={**os.environ, **OFFLINE},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{")))


def test_samples_of_one_question_differ_and_come_again(told: dict[str, Any]) -> None:
    assert len({tuple(replies) for replies in told["first"].values()}) > 1
    assert told["again"] == told["first"]


def test_a_second_turn_goes_to_the_replica_that_has_the_first(told: dict[str, Any]) -> None:
    """Of twelve samples in two replicas each finds the whole blocks of its first turn; by lot half would."""
    assert len(told["cached"]) >= 8
    found, whole = (sum(tokens) for tokens in zip(*told["cached"], strict=True))
    assert whole >= 4 * 32 * len(told["cached"]), "several blocks each"
    assert found >= 0.95 * whole


def test_an_over_long_prompt_is_refused_at_once(told: dict[str, Any]) -> None:
    assert "t/test/9: EngineRefused: vLLM does not take the look turn" in told["refused"]


def test_what_a_request_waited_is_part_of_its_seconds(told: dict[str, Any]) -> None:
    assert len(told["queues"]) >= 16
    assert all(0 <= queued <= seconds for queued, seconds in told["queues"])
    assert any(queued > 0 for queued, _ in told["queues"])


def test_a_reply_that_is_listened_to_grows_into_what_it_would_have_been(told: dict[str, Any]) -> None:
    assert told["replies"] == told["unheard"]
    assert set(told["replies"]) <= set(told["heard"])
    assert len(set(told["heard"])) > len(told["replies"])
    assert all(any(reply.startswith(part) for reply in told["replies"]) for part in told["heard"])
