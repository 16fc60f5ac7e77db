"""Operations, bytes and seconds against sums by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ergo_plugins.plan.cards import CARDS
from ergo_plugins.plan.work import Tokens, average, forward_flops, work_of
from tests.unit.plan.test_memory import RUN, SEVEN

CARD = CARDS["h100"]
WORDS = Tokens(read=500, visual=0, written=500)


def test_a_forward_pass_is_two_operations_a_weight_and_token() -> None:
    layers = 28 * SEVEN.layer_parameters + 152064 * 3584
    assert forward_flops(SEVEN, WORDS) == 2 * layers * 1000 + 2 * 28 * 3584 * 1000**2
    with_image = replace(WORDS, visual=100)
    assert forward_flops(SEVEN, with_image) - forward_flops(SEVEN, WORDS) == 2 * SEVEN.vision_parameters * 400


def test_a_step_is_four_passes_of_an_update_and_one_each_of_two_policies() -> None:
    work, once = work_of(RUN, CARD, WORDS), 1024 * forward_flops(SEVEN, WORDS)
    assert (work.update_flops, work.reckoning_flops, work.generation_flops) == (4 * once, 2 * once, once)
    assert work.update_s == pytest.approx(4 * once / (8 * 989e12 * CARD.trained_share))
    assert (work.tokens, work.generated) == (1024_000, 512_000)
    without = replace(RUN, trainer=replace(RUN.trainer, reference_tokens=0, checkpointing=False))
    assert work_of(without, CARD, WORDS).reckoning_flops == once
    assert work_of(without, CARD, WORDS).update_flops == 3 * once


def test_generation_reads_weights_once_a_step_of_all_sequences() -> None:
    few = replace(RUN, batch=replace(RUN.batch, prompts=1))  # 8 sequences on 8 replicas: one each
    work = work_of(few, CARD, WORDS)
    weights, context = 2 * 8_292_166_656, 57_344 * (500 + 250)
    assert work.read_bytes == pytest.approx(500 * (weights + context) + (2048 - 500) * weights)
    seconds = work.read_bytes / (3.35e12 * 0.5) + forward_flops(SEVEN, WORDS) / (989e12 * CARD.trained_share)
    assert work.generation_s == pytest.approx(seconds)


def test_supervised_runs_write_nothing() -> None:
    work = work_of(replace(RUN, rollout=None), CARD, Tokens(1000, 0, 0))
    assert (work.generated, work.generation_flops, work.read_bytes, work.generation_s) == (0, 0, 0, 0)


def test_an_average_sequence_has_full_images_unless_told_otherwise() -> None:
    assert average(RUN) == Tokens(read=1280 + 400, visual=1280, written=pytest.approx(2048 * 0.3))
    assert average(RUN, 0.5, 300) == Tokens(read=700, visual=300, written=1024)
