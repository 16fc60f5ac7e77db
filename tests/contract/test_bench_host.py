"""The client benchmark on tiny images has all its rows, for ours alone and in turn with a stand-in reference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAIN = "tiny, 4 samples, 16 at once"

STAND_IN = """
import argparse, json, urllib.request
from pathlib import Path

from ergo.words import ASKED  # as the reference imports its own package

parser = argparse.ArgumentParser()
parser.add_argument("--dataset", choices=["vstar"], required=True)
parser.add_argument("--data_root", type=Path, required=True)
parser.add_argument("--api_url", required=True)
parser.add_argument("--max_vision_token_num", type=int, required=True)
parser.add_argument("--max_concurrency", type=int, required=True)
args = parser.parse_args()
folder = args.data_root / "vstar_bench"
for line in (folder / "test_questions.jsonl").open():
    row = json.loads(line)
    assert (folder / row["image"]).read_bytes().startswith(b"\\xff\\xd8")
    *_, options, postfix = row["text"].split("\\n")
    for images in (1, 2)[:LAST]:
        body = json.dumps([ASKED, *["data:image/png;base64,"] * images]).encode()
        with urllib.request.urlopen(args.api_url + "/chat/completions", body) as response:
            assert json.load(response)["choices"][0]["message"]["content"]
"""


def bench(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recipes.bench.host", "--quick", "-o", str(out), *arguments],
        cwd=ROOT,
        env={**os.environ, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def checkout(folder: Path, turns: int = 2) -> Path:
    """A repository laid out as the reference's, with a script that asks ``turns`` turns a sample."""
    package = folder / "src" / "ergo"
    package.mkdir(parents=True)
    (package / "eval.py").write_text(STAND_IN.replace("LAST", str(turns)))
    (package / "words.py").write_text("ASKED = 'what?'\n")
    return folder


def figures_of(out: Path) -> dict[str, dict[str, Any]]:
    figures = json.loads(out.read_text())["rows"]
    assert all(set(figure) == {"name", "ours", "other", "ratio", "target", "met"} for figure in figures)
    kept = {figure["name"]: figure for figure in figures}
    assert len(kept) == len(figures)
    return kept


@pytest.fixture
def cores() -> int:
    return min(2, len(os.sched_getaffinity(0)))


@pytest.mark.slow  # test_in_turn_with_the_reference has the same rows
def test_ours_alone(tmp_path: Path, cores: int) -> None:
    out = tmp_path / "bench" / "host.json"
    run = bench(out)
    assert run.returncode == 0, run.stderr[-2000:]
    kept = figures_of(out)
    assert all(name in run.stdout for name in kept)
    settings = [f"{MAIN}, {cores} cores", f"tiny, 1 samples, 16 at once, {cores} cores"]
    settings += [f"tiny, 8 samples, 16 at once, {cores} cores", f"tiny, 4 samples, 1 at once, {cores} cores"]
    for setting in settings:
        for measure in ("CPU-s", "samples/s", "peak MB"):
            figure = kept[f"{setting}: {measure}"]
            assert figure["ours"] > 0
            assert (figure["other"], figure["ratio"], figure["met"]) == (None, None, None)
    flat = kept["tiny: peak MB, 8 samples (other: 4)"]
    assert flat["other"] == kept[f"{MAIN}, {cores} cores: peak MB"]["ours"]
    assert flat["met"] == (flat["ratio"] <= flat["target"])
    slow = kept[f"tiny, 16 samples, 16 at once, {cores} cores, 0.5 s server: samples/s*"]
    assert slow["other"] == 16, "16 at once, and two turns of half a second"
    assert 0 < slow["ratio"] <= 1
    assert slow["met"] == (slow["ratio"] >= slow["target"])


def test_in_turn_with_the_reference(tmp_path: Path, cores: int) -> None:
    out = tmp_path / "host.json"
    reference = checkout(tmp_path / "reference")
    run = bench(out, "--reference", str(reference), "--decode", "fast")
    assert run.returncode == 0, run.stderr[-2000:]
    kept = figures_of(out)
    compared = [figure for name, figure in kept.items() if name.startswith(f"{MAIN}, {cores} cores: ")]
    assert len(compared) == 3
    assert all(figure["ratio"] == pytest.approx(figure["ours"] / figure["other"]) for figure in compared)
    late = [figure for name, figure in kept.items() if name.startswith(f"{MAIN}, {cores} cores, decode=fast: ")]
    assert [figure["other"] for figure in late[:3]] == [figure["other"] for figure in compared]
    assert [figure["other"] for figure in late[3:]] == [compared[0]["ours"], compared[2]["ours"]]
    assert not list(reference.rglob("__pycache__")), "nothing is written into the checkout"


def test_a_client_that_loses_samples_is_no_measurement(tmp_path: Path) -> None:
    run = bench(tmp_path / "host.json", "--reference", str(checkout(tmp_path / "reference", turns=1)))
    assert run.returncode == 1
    assert "the reference brought 0 of 4 samples to their answer" in run.stderr


def test_a_folder_that_is_no_checkout(tmp_path: Path) -> None:
    run = bench(tmp_path / "host.json", "--reference", str(tmp_path))
    assert run.returncode == 2
    assert "has no src/ergo/eval.py" in run.stderr


def test_the_watching_process_stays_small() -> None:
    """Linux counts its memory into the peak of what it starts."""
    heavy = {"numpy", "PIL", "aiohttp", "openai", "ergo_plugins.engines"}
    code = f"import sys; from recipes.bench import host; print(*{heavy} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not run.stdout.strip()
