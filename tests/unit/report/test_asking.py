"""A report of a method that asks: who asked, both views, and its calls and accuracy by step of a training."""

from __future__ import annotations

import json
from pathlib import Path

from ergo_plugins.core.geometry import Box, Size
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord
from ergo_plugins.core.record import JOURNAL_FORMAT, Entry
from ergo_plugins.report.curves import training_plots
from ergo_plugins.report.page import page
from ergo_plugins.report.read.journal import read_journal
from ergo_plugins.report.read.metrics import read_training
from ergo_plugins.report.summary import summarise, table

SOURCE, WHOLE = Size(560, 560), Box(0, 0, 560, 560)


def entry(doc_id: int, asked: bool, others: int = 0, error: str | None = None) -> Entry:
    """A sample that was asked directly or with the whole image; with further images of another size."""

    def turn(name: str, side: int, reply: str) -> TurnRecord:
        shown = [Shown(WHOLE, Size(side, side), (side // 28) ** 2)]
        shown += [Shown(None, Size(side, 28), side // 28) for _ in range(others)]
        return TurnRecord(name, tuple(shown), reply, "stop")

    turns = [turn("reduced", 140, "more" if asked else "<answer>B</answer>")]
    if asked:
        turns.append(turn("full", 280, "<answer>B</answer>"))
    values = {"asked": asked, "delivered": asked, "call_error": error}
    outcome = Outcome("visionthink", SOURCE, tuple(turns), "B", values=values, single_pass_tokens=400)
    return Entry("t", "test", doc_id, 0, "Which?", "B", outcome)


def journal(folder: Path, *entries: Entry) -> Path:
    path = folder / "journal.jsonl"
    lines = [{"journal": JOURNAL_FORMAT, "settings": {}, "tasks": ["t"]}, *(one.to_json() for one in entries)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_who_asked_stands_in_the_summary_and_on_the_page(tmp_path: Path) -> None:
    run = read_journal(journal(tmp_path, entry(0, True), entry(1, False), entry(2, False), entry(3, False, error="no")))
    found = summarise(run.rows)
    assert found["own"] == {"asked": 0.25, "call_errors": 0.25}
    assert any(line.split()[-1] == "25.0%" for line in table({"all": found}).splitlines() if "asked for" in line)
    html = page(run, previews=10)
    assert "asked for the whole image" in html
    assert html.count("<dt>Asked for the whole image</dt><dd>yes</dd>") == 1
    assert html.count("<dt>Asked for the whole image</dt><dd>no</dd>") == 3
    assert html.count("<dt>Why its call could not be followed</dt><dd>no</dd>") == 1
    assert html.count("560 × 560 shown as 140 × 140") == 4
    assert html.count("560 × 560 shown as 280 × 280") == 1, "both views of the one that asked"


def test_further_images_are_told_apart(tmp_path: Path) -> None:
    html = page(read_journal(journal(tmp_path, entry(0, True, others=2))), previews=10)
    for said in ("image 2, shown as 140 × 28", "image 3, shown as 140 × 28", "image 3, shown as 280 × 28"):
        assert html.count(said) == 1
    assert html.count("560 × 560 shown as") == 2, "only the first image has that size"


def test_calls_and_accuracy_by_step(tmp_path: Path) -> None:
    steps = tmp_path / "metrics.jsonl"
    steps.write_text(
        "".join(
            json.dumps({"step": n, "data": {"visionthink/asked": 0.9 - n / 10, "visionthink/accuracy": n / 10}}) + "\n"
            for n in range(1, 6)
        )
    )
    drawn = "".join(training_plots(read_training([steps]), gamma=None))
    assert "asked for the whole image 80.0% → 40.0%" in drawn
    assert "answer right 10.0% → 50.0%" in drawn
