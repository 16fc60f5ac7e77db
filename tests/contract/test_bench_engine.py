"""The engine benchmark's arithmetic, and the folder of the model that it plays on a GPU; nothing here runs vLLM."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
from PIL import Image

from ergo_plugins.core.geometry import Size, VisionGrid
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Reply, Turn, play
from ergo_plugins.engines.vllm import VLLMEngine
from ergo_plugins.methods.ergo import ZoomConfig, zoom_episode
from recipes.bench import full_size
from recipes.bench.engine import Measured, work
from recipes.bench.floor import Floor, Rates, Shape, Work
from recipes.bench.forced import ForcedEngine, pointing
from recipes.bench.plays import BOX_SIDE, short_prompts

SMALL = Shape(
    layers=2,
    layer_weights=100,
    head_weights=50,
    attention_width=8,
    key_value_width=4,
    vision_layers=3,
    vision_full_layers=1,
    vision_layer_weights=10,
    vision_width=6,
    window_patches=4,
    patch_weights=5,
    merger_weights=7,
    patches_per_token=4,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_size.write(tmp_path_factory.mktemp("model") / "7b")


@pytest.fixture(scope="module")
def shape(folder: Path) -> Shape:
    return Shape.read(json.loads((folder / "config.json").read_text()))


def test_operations_by_hand() -> None:
    # 2 tokens are 8 patches: weights 5 + 3 * 10 a patch and 7 a token; each patch sees 8 in one layer and 4 in two
    assert SMALL.encode_flops(2) == 2 * (35 * 8 + 7 * 2) + 4 * 6 * 8 * (8 + 2 * 4)
    # 3 tokens after 10 see 11, 12 and 13
    assert SMALL.forward_flops(10, 3, 1) == 2 * (2 * 100 * 3 + 50) + 4 * 2 * 8 * (11 + 12 + 13)
    assert SMALL.cache_numbers(10, 3) == 2 * 2 * 4 * (11 + 12 + 13)


def test_floor_by_hand() -> None:
    floor = Floor(SMALL, Rates(flops=1000.0, bytes=100.0), number_bytes=2)
    task = Work(turns=((5, 3), (4, 2)), images=(2,))
    # turn 1: 5 prompt tokens, 3 new of which 2 are decoding steps; turn 2 stands behind all 8
    prefill = SMALL.encode_flops(2) + SMALL.forward_flops(0, 5, 1) + SMALL.forward_flops(8, 4, 1)
    decode = SMALL.forward_flops(5, 2, 2) + SMALL.forward_flops(12, 1, 1)
    read = 2 * (3 * 250 + 16 * (6 + 7) + 16 * 13)
    assert floor.latency_s(task) == pytest.approx(prefill / 1000 + read / 100)
    shared = 2 * (2 * 3 * 250 / 2 + 2 * 16 * (6 + 7 + 13))
    assert floor.seconds([task, task], at_once=2) == pytest.approx(max(2 * (prefill + decode) / 1000, shared / 100))
    assert Floor(SMALL, Rates(1.0, 1e9), 2).seconds([task], 1) == prefill + decode
    assert Floor(SMALL, Rates(1e9, 1.0), 2).seconds([task], 1) == read


def test_transformers_read_the_full_size(folder: Path, shape: Shape) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    config = AutoConfig.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    assert config.image_token_id == processor.image_token_id
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    assert sum(weights.numel() for weights in model.parameters()) == 8_292_166_656  # as the published model
    matrices = {
        name: weights.numel() for name, weights in model.named_parameters() if weights.ndim > 1 and "embed" not in name
    }
    counted = {part: sum(count for name, count in matrices.items() if part in name) for part in ("language", "visual")}
    assert shape.layers * shape.layer_weights == counted["language"]
    patches = sum(weights.numel() for name, weights in model.named_parameters() if "patch_embed" in name)
    assert shape.patch_weights == patches
    assert shape.vision_layers * shape.vision_layer_weights + shape.merger_weights == counted["visual"]
    assert shape.head_weights == matrices["lm_head.weight"]


def test_fewer_layers(tmp_path: Path) -> None:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(full_size.write(tmp_path, layers=2, vision_layers=8))
    assert (config.text_config.num_hidden_layers, len(config.text_config.layer_types)) == (2, 2)
    assert config.vision_config.fullatt_block_indexes == [7]


def test_the_box_is_made_up_and_the_tokens_are_not() -> None:
    turns: list[Turn] = []

    def ask(turn: Turn) -> Reply:
        turns.append(turn)
        return Reply("anything", prompt_tokens=100, new_tokens=10)

    config = ZoomConfig(coarse_tokens=640, crop_tokens=640, prompts=short_prompts())
    image = Image.new("RGB", (2246, 1582))
    episode = zoom_episode(image, split_question("Which?\n(A) a\n(B) b"), config, VisionGrid())
    outcome = play(pointing(episode, (0.5, 0.25), BOX_SIDE), ask)
    assert not any(turn.stop for turn in turns)
    assert outcome.values["box_view"] == [420, 147, 672, 323]  # of the view's 840x588
    assert 1000 <= outcome.visual_tokens <= 1050


def test_what_a_sample_asked_for() -> None:
    look = TurnRecord(
        "look", (Shown(None, Size(56, 56), 4),), "", "length", prompt_tokens=50, cached_tokens=0, new_tokens=15
    )
    answer = TurnRecord(
        "answer", (Shown(None, Size(84, 56), 6),), "", "length", prompt_tokens=100, cached_tokens=48, new_tokens=5
    )
    outcome = Outcome("ergo", turns=(look, answer), seconds=2.0)
    assert work(outcome) == Work(turns=((50, 15), (35, 5)), images=(4, 6))
    found = Measured(alone=(outcome, outcome), together=(outcome,), rate=1.0)
    assert found.prompt_tokens == (102, 150)
    assert found.first_turn_cached(block_tokens=16) == (48, 64)
    assert found.first_turn_cached(block_tokens=32) == (48, 64)
    assert (found.latency_s(50), found.latency_s(95)) == (2.0, 2.0)


def test_the_forced_engine_takes_all_that_the_engine_hands_over() -> None:
    handed = inspect.signature(VLLMEngine.reply_to).parameters
    for name, parameter in handed.items():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            inspect.signature(ForcedEngine.reply_to).bind(None, [], [], None, **{name: None})
