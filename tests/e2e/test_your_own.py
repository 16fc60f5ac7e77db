"""A user's own reward, training source and benchmark task: docs/your_own.md, word for word."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import sys
from dataclasses import asdict
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from statistics import mean
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from ergo_plugins.commands import sft
from ergo_plugins.core.geometry import VisionGrid
from ergo_plugins.core.questions import split_question
from ergo_plugins.data import known_sources
from ergo_plugins.engines.base import Job
from ergo_plugins.engines.scripted import ScriptedEngine
from ergo_plugins.methods import method_named
from ergo_plugins.methods.base import Sample
from ergo_plugins.verl_plugin.compute_score import compute_score
from ergo_plugins.verl_plugin.records import OUTCOME
from ergo_plugins.verl_plugin.rows import Row
from ergo_plugins.verl_plugin.settings import Settings
from tests.contract.verl_parts import composed
from tests.e2e.lmms_runs import POLICY, ROOT, Run, lmms_eval_command, run_to_its_end
from tests.e2e.test_user_method import all_blocks, block, install, started

METHOD, REWARD, SOURCE, TASK = "A method", "A reward", "A training source", "A benchmark task"
ERGO = str(Path(sys.executable).parent / "ergo")


def lines(language: str, section: str) -> int:
    return len(block(language, section).strip().splitlines())


def documented(section: str, program: str) -> list[str]:
    """The words of a command as a section gives it, after the program's name."""
    commands = "".join(all_blocks("bash", section)).splitlines()
    command = next(line for line in commands if program in line)
    return [word for word in shlex.split(command.partition(program)[2]) if word != "…"]


def test_they_are_short() -> None:
    assert lines("python", REWARD) < 40
    assert lines("python", SOURCE) < 30
    assert lines("yaml", TASK) + lines("python", TASK) < 50


# A reward


@pytest.fixture(scope="module")
def reward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reward's package."""
    return install(REWARD, "ergo_coverage", tmp_path_factory)


def test_a_method_with_another_reward_conforms(reward: Path) -> None:
    done = started([sys.executable, "-m", "pytest", "-q", *documented(REWARD, "pytest")], reward)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b3\d passed", done.stdout), done.stdout


QUESTION = "Which colour?\nA. red\nB. blue"


def trajectory(look: str, answer: str) -> dict[str, Any]:
    """What the agent loop leaves of an episode on 560 x 560 pixels, all of which the first view shows."""
    method = method_named("ergo_coverage")
    engine = ScriptedEngine(lambda _key, turn: {"look": look, "answer": answer}[turn.name], VisionGrid(factor=28))
    sample = Sample(Image.new("RGB", (560, 560)), split_question(QUESTION))
    left: list[dict[str, Any]] = []
    job = Job("sample", lambda: method.episode(sample, method.config(), engine.grid))
    engine.play_all([job], lambda _job, outcome: left.append(outcome.to_json()))
    return {OUTCOME: left[0]}


def scored(fields: dict[str, Any], target_box: list[float] | None, **ergo: Any) -> dict[str, Any]:
    """The reward under verl's stock manager."""
    extra = {"index": 0, "question": QUESTION, "target_box": target_box, **fields}
    return asyncio.run(compute_score("signs", "", "B", extra, method="ergo_coverage", **ergo))


