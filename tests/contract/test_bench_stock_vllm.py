"""lmms-eval's own vLLM client and ours through a stock task: each sample has a reply; rows say what came."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from recipes.bench.photos import images
from recipes.bench.process import Spent
from recipes.bench.stock import MAKER
from recipes.bench.stock_vllm import CLIENTS, IMAGE_TOKENS, SINGLE, STOCK, ZOOM, compared, policy, run

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_replies_are_those_of_lmms_evals_client_where_no_image_has_to_shrink(tmp_path: Path) -> None:
    whole = [tmp_path / f"{number}.png" for number in range(3)]
    for file, photo in zip(whole, images(tmp_path, "tiny"), strict=True):
        Image.open(photo).resize((23 * 28, 16 * 28)).save(file)
    subprocess.run([sys.executable, *MAKER, str(tmp_path), "tiny", "3", *map(str, whole)], cwd=ROOT, check=True)
    model = policy(tmp_path / "policy")
    told = {client: run(client, model, tmp_path, 3, 2).replies for client in CLIENTS}
    assert told[ZOOM].keys() == {0, 1, 2}
    assert told[SINGLE] == told[STOCK]
    assert all(told[STOCK].values())


def test_an_image_has_no_more_tokens_than_the_bench_says(tmp_path: Path) -> None:
    told = json.loads((policy(tmp_path / "policy") / "processor_config.json").read_text())
    assert told["image_processor"]["size"]["longest_edge"] == IMAGE_TOKENS * 28 * 28


def test_what_a_sample_takes_is_beyond_the_start() -> None:
    starts = dict.fromkeys(CLIENTS, Spent(10, 8, 500))
    runs = {STOCK: Spent(40, 38, 600), SINGLE: Spent(60, 58, 550), ZOOM: Spent(20, 18, 520)}
    counts = {STOCK: 102, SINGLE: 1002, ZOOM: 1002}
    told = {figure.name: figure.to_json() for figure in compared("vstar", counts, starts, runs)}
    rate = told["vstar, 1002 samples: single pass, samples/s (other: vllm, 102)"]
    assert (rate["ours"], rate["other"], rate["met"]) == (20, pytest.approx(100 / 30), True)
    assert told["vstar, 1002 samples: zoom, CPU-s a sample (other: vllm, 102)"]["ratio"] == pytest.approx(1 / 30)
    assert told["vstar, 1002 samples: zoom, samples/s (other: vllm, 102)"]["met"] is None
