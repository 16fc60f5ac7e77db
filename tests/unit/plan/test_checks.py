"""What cannot be is named with the setting to change, and with that change it can be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ergo_plugins.plan.cards import CARDS
from ergo_plugins.plan.checks import holds, notes, problems, remedy
from ergo_plugins.plan.runs import Judge, Run
from ergo_plugins.plan.shapes import shape_known
from tests.unit.plan.test_memory import RUN

H100, SMALL = CARDS["h100"], CARDS["4090"]
assert RUN.rollout


def test_the_run_fits() -> None:
    assert problems(RUN, H100) == []


@pytest.mark.parametrize(
    ("run", "change"),
    [
        (replace(RUN, batch=replace(RUN.batch, prompt_tokens=640)), "data.max_prompt_length=896"),
        (replace(RUN, words=1500), "data.max_prompt_length=2140"),
        (replace(RUN, batch=replace(RUN.batch, response_tokens=2048)), "data.max_response_length=2944"),
        (
            replace(RUN, rollout=replace(RUN.rollout, longest_tokens=4096)),
            "actor_rollout_ref.rollout.max_model_len=5120",
        ),
        (
            replace(RUN, trainer=replace(RUN.trainer, update_tokens=4096)),
            "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=5120",
        ),
        (replace(RUN, gpus_per_node=3), "data.train_batch_size=129"),
        (
            replace(RUN, batch=replace(RUN.batch, prompts=32)),
            "actor_rollout_ref.actor.ppo_mini_batch_size=32",
        ),
        (
            replace(RUN, rollout=replace(RUN.rollout, tensor_parallel=8)),
            "actor_rollout_ref.rollout.tensor_model_parallel_size=4",
        ),
        (
            replace(RUN, rollout=replace(RUN.rollout, utilization=0.9)),
            "actor_rollout_ref.rollout.gpu_memory_utilization=0.75",
        ),
    ],
)
def test_the_first_thing_that_is_wrong_names_its_setting(run: Run, change: str) -> None:
    assert problems(run, H100)[0].change == change


def test_a_run_that_is_too_large_is_told_what_makes_it_smaller() -> None:
    (problem,) = problems(RUN, SMALL)
    assert problem.said.startswith("update needs ")
    assert "actor_rollout_ref.actor.fsdp_config.offload_policy=True" in problem.change
    assert "actor_rollout_ref.rollout.tensor_model_parallel_size=2" in problem.change
    one = replace(RUN, gpus_per_node=1)
    assert not holds(one, H100)
    assert remedy(one, H100) == "actor_rollout_ref.actor.fsdp_config.offload_policy=True"
    huge = replace(RUN, shape=shape_known("Qwen2.5-VL-72B"), gpus_per_node=1)
    assert remedy(huge, SMALL).startswith("actor_rollout_ref.model.path")
    assert remedy(replace(huge, gpus_per_node=8), H100).startswith("actor_rollout_ref.")


def test_a_judge_has_to_fit_its_own_gpus() -> None:
    judge = Judge(shape_known("Qwen2.5-VL-72B"), 2, replace(RUN.rollout, tensor_parallel=2, utilization=0.85))
    (problem,) = problems(replace(RUN, judge=judge), H100)
    assert problem.change.startswith("reward.reward_model.n_gpus_per_node=4 ")
    assert replace(RUN, judge=judge).gpus_with_judge == 10


def test_on_a_cpu_no_gpu_is_asked_for() -> None:
    assert problems(replace(RUN, on_cpu=True), SMALL) == []


def test_an_embedding_beyond_the_bucket_is_noted() -> None:
    small = replace(RUN, rollout=replace(RUN.rollout, bucket_bytes=2048 << 20))
    assert "update_weights_bucket_megabytes=3072" in notes(small)[0]
    assert notes(RUN) == []
