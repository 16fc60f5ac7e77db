"""GRPO steps of stock verl with real Ray, real servers and the shipped policy, one run for each way to be rewarded."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ergo_plugins.core.images import size_of
from ergo_plugins.report.read.rollouts import read_rollouts
from tests.e2e.judge_server import Asked, JudgeServer
from tests.e2e.lmms_runs import make_panels
from tests.e2e.tiny_runs import train
from tests.e2e.verl_runs import ROOT, TINY, VerlRun, change_rows, make_rows, verl

PARTS = ("region", "box", "accuracy", "format", "zoomed", "area_ratio", "visual_tokens", "judge_calls", "judge_errors")


@pytest.mark.training
@pytest.mark.timeout(2400)
def test_the_tiny_recipe_is_killed_resumed_merged_evaluated_and_shown(tmp_path: Path) -> None:
    make_rows(tmp_path, 20)
    make_panels(tmp_path / "test", samples=8)
    settings = (
        "data.train_batch_size=4",
        "actor_rollout_ref.actor.ppo_mini_batch_size=4",
        *("trainer.save_freq=1", "trainer.test_freq=2", "trainer.val_before_train=false"),
        f"trainer.validation_data_dir={tmp_path / 'validated'}",
    )
    printed = train("train", tmp_path, *settings, STEPS=2, KILL_AT=1)
    assert "Killed verl at the checkpoint of step 1" in printed
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["steps"] == [1, 2]
    assert summary["log_probabilities"]["pearson_min"] >= 0.9999
    assert summary["validation"]["last"]["reward"] > 2
    assert set(summary["parts"]["last"]) >= set(PARTS)
    metrics = read_metrics(tmp_path / "metrics")
    assert all(step["actor/grad_norm"] > 0 for step in metrics if "training/global_step" in step)
    shipped, trained = (load_file(folder / "model.safetensors") for folder in (TINY / "policy", tmp_path / "merged"))
    assert shipped.keys() == trained.keys()
    assert any(not torch.equal(shipped[name], trained[name]) for name in shipped)
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert evaluation["settings"]["model"] == str(tmp_path / "merged")
    assert evaluation["samples"] == 8
    assert evaluation["zoom_success"] > 0.5
    assert (tmp_path / "report.html").exists()

    (logged,) = (step for step in metrics if step.get("training/global_step") == 2)
    rollouts = read_rollouts(tmp_path / "rollouts")
    assert (len(rollouts.rows), rollouts.notes) == (32, [])
    for part in ("region", "box", "accuracy", "format", "visual_tokens"):
        mean = sum(row.metrics[part] for row in rollouts.rows) / 32
        assert mean == pytest.approx(logged[f"ergo/{part}"], abs=1e-6), part
    assert sum(row.metrics["reward"] for row in rollouts.rows) / 32 == pytest.approx(logged["critic/rewards/mean"])
    dumped = [json.loads(line) for line in (tmp_path / "rollouts" / "2.jsonl").read_text().splitlines()]
    assert all(row.outcome.turns[-1].reply in line["output"] for row, line in zip(rollouts.rows, dumped, strict=True))
    html = (tmp_path / "rollouts.html").read_text(encoding="utf-8")
    assert html.count("<img ") == 64
    validated = read_rollouts(tmp_path / "validated", 2)
    assert {row.task for row in validated.rows} == {"panels"}
    assert all(row.correct is not None and set(row.previews) == {"look", "answer"} for row in validated.rows)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """What verl's file logger wrote in all starts of a run."""
    lines = [line for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    return [json.loads(line)["data"] for line in lines]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_rows(tmp_path_factory.mktemp("rows"))


@dataclass(frozen=True)
class Judged:
    """A run with a judge behind a URL, with a damaged picture among the rows of its step and one in its validation."""

    run: VerlRun
    asked: list[Asked]
    damaged: Path
    folder: Path


@pytest.fixture(scope="module")
def judged(rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("judged")
    damaged = folder / "damaged.png"

    def damage(table: Any) -> None:
        damaged.write_bytes(Path(table["extra_info"][0]["image_path"]).read_bytes()[:2000])
        table["extra_info"][0]["image_path"] = table["images"][0][0]["image"] = str(damaged)

    for name in ("train", "validation"):
        shutil.copy(rows / f"{name}.parquet", folder)
        change_rows(folder, damage, name)
    with JudgeServer(lambda number, *_: 500 if number % 5 == 0 else "<answer>A</answer>") as judge:
        run = verl(
            folder,
            folder,
            "data.shuffle=false",  # the damaged one is in the step
            "ergo.judge.source=endpoints",
            f"+ergo.judge.urls=[{judge.url}]",
            "+ergo.judge.model=judge",
            "+ergo.judge.first_delay_s=0.05",
            "+ergo.trainer.max_lost=0.5",
            "ergo.trainer.pictures=3",
            # verl fills up what was lost with sequences without images, and cannot train a micro-batch of them alone
            "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=16",
            "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=16",
            "trainer.total_training_steps=2",
            "trainer.test_freq=2",  # verl writes a step down after the validation behind it
            "trainer.logger=[console,file,tensorboard,wandb]",
        )
        return Judged(run, judge.asked, damaged, folder)


@pytest.mark.training
def test_a_share_may_be_lost_in_training_and_nothing_in_validation(judged: Judged) -> None:
    """Stock verl counts a validation sample that failed as a wrong answer."""
    log = judged.run.log
    assert judged.run.exit_code != 0
    assert "1 of 4 prompts lost trajectories in step 2 (val)" in log, log[-2000:]
    assert str(judged.damaged) in log
    (step,) = judged.run.trained
    assert step["ergo/lost_prompts"] == 1
    assert step["actor/grad_norm"] > 0


@pytest.mark.training
def test_a_judge_behind_a_url_decides_and_its_parts_add_up(judged: Judged) -> None:
    (step,) = judged.run.trained
    assert all(f"ergo/{part}" in step for part in PARTS)
    total = step["ergo/region"] + 0.5 * step["ergo/box"] + step["ergo/accuracy"] + step["ergo/format"]
    assert step["critic/rewards/mean"] == pytest.approx(total, abs=1e-6)
    asked = judged.asked[: round(step["ergo/judge_calls"] * 12)]  # by the first step; three of four prompts have four
    assert step["ergo/judge_errors"] * 12 == pytest.approx(len(asked[::5]))
    answered = [request.images[0].tobytes() for number, request in enumerate(asked) if number % 5]
    assert len(answered) == len(set(answered)) < 12, "rollouts that look at the same crop are judged once"
    assert all(size_of(request.images[0]).area <= 16 * 28**2 for request in judged.asked), "the crop, not the original"


@pytest.mark.training
def test_pictures_go_to_each_tracker(judged: Judged) -> None:
    events = EventAccumulator(str(judged.folder / "tensorboard"), size_guidance={"images": 0}).Reload()
    names = [f"ergo/rollouts/{number}" for number in (1, 2, 3)]
    assert events.Tags()["images"] == names
    assert [[image.step for image in events.Images(name)] for name in names] == [[1, 2]] * 3
    in_wandb = sorted((judged.folder / "wandb").glob("offline-run-*/files/media/images/ergo/*.png"))
    assert len(in_wandb) == 6
    pictures = [Image.open(BytesIO(image.encoded_image_string)) for name in names for image in events.Images(name)]
    assert sorted(Image.open(file).tobytes() for file in in_wandb) == sorted(picture.tobytes() for picture in pictures)
    beside = [Image.open(file).width > Image.open(file).height for file in in_wandb]
    assert any(beside), "the original and a crop; a rollout that took the whole image has none"
    (step,) = judged.run.trained
    assert step["timing_s/pictures"] < 2


def fails_for_a_quarter(number: int, _: str, images: list[Image.Image]) -> Any:
    """For the same crops each time, in all the ways of failing; stock verl would train on the other crops' rollouts."""
    fails = hashlib.sha256(images[0].tobytes()).digest()[0] % 4 == 0
    return (500, None, "dots, I guess")[number % 3] if fails else "<answer>B</answer>"


@pytest.mark.slow  # that a loss ends a run is seen by default in the validation of the next one
@pytest.mark.training
def test_a_judge_that_fails_for_some_crops_ends_the_run_and_scores_nobody(rows: Path, tmp_path: Path) -> None:
    with JudgeServer(fails_for_a_quarter) as judge:
        run = verl(
            tmp_path,
            rows,
            "ergo.judge.source=endpoints",
            f"+ergo.judge.urls=[{judge.url}]",
            "+ergo.judge.model=judge",
            "+ergo.judge.attempts=2",
            "+ergo.judge.first_delay_s=0.05",
        )
        asked = {request.images[0].tobytes(): request for request in judge.asked}
    failing = [pixels for pixels in asked if hashlib.sha256(pixels).digest()[0] % 4 == 0]
    assert 0 < len(failing) < len(asked), "some fail and some do not: when all do, verl stops by itself"
    assert run.exit_code != 0
    assert "prompts lost trajectories in step 1" in run.log
    assert f"no verdict from {judge.url}" in run.log
    assert run.trained == []


@pytest.mark.slow
def test_verls_own_generative_reward_model_is_asked(rows: Path, tmp_path: Path) -> None:
    policy = TINY / "policy"  # knows questions only, and answers them from a crop
    run = verl(
        tmp_path,
        rows,
        "ergo.judge.source=reward_model",
        "actor_rollout_ref.rollout.temperature=1.0",  # every crop then shows its tile
        "+ergo.judge.prompt='{question}'",
        "+ergo.judge.max_new_tokens=24",
        "+ergo.judge.first_delay_s=0.05",
        "reward.custom_reward_function.path=pkg://ergo_plugins.verl_plugin.compute_score",
        "reward.reward_model.enable=True",
        "reward.reward_model.enable_resource_pool=True",
        "reward.reward_model.n_gpus_per_node=1",
        "reward.reward_model.nnodes=1",
        f"reward.reward_model.model_path={policy}",
        "reward.reward_model.rollout.name=ergo_hf",
        "reward.reward_model.rollout.tensor_model_parallel_size=1",
        "reward.reward_model.rollout.skip_tokenizer_init=False",
        "ray_kwargs.ray_init.num_gpus=2",
    )
    assert run.exit_code == 0, run.log[-3000:]
    (step,) = run.trained
    assert step["ergo/judge_calls"] > 0
    assert step["ergo/region"] > 0.2, "it answers what the crops show, and half of them show it"
    assert step["ergo/lost_prompts"] == 0


@pytest.mark.slow  # test_verl_opened plays verl's tool loop, test_verl_reward_manager its naive manager
@pytest.mark.training
def test_verls_tool_loop_and_naive_manager(tmp_path: Path) -> None:
    prompts = str(ROOT / "recipes/tiny/prompts.yaml")
    data = make_rows(tmp_path, 12, "--agent", "tool_agent", "--coarse-tokens", "16", "--prompts", prompts)
    tool = tmp_path / "tool.yaml"
    zoom = {"coarse_tokens": 16, "crop_tokens": 16, "resample": "box", "prompts": prompts}
    config = {"type": "native", "zoom": zoom}
    tool.write_text(
        json.dumps({"tools": [{"class_name": "ergo_plugins.verl_plugin.crop_tool.ErgoCropTool", "config": config}]})
    )
    run = verl(
        tmp_path,
        data,
        "actor_rollout_ref.rollout.agent.default_agent_loop=tool_agent",
        "actor_rollout_ref.rollout.multi_turn.enable=True",
        "actor_rollout_ref.rollout.multi_turn.format=ergo_zoom",
        "actor_rollout_ref.rollout.multi_turn.max_assistant_turns=2",
        "actor_rollout_ref.rollout.multi_turn.max_tool_response_length=4096",
        f"actor_rollout_ref.rollout.multi_turn.tool_config_path={tool}",
        "reward.reward_manager.name=naive",
        "reward.custom_reward_function.path=pkg://ergo_plugins.verl_plugin.compute_score",
        "+reward.custom_reward_function.reward_kwargs.judge.source=rules",
        "+reward.custom_reward_function.reward_kwargs.reward.gamma=0.5",
    )
    assert run.exit_code == 0, run.log[-3000:]
    (step,) = run.trained
    assert step["ergo/zoomed"] > 0.2
    assert step["training/rollout_actor_probs_pearson_corr"] >= 0.9999


@pytest.mark.slow
def test_two_ranks(rows: Path, tmp_path: Path) -> None:
    run = verl(tmp_path, rows, "trainer.n_gpus_per_node=2", "ray_kwargs.ray_init.num_gpus=2")
    assert run.exit_code == 0, run.log[-3000:]
    (step,) = run.trained
    assert step["training/rollout_actor_probs_pearson_corr"] >= 0.9999
    assert step["actor/grad_norm"] > 0


@pytest.mark.slow
def test_a_damaged_image_stops_the_run_and_is_named(tmp_path: Path) -> None:
    data = make_rows(tmp_path)

    def damage(table: Any) -> None:
        path = Path(table["extra_info"][0]["image_path"])
        path.write_bytes(path.read_bytes()[:2000])

    change_rows(data, damage)
    run = verl(tmp_path, data, "data.train_batch_size=8", "actor_rollout_ref.actor.ppo_mini_batch_size=8")
    assert run.exit_code != 0
    assert "panels 0" in run.log
    assert "lost trajectories" in run.log
    assert run.trained == []


@pytest.mark.slow  # that it is refused is seen in test_verl_recipes
def test_a_misconfiguration_stops_the_run_at_the_start(rows: Path, tmp_path: Path) -> None:
    run = verl(tmp_path, rows, "+ergo.reward.gama=0.5")
    assert run.exit_code != 0
    assert "ergo.reward has no key gama" in run.log


def test_images_of_the_rows_are_large(rows: Path) -> None:
    sizes = [Image.open(path).size for path in (rows.parent / "panels" / "images").glob("*.png")]
    assert min(min(size) for size in sizes) >= 2000
