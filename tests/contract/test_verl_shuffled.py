"""The control hands each group's own rewards to the wrong trajectories, and is verl's GRPO otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from verl.trainer.ppo import core_algos

from ergo_plugins.verl_plugin.shuffled import SHUFFLED, compute_shuffled_grpo_advantage

GROUPS, N, LENGTH = 200, 8, 5
INDEX = np.repeat([f"prompt {g}" for g in range(GROUPS)], N)
MASK = torch.tensor([[1, 1, 1, 0, 0]] * (GROUPS * N))


@pytest.fixture
def rewards() -> torch.Tensor:
    """One reward a trajectory, on its last token."""
    rewards = torch.zeros(GROUPS * N, LENGTH)
    rewards[:, 2] = torch.arange(GROUPS * N).float().sin()
    return rewards


def test_verl_knows_it_by_name() -> None:
    assert core_algos.get_adv_estimator_fn(SHUFFLED) is compute_shuffled_grpo_advantage


@pytest.mark.parametrize("by_deviation", [True, False])
def test_each_group_keeps_its_advantages(rewards: torch.Tensor, by_deviation: bool) -> None:
    grpo, _ = core_algos.compute_grpo_outcome_advantage(rewards, MASK, INDEX, norm_adv_by_std_in_grpo=by_deviation)
    config = {"norm_adv_by_std_in_grpo": by_deviation}
    shuffled, returns = compute_shuffled_grpo_advantage(
        token_level_rewards=rewards.clone(), response_mask=MASK, index=INDEX, config=config
    )
    assert torch.equal(shuffled, returns)
    assert torch.equal(shuffled[:, 3:], torch.zeros_like(shuffled[:, 3:]))
    for group in range(GROUPS):
        rows = slice(group * N, group * N + N)
        assert torch.allclose(shuffled[rows, 0].sort().values, grpo[rows, 0].sort().values, atol=1e-5)


def test_advantages_say_nothing_of_the_trajectory(rewards: torch.Tensor) -> None:
    grpo, _ = core_algos.compute_grpo_outcome_advantage(rewards, MASK, INDEX)
    torch.manual_seed(0)
    shuffled, _ = compute_shuffled_grpo_advantage(token_level_rewards=rewards, response_mask=MASK, index=INDEX)
    likeness = torch.corrcoef(torch.stack([grpo[:, 0], shuffled[:, 0]]))[0, 1]
    assert abs(likeness) < 0.1  # four standard errors of 1,600 trajectories


def test_the_rewards_themselves_stay(rewards: torch.Tensor) -> None:
    before = rewards.clone()
    compute_shuffled_grpo_advantage(token_level_rewards=rewards, response_mask=MASK, index=INDEX)
    assert torch.equal(rewards, before)
