"""A step of LoRA in stock verl, with the adapter of `recipes/train_lora_3b.yaml`, on the shipped policy.

Two things of the recipe belong to a GPU and stay out: weights in bfloat16 that wait on the host, and vLLM, to which the
adapter goes alone. The rollout of a CPU takes whole weights, so verl merges the adapter into what it sends.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from ergo_plugins.plan.compose import composed
from tests.e2e.verl_runs import ROOT, TINY, make_rows, verl

OF_THE_RECIPE = (
    "actor_rollout_ref.model.lora_rank",
    "actor_rollout_ref.model.lora_alpha",
    "actor_rollout_ref.model.target_modules",
    "actor_rollout_ref.actor.optim.lr",
)
PREFIX = "base_model.model."
"""peft's, before the names of a model it wraps."""


@pytest.mark.slow
def test_a_step_moves_the_adapter_and_nothing_else(tmp_path: Path) -> None:
    recipe = composed("train_lora_3b", "data.train_files=a", "data.val_files=b", folder=ROOT / "recipes")
    settings = {key: OmegaConf.select(recipe, key) for key in OF_THE_RECIPE}
    run = verl(
        tmp_path,
        make_rows(tmp_path),
        *(f"{key}={value}" for key, value in settings.items()),
        f"actor_rollout_ref.model.exclude_modules='{recipe.actor_rollout_ref.model.exclude_modules}'",
        "actor_rollout_ref.model.lora.merge=True",
        "trainer.save_freq=1",
        "trainer.test_freq=1",
    )
    assert run.exit_code == 0, run.log[-3000:]
    (step,) = run.trained
    assert step["actor/grad_norm"] > 0
    total = step["ergo/region"] + 0.5 * step["ergo/box"] + step["ergo/accuracy"] + step["ergo/format"]
    assert step["critic/rewards/mean"] == pytest.approx(total, abs=1e-6)
    assert step["training/rollout_actor_probs_pearson_corr"] > 0.99, "merged weights travel in bfloat16"

    saved = saved_weights(tmp_path / "checkpoints" / "global_step_1" / "actor")
    adapter = {name: tensor for name, tensor in saved.items() if ".lora_" in name}
    rank = settings["actor_rollout_ref.model.lora_rank"]
    assert adapter
    assert {min(tensor.shape) for tensor in adapter.values()} == {rank}
    assert not any("visual" in name for name in adapter), "the tower is not learnt"
    assert all(tensor.abs().max() > 0 for name, tensor in adapter.items() if ".lora_B." in name), (
        "they begin with zeros"
    )
    shipped = load_file(TINY / "policy" / "model.safetensors")
    base = {as_shipped(name): saved[name] for name in saved.keys() - adapter.keys()}
    matched = {name: tensor for name, tensor in base.items() if name in shipped}
    assert len(matched) > len(adapter) / 2
    assert all(torch.equal(tensor, shipped[name]) for name, tensor in matched.items())


def as_shipped(name: str) -> str:
    """The name in the file of weights: without what peft and the model around both towers put into it."""
    return name.removeprefix(PREFIX).replace(".base_layer", "").replace("model.language_model.", "model.")


def saved_weights(actor: Path) -> dict[str, torch.Tensor]:
    """The only shard of verl's checkpoint."""
    (file,) = actor.glob("model_world_size_1_rank_0.pt")
    saved: dict[str, Any] = torch.load(file, weights_only=False)
    return {name: getattr(tensor, "_local_tensor", tensor) for name, tensor in saved.items()}
