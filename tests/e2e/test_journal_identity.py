"""A journal belongs to one model, way of asking and set of data; secrets stand in no file; repeats are samples."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lmms_runs import POLICY, ROOT, Run, environment_of, lmms_eval, lmms_eval_command, make_panels
from scripted_server import serving


@pytest.fixture
def begun(hf_run: Run, tmp_path: Path) -> Path:
    """A folder with the journal of a run that could go on."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(hf_run.folder / "journal.jsonl", folder)
    return folder


def refused(run: Run, *said: str) -> None:
    """The run ended at once, and the journal is as it was."""
    assert run.exit_code != 0, run.log
    last_words = run.log.strip().splitlines()[-1]
    assert all(word in last_words for word in said), last_words


def test_another_budget_is_another_run(begun: Path, panels: Path) -> None:
    journal = (begun / "journal.jsonl").read_bytes()
    refused(lmms_eval("ergo_hf", panels, begun, model=POLICY, coarse_tokens=32), "coarse_tokens", "16", "32")
    assert (begun / "journal.jsonl").read_bytes() == journal


def test_other_weights_are_another_model(begun: Path, panels: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    model = shutil.copytree(POLICY, tmp_path / "policy")
    (weights,) = model.glob("*.safetensors")
    tensors = load_file(weights)
    save_file(
        {name: tensor + torch.full_like(tensor, 0.01) for name, tensor in tensors.items()}, weights, {"format": "pt"}
    )
    refused(lmms_eval("ergo_hf", panels, begun, model=model), "weights")


def test_another_question_under_the_same_name_is_other_data(begun: Path, panels: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(panels, tmp_path / "panels")
    (code,) = (path for path in changed.glob("*.py") if 'doc["text"]' in path.read_text())
    code.write_text(code.read_text().replace('doc["text"]', 'doc["text"].replace("?", " now?")'))
    refused(lmms_eval("ergo_hf", changed, begun, model=POLICY), "asked", "the data has changed")


def test_a_key_is_sent_and_stands_in_no_file(panels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SERVICE_KEY", "sk-very-secret-0123")
    with serving(lambda *_: (200, "<zoom>[0, 0, 56, 56]</zoom><answer>A</answer>")) as server:
        run = lmms_eval(
            "ergo_openai", panels, tmp_path, model="m", base_url=server.base_url, api_key_env="SOME_SERVICE_KEY"
        )
    assert run.exit_code == 0, run.log
    assert set(server.keys) == {"Bearer sk-very-secret-0123"}
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) >= 4
    assert [path for path in written if b"very-secret" in path.read_bytes()] == []

    monkeypatch.delenv("SOME_SERVICE_KEY")
    refused(
        lmms_eval(
            "ergo_openai", panels, tmp_path / "b", model="m", base_url="http://x/v1", api_key_env="SOME_SERVICE_KEY"
        ),
        "there is no environment variable SOME_SERVICE_KEY",
    )


def test_repeats_of_a_sample_are_sampled_anew(tmp_path: Path) -> None:
    few = make_panels(tmp_path / "few", samples=3)
    folder = tmp_path / "run"
    folder.mkdir()
    command = [*lmms_eval_command("ergo_hf", few, folder, model=POLICY, temperature=1.5), "--repeats", "3"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment_of(), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    entries: list[dict[str, Any]] = Run(folder, 0, done.stdout).entries
    assert sorted((entry["doc_id"], entry["repeat"]) for entry in entries) == [
        (d, r) for d in range(3) for r in range(3)
    ]
    said = [
        {str([turn["reply"] for turn in e["outcome"]["turns"]]) for e in entries if e["doc_id"] == d} for d in range(3)
    ]
    assert max(map(len, said)) > 1, "three equal samples would say nothing about stability"