def test_the_reward_pays_for_the_share_that_is_covered(reward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(reward))
    right = "<think>blue</think><answer>B</answer>"
    quarter = trajectory("<think>there</think><zoom>[0, 0, 280, 280]</zoom>", right)
    half_covered = scored(quarter, [140, 0, 420, 280])
    parts = {name: half_covered[name] for name in ("coverage", "area_ratio", "accuracy", "format")}
    assert parts == {"coverage": 0.5, "area_ratio": 0.25, "accuracy": 1, "format": 1}
    assert half_covered["score"] == pytest.approx(0.5 * (1 - 0.25) + 1 + 0.5)
    assert scored(quarter, [140, 0, 420, 280], reward={"coverage": 2.0})["score"] == pytest.approx(0.75 + 1.5)
    assert scored(quarter, [0, 0, 280, 280])["score"] == pytest.approx(0.75 + 1.5)
    assert scored(quarter, [300, 300, 400, 400])["score"] == pytest.approx(1.5)

    everything = trajectory("<think>there</think><zoom>[0, 0, 560, 560]</zoom>", right)
    assert scored(everything, [140, 0, 420, 280])["score"] == pytest.approx(1.5)
    nothing = scored(trajectory("I cannot see it.", "A"), [140, 0, 420, 280])
    assert (nothing["score"], nothing["coverage"]) == (0, 0)
    unknown = scored(quarter, None)
    assert (unknown["score"], unknown["coverage"]) == (1.5, None)
    assert set(unknown) == set(nothing) == set(half_covered)
    with pytest.raises(ValueError, match="reward has no key alpha; its keys are coverage, accuracy, format"):
        scored(quarter, None, reward={"alpha": 1.0})


@pytest.mark.parametrize(
    ("section", "name", "fields", "weights"),
    [
        (METHOD, "halves", {"view_tokens": 320}, {"accuracy": 1.0, "format": 0.5}),
        (REWARD, "ergo_coverage", {"coarse_tokens": 640}, {"coverage": 2.0, "accuracy": 1.0, "format": 0.5}),
    ],
)
def test_the_documented_training_takes_it(
    section: str,
    name: str,
    fields: dict[str, int],
    weights: dict[str, float],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(install(section, name, tmp_path_factory)))
    _, _, _, recipe, *overrides = documented(section, "verl.trainer.main_ppo")
    files = ["data.train_files=a", "data.val_files=b"]
    settings = Settings.of(composed(recipe, *overrides, *files, folder=ROOT / "recipes"))
    assert settings.method.name == name
    assert asdict(settings.reward) == weights
    assert fields.items() <= asdict(settings.episode).items()


# A training source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source's package."""
    return install(SOURCE, "street_signs", tmp_path_factory)


@pytest.fixture
def signs(tmp_path: Path) -> Path:
    """A folder in which the documented command finds its files: four photos of two signs each, one sign illegible."""
    (tmp_path / "photos").mkdir()
    entry = json.loads(block("json", SOURCE))
    entries = []
    for number in range(4):
        Image.new("RGB", (1000, 500)).save(tmp_path / "photos" / f"{number}.jpg")
        photo = {**entry, "photo": f"{number}.jpg"}
        entries += [photo, {**photo, "reads": number + 20, "colour": "white", "centre": [30, 40], "size": [20, 10]}]
    entries.append({**entries[0], "reads": "???"})
    (tmp_path / "signs.jsonl").write_text("\n".join(map(json.dumps, entries)))
    return tmp_path


def converted(source: Path, signs: Path, *more: str) -> Any:
    """The documented ``ergo data``, in the folder of the signs; of options given twice the last one counts."""
    words = [str(signs / word) if (signs / word).exists() else word for word in documented(SOURCE, "ergo data")]
    return started([ERGO, "data", *words, "--out", str(signs / "out"), *more], source)


def test_a_source_becomes_rows_that_verl_reads(source: Path, signs: Path) -> None:
    done = converted(source, signs, "--validation", "2")
    assert done.returncode == 0, done.stderr
    read: dict[str, list[Row]] = {}
    for name in ("train", "validation"):
        rows = pq.read_table(signs / "out" / f"{name}.parquet").to_pylist()
        read[name] = [Row.read({**row, "raw_prompt": row["prompt"]}) for row in rows]
    assert [len(rows) for rows in read.values()] == [6, 2]
    found = {}
    for row in (*read["train"], *read["validation"]):
        assert row.data_source == "street_signs"
        assert row.image_path is not None
        assert row.target.box_source is not None
        key = (Path(row.image_path).name, row.question.full)
        found[key] = (row.target.answer, row.target.kind, row.target.box_source.as_tuple())
    blue = {(f"{number}.jpg", "What does the blue sign read?"): number for number in range(4)}
    white = {(f"{number}.jpg", "What does the white sign read?"): number for number in range(4)}
    assert found == {
        **{key: ("Museum", "text", (580, 290, 660, 330)) for key in blue},
        **{key: (str(number + 20), "number", (20, 35, 40, 45)) for key, number in white.items()},
    }
    report = json.loads((signs / "out" / "counts.json").read_text())
    assert report["source"] == "street_signs"
    assert report["dropped"] == {"illegible sign": 1}


