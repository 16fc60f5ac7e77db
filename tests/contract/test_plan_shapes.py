"""Sizes against transformers: the model is built without memory and its parameters counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from ergo_plugins.plan.shapes import KNOWN, Shape, shape_of, shape_read
from tests.contract.verl_parts import ROOT


def parameters(model: Any) -> int:
    return sum(weight.numel() for weight in model.parameters())


def built(shape: Shape) -> Any:
    text = {
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "intermediate_size": shape.intermediate,
        "vocab_size": shape.vocab,
        "tie_word_embeddings": shape.tied,
    }
    if shape.vision is None:
        return Qwen2ForCausalLM(Qwen2Config(**text))
    tower = {
        "depth": shape.vision.depth,
        "hidden_size": shape.vision.hidden,
        "intermediate_size": shape.vision.intermediate,
        "num_heads": 16,
        "patch_size": shape.vision.patch_px,
        "out_hidden_size": shape.hidden,
    }
    if shape.family == "qwen2_5_vl":
        return Qwen2_5_VLForConditionalGeneration(
            Qwen2_5_VLConfig(text_config=text, vision_config=tower, tie_word_embeddings=shape.tied)
        )
    tower |= {
        "num_position_embeddings": shape.vision.positions,
        "deepstack_visual_indexes": list(range(shape.vision.deepstack)),
    }
    return Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(text_config=text, vision_config=tower, tie_word_embeddings=shape.tied)
    )


@pytest.mark.parametrize("shape", KNOWN, ids=lambda shape: shape.name)
def test_parameters_are_those_of_the_built_model(shape: Shape) -> None:
    with torch.device("meta"):
        model = built(shape)
    model.tie_weights()
    assert shape.parameters == parameters(model)
    assert shape_read(json.loads(model.config.to_json_string(use_diff=False)), shape.name) == shape


@pytest.mark.parametrize("name", ["policy", "egm_policy_qwen2_5", "egm_policy_qwen3", "visionthink_policy"])
def test_parameters_are_those_of_the_weights_on_disk(name: str) -> None:
    folder = ROOT / "recipes/tiny" / name
    weights = (folder / "model.safetensors").read_bytes()
    header = int.from_bytes(weights[:8], "little") + 8
    tensors = [one for key, one in json.loads(weights[8:header]).items() if key != "__metadata__"]
    value_bytes = {"F32": 4, "BF16": 2}[tensors[0]["dtype"]]
    assert {one["dtype"] for one in tensors} == {tensors[0]["dtype"]}
    assert shape_of(str(folder)).parameters * value_bytes == len(weights) - header
