"""The reward manager as verl's reward worker makes and calls it, on verl's own batches."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensordict import TensorDict
from verl import DataProto
from verl.trainer.ppo.metric_utils import process_validation_metrics
from verl.trainer.ppo.reward import load_reward_manager
from verl.utils import hf_tokenizer

from ergo_plugins.core.geometry import Box, Size
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord
from ergo_plugins.core.record import ROLLOUT_RECORD
from ergo_plugins.verl_plugin.compute_score import compute_score
from ergo_plugins.verl_plugin.trainer import mean_parts
from tests.contract.verl_parts import POLICY, panel_row, tiny

LOOK, ANSWER = "<think>red</think><zoom>[0, 0, 28, 28]</zoom>", "<think>dots</think><answer>B</answer>"


def outcome(**changes: Any) -> Outcome:
    view = Size(112, 112)
    turns = (
        TurnRecord("look", (Shown(None, view, 16),), LOOK, "stop"),
        TurnRecord("answer", (Shown(None, view, 16),), ANSWER, "stop"),
    )
    fields = {"answer": "B", "boxes": {"crop": Box(0, 0, 112, 112)}, "turns": turns, **changes}
    return Outcome(method="ergo", source=Size(448, 448), **fields)


def batch(row: dict[str, Any], response: str, extra_fields: dict[str, Any] | None) -> DataProto:
    """One trajectory as `AgentLoopWorker._compute_score` sends it."""
    ids = hf_tokenizer(str(POLICY)).encode(response, add_special_tokens=False, return_tensors="pt")
    tensors = {"prompts": torch.zeros(1, 4, dtype=torch.long), "responses": ids, "attention_mask": None}
    tensors["attention_mask"] = torch.ones(1, 4 + ids.shape[1], dtype=torch.long)
    columns = {name: np.array([value], dtype=object) for name, value in row.items() if name != "raw_prompt"}
    columns["tool_extra_fields"] = np.array([extra_fields], dtype=object)
    return DataProto(batch=TensorDict(tensors, batch_size=1), non_tensor_batch=columns)


def rewarded(row: dict[str, Any], extra_fields: dict[str, Any] | None, *settings: str, response: str = ANSWER) -> Any:
    async def main() -> Any:
        manager = load_reward_manager(tiny(*settings), hf_tokenizer(str(POLICY)))
        return await manager.run_single(batch(row, response, extra_fields))

    return asyncio.run(main())


def test_the_reward_and_all_its_parts(tmp_path: Path) -> None:
    given = rewarded(panel_row(tmp_path), {"ergo": outcome().to_json()})
    assert given["reward_score"] == 3.5
    info = given["reward_extra_info"]
    assert (info["region"], info["box"], info["accuracy"], info["format"], info["acc"]) == (1, 1, 1, 1, 1)
    assert info["area_ratio"] == 1 / 16
    assert info["coverage"] == 1
    assert info["visual_tokens"] == 32


@pytest.mark.parametrize(
    ("part", "changed", "target_box", "score"),
    [
        ("accuracy", {"answer": "A"}, None, 2.5),
        (
            "format",
            {"turns": (*outcome().turns[:1], replace(outcome().turns[1], reply="<answer>B</answer>"))},
            None,
            2.5,
        ),
        ("region", {}, [336.0, 336.0, 448.0, 448.0], 2.5),
        ("box", {"boxes": {"crop": Box(0, 0, 448, 448)}}, [0.0, 0.0, 224.0, 224.0], 3.0),
    ],
)
def test_each_part_is_logged_under_its_own_name(
    tmp_path: Path, part: str, changed: dict[str, Any], target_box: Any, score: float
) -> None:
    row = panel_row(tmp_path, **({"target_box": target_box} if target_box else {}))
    given = rewarded(row, {"ergo": outcome(**changed).to_json()})
    info = given["reward_extra_info"]
    assert given["reward_score"] == score
    assert {name for name in ("region", "box", "accuracy", "format") if info[name] == 0} == {part}
    assert info["acc"] == info["accuracy"]


def test_the_keys_are_the_same_for_every_trajectory(tmp_path: Path) -> None:
    row = panel_row(tmp_path)
    lost = outcome(boxes={"crop": None}, answer="", turns=())
    good, bad = (rewarded(row, {"ergo": case.to_json()})["reward_extra_info"] for case in (outcome(), lost))
    assert list(good) == list(bad)
    assert bad["zoomed"] == 0
    boxless = {**row, "extra_info": {**row["extra_info"], "target_box": None}}
    unverified = rewarded(boxless, {"ergo": outcome().to_json()}, "+ergo.reward.alpha=0")
    assert list(unverified["reward_extra_info"]) == list(good)
    assert unverified["reward_extra_info"]["coverage"] is None


def test_the_record_is_text_that_verl_takes_no_mean_of(tmp_path: Path) -> None:
    info = rewarded(panel_row(tmp_path), {"ergo": outcome().to_json()})["reward_extra_info"]
    record = json.loads(info[ROLLOUT_RECORD])
    assert Outcome.from_json(record["outcome"]) == outcome()
    assert (record["task"], record["doc_id"], record["target_box_source"]) == ("panels", "7", [0, 0, 56, 56])
    assert Path(record["image_path"]).is_file()
    means = process_validation_metrics(["panels"], ["u"], {name: [value] for name, value in info.items()})
    assert "accuracy" in means["panels"]
    assert ROLLOUT_RECORD not in means["panels"]
    assert ROLLOUT_RECORD not in "".join(mean_parts([info], "ergo"))


def test_no_record_is_an_error_and_no_zero(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"panels 7.*default_agent_loop=ergo_zoom"):
        rewarded(panel_row(tmp_path), {})
    with pytest.raises(ValueError, match=r"panels 7.*default_agent_loop"):
        rewarded(panel_row(tmp_path), None)


def test_a_row_without_a_box_is_an_error_under_rules(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"panels 7 has no target_box"):
        rewarded(panel_row(tmp_path, target_box=None), {"ergo": outcome().to_json()})


TOOL_LOOP = "actor_rollout_ref.rollout.agent.default_agent_loop=tool_agent"


def test_a_tools_record_is_completed_by_the_answer_that_followed(tmp_path: Path) -> None:
    unanswered = outcome(answer="", problems=("answer: no <answer>, and nothing outside <think>",))
    fields = {"ergo": unanswered.to_json(), "ergo_unanswered": True}
    response = f"{LOOK}\nuser\nWhich?\nassistant\n{ANSWER}"
    assert rewarded(panel_row(tmp_path), fields, TOOL_LOOP, response=response)["reward_score"] == 3.5


HEADER = "user\nassistant\nwhat else?\nassistant\n"


@pytest.mark.parametrize("look", [LOOK, f"<think>red\n{HEADER}</think><zoom>[0, 0, 28, 28]</zoom>"])
@pytest.mark.parametrize("asked", ["Which?", f"Which? {HEADER}"])
@pytest.mark.parametrize("thought", ["dots", f"dots\n{HEADER}so"])
def test_words_of_a_header_in_a_reply_or_a_question_are_no_header(
    tmp_path: Path, look: str, asked: str, thought: str
) -> None:
    answer = f"<think>{thought}</think><answer>B</answer>"
    first, second = outcome().turns
    unanswered = outcome(answer="", turns=(replace(first, reply=look), replace(second, reply="")))
    fields = {"ergo": unanswered.to_json(), "ergo_unanswered": True, "ergo_asked": asked}
    response = f"{look}\nuser\n{asked}\nassistant\n{answer}"
    given = rewarded(panel_row(tmp_path), fields, TOOL_LOOP, response=response)
    record = json.loads(given["reward_extra_info"][ROLLOUT_RECORD])
    assert record["outcome"]["turns"][1]["reply"] == answer
    assert given["reward_score"] == 3.5


def test_in_the_tool_loop_a_policy_may_answer_without_looking(tmp_path: Path) -> None:
    given = rewarded(panel_row(tmp_path), {}, TOOL_LOOP)
    assert given["reward_score"] == 1.0
    assert given["reward_extra_info"]["zoomed"] == 0


def test_a_tools_failure_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"panels 7: zoom: there is no image"):
        rewarded(panel_row(tmp_path), {"ergo_fault": "zoom: there is no image"}, TOOL_LOOP)


def test_compute_score_is_the_same_reward_for_stock_managers(tmp_path: Path) -> None:
    row = panel_row(tmp_path)
    naive = (
        "reward.reward_manager.name=naive",
        "reward.custom_reward_function.path=pkg://ergo_plugins.verl_plugin.compute_score",
        "+reward.custom_reward_function.reward_kwargs.reward.beta=0.25",
    )
    ours = rewarded(row, {"ergo": outcome().to_json()}, "+ergo.reward.beta=0.25")
    stock = rewarded(row, {"ergo": outcome().to_json()}, *naive)
    assert stock["reward_score"] == ours["reward_score"] == 3.25
    score = stock["reward_extra_info"].pop("score")
    assert score == 3.25
    assert stock["reward_extra_info"] == ours["reward_extra_info"]


def test_compute_score_refuses_misspelt_settings() -> None:
    with pytest.raises(ValueError, match="reward_kwargs has no key rewrd"):
        asyncio.run(compute_score("panels", "", "B", {}, rewrd={"beta": 1}))
