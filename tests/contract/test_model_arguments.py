"""``--model_args``: every known one arrives where it belongs, an unknown or unfit one is refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ergo_plugins.lmms_plugin.arguments import engine_options, read_arguments
from ergo_plugins.lmms_plugin.values import WrongArgument
from ergo_plugins.methods.ergo import ZoomConfig


def test_defaults_are_those_of_the_configuration() -> None:
    arguments = read_arguments("hf", {"model": "folder"})
    assert arguments.config == ZoomConfig()
    assert (arguments.config.coarse_tokens, arguments.config.crop_tokens) == (640, 640)
    assert (arguments.config.zoom_new_tokens, arguments.config.answer_new_tokens) == (1024, 1024)
    assert arguments.engine == {"model": "folder"}
    assert arguments.journal is None


def test_arguments_arrive_where_they_belong(tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.yaml"
    prompts.write_text('look: "Where? {question}"\n')
    arguments = read_arguments(
        "openai",
        {
            "pretrained": "served",
            "base_url": "http://127.0.0.1:8000/v1",
            "coarse_tokens": "320",
            "crop_tokens": 160,
            "stage1_question": "full",
            "zoom": "on",
            "resample": "box",
            "min_crop_side": 56,
            "max_crop_aspect": "4",
            "prompts": str(prompts),
            "journal": "runs/j.jsonl",
            "previews": 0,
            "seed": 7,
            "concurrency": 3,
        },
    )
    zoom = arguments.config
    assert arguments.method.name == "ergo"
    assert (zoom.coarse_tokens, zoom.crop_tokens, zoom.stage1_question) == (320, 160, "full")
    assert (zoom.zoom, zoom.resample, zoom.prompts.look) == ("on", "box", "Where? {question}")
    assert (zoom.crop.min_side_px, zoom.crop.max_aspect) == (56, 4.0)
    assert (arguments.journal, arguments.previews) == ("runs/j.jsonl", 0)
    assert arguments.engine == {
        "model": "served",
        "base_url": "http://127.0.0.1:8000/v1",
        "seed": 7,
        "concurrency": 3,
    }


@pytest.mark.parametrize("off", ["off", False])
def test_a_zoom_that_is_off_is_the_single_pass(off: Any) -> None:
    given = {"model": "m", "zoom": off, "coarse_tokens": 16384, "answer_new_tokens": 7}
    old = read_arguments("hf", given)
    new = read_arguments("hf", {"model": "m", "method": "single_pass", "coarse_tokens": 16384, "answer_new_tokens": 7})
    assert (old.method, old.config) == (new.method, new.config)
    assert old.method.name == "single_pass"


def test_an_argument_of_another_method_is_refused_by_name() -> None:
    with pytest.raises(WrongArgument, match=r"no argument crop_tokens; .*method=single_pass, one of .*ergo"):
        read_arguments("hf", {"model": "m", "method": "single_pass", "crop_tokens": 640})
    with pytest.raises(WrongArgument, match=r"no method 'nonsense'; known are .*ergo, .*single_pass"):
        read_arguments("hf", {"model": "m", "method": "nonsense"})


def test_vllm_takes_its_own_engine_arguments() -> None:
    arguments = read_arguments("vllm", {"model": "m", "tensor_parallel_size": 4, "hf_overrides": '{"a": [1, 2]}'})
    assert arguments.engine == {"model": "m", "tensor_parallel_size": 4, "hf_overrides": {"a": [1, 2]}}


@pytest.mark.parametrize("engine", ["hf", "vllm", "openai"])
def test_every_engine_has_the_common_options(engine: str) -> None:
    assert {"model", "concurrency", "seed", "temperature", "trust_remote_code"} <= engine_options(engine)


@pytest.mark.parametrize(
    ("engine", "given", "said"),
    [
        ("hf", {"model": "m", "coarse_token": 640}, "ergo_hf has no argument coarse_token; known are .*coarse_tokens"),
        ("vllm", {"model": "m", "tensor_paralel_size": 2}, "tensor_paralel_size; known are .*tensor_parallel_size"),
        ("hf", {"model": "m", "base_url": "x"}, "ergo_hf has no argument base_url"),
        ("hf", {}, "needs model="),
        ("hf", {"model": "m", "pretrained": "m"}, "the same argument"),
        ("hf", {"model": "m", "coarse_tokens": "many"}, "coarse_tokens is a whole number, got 'many'"),
        ("hf", {"model": "m", "coarse_tokens": 0}, "coarse_tokens is at least 1, got 0"),
        ("hf", {"model": "m", "zoom": "maybe"}, "zoom is one of on, off, got 'maybe'"),
        ("hf", {"model": "m", "resample": "nearest"}, "resample is one of bicubic"),
        ("vllm", {"model": "m", "hf_overrides": "{broken"}, "hf_overrides looks like JSON and is not"),
    ],
)
def test_a_wrong_argument_is_refused(engine: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_arguments(engine, given)


def test_a_missing_prompts_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        read_arguments("hf", {"model": "m", "prompts": "nowhere.yaml"})


def test_a_preset_is_its_method_and_no_other() -> None:
    assert read_arguments("hf", {"model": "m"}, preset="egm").method.name == "egm"
    assert read_arguments("hf", {"model": "m", "method": "egm"}, preset="egm").method.name == "egm"
    with pytest.raises(WrongArgument, match="egm_hf is for method=egm; ergo_hf takes any"):
        read_arguments("hf", {"model": "m", "method": "ergo"}, preset="egm")
