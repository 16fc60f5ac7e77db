"""Every training recipe against verl's own configuration: hydra would accept a misspelt key in a yaml file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import verl.trainer.config
from omegaconf import DictConfig, OmegaConf
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import omega_conf_to_dataclass, validate_config

from ergo_plugins.methods.ergo import RewardConfig
from ergo_plugins.outside.judge import JudgeConfig
from ergo_plugins.plan.cards import CARDS
from ergo_plugins.plan.checks import WRAPPING_TOKENS, WRAPPING_TOKENS_OF_A_TINY_WORLD
from ergo_plugins.plan.compose import OPEN, strange_keys
from ergo_plugins.plan.memory import GIB
from ergo_plugins.plan.shapes import shape_of
from ergo_plugins.verl_plugin.reward_manager import refuse
from ergo_plugins.verl_plugin.settings import Settings
from tests.contract.verl_parts import ROOT, composed

RECIPES = sorted(
    path
    for path in ROOT.glob("recipes/**/*.yaml")
    if "defaults:" in path.read_text() and "sft_trainer" not in path.read_text() and path.stem != "on_a_cpu"
)
"""Of reinforcement learning; `test_verl_sft_recipes.py` has the others, and on_a_cpu is what tiny ones are built on."""
ZOOMS = ("train_tool_zoom_7b", "train_tool_zoom_qwen3vl_8b")

WEIGHTS = {
    "ablation_a_accuracy": RewardConfig(alpha=0, beta=0),
    "ablation_b_region": RewardConfig(beta=0, accuracy=0),
    "ablation_c_region_box": RewardConfig(beta=1, accuracy=0),
    "ablation_d_weighted": RewardConfig(accuracy=0),
    "ablation_e_full": RewardConfig(),
    "train_ergo_7b": RewardConfig(),
}

recipes = pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)


def filled(recipe: Path) -> DictConfig:
    paths = ["data.train_files=a", "data.val_files=b"]
    if recipe.parent.name == "tiny":
        paths.append("actor_rollout_ref.model.path=recipes/tiny/policy")
    return composed(recipe.stem, *paths, folder=recipe.parent)


def test_there_are_recipes() -> None:
    assert {path.stem for path in RECIPES} >= {
        *WEIGHTS,
        "train",
        "train_judged",
        "train_egm",
        "train_ergo_qwen3vl_8b",
        "train_ergo_qwen35_4b",
        "train_ergo_7b_judge_pool",
        "train_rules",
        "train_lora_3b",
        "train_lora_7b",
        *ZOOMS,
    }


@recipes
def test_no_key_is_misspelt(recipe: Path) -> None:
    base = composed("ppo_trainer", folder=Path(verl.trainer.config.__path__[0]))
    OmegaConf.set_struct(base, True)
    for path in OPEN:
        node = OmegaConf.select(base, path)
        if node is not None:
            OmegaConf.set_struct(node, False)
    own = OmegaConf.load(recipe)
    for added in ("defaults", "ergo"):
        own.pop(added, None)
    OmegaConf.merge(base, own)
    assert strange_keys(recipe) == [], "ergo plan sees what OmegaConf sees"


@recipes
def test_verl_accepts_it(recipe: Path) -> None:
    config = filled(recipe)
    if config.actor_rollout_ref.model.lora_rank > 0:
        # which ranks vLLM can hold verl asks a package of the name "vllm", and a CPU's has another
        from vllm.config.lora import MaxLoRARanks

        assert config.actor_rollout_ref.model.lora_rank in get_args(MaxLoRARanks)
        config.actor_rollout_ref.rollout.name = "sglang"
    validate_config(config=config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    for part in ("actor_rollout_ref.actor", "actor_rollout_ref.rollout", "algorithm"):
        omega_conf_to_dataclass(OmegaConf.select(config, part))


@recipes
def test_ours_accepts_it(recipe: Path) -> None:
    config = filled(recipe)
    settings = Settings.of(config)
    refuse(config, settings)
    episode, rollout = settings.episode, config.actor_rollout_ref.rollout
    wrapping = WRAPPING_TOKENS if recipe.parent.name != "tiny" else WRAPPING_TOKENS_OF_A_TINY_WORLD
    budget = settings.method.budget(episode)
    assert budget is not None
    first, needed = budget.first_tokens, budget.response_tokens(wrapping)
    if budget.replies > 2:
        needed += wrapping  # a policy that asks again after its last part is told so
    assert rollout.prompt_length > first, "an image within its budget would be refused"
    assert rollout.response_length >= needed, "a well-formed trajectory would be cut short"
    if rollout.max_model_len:
        assert rollout.max_model_len >= rollout.prompt_length + rollout.response_length


@pytest.mark.parametrize("recipe", [one for one in RECIPES if one.parent.name == "recipes"], ids=lambda path: path.stem)
def test_the_scripts_read_of_a_recipe_who_judges(recipe: Path) -> None:
    """They ask for JUDGE_URL by it, in bash, where hydra sees all of verl's configuration."""
    judge = Settings.of(filled(recipe)).judge
    for name in ("source", "model"):
        assert judge_setting(name, recipe.stem).strip('"') == getattr(judge, name)


