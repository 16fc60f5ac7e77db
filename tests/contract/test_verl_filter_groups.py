"""verl's own filter of groups on our ``signal``: it drops a group exactly when no rule can tell its rollouts apart."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from typing import get_args

import pytest
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from ergo_plugins.core.outcome import Outcome, TurnRecord
from ergo_plugins.methods.base import Score, Target
from ergo_plugins.methods.visionthink import VISIONTHINK, Rule, VisionThinkReward
from ergo_plugins.verl_plugin.trainer import ErgoSyncTrainer
from tests.contract.verl_parts import POLICY, ROOT, composed, load_reward_manager, tiny, tokenizer_and_processor

CALL = '<tool_call>{"name": "resize_image", "arguments": {"action": "resize"}}</tool_call>'
KINDS = list(itertools.product((0.0, 1.0), repeat=3))
"""Right, well formed, asked."""


def scored(kind: Sequence[float]) -> Score:
    """What the method says of a rollout of a kind."""
    right, form, asked = kind
    think, letter = ("<think>so</think>" if form else ""), ("B" if right else "A")
    answer = TurnRecord("full" if asked else "reduced", (), f"{think}<answer>{letter}</answer>", "stop")
    turns = (TurnRecord("reduced", (), f"<think>small</think>{CALL}", "stop"), answer) if asked else (answer,)
    values = {"asked": bool(asked), "delivered": bool(asked), "call_error": None}
    outcome = Outcome(method="visionthink", turns=turns, answer=letter, values=values)
    score = VISIONTHINK.score(outcome, Target("B", "option"), {}, VisionThinkReward())
    assert (score.parts["accuracy"], score.parts["format"], score.parts["asked"]) == (right, form, asked)
    return score


def test_the_signal_is_another_for_each_kind_of_rollout() -> None:
    assert len({scored(kind).parts["signal"] for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("rule", get_args(Rule))
def test_a_group_of_one_signal_is_one_of_one_reward(rule: Rule) -> None:
    for kind in KINDS:
        shaped = VISIONTHINK.shape([scored(kind)] * 4, VisionThinkReward(rule=rule))
        assert len(set(shaped)) == 1


def test_the_recipe_asks_verl_for_it() -> None:
    paths = ["data.train_files=a", "data.val_files=b", "trainer.default_local_dir=x"]
    config = composed("train_visionthink_7b", *paths, folder=ROOT / "recipes")
    made = ErgoSyncTrainer(config)
    assert type(made.replay_buffer) is ReplayBuffer
    assert made.replay_buffer.filter_groups_metric == "signal"


@pytest.mark.parametrize(("mode", "is_told"), [("sync", True), ("ergo_sync", False)])
def test_where_nobody_weighs_the_group_the_log_says_so(
    mode: str, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    changes = ["+ergo.method=visionthink", "~ergo.zoom", "~ergo.reward", f"trainer.v1.trainer_mode={mode}"]
    tokenizer, _ = tokenizer_and_processor(POLICY)
    with caplog.at_level(logging.WARNING):
        load_reward_manager(tiny(*changes), tokenizer)
    assert ("only trainer.v1.trainer_mode=ergo_sync" in caplog.text) is is_told
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        config = tiny(*changes[:3])
        ErgoSyncTrainer(config)  # from here on verl calls its mode "sync"
        load_reward_manager(config, tokenizer)
        load_reward_manager(tiny("trainer.v1.trainer_mode=sync"), tokenizer)
    assert "ergo_sync" not in caplog.text, "the trainer weighs them; and there is nothing to weigh with ERGO"
