"""What a machine lacks, on machines that are made up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import omegaconf
import pytest

from ergo_plugins.plan.machine import Lack, Machine, lacks
from ergo_plugins.plan.runs import Run
from tests.unit.plan.test_memory import RUN

LARGE = Machine((79.1,) * 8, 500.0, lambda _folder: 1000.0, lambda _name: True, lambda _url: "")
NOWHERE = {"train_files": "???", "val_files": "???"}


def found(
    run: Run, machine: Machine, environment: Mapping[str, str], data: Mapping[str, object] = NOWHERE
) -> list[Lack]:
    return lacks(run, omegaconf.OmegaConf.create({"data": data}), machine, environment)


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    for name in ("train.parquet", "validation.parquet", "model.safetensors"):
        (tmp_path / name).touch()
    return {"DATA": str(tmp_path), "MODEL": str(tmp_path), "OUT": str(tmp_path / "not/yet/there")}


def test_nothing_is_missing_where_all_is_there(given: dict[str, str]) -> None:
    assert found(RUN, LARGE, given) == []


def test_all_that_is_missing_is_named() -> None:
    bare = Machine((), 16.0, lambda _folder: 10.0, lambda name: name == "verl", lambda _url: "nobody answers")
    run = replace(RUN, judge_urls=("http://a/v1",), model="somebody/else")
    lacking = found(run, bare, {})
    assert [one.name for one in lacking] == [
        *("package", "package", "package"),
        *("GPUs", "memory", "disk", "model", "rows", "rows", "judge"),
    ]
    said = {one.name: one.said for one in lacking}
    assert said["GPUs"] == "0 here, 8 wanted (8 that learn)"
    assert said["memory"].startswith("16 GiB here, up to 118 wanted")
    assert said["disk"].endswith(", 278 wanted")
    assert said["judge"] == "http://a/v1: nobody answers"


def test_cards_that_are_too_small_have_the_setting(given: dict[str, str]) -> None:
    (lack,) = found(RUN, replace(LARGE, cards=(39.4,) * 8), given)
    assert lack.name == "GPU memory"
    assert "offload_policy=True" in lack.fix


def test_judges_of_the_environment_are_asked_instead(given: dict[str, str]) -> None:
    asked: list[str] = []
    machine = replace(LARGE, answers=lambda url: asked.append(url) or "")  # type: ignore[func-returns-value]
    run = replace(RUN, judge_urls=("http://a/v1",))
    assert found(run, machine, {**given, "JUDGE_URL": "http://b/v1,http://c/v1"}) == []
    assert asked == ["http://b/v1", "http://c/v1"]


def test_rows_of_the_configuration_are_looked_for(given: dict[str, str], tmp_path: Path) -> None:
    rows = {"train_files": [str(tmp_path / "train.parquet"), "/nowhere.parquet"], "val_files": None}
    (lack,) = found(RUN, LARGE, {**given, "DATA": ""}, rows)
    assert lack.said == "there is no /nowhere.parquet"


def test_a_run_on_a_cpu_needs_no_gpu(given: dict[str, str]) -> None:
    bare = replace(LARGE, cards=(), has_package=lambda name: name in ("verl", "ray"))
    assert found(replace(RUN, on_cpu=True), bare, given) == []
