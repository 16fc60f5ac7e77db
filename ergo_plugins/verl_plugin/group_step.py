"""Rewards weighed against those of a prompt's other rollouts, in verl's transfer queue, before advantages are reckoned.

Reward managers see one trajectory at a time, and advantage estimators see no parts; between the two all trajectories of
a step lie in the queue, each with its reward and its parts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import transfer_queue as tq
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from ..methods.base import Method, Score

SINGLE = 1e-6
"""Rewards lie in the queue in single precision: what differs by less is the same."""

RAW = "reward_raw"
"""Part: the reward of the rollout alone. It also says that the step was taken, which must not happen twice."""

REPORTED = "reward_extra_info"

GROUP_STEP = "ergo_group_step"
"""Key of verl's ``trainer.v1`` under which `trainer` says that it takes the step."""


def shapes(method: Method) -> bool:
    """Whether a method weighs the rollouts of a prompt against each other at all."""
    return type(method).shape is not Method.shape


def take_group_step(partition_id: str, keys: Sequence[str], method: Method, weights: Any) -> dict[str, float]:
    """Replace the rewards of some trajectories by what the method makes of their groups, in the queue and in the parts.

    Args:
        partition_id: of the queue.
        keys: of whole groups, ``uid_session_turn``; none that only pads the batch.
        method: whose rule it is.
        weights: of its reward.

    Returns:
        Metrics: the share of rewards that changed, and means over the prompts of what the rule decided by.
    """
    if not keys:
        return {}
    stored = tq.kv_batch_get(keys=list(keys), partition_id=partition_id, select_fields=["rm_scores", "extra_fields"])
    rewards = dict(zip(keys, stored["rm_scores"], strict=True))
    fields = {key: dict(getattr(of, "data", of)) for key, of in zip(keys, list(stored["extra_fields"]), strict=True)}
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))  # uid -> rollout -> its keys
    for key in keys:
        uid, session, _ = key.rsplit("_", 2)
        groups[uid][session].append(key)
    changed, rows, figures = 0, {}, defaultdict[str, list[float]](list)
    for rollouts in groups.values():
        finals = [max(of, key=lambda key: int(key.rsplit("_", 1)[1])) for of in rollouts.values()]
        scores = [_score(fields[key][REPORTED], float(rewards[key].sum())) for key in finals]
        shaped = method.shape(scores, weights)
        if len(shaped) != len(scores):
            raise ValueError(f"{method.name}.shape made {len(shaped)} rewards of {len(scores)} rollouts")
        for name, value in method.group_figures(scores, weights).items():
            figures[name].append(value)
        for of, before, after in zip(rollouts.values(), scores, shaped, strict=True):
            changed += not math.isclose(after, before.total, abs_tol=SINGLE)
            for key in of:
                reward = rewards[key].clone()  # keeps its length and type: one of another type changes the whole column
                reward[-1] += after - float(reward.sum())
                info = {**fields[key][REPORTED], RAW: before.total}
                rows[key] = {"rm_scores": reward, "extra_fields": {**fields[key], REPORTED: info}}
    tq.kv_batch_put(keys=list(rows), partition_id=partition_id, fields=list_of_dict_to_tensordict(list(rows.values())))
    rollouts_in_all = sum(map(len, groups.values()))
    return {"group_step_changed": changed / rollouts_in_all, **{name: fmean(of) for name, of in figures.items()}}


def _score(info: dict[str, Any], total: float) -> Score:
    """A rollout's score as its reward manager reported it."""
    return Score(total=float(info.get(RAW, total)), accuracy=float(info["acc"]), parts=info)
