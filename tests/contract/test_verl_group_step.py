"""The group step in verl's real transfer queue: which rewards it leaves, and the advantages that verl makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transfer_queue as tq
from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from ergo_plugins.methods.ergo import ERGO
from ergo_plugins.methods.visionthink import VISIONTHINK, VisionThinkReward
from ergo_plugins.verl_plugin.group_step import RAW, shapes, take_group_step
from ergo_plugins.verl_plugin.trainer import ErgoSyncTrainer
from tests.contract.test_verl_filter_groups import scored
from tests.contract.verl_parts import ROOT, composed

LENGTHS = (3, 5, 2, 4)
"""Tokens of the rollouts, in turn: a column of the queue is ragged."""

GROUPS = {
    # direct right, direct wrong, asked right, asked wrong
    "lucky": (1, 3, 11, 1),
    "none direct": (0, 4, 9, 3),
    "some direct": (2, 2, 7, 5),
    "all right, half asked": (8, 0, 8, 0),
    "all right, one direct": (1, 0, 15, 0),
}


def rollout(right: int, asked: int) -> dict[str, Any]:
    """What the reward manager reports of one."""
    return {"acc": float(right), "accuracy": float(right), "format": 1.0, "asked": float(asked)}


def put(partition: str, groups: dict[str, tuple[int, int, int, int]]) -> list[str]:
    """Put groups into the queue as verl has them there after its reward managers; the keys."""
    keys, rows = [], []
    for uid, (direct_right, direct_wrong, asked_right, asked_wrong) in groups.items():
        kinds = [(1, 0)] * direct_right + [(0, 0)] * direct_wrong + [(1, 1)] * asked_right + [(0, 1)] * asked_wrong
        for session, (right, asked) in enumerate(kinds):
            info = rollout(right, asked)
            scores = torch.zeros(LENGTHS[session % len(LENGTHS)])
            scores[-1] = 0.5 + right * (1 - 0.1 * asked)
            keys.append(f"{uid}_{session}_0")
            rows.append({"rm_scores": scores, "extra_fields": {"reward_extra_info": info, "kept": session}})
    tq.kv_batch_put(keys=keys, partition_id=partition, fields=list_of_dict_to_tensordict(rows))
    return keys


def stored(partition: str, keys: list[str]) -> tuple[list[torch.Tensor], list[dict[str, Any]]]:
    found = tq.kv_batch_get(keys=keys, partition_id=partition, select_fields=["rm_scores", "extra_fields"])
    return list(found["rm_scores"]), [dict(getattr(of, "data", of)) for of in list(found["extra_fields"])]


def advantages(keys: list[str], scores: list[torch.Tensor]) -> dict[str, float]:
    """verl's own, of the rewards that lie in the queue."""
    longest = max(map(len, scores))
    rewards = torch.stack([torch.nn.functional.pad(score, (longest - len(score), 0)) for score in scores])
    index = np.array([key.rsplit("_", 2)[0] for key in keys], dtype=object)
    found, _ = compute_grpo_outcome_advantage(rewards, torch.ones_like(rewards), index)
    return dict(zip(keys, found[:, 0].tolist(), strict=True))


@pytest.mark.parametrize("rule", ["code", "paper", "conditional"])
def test_verl_makes_the_advantages_that_the_rule_means(queue: None, rule: str) -> None:
    weights = VisionThinkReward(rule=rule)  # type: ignore[arg-type]
    keys = put(rule, GROUPS)
    metrics = take_group_step(rule, keys, VISIONTHINK, weights)
    scores, fields = stored(rule, keys)
    assert [len(score) for score in scores] == [LENGTHS[int(key.rsplit("_", 2)[1]) % 4] for key in keys]
    assert all(score.dtype == torch.float32 and not score[:-1].any() for score in scores)
    assert [field["kept"] for field in fields] == [int(key.rsplit("_", 2)[1]) for key in keys]
    got = advantages(keys, scores)
    by_kind: dict[tuple[str, float, float], list[float]] = {}
    for key, field in zip(keys, fields, strict=True):
        info = field["reward_extra_info"]
        by_kind.setdefault((key.rsplit("_", 2)[0], info["accuracy"], info["asked"]), []).append(got[key])
    mean = {kind: float(np.mean(values)) for kind, values in by_kind.items()}
    expected = {
        "code": {("lucky", 1.0, 0.0): 0.559, ("lucky", 1.0, 1.0): 0.559, ("some direct", 1.0, 0.0): 1.016},
        "paper": {("lucky", 1.0, 0.0): 0.366, ("lucky", 1.0, 1.0): 0.575, ("all right, one direct", 1.0, 0.0): -3.75},
        "conditional": {("all right, one direct", 1.0, 0.0): 3.75, ("all right, one direct", 1.0, 1.0): -0.25},
    }[rule]
    for kind, value in expected.items():
        assert mean[kind] == pytest.approx(value, abs=0.006), kind
    assert mean["all right, half asked", 1.0, 0.0] == pytest.approx(0.968, abs=0.006)
    assert 0 < metrics["group_step_changed"] < 1
    shares = {"code": [1 / 12, 0, 2 / 9, 1 / 2, 1 / 16], "conditional": [1 / 4, 0, 1 / 2, 1, 1]}
    assert metrics["enough"] == pytest.approx(float(np.mean(shares.get(rule, shares["code"]))))


def test_taken_twice_it_changes_nothing_more(queue: None) -> None:
    keys = put("twice", GROUPS)
    weights = VisionThinkReward(rule="paper")
    take_group_step("twice", keys, VISIONTHINK, weights)
    once, fields = stored("twice", keys)
    take_group_step("twice", keys, VISIONTHINK, weights)
    again, _ = stored("twice", keys)
    assert all(torch.equal(first, second) for first, second in zip(once, again, strict=True))
    assert fields[0]["reward_extra_info"][RAW] == pytest.approx(1.5), "what the rollout earned alone is kept"


def test_a_method_that_weighs_nothing_is_left_alone() -> None:
    assert shapes(VISIONTHINK)
    assert not shapes(ERGO)


def test_verls_filter_drops_the_groups_that_say_nothing(queue: None) -> None:
    paths = ["data.train_files=a", "data.val_files=b"]
    buffer: Any = ErgoSyncTrainer(composed("train_visionthink_7b", *paths, folder=ROOT / "recipes")).replay_buffer
    groups = {
        "allright": [(1, 1, 0)] * 4,
        "rightsomeasked": [(1, 1, 0), (1, 1, 1), (1, 1, 0), (1, 1, 0)],
        "allasked": [(1, 1, 1)] * 4,
        "allwrong": [(0, 1, 0)] * 4,
        "someformless": [(0, 1, 0), (0, 0, 0), (0, 1, 0), (0, 1, 0)],
    }
    rows, keys = [], []
    for uid, kinds in groups.items():
        for session, kind in enumerate(kinds):
            score = scored(tuple(map(float, kind)))
            keys.append(f"{uid}_{session}_0")
            info = {"acc": score.accuracy, **score.parts}
            rows.append({"rm_scores": torch.tensor([score.total]), "extra_fields": {"reward_extra_info": info}})
    tq.kv_batch_put(keys=keys, partition_id="filter", fields=list_of_dict_to_tensordict(rows))
    buffer.partitions["filter"] = dict.fromkeys(keys)
    buffer.finished_keys["filter"] = set(groups)
    dropped, _ = buffer._dapo_filtered_keys("filter")
    assert dropped == {"allright", "allasked", "allwrong"}
