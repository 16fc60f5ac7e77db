"""Qwen3-VL: factor 32 and coordinates in thousandths, chosen from the processor, on a real model of that family."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import (
    AutoProcessor,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from ergo_plugins.core.geometry import Box, VisionGrid
from ergo_plugins.core.questions import split_question
from ergo_plugins.engines import open_engine
from ergo_plugins.methods.ergo import ZoomConfig, zoom_episode
from tests.e2e.lmms_runs import POLICY
from tests.e2e.scripted_server import serving

GRID = VisionGrid(factor=32, coordinates="relative", min_tokens=4, max_tokens=4096)
CONFIG = ZoomConfig(coarse_tokens=64, crop_tokens=32, zoom_new_tokens=5, answer_new_tokens=5)
QUESTION = split_question("What is it?")


@pytest.fixture(scope="module")
def qwen3_vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random Qwen3-VL of a few thousand parameters, and the policy's tokenizer."""
    folder = tmp_path_factory.mktemp("qwen3_vl")
    policy = AutoProcessor.from_pretrained(POLICY)
    token = policy.tokenizer.convert_tokens_to_ids
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(policy.tokenizer) + 64,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "mrope_section": [6, 5, 5],
                "rope_theta": 1e4,
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 64,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = token("<|im_end|>")
    model.save_pretrained(folder)
    images = Qwen2VLImageProcessor(patch_size=16, merge_size=2, min_pixels=4 * 32 * 32, max_pixels=4096 * 32 * 32)
    Qwen3VLProcessor(
        image_processor=images,
        tokenizer=policy.tokenizer,
        video_processor=Qwen3VLVideoProcessor(),
        chat_template=policy.chat_template,
    ).save_pretrained(folder)
    return folder


def test_the_model_sees_what_the_grid_says(qwen3_vl: Path) -> None:
    """transformers raises if the placeholders in the prompt are not as many as the image features."""
    engine = open_engine("hf", model=str(qwen3_vl), device="cpu")
    assert engine.grid == GRID
    image = Image.new("RGB", (2000, 1500), "red")
    outcome = engine.play_one(lambda: zoom_episode(image, QUESTION, CONFIG, engine.grid))
    look, answer = outcome.turns
    assert (look.view.width % 32, look.view.height % 32) == (0, 0)
    assert look.visual_tokens <= 64
    assert answer.visual_tokens <= 32
    assert answer.prompt_tokens is not None
    assert look.prompt_tokens is not None
    assert answer.prompt_tokens > look.prompt_tokens + answer.visual_tokens


def test_thousandths_name_the_same_part_whatever_the_view(qwen3_vl: Path) -> None:
    replies = ["<think>t</think><zoom>[250, 500, 500, 1000]</zoom>", "<think>t</think><answer>x</answer>"]
    with serving(lambda body, number: (200, replies[number])) as server:
        engine = open_engine("openai", model="m", base_url=server.base_url, processor=str(qwen3_vl))
        image = Image.new("RGB", (2000, 1500), "red")
        outcome = engine.play_one(lambda: zoom_episode(image, QUESTION, CONFIG, engine.grid))
        engine.close()
    assert outcome.box_source == Box(500, 750, 1000, 1500)
    assert "thousandths" in server.requests[0]["messages"][1]["content"][1]["text"]
