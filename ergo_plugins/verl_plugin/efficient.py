"""The advantage estimator ``ergo_efficient_grpo``: what a rollout cost counts, and only among right ones.

With ``c`` the cost of a rollout (tokens from its first reply to the end of its last: replies, and whatever it was shown
between them), ``R`` the right rollouts of its group and ``w`` the weight ``ergo.trainer.efficiency``::

    advantage = GRPO's + w * (mean of c over R - c) / (standard deviation of c over R)      for a right rollout
    advantage = GRPO's                                                                      for a wrong one

With fewer than two right rollouts, or right ones that cost the same, the second term is 0. It is 0 on average in each
group: being short is never worth a wrong answer, and where all are right there is still something to learn. Costs are
normalised apart from rewards, so that one neither drowns nor scales the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, register_adv_est

EFFICIENT = "ergo_efficient_grpo"


@dataclass(frozen=True, slots=True)
class Known:
    """What estimators are not told.

    Attributes:
        right: which rows of the batch answer rightly, in order.
        weight: of the efficiency.
    """

    right: Sequence[bool]
    weight: float


_known: ContextVar[Known | None] = ContextVar("ergo_right_rollouts", default=None)


@contextmanager
def knowing(right: Sequence[bool], weight: float) -> Iterator[None]:
    """Let the estimator know which rows are right while verl computes advantages."""
    token = _known.set(Known(right, weight))
    try:
        yield
    finally:
        _known.reset(token)


def compute_efficient_grpo_advantage(
    token_level_rewards: torch.Tensor, response_mask: torch.Tensor, index: np.ndarray, config: Any = None, **_: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Advantages as the module says.

    Args:
        token_level_rewards: ``(batch, response length)``.
        response_mask: ``(batch, response length)``, 1 for what the policy wrote.
        index: ``(batch,)``, which group a trajectory belongs to.
        config: verl's ``algorithm`` block.

    Returns:
        Advantages and returns, both ``(batch, response length)``.

    Raises:
        RuntimeError: nobody said which rollouts are right.
    """
    known = _known.get()
    if known is None or len(known.right) != len(index):
        raise RuntimeError(
            f"algorithm.adv_estimator={EFFICIENT} has to know which rollouts are right, and verl does not tell; set "
            "trainer.v1.trainer_mode=ergo_sync"
        )
    by_deviation = True if config is None else config.get("norm_adv_by_std_in_grpo", True)
    advantages, _returns = compute_grpo_outcome_advantage(
        token_level_rewards, response_mask, index, norm_adv_by_std_in_grpo=by_deviation
    )
    extra = torch.tensor(efficiencies(costs(response_mask), known.right, index.tolist()), dtype=advantages.dtype)
    advantages = advantages + known.weight * extra.to(advantages.device).unsqueeze(-1) * response_mask
    return advantages, advantages


def costs(response_mask: torch.Tensor) -> list[int]:
    """Tokens of each trajectory up to its last written one."""
    places = torch.arange(1, response_mask.shape[-1] + 1, device=response_mask.device)
    return [int(cost) for cost in (places * (response_mask > 0)).amax(dim=-1)]


def efficiencies(costs: Sequence[int], right: Sequence[bool], index: Sequence[Any]) -> list[float]:
    """How far each right rollout is below the mean cost of the right ones of its group, in standard deviations."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for row, group in enumerate(index):
        if right[row]:
            groups[group].append(row)
    found = [0.0] * len(costs)
    for rows in groups.values():
        values = np.array([costs[row] for row in rows], dtype=float)
        deviation = float(values.std())
        if deviation > 0:
            for row, value in zip(rows, values, strict=True):
                found[row] = float((values.mean() - value) / deviation)
    return found


register_adv_est(EFFICIENT)(compute_efficient_grpo_advantage)  # as a decorator it would hide the signature
