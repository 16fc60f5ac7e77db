"""The journal on its own: continued, refused, mended, never silently wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ergo_plugins.core.geometry import Box, Size
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord
from ergo_plugins.core.record import Entry
from ergo_plugins.outside.journal import Journal, JournalMismatch

SETTINGS: dict[str, Any] = {"engine": "hf", "model": "m", "coarse_tokens": 640, "crop": {"max_aspect": 10.0}}


def entry(doc_id: int, reply: str = "<zoom>[1, 2, 3, 4]</zoom>") -> Entry:
    turn = TurnRecord(
        "look", (Shown(None, Size(112, 112), 16),), reply, "stop", prompt_tokens=20, new_tokens=9, seconds=0.5
    )
    outcome = Outcome(
        "ergo",
        Size(640, 480),
        (turn,),
        "B",
        boxes={"crop": Box(5, 8, 18, 20)},
        values={"box_view": [1, 2, 3, 4]},
        single_pass_tokens=414,
        problems=("x: y",),
    )
    return Entry("task", "test", doc_id, 0, "What?", "B", outcome, {"look": "j_views/a.jpg"})


def filled(path: Path, count: int) -> None:
    journal = Journal(path, SETTINGS, ["task"])
    for doc_id in range(count):
        journal.append(entry(doc_id))
    journal.close()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    filled(tmp_path / "deep" / "j.jsonl", 3)
    again = Journal(tmp_path / "deep" / "j.jsonl", SETTINGS, ["task"])
    assert list(again.entries.values()) == [entry(0), entry(1), entry(2)]
    again.append(entry(3))
    again.close()
    assert len((tmp_path / "deep" / "j.jsonl").read_text().splitlines()) == 5


def test_a_sample_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl", SETTINGS, ["task"])
    journal.append(entry(0))
    assert len((tmp_path / "j.jsonl").read_text().splitlines()) == 2  # not closed: a kill comes at any moment
    journal.close()


def test_a_reply_of_any_characters_stays_one_line(tmp_path: Path) -> None:
    odd = 'line\nbreak \u2028 \x00 "quoted" \ud800 \U0001f50d'
    journal = Journal(tmp_path / "j.jsonl", SETTINGS, ["task"])
    journal.append(entry(0, odd))
    journal.close()
    again = Journal(tmp_path / "j.jsonl", SETTINGS, ["task"])
    again.close()
    assert again.entries["task/test/0"].outcome.turns[0].reply == odd


def test_the_same_sample_twice_is_a_bug(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.jsonl", SETTINGS, ["task"])
    journal.append(entry(0))
    with pytest.raises(ValueError, match="already holds task/test/0"):
        journal.append(entry(0))
    journal.close()


@pytest.mark.parametrize(
    ("settings", "tasks", "difference"),
    [
        ({**SETTINGS, "model": "n"}, ["task"], "settings.model was 'm' and is 'n'"),
        ({**SETTINGS, "crop": {"max_aspect": 4.0}}, ["task"], "settings.crop.max_aspect was 10.0 and is 4.0"),
        (SETTINGS, ["other"], r"tasks was \['task'\] and is \['other'\]"),
        ({**SETTINGS, "seed": 1}, ["task"], "settings.seed was 'not set' and is 1"),
    ],
)
def test_another_runs_journal_is_refused(
    tmp_path: Path, settings: dict[str, Any], tasks: list[str], difference: str
) -> None:
    path = tmp_path / "j.jsonl"
    filled(path, 2)
    before = path.read_bytes()
    with pytest.raises(JournalMismatch, match=difference):
        Journal(path, settings, tasks)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kept", [1, 30, 200])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "j.jsonl"
    filled(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:kept])
    journal = Journal(path, SETTINGS, ["task"])
    assert set(journal.entries) == {"task/test/0", "task/test/1"}
    journal.append(entry(2))
    journal.close()
    assert path.read_bytes() == b"".join(lines)


def test_a_torn_header_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(b'{"journal": "ergo-pl')
    journal = Journal(path, SETTINGS, ["task"])
    journal.append(entry(0))
    journal.close()
    again = Journal(path, SETTINGS, ["task"])
    again.close()
    assert set(again.entries) == {"task/test/0"}


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    filled(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"task": "task"}\n', *lines[3:]]))
    with pytest.raises(ValueError, match="line 3, is not a line of a journal"):
        Journal(path, SETTINGS, ["task"])
