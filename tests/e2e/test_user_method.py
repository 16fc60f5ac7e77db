"""A user's own method, installed from a package of its own: docs/your_own.md, word for word."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.lmms_runs import OFFLINE, POLICY, ROOT, Run, lmms_eval_command, run_to_its_end
from tests.e2e.scripted_server import serving
from tests.e2e.verl_runs import ENVIRONMENT, make_rows, verl

DOCUMENT = ROOT / "docs" / "your_own.md"
FIELDS = {"view_tokens": 16, "answer_new_tokens": 24, "resample": "box"}


def all_blocks(language: str, section: str) -> list[str]:
    """Every block of code in a language under a heading."""
    under = DOCUMENT.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", under, re.DOTALL)


def block(language: str, section: str = "A method") -> str:
    """The first one."""
    return all_blocks(language, section)[0]


def install(section: str, name: str, folders: pytest.TempPathFactory) -> Path:
    """A folder with the package of a section, one module and what it registers, put there by pip."""
    source = folders.mktemp("source")
    (source / f"{name}.py").write_text(block("python", section))
    registered = block("toml", section)
    whole = "" if "[project]\n" in registered else f'[project]\nname = "{name}"\nversion = "1"\n'
    (source / "pyproject.toml").write_text(whole + registered)
    target = folders.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True)
    return target


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the method's package."""
    return install("A method", "halves", tmp_path_factory)


def environment(installed: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, **OFFLINE, "PYTHONPATH": path}


def started(command: list[str], installed: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=environment(installed), capture_output=True, text=True, timeout=600, check=False
    )


def evaluated(model: str, installed: Path, panels: Path, folder: Path, **arguments: Any) -> Run:
    command = lmms_eval_command(model, panels, folder, model=POLICY, method="halves", **{**FIELDS, **arguments})
    at = command.index("--model_args") + 1
    ours = {"model", "method", "journal", *FIELDS, *arguments}
    command[at] = ",".join(part for part in command[at].split(",") if part.partition("=")[0] in ours)
    return run_to_its_end(command, folder, installed)


def test_it_is_short() -> None:
    assert len(block("python").strip().splitlines()) < 80


def test_it_conforms(installed: Path) -> None:
    done = started(
        [sys.executable, "-m", "pytest", "-q", "--pyargs", "ergo_plugins.testing", "-k", "halves"], installed
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b3\d passed", done.stdout), done.stdout


@pytest.fixture(scope="module")
def by_transformers(installed: Path, panels: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = evaluated("ergo_hf", installed, panels, tmp_path_factory.mktemp("hf"))
    assert run.exit_code == 0, run.log
    return run


def test_it_is_evaluated_by_stock_lmms_eval_and_reported(by_transformers: Run, installed: Path, tmp_path: Path) -> None:
    run = by_transformers
    assert len(run.entries) == 12
    for entry in run.entries:
        outcome = entry["outcome"]
        assert outcome["method"] == "halves"
        assert [len(turn["shown"]) for turn in outcome["turns"]] == [3]
    assert run.results["throughput"]["avg_halves_samples"] == 12
    ergo = [str(Path(sys.executable).parent / "ergo")]
    journal = str(run.folder / "journal.jsonl")
    for command in (["summary", journal], ["report", journal, "-o", str(tmp_path / "report.html")]):
        done = started([*ergo, *command, "--samples", str(run.folder)], installed)
        assert done.returncode == 0, done.stderr
    assert "halves" in (tmp_path / "report.html").read_text()
    compared = started([*ergo, "compare", journal, journal, "-o", str(tmp_path / "compare.html")], installed)
    assert compared.returncode == 0, compared.stderr


@pytest.mark.slow  # another start of vLLM, which answers in test_engines_agree
def test_vllm_says_the_same(by_transformers: Run, installed: Path, panels: Path, tmp_path: Path) -> None:
    options = {"dtype": "float32", "enforce_eager": True, "max_model_len": 2048}
    runs = [by_transformers, evaluated("ergo_vllm", installed, panels, tmp_path / "vllm", **options)]
    assert runs[1].exit_code == 0, runs[1].log
    said = [{d: e["outcome"]["turns"][0]["reply"] for d, e in run.by_doc.items()} for run in runs]
    assert said[0] == said[1]
    assert len(said[0]) == 12


def test_a_server_is_asked_with_its_three_images(installed: Path, panels: Path, tmp_path: Path) -> None:
    with serving(lambda _body, _number: (200, "<think>striped</think><answer>B</answer>")) as server:
        engine = {"base_url": server.base_url, "grid": "qwen2.5-vl"}
        run = evaluated("ergo_openai", installed, panels, tmp_path / "served", **engine)
    assert run.exit_code == 0, run.log
    assert [entry["returned"] for entry in run.entries] == ["B"] * 12
    asked = [request["messages"][-1]["content"] for request in server.requests]
    assert [[part["type"] for part in content].count("image_url") for content in asked] == [3] * 12


@pytest.mark.training
def test_verl_trains_a_step_and_logs_its_parts(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", environment(installed)["PYTHONPATH"])
    rows = make_rows(tmp_path / "rows")
    run = verl(
        tmp_path / "run",
        rows,
        "+ergo.method=halves",
        "~ergo.zoom",
        "~ergo.reward",
        *(f"+ergo.episode.{name}={value}" for name, value in FIELDS.items()),
        "data.max_prompt_length=256",  # three images
        "trainer.total_training_steps=1",
    )
    assert run.exit_code == 0, run.log
    (step,) = run.trained
    assert {"halves/accuracy", "halves/format", "halves/lost_prompts"} <= set(step)
    assert not any(name.startswith("ergo/") for name in step), json.dumps(step)
