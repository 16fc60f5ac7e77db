"""Stock verl as its users start it, on the shipped policy and a handful of panels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "recipes" / "tiny"
LIMIT_S = 600

ENVIRONMENT = {
    **os.environ,
    "VERL_PLATFORM": "ergo_cpu",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "PYTHONWARNINGS": "ignore",
}

SMALL = (
    "data.train_batch_size=4",
    "actor_rollout_ref.actor.ppo_mini_batch_size=4",
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8",
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8",
    "actor_rollout_ref.rollout.n=4",
    "trainer.save_freq=-1",
    "trainer.test_freq=-1",
    "trainer.val_before_train=false",
    "trainer.total_training_steps=1",
    "trainer.logger=[console,file]",
)


@dataclass(frozen=True)
class VerlRun:
    """A finished run of verl."""

    exit_code: int
    log: str
    metrics: list[dict[str, Any]]

    @property
    def trained(self) -> list[dict[str, Any]]:
        """Metrics of the training steps."""
        return [metrics for metrics in self.metrics if "training/global_step" in metrics]


def make_rows(folder: Path, samples: int = 12, *options: str) -> Path:
    """Panels as training rows; the folder with ``train.parquet`` and ``validation.parquet``."""
    panels, data = folder / "panels", folder / "data"
    if not panels.exists():
        make = f"{sys.executable} -m ergo_plugins.panels.make_data --split train --samples {samples} --out {panels}"
        subprocess.run(make.split(), check=True, env=ENVIRONMENT, capture_output=True)
    convert = (
        "import argparse, sys; from ergo_plugins.commands import data as command; parser = argparse.ArgumentParser(); "
        "command.add_parser(parser.add_subparsers()); sys.exit(command.run(parser.parse_args(sys.argv[1:])))"
    )
    arguments = ["data", "panels", panels / "train.parquet", "--out", data, "--validation", "4", *options]
    subprocess.run([sys.executable, "-c", convert, *map(str, arguments)], check=True, capture_output=True)
    return data


def change_rows(data: Path, change: Any, name: str = "train") -> None:
    """Rewrite the rows for training, or those for ``validation``."""
    rows = pd.read_parquet(data / f"{name}.parquet")
    change(rows)
    rows.to_parquet(data / f"{name}.parquet")


def verl(folder: Path, data: Path, *settings: str) -> VerlRun:
    """Run ``verl.trainer.main_ppo`` on the tiny recipe, made smaller still, with settings."""
    metrics = folder / "metrics.jsonl"
    trackers = {"TENSORBOARD_DIR": str(folder / "tensorboard"), "WANDB_DIR": str(folder), "WANDB_MODE": "offline"}
    with tempfile.TemporaryDirectory(prefix="ray_", ignore_cleanup_errors=True) as ray_folder:
        command = [
            *(sys.executable, "-m", "verl.trainer.main_ppo", "--config-dir", "recipes/tiny", "--config-name", "train"),
            f"hydra.run.dir={folder / 'hydra'}",
            f"data.train_files={data / 'train.parquet'}",
            f"data.val_files={data / 'validation.parquet'}",
            f"actor_rollout_ref.model.path={TINY / 'policy'}",
            f"trainer.default_local_dir={folder / 'checkpoints'}",
            f"+ray_kwargs.ray_init._temp_dir={ray_folder}",
            *SMALL,
            *settings,
        ]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**ENVIRONMENT, **trackers, "VERL_FILE_LOGGER_PATH": str(metrics)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    lines = metrics.read_text().splitlines() if metrics.exists() else []
    return VerlRun(done.returncode, done.stdout, [json.loads(line)["data"] for line in lines])
