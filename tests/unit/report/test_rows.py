"""Journals and verdicts become rows, and what is wrong with a file is told with its place."""

import json
from pathlib import Path

import pytest

from ergo_plugins.core.geometry import Box
from ergo_plugins.report.read.journal import read_journal
from ergo_plugins.report.read.rows import UnreadableInput
from ergo_plugins.report.read.verdicts import join_verdicts
from tests.unit.report.journals import HEADER, entry, outcome, sample, write_journal, write_samples


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    played = outcome(problems=("look: no <zoom>",))
    run = read_journal(write_journal(tmp_path, entry(0), entry(7, played, repeat=1, previews={"look": "v/7.jpg"})))
    assert [row.key for row in run.rows] == ["spots/test/0", "spots/test/7#1"]
    assert run.rows[1].outcome == played
    assert run.rows[1].previews == {"look": tmp_path / "v/7.jpg"}
    assert (run.settings, run.tasks, run.notes) == (HEADER["settings"], ["spots"], [])


def test_a_torn_last_line_is_left_out_and_noted(tmp_path: Path) -> None:
    whole = json.dumps(entry(1))
    for torn in (whole[:50], whole, "{"):  # without its line feed, even a line that parses may lack digits
        run = read_journal(write_journal(tmp_path, entry(0), tail=torn))
        assert [row.doc_id for row in run.rows] == [0]
        assert "incomplete" in run.notes[0]


def test_a_damaged_line_before_the_last_is_an_error_with_its_number(tmp_path: Path) -> None:
    for tail in ('{"task": \n', "[]\n", '{"task": "spots"}\n', json.dumps(entry(1, outcome={"turns": []})) + "\n"):
        with pytest.raises(UnreadableInput, match=r"journal\.jsonl, line 3, is not"):
            read_journal(write_journal(tmp_path, entry(0), tail=tail))


@pytest.mark.parametrize("content", ["", '{"journal": "ergo-plugins/1"', '{"journal": "other/9"}\n', "[1]\n", "\0\n"])
def test_what_is_no_journal_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(content)
    with pytest.raises(UnreadableInput, match=r"journal\.jsonl"):
        read_journal(path)


@pytest.mark.parametrize("file", ["/etc/passwd", "../secret.png", "a/../../secret.png"])
def test_previews_outside_the_journals_folder_are_refused(tmp_path: Path, file: str) -> None:
    with pytest.raises(UnreadableInput, match="not in the journal's folder"):
        read_journal(write_journal(tmp_path, entry(0, previews={"look": file})))


def test_the_target_of_a_journal_tells_the_coverage(tmp_path: Path) -> None:
    target = {"extra": {"target_box_source": [150, 100, 250, 150]}}  # the crop of 100 to 200 covers its left half
    run = read_journal(write_journal(tmp_path, entry(0, **target), entry(1, outcome(box=None), **target), entry(2)))
    assert [row.target_coverage for row in run.rows] == [0.5, 0.0, None]
    assert run.rows[0].target_box_source == Box(150, 100, 250, 150)


METRICS = {
    "a number": ({"acc": 1.0}, {"acc": 0}, [True, False]),
    "as V* has it": ({"overall": {"score": 1.0}, "cat": {"score": 1.0}}, {"overall": {"score": 0.0}}, [True, False]),
    "as HR-Bench has it": ({"average": {"gpt_score": 1}}, {"average": {"gpt_score": 0}}, [True, False]),
    "as MMVP has it": ({"acc": {"is_correct": True}}, {"acc": {"is_correct": False}}, [True, False]),
    "a good look is no good answer": (
        {"acc": 0.0, "target_coverage": 1.0, "target_hit": 1.0},
        {"acc": 1.0, "target_coverage": 0.25, "target_hit": 0.0},
        [False, True],
    ),
    "graded": ({"anls": 1.0}, {"anls": 0.6}, [None, None]),
    "disagreeing": ({"strict": 0, "loose": 1}, {"strict": 1, "loose": 1}, [None, None]),
    "no number": ({"submission": {"answer": "B"}}, {"submission": {"answer": "A"}}, [None, None]),
}


@pytest.mark.parametrize(("first", "second", "verdicts"), METRICS.values(), ids=METRICS)
def test_a_sample_is_right_or_wrong_only_where_all_of_its_task_are(
    tmp_path: Path, first: dict[str, object], second: dict[str, object], verdicts: list[bool | None]
) -> None:
    path = write_samples(tmp_path, sample(0, **first), sample(1, **second))
    run = join_verdicts(read_journal(write_journal(tmp_path, entry(0), entry(1))), path)
    assert [row.correct for row in run.rows] == verdicts
    assert [row.target for row in run.rows] == ["B", "B"]
    assert run.rows[0].target_coverage == first.get("target_coverage")
    assert any("not counted as right or wrong" in note for note in run.notes) == (None in verdicts)


def test_the_newest_samples_of_each_task_are_taken_from_a_folder(tmp_path: Path) -> None:
    write_samples(tmp_path / "deep/model", sample(0, acc=1.0), name="20260202_090000_samples_spots.jsonl")
    write_samples(tmp_path / "z", sample(0, acc=0.0), name="20260101_235959_samples_spots.jsonl")  # written later
    write_samples(tmp_path, sample(0, acc=0.0), name="20270101_000000_samples_other_task.jsonl")
    run = join_verdicts(read_journal(write_journal(tmp_path, entry(0))), tmp_path)
    assert run.rows[0].correct is True


def test_what_cannot_be_joined_is_said(tmp_path: Path) -> None:
    header = {**HEADER, "tasks": ["spots", "dots"]}
    journal = write_journal(tmp_path, entry(0), entry(1), entry(0, repeat=1), header=header)
    run = join_verdicts(read_journal(journal), write_samples(tmp_path, sample(0, acc=1.0), sample(5, acc=1.0)))
    assert [row.correct for row in run.rows] == [True, None, None]  # a later repetition has no verdict of its own
    assert run.rows[2].target == "B"
    assert run.notes == [
        "There is no samples file for dots, so its answers are not judged.",
        "1 of 2 samples of spots are not in its samples file and not judged.",
        "1 samples in the samples file of spots are not in the journal and not shown.",
    ]


def test_samples_that_fit_no_task_or_are_damaged_are_refused(tmp_path: Path) -> None:
    run = read_journal(write_journal(tmp_path, entry(0)))
    other = write_samples(tmp_path / "other", sample(0, acc=1.0), name="20260101_120000_samples_dots.jsonl")
    with pytest.raises(UnreadableInput, match=r"not named \*samples_<task>\.jsonl after a task of the run: spots"):
        join_verdicts(run, other)
    with pytest.raises(UnreadableInput, match="hold no"):
        join_verdicts(run, other.parent)
    with pytest.raises(FileNotFoundError):
        join_verdicts(run, tmp_path / "nowhere")
    damaged = write_samples(tmp_path, sample(0, acc=1.0), {"doc_id": 1})
    with pytest.raises(UnreadableInput, match="line 2, is not a sample of lmms-eval"):
        join_verdicts(run, damaged)
