"""A long journal costs by the sample: no sample more memory than 100,000 of them may take, and a bounded page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.bench.process import Spent
from recipes.bench.scale import PEAK_MB, STEPS, growth

ROOT = Path(__file__).resolve().parents[2]
IMPORTS_MB = 50
A_SAMPLE_KB = (PEAK_MB - IMPORTS_MB) * 1024 / 100_000


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """What was measured, by name; by a process of its own, since a peak is never less than that of who started it."""
    out = tmp_path_factory.mktemp("scale") / "scale.json"
    command = [sys.executable, "-m", "recipes.bench.scale", "--samples", "250", "2500", "7500", "-o", str(out)]
    subprocess.run(command, cwd=ROOT, check=True)
    return {row["name"]: row["ours"] for row in json.loads(out.read_text())["rows"]}


@pytest.mark.parametrize("step", STEPS)
def test_a_sample_takes_no_more_memory_than_it_may(step: str, rows: dict[str, float]) -> None:
    assert 0 < rows[f"{step}: peak KB a sample, 2,500 to 7,500 (other: up to 2,500)"] < A_SAMPLE_KB


def test_pictures_do_not_grow_with_the_run(rows: dict[str, float]) -> None:
    """The page of a longer run is longer by packed cards alone: less than half of what the journal holds of them."""
    page, journal = (
        rows[f"7,500 samples: MB of {name}"] - rows[f"2,500 samples: MB of {name}"]
        for name in ("report.html", "journal.jsonl")
    )
    assert 0 < page < journal / 2


def test_growth_is_told_by_the_differences_of_lengths() -> None:
    taken = {
        10: dict.fromkeys(STEPS, Spent(1, 1.0, 100)),
        20: dict.fromkeys(STEPS, Spent(1, 1.1, 101)),
        40: dict.fromkeys(STEPS, Spent(1, 1.5, 103)),
    }
    told = [(figure.ratio, figure.met) for figure in growth(taken)]
    assert told == [(pytest.approx(2), False), (pytest.approx(1), True)] * len(STEPS)
