"""Whose coordinates a server's model writes: asked of the server, read off names, and never taken for another's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ergo_plugins import open_model
from ergo_plugins.engines.openai import OpenAIEngine
from ergo_plugins.engines.served_grid import GRIDS
from tests.e2e.scripted_server import serving

QWEN2_5, QWEN3 = GRIDS["qwen2.5-vl"], GRIDS["qwen3-vl"]
BOX = "<zoom>[500, 0, 1000, 500]</zoom>"


def replies(body: dict[str, Any], _number: int) -> tuple[int, str]:
    is_first = not any(message["role"] == "assistant" for message in body["messages"])
    return 200, BOX if is_first else "<answer>B</answer>"


def grid_of(model: str, models: Sequence[dict[str, Any]] | None = None, **options: Any) -> Any:
    """The grid of an engine for a served model."""
    with serving(replies, models=None if models is None else list(models)) as server:
        engine = OpenAIEngine(model, base_url=server.base_url, **options)
        engine.close()
        return engine.grid


def folder_of(model_type: str, path: Path) -> str:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": model_type}))
    return str(path)


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("Qwen/Qwen3-VL-8B-Instruct", QWEN3),
        ("qwen3_vl", QWEN3),
        ("my.QWEN3VL.awq", QWEN3),
        ("qwen-3-vl-plus", QWEN3),
        ("Qwen/Qwen2.5-VL-7B-Instruct", QWEN2_5),
        ("qwen2_5_vl_7b", QWEN2_5),
        ("qwen2-5-vl", QWEN2_5),
        ("QWEN25VL", QWEN2_5),
    ],
)
def test_a_name_tells(name: str, grid: Any) -> None:
    assert grid_of(name) == grid


@pytest.mark.parametrize("root", ["Qwen/Qwen3-VL-8B-Instruct", "/weights/qwen3-vl-8b"])
def test_the_server_says_what_it_serves_under_another_name(root: str) -> None:
    assert grid_of("m", [{"id": "other", "root": "Qwen/Qwen2.5-VL-7B"}, {"id": "m", "root": root}]) == QWEN3


@pytest.mark.parametrize(("kind", "grid"), [("qwen3_vl_moe", QWEN3), ("qwen3_vl", QWEN3), ("qwen2_5_vl", QWEN2_5)])
def test_a_local_folders_configuration_tells_before_any_name(kind: str, grid: Any, tmp_path: Path) -> None:
    root = folder_of(kind, tmp_path / "like-qwen3-vl-but-qwen2.5-vl")
    assert grid_of("policy", [{"id": "policy", "root": root}]) == grid
    assert grid_of("qwen3-vl-student", [{"id": "qwen3-vl-student", "root": root}]) == grid


def test_an_adapter_is_what_it_stands_on(tmp_path: Path) -> None:
    root = folder_of("qwen3_vl", tmp_path / "base")
    models = [{"id": "base", "root": root}, {"id": "tuned", "root": "/adapters/tuned", "parent": "base"}]
    assert grid_of("tuned", models) == QWEN3


@pytest.mark.parametrize("models", [None, [], [{"id": "m"}], [{"id": "m", "root": "m"}]], ids=str)
def test_where_nothing_tells_nothing_is_guessed(models: list[dict[str, Any]] | None) -> None:
    with pytest.raises(ValueError, match=r"the name m tells .* give grid=qwen2\.5-vl or grid=qwen3-vl, or processor="):
        grid_of("m", models)
    assert grid_of("m", models, grid="qwen3-vl") == QWEN3


def test_a_server_that_is_down_and_one_with_other_models_are_told_from_a_silent_one() -> None:
    with pytest.raises(ValueError, match=r"writes coordinates \(the server has policy, judge\); give"):
        grid_of("m", [{"id": "policy"}, {"id": "judge"}])
    with pytest.raises(ValueError, match=r"writes coordinates; give"):
        grid_of("m", [{"id": "m"}])
    with serving(replies) as server:
        gone = server.base_url
    with pytest.raises(ValueError, match=rf"writes coordinates \(nothing answers at {gone}\); give"):
        OpenAIEngine("m", base_url=gone)


def test_a_name_of_both_tells_nothing() -> None:
    with pytest.raises(ValueError, match="neither the server nor the name"):
        grid_of("qwen2.5-vl-taught-by-qwen3-vl")


def test_a_contradiction_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"grid=qwen2\.5-vl contradicts Qwen3-VL-8B, which is a qwen3-vl"):
        grid_of("Qwen3-VL-8B", grid="qwen2.5-vl")
    root = folder_of("qwen3_vl", tmp_path / "weights")
    with pytest.raises(ValueError, match=r"grid=qwen2\.5-vl contradicts .*weights/config\.json, which is a qwen3-vl"):
        grid_of("m", [{"id": "m", "root": root}], grid="qwen2.5-vl")
    with pytest.raises(ValueError, match="grid is one of"):
        grid_of("m", grid="qwen4-vl")


def test_another_models_processor_is_refused(qwen_processor: Path) -> None:
    assert grid_of("m", processor=str(qwen_processor)).coordinates == "absolute"
    with pytest.raises(ValueError, match=r"processor=.* contradicts Qwen3-VL-8B, which is a qwen3-vl"):
        grid_of("Qwen3-VL-8B", processor=str(qwen_processor))
    with pytest.raises(ValueError, match="tells the grid already; leave grid=qwen3-vl out"):
        grid_of("m", processor=str(qwen_processor), grid="qwen3-vl")


def test_a_providers_grid_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    assert grid_of("gemini-3-pro", api="gemini").factor == 32
    with pytest.raises(ValueError, match="api=gemini tells the grid already"):
        grid_of("gemini-3-pro", api="gemini", grid="qwen3-vl")


def test_a_box_lies_where_the_served_family_means_it() -> None:
    """The same reply of a served Qwen3-VL and of a Qwen2.5-VL, each found out from the server."""
    found = {}
    for root in ("Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct"):
        with serving(replies, models=[{"id": "m", "root": root}]) as server:
            options = {"base_url": server.base_url, "coarse_tokens": 1024}
            with open_model("m", engine="openai", **options) as model:
                outcome = model.ask(Image.new("RGB", (2000, 1000)), "What?").outcome
                found[root] = [round(x) for x in (outcome.box_source or pytest.fail("no box")).as_tuple()]
    thousandths, pixels = found.values()
    assert thousandths == [1000, 0, 2000, 500]
    assert pixels != thousandths
