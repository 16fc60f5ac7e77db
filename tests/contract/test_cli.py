"""The ``ergo`` command as users start it: what it writes, what it says of bad input, and what it does not import."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ergo_plugins.panels.drawing import original
from ergo_plugins.panels.world import first_seed, make_scene

ERGO = Path(sys.executable).parent / "ergo"
TINY = Path(__file__).resolve().parents[2] / "recipes" / "tiny"
TINY_ARGUMENTS = ["--coarse-tokens", "16", "--crop-tokens", "16", "--resample", "box"]

SCENE = make_scene(first_seed("test"))
QUESTION = SCENE.text

TURN = {"finish": "stop", "prompt_tokens": 50, "cached_tokens": 0, "new_tokens": 5, "seconds": 0.5}
SAMPLE = {
    "task": "spots",
    "split": "test",
    "doc_id": 0,
    "repeat": 0,
    "question": "Which?",
    "returned": "B",
    "previews": {},
    "outcome": {
        "method": "ergo",
        "source": [1000, 500],
        "turns": [
            {"name": "look", "view": [112, 56], "visual_tokens": 8, "reply": "<zoom>[10, 10, 20, 15]</zoom>", **TURN},
            {"name": "answer", "view": [56, 56], "visual_tokens": 4, "reply": "<answer>B</answer>", **TURN},
        ],
        "answer": "B",
        "box_view": [10, 10, 20, 15],
        "box_source": [89, 89, 179, 134],
        "single_pass_tokens": 100,
        "repairs": [],
        "problems": [],
        "seconds": 1.0,
    },
}


def ergo(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [str(ERGO), *map(str, arguments)], capture_output=True, text=True, env=env, cwd=cwd, timeout=300, check=False
    )


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    header = {"journal": "ergo-plugins/1", "settings": {"model": "m"}, "tasks": ["spots"]}
    path.write_text(json.dumps(header) + "\n" + json.dumps(SAMPLE) + "\n")
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    original(SCENE).save(path, compress_level=1)
    return path


def test_the_command_line_imports_no_host() -> None:
    heavy = ("torch", "transformers", "vllm", "lmms_eval", "verl", "ray", "numpy", "openai", "aiohttp")
    code = f"import sys, ergo_plugins.cli as c; c.build_parser(); print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_version_and_help() -> None:
    assert re.fullmatch(r"ergo-plugins \d+\.\d+\.\d+\n", ergo("--version").stdout)
    shown = ergo("--help").stdout
    for command in ("report", "summary", "doctor", "infer"):
        assert command in shown
    module = subprocess.run(
        [sys.executable, "-m", "ergo_plugins.cli", "summary", "/nowhere"], capture_output=True, text=True
    )
    assert (module.returncode, "Traceback" in module.stderr) == (2, False)


def test_report_and_summary_write_what_they_say(journal: Path, tmp_path: Path) -> None:
    samples = tmp_path / "logs" / "20260101_120000_samples_spots.jsonl"
    samples.parent.mkdir()
    samples.write_text(json.dumps({"doc_id": 0, "target": "B", "acc": 1.0}) + "\n")

    done = ergo("report", journal, "--samples", tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "wrote report.html" in done.stdout
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")

    done = ergo("summary", journal, "--samples", samples, "-o", tmp_path / "new" / "summary.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"answers correct +100.0%", done.stdout)
    summary = json.loads((tmp_path / "new" / "summary.json").read_text())
    assert (summary["accuracy"], summary["visual_token_share"], summary["zoom_success"]) == (1.0, 0.12, 1.0)
    assert list(summary["by_task"]) == ["spots"]


def test_a_reader_that_leaves_early_is_no_error(journal: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{ERGO} summary {journal} | true; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_bad_input_to_reports_is_one_sentence(journal: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text(journal.read_text().splitlines()[0] + "\n{}\n")
    for arguments, sentence in (
        (("report", tmp_path / "none.jsonl"), "cannot read .*none.jsonl: No such file"),
        (("summary", tmp_path), "holds no <step>.jsonl"),
        (("summary", journal, "--step", 3), "--step belongs to rollouts"),
        (("summary", damaged), "line 2, is not a sample of a journal"),
        (("report", journal, "--samples", tmp_path / "none"), "cannot read .*none: No such file"),
        (("report", journal, "--samples", tmp_path), "hold no .*samples"),
        (("report", journal, "--previews", -1), "--previews is 0 or more, got -1"),
        (("report", journal, "-o", tmp_path), "cannot write .*: Is a directory"),
        (("summary", journal, "-o", journal / "x.json"), "cannot write .*"),
    ):
        assert_one_sentence(ergo(*arguments), sentence)


def test_bad_input_to_infer_is_one_sentence(picture: Path, tmp_path: Path) -> None:
    text, cut, policy = tmp_path / "text.png", tmp_path / "cut.png", TINY / "policy"
    text.write_text("no picture")
    empty = tmp_path / "empty"
    empty.mkdir()
    cut.write_bytes(picture.read_bytes()[:600])
    for arguments, sentence in (
        ((tmp_path / "none.png", "q", "--model", policy), "there is no picture .*none.png"),
        ((text, "q", "--model", policy), "cannot be read as a picture"),
        ((cut, "q", "--model", policy), "cannot be read as a picture"),
        ((empty, "q", "--model", policy), "there is no picture in the folder .*empty"),
        ((picture, " ", "--model", policy), "the question is empty"),
        ((picture, "q", "--model", tmp_path / "none"), "there is no model folder .*none"),
        ((picture, "q", "--model", policy, "--coarse-tokens", 0), "coarse_tokens is at least 1, got 0"),
        ((picture, "q", "--model", policy, "--prompts", tmp_path / "no.yaml"), "there is no prompts file"),
        ((picture, "q", "--model", policy, "--prompts", text), "prompts are read from a .yaml or .py file"),
        ((picture, "q", "--model", policy, "--engine", "openai"), "--engine openai needs the server's --base-url"),
        ((picture, "q", "--model", policy, "--base-url", "http://x"), "--base-url is for --engine openai"),
        ((picture, "q", "--model", policy, "--save", text / "x"), "cannot make the folder"),
    ):
        assert_one_sentence(ergo("infer", *arguments), sentence)


def test_a_folder_without_a_model_is_one_sentence(picture: Path, tmp_path: Path) -> None:
    assert_one_sentence(ergo("infer", picture, "q", "--model", tmp_path), "the hf engine cannot open .*")


def test_infer_shows_both_turns_and_saves_what_the_model_saw(picture: Path, tmp_path: Path) -> None:
    prompts = ("--prompts", TINY / "prompts.yaml")
    saved = ("--save", tmp_path / "saved")
    done = ergo("infer", picture, QUESTION, "--model", TINY / "policy", *TINY_ARGUMENTS, *prompts, *saved)
    assert done.returncode == 0, done.stderr
    assert re.search(r"── look: view 112x112, 16 visual tokens, \d+ tokens written, \d+\.\d\d s\n<think>", done.stdout)
    assert re.search(r"── answer: view .*\n<think>.*<answer>[A-D]</answer>", done.stdout)
    assert re.search(rf"answer +{SCENE.answer}\n", done.stdout)
    box = re.search(r"box in the picture \[(\d+), (\d+), (\d+), (\d+)\]", done.stdout)
    assert box is not None
    x1, y1, x2, y2 = map(int, box.groups())
    with Image.open(picture) as whole, Image.open(tmp_path / "saved/crop.png") as crop:
        assert crop.tobytes() == whole.crop((x1, y1, x2, y2)).tobytes()
    with Image.open(tmp_path / "saved/boxed.png") as boxed:
        assert boxed.size == original(SCENE).size
        assert (247, 103, 7) in {color for _, color in boxed.getcolors(1 << 24)}


def test_infer_without_the_zoom_is_one_turn(picture: Path) -> None:
    prompts = ("--prompts", TINY / "prompts.yaml")
    done = ergo("infer", picture, QUESTION, "--model", TINY / "policy", *TINY_ARGUMENTS, *prompts, "--zoom", "off")
    assert done.returncode == 0, done.stderr
    assert "── look" not in done.stdout
    assert "box in the picture none" in done.stdout


def test_a_server_that_is_down_is_told_in_a_sentence_and_another_exit_code(picture: Path) -> None:
    server = ("--engine", "openai", "--base-url", "http://127.0.0.1:9/v1", "--grid", "qwen2.5-vl")
    done = ergo("infer", picture, "q", "--model", "m", *server)
    assert done.returncode == 1
    assert "the openai engine failed on" in done.stderr
    assert "Traceback" not in done.stderr


def assert_one_sentence(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert done.returncode == 2, done.stderr
    assert re.search(sentence, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("ergo ")
