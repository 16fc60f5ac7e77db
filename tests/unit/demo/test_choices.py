"""What a page offers, read from a yaml: paths from its folder, models not there yet, and errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from ergo_plugins.demo.choices import Example, Missing, Models, choices_for, read_choices
from ergo_plugins.engines.scripted import ScriptedEngine
from ergo_plugins.methods import method_named
from ergo_plugins.python_api import configured
from ergo_plugins.usage import CommandError

RECIPES = Path(__file__).resolve().parents[3] / "recipes"


def written(folder: Path, *entries: dict[str, Any]) -> Path:
    path = folder / "choices.yaml"
    path.write_text(yaml.safe_dump(list(entries)))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "pictures/images").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures/images/a.png")
    (tmp_path / "pictures/questions.jsonl").write_text('{"image": "a.png", "question": "What?", "answer": "B"}\n')
    (tmp_path / "words.yaml").write_text("direct: '{question}'\n")
    return tmp_path


def test_paths_are_meant_from_the_folder_of_the_file(folder: Path) -> None:
    entry = {
        "name": "one",
        "model": "model",
        "method": "ergo",
        "options": {"prompts": "words.yaml", "coarse_tokens": 16},
    }
    path = written(
        folder, {**entry, "examples": "pictures/questions.jsonl", "baseline": None}, {**entry, "model": "hub/id"}
    )
    (one, other), missing = read_choices(path)
    assert one.model == str(folder / "model")
    assert one.options == {"prompts": str(folder / "words.yaml"), "coarse_tokens": 16}
    assert one.examples == (Example(folder / "pictures/images/a.png", "What?", "B"),)
    assert one.baseline is None
    assert (other.model, other.baseline, missing) == ("hub/id", {}, [])


def test_a_model_that_is_not_there_yet(folder: Path) -> None:
    path = written(folder, {"name": "later", "model": "not/there", "method": "ergo", "made_by": "bash it.sh"})
    assert read_choices(path) == ([], [Missing("later", "bash it.sh")])


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"model": "model", "method": "ergo"}, "has no name"),
        (
            {"name": "one", "model": "model", "method": "ergo", "colour": 1},
            "says 'colour' of a choice; known are baseline",
        ),
        ({"name": "one", "model": "model", "method": "ergo", "examples": "none.jsonl"}, "cannot read the examples of"),
    ],
)
def test_what_is_wrong_is_a_sentence(folder: Path, entry: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        read_choices(written(folder, entry))


def test_no_list_and_no_file(folder: Path) -> None:
    (folder / "choices.yaml").write_text("name: one\n")
    with pytest.raises(CommandError, match="is no list of choices"):
        read_choices(folder / "choices.yaml")
    with pytest.raises(CommandError, match="cannot read the choices"):
        read_choices(folder / "none.yaml")


def test_the_pictures_of_an_example_have_to_be_there(folder: Path) -> None:
    (folder / "pictures/images/a.png").unlink()
    entry = {"name": "one", "model": "model", "method": "ergo", "examples": "pictures/questions.jsonl"}
    with pytest.raises(CommandError, match=r"there is no picture a\.png"):
        read_choices(written(folder, entry))


def test_an_engine_is_opened_once_for_all_that_ask_it_alike() -> None:
    opened: list[dict[str, Any]] = []

    def opens(name: str, **options: Any) -> ScriptedEngine:
        opened.append({"name": name, **options})
        return ScriptedEngine(lambda *_: "<answer>B</answer>")

    server = {"base_url": "http://127.0.0.1:1/v1"}
    choices = choices_for("m", "openai", ["ergo", "single_pass"], server, 4096)
    models = Models(choices, opens)
    ergo, single = models.of(choices[0]), models.baseline_of(choices[0])
    assert single is not None
    assert (ergo.method.name, single.method.name, single.config.coarse_tokens) == ("ergo", "single_pass", 4096)
    assert models.baseline_of(choices[1]) is None
    models.of(choices[1])
    assert opened == [{"name": "openai", "model": "m", **server}]


def test_vllm_is_told_of_the_images_that_a_method_shows() -> None:
    opened: list[dict[str, Any]] = []

    def opens(name: str, **options: Any) -> ScriptedEngine:
        opened.append(options)
        return ScriptedEngine(lambda *_: "")

    choices = choices_for("m", "vllm", ["ergo", "tool_zoom", "egm"], {}, 4096)
    models = Models(choices, opens)
    for choice in choices:
        models.of(choice)
        models.baseline_of(choice)
    images = [options["limit_mm_per_prompt"]["image"] for options in opened]
    assert images == [method_named("tool_zoom").images]


def test_the_shipped_file_is_sound(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entries = yaml.safe_load((RECIPES / "tiny/demo.yaml").read_text())
    for entry in entries:
        entry.pop("examples")
    (tmp_path / "tiny").symlink_to(RECIPES / "tiny")
    shipped = {folder.parent.name for folder in (RECIPES / "tiny").glob("*policy*/config.json")}
    for name in (*shipped, "prompts.yaml"):
        (tmp_path / name).symlink_to(RECIPES / "tiny" / name)
    choices, missing = read_choices(written(tmp_path, *entries))
    assert {choice.method for choice in choices} == {"ergo", "visionthink", "egm", "tool_zoom"}
    for choice in choices:
        configured(
            method_named(choice.method), {**choice.options, "prompts": RECIPES / "tiny" / choice.options["prompts"]}
        )
    assert {one.made_by.split()[1] for one in missing} == {
        "recipes/quickstart.sh",
        *(f"recipes/tiny/train_{name}.sh" for name in ("visionthink", "egm", "tool_zoom")),
    }
    for one in missing:
        assert (RECIPES.parent / one.made_by.split()[1]).is_file()
