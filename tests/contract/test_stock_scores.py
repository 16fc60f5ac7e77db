"""What the scorers of the stock tasks that VisionThink reports say of its right, wrong and unreadable answers."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from datasets import Dataset

from ergo_plugins.lmms_plugin.values import WrongArgument
from ergo_plugins.lmms_plugin.wishes import refuse_judges_without_keys
from tests.contract.stock_docs import STOCK, TASKS, StockTask, scores, stock_task
from tests.e2e.scripted_server import serving
from tests.e2e.two_images import DOCUMENTS, FEATURES

FREE = [name for name, stock in STOCK.items() if not stock.paid and name != "mmbench_en_test"]
PAID = [name for name, stock in STOCK.items() if stock.paid]
KEYS = ("OPENAI_API_KEY", "AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "JUDGE_API_KEY")


@pytest.fixture(autouse=True)
def nobody_called(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Attempts to reach the network; scorers swallow the failure, so the attempts are kept."""
    attempts: list[str] = []
    if "judge" in request.node.name:  # its server stands on loopback
        yield attempts
        return

    def refused(*arguments: Any, **_: Any) -> Any:
        attempts.append(str(arguments[:2]))
        raise requests.ConnectionError("no network in this test")

    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(requests, "post", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    yield attempts
    assert attempts == [], "a scorer called somebody"


@pytest.mark.parametrize("name", FREE)
def test_right_wrong_and_unreadable(name: str) -> None:
    assert scores(name) == pytest.approx(list(STOCK[name].scores))


def test_mme_adds_up_pairs() -> None:
    task, stock = stock_task("mme"), STOCK["mme"]
    results = [result[stock.metric] for result in task.results(task.played(stock.answers))]
    assert task.aggregation()[stock.metric](results) == 50.0, "half of each pair, and no pair whole"


def test_mmbench_is_handed_letters_for_its_server() -> None:
    task, stock = stock_task("mmbench_en_test"), STOCK["mmbench_en_test"]
    results = task.results(task.played(stock.answers))
    assert [result["submission"]["prediction"] for result in results] == ["B", "A", "Z"]


def test_mmmu_with_one_two_and_three_images() -> None:
    task = StockTask(TASKS / "mmmu" / "mmmu_val.yaml", Dataset.from_list(DOCUMENTS, features=FEATURES))
    returned = task.played(["\\boxed{B}", "A", "A. image 2", None])
    assert returned == ["B", "A", "A", ""]
    results = [result["mmmu_acc"] for result in task.results(returned)]
    assert task.aggregation()["mmmu_acc"](results) == pytest.approx(0.5)


@pytest.mark.parametrize("name", PAID)
def test_without_a_key_no_paid_scorer_is_run(name: str) -> None:
    request = SimpleNamespace(args=("text", lambda doc: doc, {}, 0, name, "test"))
    with pytest.raises(WrongArgument, match="OPENAI_API_KEY is not set"):
        refuse_judges_without_keys([request])


def grade(body: dict[str, Any], _number: int) -> tuple[int, str]:
    """A judge of all three tasks: extracts what the answer says, or compares it letter by letter."""
    prompt = body["messages"][-1]["content"]
    if "Extracted answer:" in prompt:
        return 200, prompt.rpartition("\n\nExtracted answer:")[0].rpartition("\n")[2]
    if "correctness score" in prompt:
        _question, wanted, said, _ = prompt.rpartition("\n")[2].split("|")
        return 200, "1.0" if said.strip() in re.split(r"\s*<OR>\s*", wanted.strip()) else "0.0"
    wanted, said = re.findall(r"(?:Ground Truth Answer|Model Prediction):\n```\n(.*?)\n```", prompt, re.DOTALL)
    return 200, str(int(wanted == said))


def test_with_a_judge_of_ones_own_the_paid_scorers_say_what_they_should(tmp_path: Path) -> None:
    with serving(grade) as server:
        done = subprocess.run(
            [sys.executable, "-m", "tests.contract.stock_docs", *PAID],
            env={**os.environ, "OPENAI_API_KEY": "k", "OPENAI_API_URL": server.base_url, "API_TYPE": "openai"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert server.requests, "the stock scorers did ask"
    said = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))[7:])
    assert said == {name: list(STOCK[name].scores) for name in PAID}
