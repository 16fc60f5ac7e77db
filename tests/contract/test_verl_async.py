"""verl's asynchronous trainer modes with ours on top, on their real classes and verl's real transfer queue.

`tests/e2e/test_verl_async.py` runs the one of them that needs no GPUs of its own.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl import DataProto
from verl.experimental.fully_async_policy import detach_utils
from verl.trainer.ppo.reward import extract_reward
from verl.trainer.ppo.v1.replay_buffer import ReplayBufferAsync
from verl.trainer.ppo.v1.trainer_base import get_trainer_cls
from verl.trainer.ppo.v1.trainer_separate_async import HybridEngineMode

from ergo_plugins.verl_plugin.reward_manager import ErgoRewardManager
from tests.contract.test_verl_group_step import put
from tests.contract.verl_parts import POLICY, panel_row, rolled_out, tiny, tokenizer_and_processor

SEPARATE = (
    "trainer.v1.separate_async.parameter_sync_step=2",  # of a batch of 16 in minis of 8
    "actor_rollout_ref.rollout.nnodes=1",
    "actor_rollout_ref.rollout.n_gpus_per_node=1",
    "actor_rollout_ref.rollout.checkpoint_engine.backend=nccl",
)
MODES = {"colocate_async": (), "separate_async": SEPARATE}
modes = pytest.mark.parametrize("mode", MODES)


def made(mode: str, *settings: str) -> Any:
    """A trainer as verl makes it, before it has workers."""
    ours = f"ergo_{mode}"
    return get_trainer_cls(ours)(tiny(*MODES[mode], f"trainer.v1.trainer_mode={ours}", *settings))


def registered(partition: str, **states: str) -> None:
    """Prompts as verl's agent loop workers leave them in the queue."""
    tags = [{"is_prompt": True, "status": status, "global_steps": 3} for status in states.values()]
    tq.kv_batch_put(keys=list(states), partition_id=partition, tags=tags)


@modes
def test_verls_own_mode_is_underneath(mode: str) -> None:
    trainer = made(mode)
    assert isinstance(trainer, get_trainer_cls(mode))
    assert trainer.trainer_mode == trainer.config.trainer.v1.trainer_mode == mode
    assert type(trainer.replay_buffer) is ReplayBufferAsync
    assert trainer.replay_buffer.poll_interval == trainer.ergo.trainer.poll_s
    assert trainer.parameter_sync_step == (2 if mode == "separate_async" else 1)


@modes
def test_prompts_that_failed_stop_the_run_instead_of_being_replaced(queue: None, mode: str) -> None:
    partition = f"{mode} stops"
    registered(partition, good="finished", lost="failure")
    trainer = made(mode)
    asked: list[int] = []
    trainer.replay_buffer.refill_fn = asked.append
    with pytest.raises(RuntimeError, match=r"1 of 16 prompts lost trajectories in step 3 .*Error in _run_prompt"):
        trainer.replay_buffer.sample(global_steps=3, partition_id=partition, batch_size=1)
    assert asked == [], "stock verl asks for others until the judge is back"


@modes
def test_a_share_may_fail_and_is_counted_over_the_step(queue: None, mode: str) -> None:
    partition = f"{mode} goes on"
    registered(partition, good="finished", lost="failure", gone="failure")
    trainer = made(mode, "+ergo.trainer.max_lost=0.125")
    asked: list[int] = []
    trainer.replay_buffer.refill_fn = asked.append
    _, metrics = trainer.replay_buffer.sample(global_steps=3, partition_id=partition, batch_size=1)
    assert (asked, trainer._lost_prompts) == ([2], 2)
    assert 2 in metrics.values(), "verl's own count of them"
    registered(partition, good="finished", third="failure")
    with pytest.raises(RuntimeError, match="3 of 16 prompts"):
        trainer.replay_buffer.sample(global_steps=3, partition_id=partition, batch_size=1)


@modes
def test_a_step_logs_the_parts_of_all_its_rollouts(queue: None, mode: str) -> None:
    """Workers are left out: verl's own step takes batches, of which separate_async trains on two between syncs."""
    partition = f"{mode} parts"
    trainer = made(mode)
    trainer.prepare_step = dict
    trainer.current_mode = HybridEngineMode.TRAINER
    minis = [
        put(partition, {"first": (4, 0, 0, 0)}),
        put(partition, {"second": (0, 2, 0, 2)}),
    ][: trainer.parameter_sync_step]
    left = iter(minis)

    def step_once(metrics: dict[str, Any], timing_raw: dict[str, float], size: int) -> KVBatchMeta:
        keys = next(left)
        return KVBatchMeta(partition_id=partition, keys=keys, tags=[{}] * len(keys))

    trainer._step_once = step_once
    trainer.ergo = SimpleNamespace(method=trainer.ergo.method, trainer=SimpleNamespace(pictures=0))
    trainer._lost_prompts = 3
    metrics: dict[str, Any] = {}
    batch = trainer.step(metrics, {})
    assert len(batch.keys) == 4 * trainer.parameter_sync_step
    assert metrics["ergo/accuracy"] == 1 / trainer.parameter_sync_step
    assert metrics["ergo/asked"] == (0.25 if mode == "separate_async" else 0)
    assert (metrics["ergo/lost_prompts"], trainer._lost_prompts) == (3, 0)


@modes
def test_who_weighs_the_group_in_this_mode_is_said_by_name(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    changes = ("+ergo.method=visionthink", "~ergo.zoom", "~ergo.reward", f"trainer.v1.trainer_mode={mode}")
    tokenizer, _ = tokenizer_and_processor(POLICY)
    ErgoRewardManager(tiny(*changes), tokenizer, None)
    assert f"only trainer.v1.trainer_mode=ergo_{mode}" in caplog.text


PARTS = {"region", "box", "accuracy", "format", "zoomed", "area_ratio", "visual_tokens"}


def test_the_trainers_before_are_handed_the_parts_with_each_batch(tmp_path: Path) -> None:
    """`main_ppo` with ``use_v1=False``, one_step_off_policy and fully_async_policy take batches of the older worker.

    The last one joins them first. All three dump what `extract_reward` finds, and log it in validation.
    """
    batches = []
    for number in range(2):
        row = {**panel_row(tmp_path), "index": number, "dummy_tensor": torch.zeros(1)}
        batch, _ = rolled_out(tiny(), [row], ["<zoom>[0, 0, 28, 28]</zoom><|im_end|>", "<answer>B</answer><|im_end|>"])
        batches.append(batch)
    _, parts = extract_reward(batches[0])
    assert set(parts) >= PARTS
    assert list(parts["accuracy"]) == [1.0]
    samples = [detach_utils.RolloutSample(batch, f"{i}", 0, {}) for i, batch in enumerate(batches)]
    joined = detach_utils.assemble_batch_from_rollout_samples(samples, None, tiny())
    _, parts = extract_reward(joined)
    assert set(parts) >= PARTS
    assert list(parts["accuracy"]) == [1.0, 1.0]


@pytest.mark.parametrize("multi_turn", [False, True])
def test_fully_async_policy_plays_another_loop_unless_told_of_several_turns(tmp_path: Path, multi_turn: bool) -> None:
    """As docs/train.md says: it writes verl's single turn into every row, whatever loop is the default."""
    config = tiny(f"actor_rollout_ref.rollout.multi_turn.enable={multi_turn}")
    row = DataProto.from_single_dict({"dummy_tensor": torch.zeros(1, 1)})
    batch = detach_utils.prepare_single_generation_data({**row.batch, **row.non_tensor_batch}, config)
    assert ("agent_name" in batch.non_tensor_batch) is not multi_turn
