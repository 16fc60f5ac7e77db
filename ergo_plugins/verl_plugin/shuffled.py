"""The advantage estimator ``ergo_shuffled_grpo``: a control that has everything of a GRPO run but the lesson.

Each group keeps its rewards and hands them to its trajectories in random order. So batch, advantages, step sizes and
noise are those of the run it is compared with, and only what would be learned is gone. A gain that such a run shows,
too, was not learned from the reward.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import torch
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, register_adv_est

SHUFFLED = "ergo_shuffled_grpo"


def compute_shuffled_grpo_advantage(
    token_level_rewards: torch.Tensor, response_mask: torch.Tensor, index: np.ndarray, config: Any = None, **_: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """verl's GRPO advantages of shuffled rewards.

    Args:
        token_level_rewards: ``(batch, response length)``.
        response_mask: ``(batch, response length)``.
        index: ``(batch,)``, which group a trajectory belongs to.
        config: verl's ``algorithm`` block.

    Returns:
        Advantages and returns, both ``(batch, response length)``.
    """
    groups: dict[Any, list[int]] = defaultdict(list)
    for row, group in enumerate(index):
        groups[group].append(row)
    rewards = token_level_rewards.clone()
    for rows in groups.values():
        rewards[rows] = token_level_rewards[[rows[i] for i in torch.randperm(len(rows))]]
    by_deviation = True if config is None else config.get("norm_adv_by_std_in_grpo", True)
    computed: tuple[torch.Tensor, torch.Tensor] = compute_grpo_outcome_advantage(
        rewards, response_mask, index, norm_adv_by_std_in_grpo=by_deviation
    )
    return computed


register_adv_est(SHUFFLED)(compute_shuffled_grpo_advantage)  # as a decorator it would hide the signature
