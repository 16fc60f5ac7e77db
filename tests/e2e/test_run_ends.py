"""Stock lmms-eval, its parts failing as nobody foresaw: the process never ends with 0, and the sample is named.

lmms-eval catches the exception of any evaluation, logs it and exits with 0. Faults here are those of users: a model
folder whose own code raises, a chat template that does, a task's row, a full disk, a file where a folder is to be.
`tests/contract/test_ending.py` tries many more exceptions inside one process.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

import ergo_plugins
from tests.e2e.lmms_runs import OFFLINE, POLICY, ROOT, Run, lmms_eval, lmms_eval_command, run_to_its_end
from tests.e2e.test_bad_input import encoded, photo, write_task

SAMPLES = 6
RAISES_IN_GENERATE = """
from transformers import Qwen2_5_VLForConditionalGeneration

class Raises(Qwen2_5_VLForConditionalGeneration):
    def generate(self, *_, **__):
        raise LookupError("nobody foresaw this engine")
"""


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images: list[bytes | None] = [encoded(photo(601 + i, 400), "PNG") for i in range(SAMPLES)]
    return write_task(tmp_path_factory.mktemp("ends") / "task", images)


def task_with(task: Path, folder: Path, line: str, instead: str) -> Path:
    """The task with one line of its code changed."""
    shutil.copytree(task, folder)
    code = (folder / "utils.py").read_text()
    assert code.count(line) == 1
    (folder / "utils.py").write_text(code.replace(line, instead))
    return folder


def policy_with(folder: Path, **files: str) -> Path:
    """The shipped policy with some files of its folder written anew."""
    shutil.copytree(POLICY, folder)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def stopped(run: Run, *said: str) -> None:
    """The run ended with an error code and a sentence, and left no results."""
    assert run.exit_code != 0, run.log
    last_words = run.log.strip().splitlines()[-1]
    assert all(word in last_words for word in said), run.log
    assert not list(run.folder.rglob("*_results.json"))


def test_an_engine_that_raises(task: Path, tmp_path: Path) -> None:
    config = json.loads((POLICY / "config.json").read_text())
    config["auto_map"] = {"AutoModelForImageTextToText": "raises.Raises"}
    config["model_type"] = "qwen2_5_vl"
    model = policy_with(tmp_path / "model", config__json=json.dumps(config), raises__py=RAISES_IN_GENERATE)
    run = lmms_eval("ergo_hf", task, tmp_path / "run", model=model, trust_remote_code="true")
    stopped(run, "the run ended early: ", "ergo_panels/test/0", "LookupError: nobody foresaw this engine")


@pytest.mark.slow  # as the engine does
def test_a_processor_that_raises(task: Path, tmp_path: Path) -> None:
    model = policy_with(tmp_path / "model", chat_template__jinja="{{ messages[0]['content'] // 0 }}")
    run = lmms_eval("ergo_hf", task, tmp_path / "run", model=model)
    stopped(
        run, "ergo_hf could not be opened" if "could not be opened" in run.log else "ergo_panels/test/", "TypeError"
    )


@pytest.mark.slow  # as the engine does
def test_a_row_that_raises(task: Path, tmp_path: Path) -> None:
    broken = task_with(
        task,
        tmp_path / "task",
        '    return [doc["image"]',
        '    if doc["question_id"] == "4":\n'
        '        raise KeyError("nobody foresaw this row")\n    return [doc["image"]',
    )
    run = lmms_eval("ergo_hf", broken, tmp_path / "run", model=POLICY)
    stopped(run, "ergo_panels/test/4", "KeyError: 'nobody foresaw this row'", "goes on from there")
    assert {entry["doc_id"] for entry in run.entries} == {0, 1, 2, 3}, "what was finished is in the journal"


def test_a_full_disk_under_the_journal(task: Path, tmp_path: Path) -> None:
    """Written until no file may grow any more; then with room, from where it stopped."""
    folder = tmp_path / "run"
    folder.mkdir()
    command = lmms_eval_command("ergo_hf", task, folder, model=POLICY, previews=0)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **OFFLINE, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
    )
    full = Run(folder, done.returncode, done.stdout)
    stopped(full, "could not be written", "File too large", "make room")
    assert "ergo_panels/test/" in full.log.strip().splitlines()[-1]
    whole = (folder / "journal.jsonl").read_bytes()
    assert whole.endswith(b"\n")
    assert 1 <= len(full.entries) < SAMPLES
    assert all(json.loads(line) for line in whole.splitlines())


def test_a_file_where_the_previews_folder_is_to_be_and_a_package_that_is_damaged(task: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "journal_views").write_text("in the way")
    stopped(lmms_eval("ergo_hf", task, folder, model=POLICY), "journal_views cannot be made", "previews=0")

    damaged = shutil.copytree(Path(ergo_plugins.__file__).parent, tmp_path / "path" / "ergo_plugins")
    (damaged / "lmms_plugin" / "run.py").write_text("raise ImportError('no module of that name')\n")
    run = _with_path(damaged.parent, "ergo_hf", task, tmp_path / "damaged")
    stopped(run, "ErgoHF of ergo_plugins could not be imported: ImportError", "ergo doctor")


def test_what_fails_in_the_task_itself_ends_the_run_too(task: Path, tmp_path: Path) -> None:
    broken = task_with(task, tmp_path / "task", "    return text", '    raise LookupError("nobody foresaw this text")')
    run = lmms_eval("ergo_hf", broken, tmp_path / "run", model=POLICY)
    assert run.exit_code != 0, run.log
    assert "lmms-eval gave up on this evaluation, and there are no results." in run.log
    assert "nobody foresaw this text" in run.log.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            ("--gen_kwargs", "max_new_tokens=3,top_p=0.5"),
            "--gen_kwargs max_new_tokens=3 is not taken: give zoom_new_tokens= and answer_new_tokens= in --model_args",
        ),
        pytest.param(("--apply_chat_template",), "leave the option out", marks=pytest.mark.slow),
    ],
)
def test_a_wish_that_would_be_ignored_is_refused(task: Path, tmp_path: Path, typed: tuple[str, ...], said: str) -> None:
    run = run_to_its_end([*lmms_eval_command("ergo_hf", task, tmp_path, model=POLICY), *typed], tmp_path)
    stopped(run, said)


def _with_path(path: Path, model: str, task: Path, folder: Path) -> Run:
    """A run that finds modules in a folder of ours."""
    folder.mkdir()
    done = subprocess.run(
        lmms_eval_command(model, task, folder, model=POLICY),
        cwd=folder,
        env={**os.environ, **OFFLINE, "PYTHONPATH": str(path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    return Run(folder, done.returncode, done.stdout)
