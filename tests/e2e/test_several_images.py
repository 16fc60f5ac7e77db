"""Samples with several images through stock ``mmmu_val``: shown reduced, all shown whole, or refused by name."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.lmms_runs import POLICY, Run, lmms_eval_command, run_to_its_end
from tests.e2e.scripted_server import ScriptedServer, serving
from tests.e2e.test_engines_agree import VLLM
from tests.e2e.test_visionthink import CALL
from tests.e2e.two_images import DOCUMENTS, SIZES, TASK, write_task

FULL = 64
COUNTS = [1, 2, 3, 2]
RIGHT = ["B", "C", "A", "2"]
FACTOR = 28


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_task(tmp_path_factory.mktemp("two"))


def evaluated(model: str, task: Path, folder: Path, /, **arguments: Any) -> Run:
    """A run of the task; only these model arguments, and its journal."""
    folder.mkdir(exist_ok=True)
    command = lmms_eval_command(model, task, folder)
    given = {"journal": folder / "journal.jsonl", **arguments}
    command[command.index("--model_args") + 1] = ",".join(f"{name}={value}" for name, value in given.items())
    command[command.index("--tasks") + 1] = TASK
    return run_to_its_end(command, folder)


def sizes_in(message: dict[str, Any]) -> list[tuple[int, int]]:
    return [
        Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2]))).size
        for part in message["content"]
        if part["type"] == "image_url"
    ]


def words_of(message: dict[str, Any]) -> str:
    return "".join(part.get("text", "<>") for part in message["content"])


def number_of(message: dict[str, Any]) -> int:
    """Which document a message asks about."""
    stems = ("What is in", "How do", "Which one", "How many")
    return next(number for number, stem in enumerate(stems) if stem in words_of(message))


def asks_for_all(body: dict[str, Any], _number: int) -> tuple[int, str]:
    """Calls the tool, then answers rightly."""
    first = body["messages"][1]
    return 200, CALL if len(body["messages"]) == 2 else f"<think>x</think><answer>{RIGHT[number_of(first)]}</answer>"


def check_messages(server: ScriptedServer) -> None:
    for request in server.requests:
        _, first, *rest = request["messages"]
        number = number_of(first)
        count = COUNTS[number]
        assert len(sizes_in(first)) == count
        for (width, height), source in zip(sizes_in(first), SIZES, strict=False):
            assert (width // FACTOR) * (height // FACTOR) <= FULL // 4, "no image over its own budget"
            assert (width > height) == (source[0] > source[1]), "in order"
        if count > 1:
            marks = "".join(f"[image {n}]\n<>\n" for n in range(1, count + 1))
            assert marks in words_of(first)
        if rest:
            shown = sizes_in(rest[1])
            assert len(shown) == count
            assert all((width // FACTOR) * (height // FACTOR) <= FULL for width, height in shown)
            assert shown > sizes_in(first), "all of them whole"


def test_a_server_is_shown_all_of_them_twice_and_the_stock_score_is_right(task: Path, tmp_path: Path) -> None:
    with serving(asks_for_all) as server:
        engine = {"model": "m", "base_url": server.base_url, "grid": "qwen2.5-vl"}
        run = evaluated("visionthink_openai", task, tmp_path, full_tokens=FULL, **engine)
    assert run.exit_code == 0, run.log
    assert len(server.requests) == 2 * len(DOCUMENTS)
    check_messages(server)
    scores = run.results["results"][TASK]
    assert scores["mmmu_acc,none"] == 1.0
    for doc_id, entry in run.by_doc.items():
        reduced, full = entry["outcome"]["turns"]
        assert len(reduced["shown"]) == len(full["shown"]) == COUNTS[doc_id]
        assert all(image["tokens"] <= FULL for image in full["shown"])
        assert entry["outcome"]["visual_tokens"] == sum(i["tokens"] for i in (*reduced["shown"], *full["shown"]))
        assert [image["region_source"] is None for image in full["shown"]] == [False, *[True] * (COUNTS[doc_id] - 1)]
    report = [
        sys.executable,
        "-m",
        "ergo_plugins.cli",
        "report",
        str(tmp_path / "journal.jsonl"),
        "-o",
        str(tmp_path / "report.html"),
    ]
    assert subprocess.run(report, check=False).returncode == 0


def test_a_method_that_looks_at_one_refuses_by_name_before_anything_runs(task: Path, tmp_path: Path) -> None:
    method = "tool_zoom"
    with serving(asks_for_all) as server:
        engine = {"model": "m", "base_url": server.base_url, "grid": "qwen2.5-vl"}
        run = evaluated(f"{method}_openai", task, tmp_path, **engine)
        assert server.requests == []
    assert run.exit_code != 0
    assert f"{TASK}/validation/1 has 2 images, and method {method} takes one image a sample" in run.log
    assert "single_pass, visionthink" in run.log
    assert not (tmp_path / "journal.jsonl").exists()


@pytest.mark.slow  # a prompt of three images goes through both in test_user_method
def test_transformers_and_vllm_say_the_same(task: Path, tmp_path: Path) -> None:
    given = {
        "model": POLICY,
        **{"full_tokens": FULL, "ask": "always", "resample": "box", "ask_new_tokens": 12, "answer_new_tokens": 12},
    }
    hf = evaluated("visionthink_hf", task, tmp_path / "hf", **given)
    assert hf.exit_code == 0, hf.log
    vllm = evaluated("visionthink_vllm", task, tmp_path / "vllm", **given, **VLLM)
    assert vllm.exit_code == 0, vllm.log

    def said(run: Run) -> dict[int, Any]:
        return {
            doc_id: [(turn["reply"], turn["shown"], turn["prompt_tokens"]) for turn in entry["outcome"]["turns"]]
            for doc_id, entry in run.by_doc.items()
        }

    assert said(vllm) == said(hf)
    assert [len(said(hf)[doc_id][1][1]) for doc_id in range(4)] == COUNTS


def test_one_pass_shows_all_of_them_at_once(task: Path, tmp_path: Path) -> None:
    given = {"model": POLICY, "coarse_tokens": 32, "resample": "box", "answer_new_tokens": 8}
    run = evaluated("single_pass_hf", task, tmp_path, **given)
    assert run.exit_code == 0, run.log
    for doc_id, entry in run.by_doc.items():
        (turn,) = entry["outcome"]["turns"]
        assert len(turn["shown"]) == COUNTS[doc_id]
        assert all(image["tokens"] <= 32 for image in turn["shown"])
