"""A journal goes on with the run that began it and with no other, and holds no key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lmms_runs import POLICY, Run, lmms_eval
from tests.e2e.scripted_server import ScriptedServer, serving

KEY = "sk-nobody-may-read-this"


def in_order(body: dict[str, Any], _number: int) -> tuple[int, str]:
    asked = sum(message["role"] == "user" for message in body["messages"])
    return 200, "<zoom>[10, 10, 60, 60]</zoom>" if asked == 1 else "<answer>B</answer>"


def served(server: ScriptedServer, panels: Path, folder: Path, **changes: Any) -> Run:
    """A run on a scripted server; a key is asked for."""
    given = {"model": "m", "base_url": server.base_url, "grid": "qwen2.5-vl", "api_key_env": "ZOOM_KEY", **changes}
    return lmms_eval("ergo_openai", panels, folder, **given)


def another_question(journal: Path) -> None:
    """As if the benchmark had been changed since."""
    header, first, *rest = journal.read_text().splitlines(keepends=True)
    changed = {**json.loads(first), "question": "Which one was it?"}
    journal.write_text("".join([header, json.dumps(changed) + "\n", *rest]))


def test_a_journal_of_other_settings_models_or_questions_is_refused(
    panels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOOM_KEY", KEY)
    journal = tmp_path / "journal.jsonl"
    with serving(in_order) as server:
        first = served(server, panels, tmp_path)
        assert first.exit_code == 0, first.log
        written = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert len(written) >= 4  # journal, results, samples, what was said on the way
        assert not [file for file in written if KEY.encode() in file.read_bytes()]

        asked, kept = len(server.requests), journal.read_bytes()
        smaller = served(server, panels, tmp_path, coarse_tokens=64)
        assert "settings.coarse_tokens was 16 and is 64" in smaller.log
        other = served(server, panels, tmp_path, model="n")
        assert "settings.model was 'm' and is 'n'" in other.log
        assert journal.read_bytes() == kept

        another_question(journal)
        changed = served(server, panels, tmp_path)
        assert "the data has changed" in changed.log
        assert [run.exit_code != 0 for run in (smaller, other, changed)] == [True] * 3
        assert len(server.requests) == asked


def test_another_model_folder_is_another_model(hf_run: Run, panels: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other"
    elsewhere.symlink_to(POLICY)
    run = lmms_eval("ergo_hf", panels, tmp_path, model=elsewhere, journal=hf_run.folder / "journal.jsonl")
    assert run.exit_code != 0
    assert f"settings.model was '{POLICY}' and is '{elsewhere}'" in run.log
