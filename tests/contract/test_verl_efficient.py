"""Efficiency among right rollouts: by hand, within verl's registry, and as the trainer hands over who is right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from verl import DataProto
from verl.trainer.ppo import core_algos
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

from ergo_plugins.verl_plugin.efficient import (
    EFFICIENT,
    compute_efficient_grpo_advantage,
    costs,
    efficiencies,
    knowing,
)

MASK = torch.tensor(
    [
        # a written token is 1; what was shown between replies is 0, as is what fills up
        [1, 1, 0, 0, 1, 0, 0, 0],  # asked: 5
        [1, 1, 1, 0, 0, 0, 0, 0],  # direct: 3
        [1, 0, 0, 0, 0, 0, 0, 1],  # asked for much: 8
        [1, 0, 0, 0, 0, 0, 0, 0],  # direct, and wrong: 1
    ]
)
RIGHT = [True, True, True, False]
INDEX = np.array(["p"] * 4, dtype=object)


def rewards(of: list[float]) -> torch.Tensor:
    table = torch.zeros(len(of), MASK.shape[1])
    table[:, 0] = torch.tensor(of)
    return table


def test_the_cost_is_all_that_a_rollout_wrote_and_was_shown() -> None:
    assert costs(MASK) == [5, 3, 8, 1]


def test_by_hand() -> None:
    mean, deviation = 16 / 3, float(np.std([5, 3, 8]))
    found = efficiencies(costs(MASK), RIGHT, INDEX)
    assert found == pytest.approx([(mean - 5) / deviation, (mean - 3) / deviation, (mean - 8) / deviation, 0.0])
    assert sum(found) == pytest.approx(0)
    assert efficiencies([5, 3, 8, 1], [True, False, False, False], INDEX) == [0.0] * 4, "one right is no comparison"
    assert efficiencies([5, 5, 5, 1], RIGHT, INDEX) == [0.0] * 4
    assert efficiencies([5, 3, 5, 3], [True] * 4, ["p", "q", "q", "p"]) == pytest.approx([-1, 1, -1, 1])


def test_it_is_added_to_grpo_on_what_the_policy_wrote() -> None:
    table = rewards([1.0, 1.0, 1.0, 0.0])
    grpo, _ = core_algos.compute_grpo_outcome_advantage(table, MASK, INDEX)
    with knowing(RIGHT, 0.25):
        found, returns = compute_efficient_grpo_advantage(token_level_rewards=table, response_mask=MASK, index=INDEX)
    assert torch.equal(found, returns)
    extra = torch.tensor(efficiencies([5, 3, 8, 1], RIGHT, INDEX)).unsqueeze(-1) * MASK
    assert torch.allclose(found, grpo + 0.25 * extra, atol=1e-6)
    assert torch.equal(found[3], grpo[3]), "a wrong answer gains nothing by being short"
    assert found[1, 0] > found[0, 0] > found[2, 0] > 0 > found[3, 0]


def test_where_all_are_right_there_is_still_something_to_learn() -> None:
    with knowing([True] * 4, 1.0):
        found, _ = compute_efficient_grpo_advantage(rewards([1.0] * 4), MASK, INDEX)
    assert found[3, 0] > found[1, 0] > found[0, 0] > found[2, 0]


def test_verl_calls_it_by_name_with_rows_in_order() -> None:
    data = DataProto.from_dict(
        tensors={"token_level_rewards": rewards([1.0, 1.0, 1.0, 0.0]), "response_mask": MASK},
        non_tensors={"uid": INDEX},
    )
    keys = [f"p_{session}_0" for session in range(4)]
    with knowing(RIGHT, 0.25):
        made = compute_advantage_for_multi_trajectories(data, batch_keys=keys, adv_estimator=EFFICIENT, config=None)
        wanted, _ = compute_efficient_grpo_advantage(rewards([1.0, 1.0, 1.0, 0.0]), MASK, INDEX)
    assert torch.allclose(made.batch["advantages"], wanted)


def test_without_our_trainer_it_is_an_error_that_says_so() -> None:
    with pytest.raises(RuntimeError, match="trainer_mode=ergo_sync"):
        compute_efficient_grpo_advantage(rewards([1.0] * 4), MASK, INDEX)
    with knowing([True], 1.0), pytest.raises(RuntimeError, match="which rollouts are right"):
        compute_efficient_grpo_advantage(rewards([1.0] * 4), MASK, INDEX)
