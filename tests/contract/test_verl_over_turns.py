"""Conversations that ran out of turns in training: masked as in Mini-o3, by verl's own functions; and collapse."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from verl.trainer.ppo.core_algos import agg_loss, compute_grpo_outcome_advantage

from ergo_plugins.methods import method_named
from ergo_plugins.verl_plugin.agent_loop import ErgoZoomLoop
from ergo_plugins.verl_plugin.collapse import UNLEARNT, Watch, refuse_nothing_to_learn
from tests.contract.test_verl_methods import ANSWER, END, ZOOM
from tests.contract.verl_parts import Bench, ScriptedPolicy, panel_row, rolled_out, tiny

OVER, RIGHT = (ZOOM % 0, ZOOM % 0), (ZOOM % 0, ANSWER)


def configured(model: Path, over_turns: str) -> Any:
    return tiny(
        *("+ergo.method=tool_zoom", "~ergo.zoom", "~ergo.reward"),
        *("+ergo.episode.view_tokens=16", "+ergo.episode.crop_tokens=16", "+ergo.episode.turns=2"),
        f"+ergo.reward.over_turns={over_turns}",
        f"actor_rollout_ref.model.path={model}",
        "data.max_prompt_length=1024",
        "data.max_response_length=2048",
    )


@pytest.mark.parametrize(
    ("replies", "over_turns", "learnt"),
    [(OVER, "mask", False), (OVER, "learn", True), (RIGHT, "mask", True)],
)
def test_what_is_learnt(
    qwen_for_verl: Path, tmp_path: Path, replies: tuple[str, ...], over_turns: str, learnt: bool
) -> None:
    made = Bench(
        configured(qwen_for_verl, over_turns), ErgoZoomLoop, ScriptedPolicy(lambda _: []), folder=qwen_for_verl
    )
    tokens = [made.tokenizer.encode(reply + END, add_special_tokens=False) for reply in replies]
    made.policy.replies = lambda turn: tokens[turn]
    (output,) = made.run(panel_row(tmp_path))
    assert len(output.response_mask) == len(output.response_ids)
    assert sum(output.response_mask) == (sum(map(len, tokens)) if learnt else 0)


def test_a_masked_one_counts_in_the_mean_and_pulls_at_nothing() -> None:
    """verl's own functions: rewards 1, 0 and a masked 0 of one prompt; advantages are those of all three."""
    mask = torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
    rewards = torch.zeros(3, 4)
    rewards[0, 1] = 1.0
    index = np.array(["a", "a", "a"], dtype=object)
    advantages, _ = compute_grpo_outcome_advantage(rewards, mask, index)
    scores = torch.tensor([1.0, 0.0, 0.0])
    wanted = (scores - scores.mean()) / (scores.std() + 1e-6)
    assert advantages[0, 0] == pytest.approx(float(wanted[0]), abs=1e-5)
    assert advantages[1, 0] == pytest.approx(float(wanted[1]), abs=1e-5)
    assert advantages[2].abs().sum() == 0
    loss = torch.full((1, 4), 7.0, requires_grad=True)
    for mode in ("token-mean", "seq-mean-token-mean", "seq-mean-token-sum"):  # a micro-batch of masked ones alone
        total = agg_loss(loss, mask[2:], mode, dp_size=1, batch_num_tokens=5, global_batch_size=2)
        assert total == 0
        total.backward()  # type: ignore[no-untyped-call]
        assert loss.grad is not None
        assert loss.grad.abs().sum() == 0


def test_a_whole_batch_of_masked_ones_would_lose_the_weights_and_is_refused() -> None:
    """That verl divides by their tokens is why."""
    assert torch.isnan(agg_loss(torch.ones(2, 4), torch.zeros(2, 4), "token-mean"))
    refuse_nothing_to_learn([{UNLEARNT: 1.0}, {UNLEARNT: 0.0}])
    refuse_nothing_to_learn([{}])
    with pytest.raises(RuntimeError, match="all 2 trajectories of the step are masked"):
        refuse_nothing_to_learn([{UNLEARNT: 1.0}, {UNLEARNT: 1.0}])


def test_parts_of_every_turn_and_the_mask_reach_verl(qwen_for_verl: Path, tmp_path: Path) -> None:
    config = configured(qwen_for_verl, "mask")
    row = {**panel_row(tmp_path), "agent_name": "ergo_zoom"}
    batch, _ = rolled_out(config, [row], [one + END for one in OVER])
    assert batch.batch["response_mask"].sum() == 0
    assert batch.batch["rm_scores"].shape == batch.batch["responses"].shape
    extra = {name: batch.non_tensor_batch[name][0] for name in batch.meta_info["reward_extra_keys"]}
    assert (extra[UNLEARNT], extra["over_turns"], extra["calls"], extra["delivered"]) == (1, 1, 2, 1)
    assert (extra["turn_2_delivered"], extra["turn_2_coverage"], extra["turn_3_delivered"]) == (1, 1, None)
    assert extra["turn_1_tokens"] > 5


STEPS = {
    "well": ([(1.0, 0.1, 0.0), (0.8, 0.1, 0.0)], []),
    "calls die out": ([(1.0, 0.1, 0.0), (0.05, 0.0, 0.0)], ["calls collapsed: 0.05 calls a rollout, after 1.00"]),
    "never called": ([(0.01, 0.0, 0.0), (0.0, 0.0, 0.0)], []),
    "malformed": ([(1.0, 0.6, 0.0)], ["malformed calls: 60% of the calls cannot be followed"]),
    "out of turns": ([(5.0, 0.0, 0.7)], ["out of turns: 70% of the rollouts end without an answer"]),
    "over again": ([(1.0, 0.6, 0.0), (1.0, 0.2, 0.0)], ["malformed calls: 60%", "malformed calls: no longer"]),
    "told once": ([(1.0, 0.6, 0.0), (1.0, 0.7, 0.0)], ["malformed calls: 60%"]),
}


@pytest.mark.parametrize(("steps", "sentences"), STEPS.values(), ids=STEPS.keys())
def test_collapse_is_named_when_it_happens(
    steps: list[tuple[float, float, float]], sentences: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(method_named("tool_zoom"))
    with caplog.at_level(logging.WARNING):
        for calls, malformed, over in steps:
            means = {"tool_zoom/calls": calls, "tool_zoom/malformed": malformed, "tool_zoom/over_turns": over}
            last = watch.notice(means)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == len(sentences)
    assert all(sentence in line for sentence, line in zip(sentences, said, strict=True))
    assert last == float(bool(sentences) and "no longer" not in sentences[-1])


def test_other_methods_have_no_signs() -> None:
    assert Watch(method_named("ergo")).notice({"ergo/region": 0.0}) == 0
