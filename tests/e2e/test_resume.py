"""A run killed in the middle goes on where it stopped: nothing lost, nothing twice, the same scores."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lmms_runs import OFFLINE, POLICY, ROOT, Run, journal_entries, lmms_eval, lmms_eval_command, make_panels

SAMPLES = 24


@pytest.fixture(scope="module")
def panels_to_resume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_panels(tmp_path_factory.mktemp("panels_to_resume"), samples=SAMPLES)


@pytest.fixture(scope="module")
def unbroken(panels_to_resume: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return lmms_eval("ergo_hf", panels_to_resume, tmp_path_factory.mktemp("unbroken"), model=POLICY)


def test_killed_and_continued(panels_to_resume: Path, unbroken: Run, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    _run_until_killed(lmms_eval_command("ergo_hf", panels_to_resume, tmp_path, model=POLICY), journal, at_least=8)
    finished_before = len(journal_entries(_without_torn_line(journal)))
    assert 8 <= finished_before < SAMPLES

    continued = lmms_eval("ergo_hf", panels_to_resume, tmp_path, model=POLICY)

    assert continued.exit_code == 0, continued.log
    assert f"{finished_before}/{SAMPLES}" in continued.log, "the progress bar starts where the first run stopped"
    assert len(continued.by_doc) == SAMPLES
    assert continued.results["results"]["ergo_panels"] == unbroken.results["results"]["ergo_panels"]
    assert {k: _reply_texts(e) for k, e in continued.by_doc.items()} == {
        k: _reply_texts(e) for k, e in unbroken.by_doc.items()
    }


def _run_until_killed(command: list[str], journal: Path, at_least: int) -> None:
    """Start a run and kill -9 it once its journal holds some samples."""
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **OFFLINE}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 300
    while not journal.exists() or journal.read_bytes().count(b"\n") < 1 + at_least:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < until, "the run did not get far enough"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def _without_torn_line(journal: Path) -> Path:
    content = journal.read_bytes()
    whole = journal.with_name("whole.jsonl")
    whole.write_bytes(content[: content.rfind(b"\n") + 1])
    return whole


def _reply_texts(entry: dict[str, Any]) -> list[str]:
    return [turn["reply"] for turn in entry["outcome"]["turns"]]