def test_what_is_wrong_with_an_entry_is_one_sentence(source: Path, signs: Path) -> None:
    stopped = converted(source, signs, "--bad", "stop")
    assert (stopped.returncode, stopped.stdout) == (2, "")
    sentence = "signs.jsonl 8: nobody could read it. Mend it, or leave such samples out with --bad drop"
    assert stopped.stderr == f"ergo data: {sentence}\n"
    renamed = converted(source, signs, "--bad", "stop", "--columns", "photo=picture")
    assert "no column 'photo' among photo, colour, reads, centre, size" in renamed.stderr


def test_the_help_lists_a_source_that_is_installed(source: Path) -> None:
    ours = set(known_sources())
    for folder, wanted in ((source, ours | {"street_signs"}), (Path(), ours)):
        listed = re.sub(r"\s", "", started([ERGO, "data", "--help"], folder).stdout)
        assert f"whichset:{','.join((*sorted(wanted), *sft.SOURCES))}file" in listed


# A benchmark task


@pytest.fixture
def task(panels: Path, tmp_path: Path) -> Path:
    """The folder of the documented task, with real images."""
    folder = tmp_path / "small_things"
    folder.mkdir()
    (folder / "small_things.yaml").write_text(block("yaml", TASK))
    (folder / "utils.py").write_text(block("python", TASK))
    shutil.copy(panels / "test.parquet", folder)
    return folder


def evaluated(task: Path, folder: Path, **arguments: Any) -> tuple[Run, dict[str, float]]:
    """A run of stock lmms-eval on the task, and its metrics."""
    command = lmms_eval_command("ergo_hf", task, folder, model=POLICY, **arguments)
    command[command.index("--tasks") + 1] = "small_things"
    run = run_to_its_end(command, folder)
    assert run.exit_code == 0, run.log
    return run, run.results["results"]["small_things"]


def test_stock_lmms_eval_reports_the_answer_and_the_looking(task: Path, tmp_path: Path) -> None:
    run, metrics = evaluated(task, tmp_path / "zoom")
    labels = pq.read_table(task / "test.parquet", columns=["label"])["label"].to_pylist()
    right = [entry["returned"] == labels[index] for index, entry in run.by_doc.items()]
    areas = [entry["outcome"]["area_ratio"] for entry in run.entries if entry["outcome"]["area_ratio"] is not None]
    assert len(right) == 12
    assert len(areas) > 6
    assert 0 < mean(areas) < 1
    assert metrics["accuracy,none"] == pytest.approx(mean(right))
    assert metrics["crop_area,none"] == pytest.approx(mean(areas))


def test_a_model_that_does_not_look_has_no_area(task: Path, tmp_path: Path) -> None:
    _, metrics = evaluated(task, tmp_path / "single", zoom="off")
    assert 0 <= metrics["accuracy,none"] <= 1
    assert "crop_area,none" not in metrics


def test_a_plain_text_is_scored_as_well(task: Path) -> None:
    utils = loaded(task / "utils.py")
    doc = {"text": QUESTION, "label": "B"}
    assert utils.process_results(doc, ["blue"]) == {"accuracy": 1.0}
    assert utils.process_results(doc, ["A"]) == {"accuracy": 0.0}


def loaded(path: Path) -> ModuleType:
    spec = spec_from_file_location("small_things_utils", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
