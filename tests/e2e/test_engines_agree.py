"""One tiny fp32 model through transformers, vLLM and a vLLM server: the same boxes and answers, turn by turn."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lmms_runs import OFFLINE, POLICY, Run, lmms_eval

VLLM = {"dtype": "float32", "enforce_eager": True, "max_model_len": 2048, "block_size": 32}
BLOCK_TOKENS = VLLM["block_size"]


@pytest.fixture(scope="module")
def vllm_run(panels: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return lmms_eval("ergo_vllm", panels, tmp_path_factory.mktemp("vllm"), model=POLICY, **VLLM)


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real vLLM server with the policy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = (
        f"{sys.executable} -m vllm.entrypoints.openai.api_server --model {POLICY} --served-model-name policy "
        f"--host 127.0.0.1 --port {port} --dtype float32 --enforce-eager --max-model-len 2048 --block-size 32"
    )
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(command.split(), env={**os.environ, **OFFLINE}, stdout=out, stderr=out)
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/v1/models", process, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path, patience_s: float = 300) -> None:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(1)
    pytest.fail(f"the server was not ready in {patience_s} s: {log.read_text()[-2000:]}")


def what_was_said(run: Run) -> dict[int, Any]:
    """Replies, boxes, views and what was returned, by document."""
    return {
        doc_id: (
            [(turn["reply"], turn["shown"][0]["view"], turn["new_tokens"]) for turn in entry["outcome"]["turns"]],
            entry["outcome"]["boxes"]["crop"],
            entry["returned"],
        )
        for doc_id, entry in run.by_doc.items()
    }


def test_the_policy_sees_and_answers(hf_run: Run) -> None:
    scores = hf_run.results["results"]["ergo_panels"]
    assert len(hf_run.by_doc) == 12
    assert scores["panels_accuracy,none"] >= 0.5
    assert scores["target_hit,none"] >= 0.5
    assert all(entry["outcome"]["visual_tokens"] == 32 for entry in hf_run.entries)


def test_vllm_says_what_transformers_say(hf_run: Run, vllm_run: Run) -> None:
    assert vllm_run.exit_code == 0, vllm_run.log
    assert what_was_said(vllm_run) == what_was_said(hf_run)
    assert vllm_run.results["results"]["ergo_panels"] == hf_run.results["results"]["ergo_panels"]


def test_a_server_says_what_transformers_say(hf_run: Run, server_url: str, panels: Path, tmp_path: Path) -> None:
    run = lmms_eval("ergo_openai", panels, tmp_path, model="policy", base_url=server_url, processor=POLICY)
    assert run.exit_code == 0, run.log
    assert what_was_said(run) == what_was_said(hf_run)
    header = (tmp_path / "journal.jsonl").read_text().partition("\n")[0]
    assert json.loads(header)["settings"]["served"] == str(POLICY), "other weights under the same name are another run"


@pytest.mark.slow  # a start of vLLM more; what the cache gives is what transformers give, who have none
def test_the_prefix_cache_changes_nothing(vllm_run: Run, panels: Path, tmp_path: Path) -> None:
    without = lmms_eval("ergo_vllm", panels, tmp_path, model=POLICY, enable_prefix_caching=False, **VLLM)
    assert without.exit_code == 0, without.log
    assert what_was_said(without) == what_was_said(vllm_run)
    assert all(not entry["outcome"]["turns"][1]["cached_tokens"] for entry in without.entries)


@pytest.mark.slow  # test_vllm_engine counts the same in two replicas
def test_the_second_turn_finds_the_first_in_the_cache(panels: Path, tmp_path: Path) -> None:
    """Prompt and generated tokens of turn 1, in whole blocks; a larger view makes for more than one block."""
    run = lmms_eval("ergo_vllm", panels, tmp_path, model=POLICY, **VLLM, coarse_tokens=256)
    assert run.exit_code == 0, run.log
    for entry in run.entries:
        look, answer = entry["outcome"]["turns"]
        # the last generated token is never computed as a prompt, so its place in a block is empty
        whole_blocks = (look["prompt_tokens"] + look["new_tokens"] - 1) // BLOCK_TOKENS * BLOCK_TOKENS
        assert whole_blocks >= 8 * BLOCK_TOKENS
        assert answer["cached_tokens"] >= 0.9 * whole_blocks
