"""lmms-eval's own clients and ours through stock tasks on tiny images: each sample comes to its answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recipes.bench.instant_server import serving
from recipes.bench.photos import images
from recipes.bench.process import Spent
from recipes.bench.stock import (
    ASYNC,
    CLIENTS,
    LATE,
    MAKER,
    SINGLE,
    STOCK,
    ZOOM,
    Client,
    Played,
    compared,
    longer,
    memory,
    run,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("client", "shape"),
    [
        pytest.param(STOCK, "hr8k", id="openai", marks=pytest.mark.slow),
        pytest.param(ASYNC, "tiny", id="async_openai", marks=pytest.mark.slow),
        pytest.param(SINGLE, "tiny", id="single_pass", marks=pytest.mark.slow),
        pytest.param(ZOOM, "hr8k", id="zoom", marks=pytest.mark.slow),
        pytest.param(LATE, "hr8k", id="zoom_fast"),
        pytest.param(ZOOM, "hr4k", id="zoom_realworld", marks=pytest.mark.slow),
    ],
)
def test_a_client_answers_documents_of_a_stock_task(client: Client, shape: str, tmp_path: Path) -> None:
    files = [str(file) for file in images(tmp_path, "tiny")]
    subprocess.run([sys.executable, *MAKER, str(tmp_path), shape, "3", *files], cwd=ROOT, check=True)
    with serving() as server:
        assert run(client, server, tmp_path, 3, 1).seconds > 0


def test_what_a_sample_takes_is_beyond_the_start() -> None:
    starts = dict.fromkeys(CLIENTS, Spent(10, 8, 500))
    spent = {STOCK: Spent(40, 38, 600), ASYNC: Spent(30, 28, 700), SINGLE: Spent(20, 13, 550), ZOOM: Spent(15, 10, 520)}
    spent[LATE] = Spent(15, 9.2, 520)
    told = {figure.name: figure.to_json() for figure in compared("vstar", Played(102, spent, starts))}
    rate = told["vstar, 102 samples: single pass, samples/s (other: openai)"]
    assert (rate["ours"], rate["other"], rate["met"]) == (10, pytest.approx(100 / 30), True)
    assert told["vstar, 102 samples: single pass, samples/s (other: async_openai)"]["met"] is False
    assert told["vstar, 102 samples: zoom, CPU-s a sample (other: openai)"]["ratio"] == pytest.approx(2 / 30)
    late = told["vstar, 102 samples: zoom, decode=fast, CPU-s a sample (other: zoom)"]
    assert (late["ratio"], late["met"]) == (pytest.approx(0.6), None)


def test_longer_runs_are_held_to_their_own_memory_and_to_the_hosts_pace() -> None:
    starts = dict.fromkeys(CLIENTS, Spent(10, 8, 500))
    fewest = Played(12, dict.fromkeys(CLIENTS, Spent(20, 18, 600, 400)), starts)
    played = Played(102, dict.fromkeys(CLIENTS, Spent(30, 28, 900, 450)), starts)
    told = {
        figure.name: figure.to_json() for figure in (*longer("vstar", played, fewest), *memory("vstar", played, fewest))
    }
    rate = told["vstar, 102 samples: single pass, samples/s (other: openai, 12)"]
    assert (rate["ours"], rate["other"], rate["met"]) == (5, 1, True)
    assert told["vstar, 102 samples: zoom, peak MB (other: 12)"]["met"] is None
    own = told["vstar, 102 samples: zoom, MB but for mapped files (other: 12)"]
    assert (own["ratio"], own["met"]) == (pytest.approx(1.125), False)
