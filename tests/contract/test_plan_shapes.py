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
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
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
    tower |= {"num_position_embeddings": shape.vision.positions}
    if shape.recurrent:
        inner = shape.recurrent
        text |= {
            "linear_num_key_heads": inner.key_heads,
            "linear_num_value_heads": inner.value_heads,
            "linear_key_head_dim": inner.head_dim,
            "linear_value_head_dim": inner.head_dim,
            "linear_conv_kernel_dim": inner.kernel,
        }
        return Qwen3_5ForConditionalGeneration(
            Qwen3_5Config(text_config=text, vision_config=tower, tie_word_embeddings=shape.tied)
        )
    tower |= {"deepstack_visual_indexes": list(range(shape.vision.deepstack))}
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


def test_a_quantized_checkpoint_is_served_in_fewer_bytes() -> None:
    whole, small = shape_of("Qwen/Qwen2.5-VL-72B-Instruct"), shape_of("Qwen/Qwen2.5-VL-72B-Instruct-AWQ")
    assert whole.served_bytes == 2 * whole.parameters == 2 * small.parameters
    assert 0.27 < small.served_bytes / whole.served_bytes < 0.35, "its embeddings and its tower stay as they were"
    given = {"model_type": "qwen2", "quantization_config": {"bits": 4}, "num_attention_heads": 2, "hidden_size": 8}
    rest = dict.fromkeys(("num_hidden_layers", "num_key_value_heads", "intermediate_size", "vocab_size"), 2)
    assert shape_read(given | rest, "own").layer_bits == small.layer_bits < 16
