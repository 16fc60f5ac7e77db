"""Two steps of training in the shape of recipes/train_rules.yaml on one GPU, and their memory beside `ergo plan`'s.

    python -m recipes.bench.step               # one card of 80 GB; nothing is downloaded
    python -m recipes.bench.step --rehearse    # the tiny recipe on a CPU: the same way to the end, but for the card

The model has a Qwen2.5-VL-7B's widths and a few of its layers, with random weights, so that one card holds it with its
optimizer; budgets, lengths and engine are the recipe's, the batch is an eighth. What is held against what: PyTorch's
peak, as verl logs it, and the largest phase of the plan that is the trainer's own. Not covered: several GPUs, a judge,
and whether anything is learned.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ergo_plugins.verl_plugin.training_summary import TRAINED, read_steps

from . import full_size
from .figures import AtMost, Figure, table, write

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "recipes" / "tiny"
LAYERS, VISION_LAYERS = 4, 8
ROWS, STEPS = 64, 2
PLAN_TARGET = 1.0
"""A plan is an upper bound."""

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONWARNINGS": "ignore",
}
SHORT = (
    "data.train_batch_size=16",
    "actor_rollout_ref.actor.ppo_mini_batch_size=8",
    f"trainer.total_training_steps={STEPS}",
    *("trainer.save_freq=-1", "trainer.test_freq=-1", "trainer.val_before_train=false"),
    "trainer.logger=[console,file]",
)
ON_A_CARD = (
    "trainer.n_gpus_per_node=1",
    "actor_rollout_ref.rollout.agent.num_workers=2",
    # flash attention, which no padding needs, is not among what is installed
    *(
        "actor_rollout_ref.model.use_remove_padding=false",
        "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
    ),
)
MEMORY = "perf/max_memory_allocated_gb"


def random_model(folder: Path) -> Path:
    """A model of `LAYERS` layers in bfloat16 with random weights, beside its processor."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    full_size.write(folder, layers=LAYERS, vision_layers=VISION_LAYERS)
    if not (folder / "model.safetensors.index.json").exists() and not (folder / "model.safetensors").exists():
        torch.manual_seed(0)
        model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder), dtype=torch.bfloat16)
        model.save_pretrained(folder)
    return folder


def rows(folder: Path) -> Path:
    """Panels as rows of training; the folder with both files."""
    panels, data = folder / "panels", folder / "data"
    python("-m", "ergo_plugins.panels.make_data", "--split", "train", "--samples", ROWS, "--out", panels)
    made = ("data", "panels", panels / "train.parquet", "--out", data, "--need-box", "--validation", 4)
    python("-m", "ergo_plugins.cli", *made)
    return data


def python(*words: object) -> str:
    """Run this Python from the root of the checkout; what it printed.

    Raises:
        CalledProcessError: it failed.
    """
    return subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        check=True,
        env={**os.environ, **OFFLINE},
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def train(folder: Path, recipe: Path, data: Path, settings: Sequence[str], environment: Mapping[str, str]) -> list[Any]:
    """The metrics of each step of stock verl, whose words stand in ``folder/verl.log``.

    Raises:
        SystemExit: it failed, or logged no step.
    """
    metrics, log = folder / "metrics.jsonl", folder / "verl.log"
    metrics.unlink(missing_ok=True)
    command = [
        *(
            sys.executable,
            "-m",
            "verl.trainer.main_ppo",
            "--config-dir",
            str(recipe.parent),
            "--config-name",
            recipe.stem,
        ),
        *(f"hydra.run.dir={folder / 'hydra'}", f"trainer.default_local_dir={folder / 'checkpoints'}"),
        *(f"data.train_files={data / 'train.parquet'}", f"data.val_files={data / 'validation.parquet'}"),
        f"ergo.zoom.prompts={TINY / 'prompts.yaml'}",
        *settings,
    ]
    with log.open("w") as file:
        environ = {**os.environ, **OFFLINE, **environment, "VERL_FILE_LOGGER_PATH": str(metrics)}
        code = subprocess.run(command, cwd=ROOT, env=environ, stdout=file, stderr=subprocess.STDOUT).returncode
    if code or not metrics.exists():
        raise SystemExit(f"verl ended with {code} and {'some' if metrics.exists() else 'no'} metrics: {log}")
    return [step for step in read_steps([metrics]).values() if TRAINED in step]


def planned_gib(recipe: Path, model: Path, settings: Sequence[str]) -> float:
    """The most that the plan gives the trainer's own process in a phase of its own."""
    given = (recipe, f"actor_rollout_ref.model.path={model}", *settings)
    plan = json.loads(python("-m", "ergo_plugins.cli", "plan", *given, "--json"))
    phases = {phase["name"]: sum(part["gib"] for part in phase["parts"]) for phase in plan["phases"]}
    return max(gib for name, gib in phases.items() if name != "rollout")


def figures(steps: Sequence[Mapping[str, Any]], planned: float | None) -> list[Figure]:
    """Rows of the last step, and the peak beside the plan where there was a card."""
    last = steps[-1]
    found = [
        Figure(f"step {len(steps)}: s of {name}", last[f"timing_s/{name}"]) for name in ("gen", "update_actor", "step")
    ]
    found.append(Figure(f"step {len(steps)}: tokens", last["perf/total_num_tokens"]))
    if planned is not None:
        found.append(AtMost("peak GiB of the trainer (other: planned)", last[MEMORY], planned, PLAN_TARGET))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/bench/step.json"), help="%(default)s")
    args = parser.parse_args()
    folder = args.out.with_suffix("").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data = rows(folder)
    if args.rehearse:
        recipe, model, settings = TINY / "train.yaml", TINY / "policy", SHORT
        environment = {"VERL_PLATFORM": "ergo_cpu", "OMP_NUM_THREADS": "1"}
    else:
        recipe, model, settings = (
            ROOT / "recipes/train_rules.yaml",
            random_model(folder / "model"),
            (*SHORT, *ON_A_CARD),
        )
        environment = {}
    steps = train(folder, recipe, data, (f"actor_rollout_ref.model.path={model}", *settings), environment)
    found = figures(steps, None if args.rehearse else planned_gib(recipe, model, settings))
    print(table(found))
    write(found, args.out)


if __name__ == "__main__":
    main()