def test_a_setting_behind_a_recipe_says_who_judges() -> None:
    given = ("trainer.nnodes=2", "ergo.judge.source=endpoints", "++ergo.judge.model=other")
    assert judge_setting("source", "train_rules", *given) == "endpoints"
    assert judge_setting("model", "train_rules", *given) == "other"


def judge_setting(*words: str) -> str:
    command = 'source recipes/judge_setting.sh; judge_setting "$@"'
    said = subprocess.run(["bash", "-c", command, "-", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return said.stdout.strip()


@pytest.mark.parametrize(("name", "gpus", "tensor_parallel"), [("4_and_4", 4, 4), ("7_and_1", 7, 1)])
def test_a_trainer_and_its_judge_fill_a_node_of_eight(name: str, gpus: int, tensor_parallel: int) -> None:
    config = filled(ROOT / f"recipes/train_ergo_7b_{name}.yaml")
    assert config.trainer.n_gpus_per_node == gpus == 8 - tensor_parallel
    for batch in (config.data.train_batch_size, config.actor_rollout_ref.actor.ppo_mini_batch_size):
        assert batch % gpus == 0
    assert (
        f"{name}) training={gpus} judging={tensor_parallel} ;;" in (ROOT / "recipes/train_beside_judge.sh").read_text()
    )
    judge = shape_of(Settings.of(config).judge.model)
    assert judge.heads % tensor_parallel == 0
    assert judge.served_bytes / tensor_parallel < 0.6 * CARDS["h100"].memory_gib * GIB, "room for questions beside it"


@pytest.mark.parametrize("name", WEIGHTS)
def test_each_row_of_the_ablation_is_a_configuration(name: str) -> None:
    assert Settings.of(filled(ROOT / f"recipes/{name}.yaml")).reward == WEIGHTS[name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["+ergo.zooom.coarse_tokens=1"], "no key zooom"),
        (["+ergo.reward.gama=0.5"], "ergo.reward has no key gama"),
        (["ergo.reward.gamma=2"], "gamma is a share"),
        (["ergo.zoom.coarse_tokens=many"], "ergo.zoom.coarse_tokens is of type int"),
        (["ergo.judge.sees=everything"], "judge.sees is one of"),
        (["ergo.judge.urls=[]"], "judge.urls"),
        (["reward.reward_model.enable=True"], "custom_reward_function.path"),
        (
            ["reward.reward_model.enable=True", "reward.custom_reward_function.path=pkg://x"],
            "enable_resource_pool=True",
        ),
        (["ergo.judge.source=reward_model", "ergo.judge.urls=[]"], "enable=True"),
    ],
)
def test_misconfigurations_are_refused_with_the_fix(change: list[str], words: str) -> None:
    config = composed("train_ergo_7b", "data.train_files=a", "data.val_files=b", *change, folder=ROOT / "recipes")
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        refuse(config, Settings.of(config))


def test_defaults_live_in_the_dataclasses() -> None:
    config = OmegaConf.create({"ergo": {}})
    assert Settings.of(config) == Settings.read({}, "ergo")
    assert Settings.of(config).judge == JudgeConfig()


@pytest.mark.parametrize(
    ("command", "environment", "sentence"),
    [
        ("recipes/train_ergo_7b.sh", {"CUDA_VISIBLE_DEVICES": ""}, "No CUDA GPU in sight"),
        ("recipes/train_rules.sh", {"CUDA_VISIBLE_DEVICES": ""}, "No CUDA GPU in sight"),
        ("recipes/train_beside_judge.sh", {}, "Usage"),
        ("recipes/train_beside_judge.sh 5_and_3", {}, "not: 5_and_3"),
        ("recipes/train_beside_judge.sh 7_and_1", {"CUDA_VISIBLE_DEVICES": "0,1"}, "names 2 GPUs"),
        (
            "recipes/train_beside_judge.sh 7_and_1",
            {"CUDA_VISIBLE_DEVICES": "70,71,72,73,74,75,76,77"},
            "No CUDA GPU in sight",
        ),
        ("recipes/ray_job.sh train_ergo_7b", {}, "not: train_ergo_7b"),
        (
            "recipes/ray_job.sh http://127.0.0.1:9",
            {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "DATA": "runs/data", "OUT": "/shared/runs"},
            "have to be absolute",
        ),
        ("recipes/slurm/train.sbatch", {}, "SLURM_JOB_NODELIST: is set by Slurm"),
        ("recipes/slurm/judge.sbatch", {"SLURM_SUBMIT_DIR": ".", "JUDGE_KEY": ""}, "JUDGE_KEY is needed"),
        ("recipes/serve_judge.sh", {"PATH": "/usr/bin:/bin"}, "vllm is missing"),
        ("recipes/merge.sh", {}, "Usage"),
        ("recipes/merge.sh /nowhere", {}, "no checkpoint of verl in /nowhere"),
        ("recipes/tiny/train.sh", {"POLICY": "/nowhere"}, "There is no policy in /nowhere"),
    ],
)
def test_scripts_refuse_with_a_sentence(command: str, environment: dict[str, str], sentence: str) -> None:
    refused = subprocess.run(
        ["bash", *command.split()],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
