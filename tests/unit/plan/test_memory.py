"""Memory, host and disk against sums by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ergo_plugins.methods.base import Budget
from ergo_plugins.plan.cards import CARDS
from ergo_plugins.plan.host import checkpoint_parts, disk_gib, host_parts, total
from ergo_plugins.plan.memory import GIB, Phase, cache, learnt_parameters, phases, visual_share
from ergo_plugins.plan.runs import Batch, Rollout, Run, Trainer
from ergo_plugins.plan.shapes import shape_known

SEVEN = shape_known("Qwen2.5-VL-7B")
RUN = Run(
    name="by hand",
    model="Qwen/Qwen2.5-VL-7B-Instruct",
    shape=SEVEN,
    nodes=1,
    gpus_per_node=8,
    batch=Batch(128, 8, 64, 2048, 3072),
    trainer=Trainer(16384, 32768, 32768),
    rollout=Rollout(1, 0.6, 6144, 256, 16384, bucket_bytes=4 << 30),
    budget=Budget(640, 640, 2048, 2),
)


def parts(phase: Phase) -> dict[str, float]:
    return {part.name: part.gib for part in phase.parts}


def test_the_phases_of_seven_billion_on_eight_gpus() -> None:
    rollout, reckoning, update = phases(RUN, 79.1)
    assert [rollout.name, reckoning.name, update.name] == ["rollout", "log-probabilities", "update"]
    shard = 8_292_166_656 * 4 / 8 / GIB  # 3.86
    assert parts(rollout)["weights"] == pytest.approx(shard)
    assert parts(rollout)["optimizer"] == pytest.approx(2 * shard)
    assert parts(rollout)["vLLM"] == pytest.approx(0.6 * 79.1)
    assert "gradients" not in parts(rollout)
    assert parts(update)["gradients"] == pytest.approx(shard)
    assert parts(update)["logits"] == pytest.approx(16384 * 152064 * 2 / GIB)  # 4.64
    assert parts(reckoning)["logits"] == pytest.approx(32768 * 152064 * 2 / GIB)  # 9.28
    assert parts(update)["whole gradient"] == pytest.approx(6 * 152064 * 3584 / GIB)
    patches = 16384 * 1280 / (1280 + 2 * 128) * 4
    assert parts(update)["layer inputs"] == pytest.approx(2 * (16384 * 3584 * 28 + patches * 1280 * 32) / GIB)
    assert update.gib == pytest.approx(sum(parts(update).values()))


def test_what_is_moved_to_the_host_is_not_there_while_vllm_writes() -> None:
    moved = replace(RUN, trainer=replace(RUN.trainer, moves_weights=True, moves_optimizer=True))
    rollout, reckoning, update = map(parts, phases(moved, 79.1))
    assert {"weights", "optimizer"} & set(rollout) == set()
    assert set(reckoning) & {"weights", "optimizer"} == {"weights"}
    assert {"weights", "gradients", "optimizer"} <= set(update), "verl brings all back for an update"
    on_host = replace(RUN, trainer=replace(RUN.trainer, keeps_on_host=True))
    assert all({"weights", "gradients", "optimizer"} & set(parts(one)) == set() for one in phases(on_host, 79.1))


def test_more_gpus_more_splits_and_no_checkpointing() -> None:
    def update(run: Run) -> dict[str, float]:
        return parts(phases(run, 79.1)[-1])

    assert update(replace(RUN, nodes=2))["weights"] == pytest.approx(update(RUN)["weights"] / 2)
    split = replace(RUN, trainer=replace(RUN.trainer, split=2))
    assert update(split)["logits"] == pytest.approx(update(RUN)["logits"] / 2)
    kept = replace(RUN, trainer=replace(RUN.trainer, checkpointing=False))
    assert update(kept)["activations"] == pytest.approx(28 * update(RUN)["inside a layer"])
    awake = replace(RUN, rollout=replace(RUN.rollout, sleeps=False))  # type: ignore[type-var]
    assert update(awake)["vLLM awake"] == pytest.approx(0.6 * 79.1)


def test_lora_learns_two_thin_matrices_a_layer() -> None:
    thin = replace(RUN, trainer=replace(RUN.trainer, lora_rank=64))
    queries, keys, values, out = (3584 + 3584), (3584 + 512), (3584 + 512), (3584 + 3584)
    by_hand = 28 * 64 * (queries + keys + values + out + 3 * (3584 + 18944))
    assert learnt_parameters(thin) == by_hand
    update = parts(phases(thin, 79.1)[-1])
    assert update["optimizer"] == pytest.approx(by_hand * 8 / 8 / GIB)
    assert "whole gradient" not in update
    assert "reference" not in {part.name for part in host_parts(thin)}


def test_the_cache_is_what_weights_leave() -> None:
    assert RUN.rollout
    assert SEVEN.kv_bytes_per_token() == 57_344  # 2 x 28 layers x 4 heads x 128 x 2 B
    room = cache(SEVEN, RUN.rollout, 79.1)
    assert room.weights_gib == pytest.approx(8_292_166_656 * 2 / GIB)
    assert room.gib == pytest.approx(0.6 * 79.1 - room.weights_gib - room.working_gib)
    assert room.tokens == int(room.gib * GIB / 57_344)
    assert cache(SEVEN, replace(RUN.rollout, utilization=0.1), 79.1).tokens == 0
    halved = cache(SEVEN, replace(RUN.rollout, tensor_parallel=2), 79.1)
    assert halved.weights_gib == pytest.approx(room.weights_gib / 2)
    assert halved.tokens > 2 * room.tokens


def test_a_supervised_run_has_one_phase() -> None:
    (update,) = phases(replace(RUN, rollout=None), 79.1)
    assert "vLLM asleep" not in parts(update)


def test_images_are_as_dense_as_short_replies_allow() -> None:
    assert visual_share(RUN) == pytest.approx(1280 / 1536)
    assert visual_share(replace(RUN, budget=None)) == 0


def test_host_and_disk() -> None:
    host = {part.name: part.gib for part in host_parts(RUN, visual_tokens=1280)}
    assert host["reference"] == pytest.approx(8_292_166_656 * 4 / GIB)
    assert host["pixels of a step"] == pytest.approx(1024 * 1280 * 4 * 3 * 2 * 14 * 14 * 4 / GIB)  # 24 MB each
    assert host["processes"] == 64
    one = total(checkpoint_parts(RUN))
    assert one == pytest.approx(8_292_166_656 * 12 / GIB)
    assert disk_gib(RUN) == pytest.approx(3 * one)
    assert disk_gib(replace(RUN, kept=None)) is None
    with_copy = replace(RUN, saved=("model", "optimizer", "extra", "hf_model"))
    assert total(checkpoint_parts(with_copy)) == pytest.approx(8_292_166_656 * 14 / GIB)


def test_cards_are_sorted_by_what_they_hold() -> None:
    assert CARDS["4090"].memory_gib < CARDS["a100-40"].memory_gib < CARDS["h100"].memory_gib
