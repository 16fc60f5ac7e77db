"""The trainer on verl's own replay buffer: it polls as told, and every batch is looked at before it is trained on."""

from __future__ import annotations

from typing import Any

import pytest
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from ergo_plugins.verl_plugin.trainer import ErgoSyncTrainer
from tests.contract.verl_parts import tiny


def trainer(*overrides: str) -> ErgoSyncTrainer:
    made = ErgoSyncTrainer(tiny(*overrides))
    made._complete = lambda **asked: (ended(asked["partition_id"]), asked)  # verl's waits for rollouts
    return made


def ended(partition: str) -> KVBatchMeta:
    """Trajectories of two prompts, of two rollouts each, as they ended."""
    keys = ["late_1_0", "early_0_1", "late_0_0", "early_1_0", "early_0_0"]
    return KVBatchMeta(partition_id=partition, keys=keys, tags=[{"of": key} for key in keys])


def sampled(made: ErgoSyncTrainer, partition: str, failed: int) -> Any:
    made.replay_buffer.failure_keys[partition] = {f"prompt {i}" for i in range(failed)}
    return made.replay_buffer.sample(global_steps=3, partition_id=partition, batch_size=10)


def test_verls_buffer_is_sampled_through_us() -> None:
    made = trainer("ergo.trainer.poll_s=0.25")
    assert type(made.replay_buffer) is ReplayBuffer
    assert made.replay_buffer.poll_interval == 0.25
    made.replay_buffer.prompt_global_steps["train"] = {"late": 3, "early": 3}
    batch, asked = sampled(made, "train", 0)
    assert asked == {"global_steps": 3, "partition_id": "train", "batch_size": 10}
    assert batch.keys == ["late_0_0", "late_1_0", "early_0_0", "early_0_1", "early_1_0"], "as they were handed out"
    assert [tag["of"] for tag in batch.tags] == batch.keys


@pytest.mark.parametrize(("partition", "allowed"), [("train", 2), ("val", 0)])
def test_no_more_prompts_are_lost_than_allowed(partition: str, allowed: int) -> None:
    made = trainer("+ergo.trainer.max_lost=0.2")
    sampled(made, partition, allowed)
    with pytest.raises(RuntimeError, match=rf"{allowed + 1} of 10 prompts lost trajectories in step 3 \({partition}\)"):
        sampled(made, partition, allowed + 1)
