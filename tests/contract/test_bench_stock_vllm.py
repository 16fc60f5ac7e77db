"""lmms-eval's own vLLM client and ours through a stock task: each sample has a scored reply; rows say what came."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.bench.photos import images
from recipes.bench.process import Spent
from recipes.bench.stock import MAKER
from recipes.bench.stock_vllm import CLIENTS, IMAGE_TOKENS, SINGLE, STOCK, ZOOM, Client, Run, compared, policy, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.model)
def test_a_client_answers_documents_of_a_stock_task(client: Client, tmp_path: Path) -> None:
    files = [str(file) for file in images(tmp_path, "tiny")]
    subprocess.run([sys.executable, *MAKER, str(tmp_path), "tiny", "3", *files], cwd=ROOT, check=True)
    played = run(client, policy(tmp_path / "policy"), tmp_path, 3, 2)
    assert played.answers.keys() == {0, 1, 2}


def test_an_image_has_no_more_tokens_than_the_bench_says(tmp_path: Path) -> None:
    told = json.loads((policy(tmp_path / "policy") / "processor_config.json").read_text())
    assert told["image_processor"]["size"]["longest_edge"] == IMAGE_TOKENS * 28 * 28


def test_what_a_sample_takes_is_beyond_the_start_and_replies_are_counted() -> None:
    answers = {0: "A", 1: "B", 2: "C"}
    starts = dict.fromkeys(CLIENTS, Run(Spent(10, 8, 500), {}))
    runs = {STOCK: Run(Spent(40, 38, 600), answers), SINGLE: Run(Spent(15, 13, 550), {**answers, 2: "D"})}
    runs[ZOOM] = Run(Spent(20, 10, 520), answers)
    told = {figure.name: figure.to_json() for figure in compared("vstar", 102, starts, runs)}
    rate = told["vstar, 102 samples: single pass, samples/s (other: vllm)"]
    assert (rate["ours"], rate["other"], rate["met"]) == (20, pytest.approx(100 / 30), True)
    assert told["vstar, 102 samples: zoom, CPU-s a sample (other: vllm)"]["ratio"] == pytest.approx(2 / 30)
    assert told["vstar, 102 samples: zoom, samples/s (other: vllm)"]["met"] is None
    same = told["vstar, 102 samples: single pass, same answers (other: all)"]
    assert (same["ours"], same["other"]) == (2, 102)
