"""The recipes of a cold start against the configuration of verl's own trainer of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import verl.trainer.config
from omegaconf import DictConfig, OmegaConf
from verl.utils.config import omega_conf_to_dataclass

from tests.contract.verl_parts import ROOT, composed

RECIPES = sorted(path for path in ROOT.glob("recipes/*.yaml") if "sft_trainer_engine" in path.read_text())
recipes = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)


def filled(recipe: Path) -> DictConfig:
    return composed(recipe.stem, "data.train_files=a", folder=recipe.parent)


def test_there_are_recipes() -> None:
    assert {path.stem for path in RECIPES} == {"sft_egm_8b", "sft_tool_zoom_7b"}


@recipes
def test_no_key_is_misspelt(recipe: Path) -> None:
    base = composed("sft_trainer_engine", folder=Path(verl.trainer.config.__path__[0]))
    OmegaConf.set_struct(base, True)
    own = OmegaConf.load(recipe)
    own.pop("defaults")
    OmegaConf.merge(base, own)


@recipes
def test_verl_accepts_it(recipe: Path) -> None:
    config = filled(recipe)
    for part in ("engine", "optim", "checkpoint"):
        omega_conf_to_dataclass(OmegaConf.select(config, part))
    assert config.data.pad_mode == "no_padding"
    assert config.data.truncation == "error"
    assert not config.data.ignore_input_ids_mismatch
    assert config.data.max_token_len_per_gpu >= config.data.max_length, (
        "a row of the greatest length would fit no batch"
    )


def test_the_template_in_the_recipe_is_the_one_the_rows_are_checked_with() -> None:
    given = filled(ROOT / "recipes/sft_egm_8b.yaml").model.custom_chat_template
    assert given == (ROOT / "recipes/plain_chat.jinja").read_text().rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        ("sft_nothing", {}, "There is no recipes/sft_nothing.yaml"),
        ("sft_egm_8b", {"DATA": "/nowhere"}, "DATA=/nowhere has no train.parquet"),
    ],
)
def test_the_script_refuses_with_a_sentence(arguments: str, environment: dict[str, str], sentence: str) -> None:
    refused = subprocess.run(
        ["bash", "recipes/sft.sh", *arguments.split()],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert sentence in refused.stderr
