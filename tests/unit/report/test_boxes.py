"""What boxes are like, and what crops hold beyond their size: figures with their right values."""

from __future__ import annotations

import json
import random
from pathlib import Path
from statistics import fmean

import pytest

from ergo_plugins.cli import main
from ergo_plugins.core.geometry import Box, Size
from ergo_plugins.core.outcome import CROP, Outcome
from ergo_plugins.core.record import JOURNAL_FORMAT, Entry
from ergo_plugins.report.boxes import box_figures, box_table, chance_of_coverage, occlusion_figures, occlusion_table
from ergo_plugins.report.read.rows import Row

IMAGE = Size(100, 200)
TARGET = Box(40, 80, 60, 120)


def entry(crop: Box | None, target: Box | None = TARGET, task: str = "seen", number: int = 0) -> Entry:
    outcome = Outcome("ergo", source=IMAGE, boxes={CROP: crop}, repairs=("box: clamped",) if crop else ())
    return Entry(task, "test", number, 0, "Which?", "B", outcome, target_box_source=target)


def row(crop: Box | None, target: Box | None = TARGET) -> Row:
    covered = None if target is None else target.coverage_by(crop) if crop else 0.0
    return Row.of(entry(crop, target), previews={}, target_coverage=covered)


@pytest.mark.parametrize("target", [TARGET, Box(0, 0, 20, 40), Box(70, 10, 100, 30)])
@pytest.mark.parametrize("box", [Box(0, 0, 30, 50), Box(0, 0, 90, 20), Box(0, 0, 5, 5), Box(0, 0, 100, 100)])
def test_chance_is_the_mean_over_all_places(target: Box, box: Box) -> None:
    rng = random.Random(0)
    tried = []
    for _ in range(20_000):
        x, y = rng.uniform(0, IMAGE.width - box.width), rng.uniform(0, IMAGE.height - box.height)
        tried.append(target.coverage_by(Box(x, y, x + box.width, y + box.height)))
    assert chance_of_coverage(target, box, IMAGE) == pytest.approx(fmean(tried), abs=0.015)


def test_crops_of_the_whole_image_gain_nothing() -> None:
    whole = occlusion_figures([row(Box(0, 0, 100, 200))] * 3)
    assert (whole["coverage"], whole["covered"], whole["area"], whole["gain"]) == (1, 1, 1, 0)
    close = occlusion_figures([row(TARGET)] * 3)
    assert (close["coverage"], close["area"]) == (1, TARGET.area / IMAGE.area)
    assert close["gain"] > 0.9
    beside = occlusion_figures([row(Box(0, 0, 20, 40))])
    assert beside["coverage"] == 0
    assert beside["gain"] < 0


def test_without_a_crop_nothing_is_covered_and_without_a_target_nothing_is_known() -> None:
    found = occlusion_figures([row(None), row(TARGET), row(TARGET, None)])
    assert (found["n"], found["coverage"], found["covered"]) == (2, 0.5, 0.5)
    assert occlusion_figures([row(TARGET, None)])["coverage"] is None


def test_sizes_shapes_and_places() -> None:
    found = box_figures([row(Box(0, 0, 100, 200)), row(Box(0, 0, 50, 100)), row(Box(50, 100, 100, 200)), row(None)])
    assert (found["n"], found["boxes"], found["whole"]) == (4, 3, pytest.approx(1 / 3))
    assert found["area"]["mean"] == pytest.approx((1 + 0.25 + 0.25) / 3)
    assert found["aspect"]["p50"] == 0.5
    assert found["touches"] == pytest.approx({"left": 2 / 3, "top": 2 / 3, "right": 2 / 3, "bottom": 2 / 3})
    assert found["corner"] == pytest.approx([1 / 6, 1 / 6, 5 / 6, 5 / 6])
    assert found["repairs"] == {"box: clamped": 3}
    nothing = box_figures([row(None)])
    assert (nothing["boxes"], nothing["whole"], nothing["area"]["p50"]) == (0, None, None)
    for table in (box_table({"seen": nothing}), occlusion_table({"seen": occlusion_figures([])})):
        assert len({line.count("|") for line in table.splitlines()}) == 1
        assert "–" in table


def journal(path: Path, *entries: Entry) -> Path:
    lines = [{"journal": JOURNAL_FORMAT, "settings": {}, "tasks": []}, *(one.to_json() for one in entries)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_the_command_writes_figures_by_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = journal(tmp_path / "journal.jsonl", entry(TARGET), entry(None, task="hidden", number=1))
    assert main(["analyse", "occlusion", str(file), "-o", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert {task: figures["coverage"] for task, figures in found.items()} == {"all": 0.5, "seen": 1, "hidden": 0}
    assert "| hidden | 1 | 0.000 |" in capsys.readouterr().out
    assert main(["analyse", "boxes", str(file)]) == 0
    assert "1 box: clamped" in capsys.readouterr().out


def test_a_run_without_targets_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = journal(tmp_path / "journal.jsonl", entry(TARGET, None))
    assert main(["analyse", "occlusion", str(file)]) == 2
    assert "no sample of the run has a target box" in capsys.readouterr().err
