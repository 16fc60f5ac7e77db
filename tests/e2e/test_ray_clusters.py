"""Training on a Ray cluster that was started beforehand: in another folder, without the variables of our scripts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.verl_runs import ENVIRONMENT, ROOT, SMALL, make_rows

NO_TOKEN = {"RAY_AUTH_MODE": "disabled"}
"""Ray asks for a token as soon as one lies in the home folder, as after any cluster that was started locally."""

PROBE = """
import json, os
import hydra, ray
import verl.trainer.config
from verl.trainer.main_ppo import run_ppo

class Looks:
    def run(self, config):
        paths = [config.data.train_files, config.data.val_files, config.actor_rollout_ref.model.path]
        return {
            "folder": os.getcwd(),
            "variables": dict(os.environ),
            "there": [os.path.exists(path) for path in paths],
            "dumps": config.trainer.rollout_data_dir,
        }

@hydra.main(config_path=os.path.dirname(verl.trainer.config.__file__), config_name=None, version_base=None)
def main(config):
    get = ray.get
    ray.get = lambda answer: print("SEEN " + json.dumps(get(answer)))
    run_ppo(config, ray.remote(num_cpus=0)(Looks))

main()
"""
"""Verl's own start of a training, with a runner in Ray that says what it sees of our settings instead of training."""


@dataclass(frozen=True)
class Cluster:
    """A running Ray head and the folder that its processes were started in."""

    address: str
    folder: Path
    logs: Path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Ray head of this module's own, started in a folder of its own with an environment of nothing but PATH."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    ours = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="ray_", ignore_cleanup_errors=True) as folder:  # short: it holds sockets
        command = [
            *(sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--head", "--block"),
            *("--port", str(port), "--temp-dir", folder, "--num-cpus", "24"),
            *("--num-gpus", "1", "--include-dashboard", "false", "--object-store-memory", "1000000000"),
        ]
        with (elsewhere / "ray.log").open("w") as log:
            head = subprocess.Popen(
                command,
                cwd=elsewhere,
                env={**ours, "RAY_USAGE_STATS_ENABLED": "0", **NO_TOKEN},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_for(head, elsewhere / "ray.log")
            yield Cluster(f"127.0.0.1:{port}", elsewhere, Path(folder))
        finally:
            head.send_signal(
                signal.SIGTERM
            )  # ray start --block then stops the processes that it started, and no others
            head.wait(60)


def wait_for(head: subprocess.Popen[bytes], log: Path) -> None:
    """Until the head says that it runs; its own words if it does not."""
    until = time.monotonic() + 120
    while "Ray runtime started" not in log.read_text():
        assert head.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.2)


@pytest.fixture
def pretended_gpu(tmp_path: Path) -> Path:
    """A ``python`` that finds a GPU and flash-attn, and that shows what Ray's processes see where verl would train."""
    (tmp_path / "probe.py").write_text(PROBE)
    python = tmp_path / "python"
    python.write_text(
        f'#!/usr/bin/env bash\ncase $1 in -c) exit 0 ;; esac\nshift 2\nexec {sys.executable} {tmp_path}/probe.py "$@"\n'
    )
    python.chmod(0o755)
    return python


def test_what_the_7b_recipe_sets_reaches_processes_of_a_cluster_started_elsewhere(
    cluster: Cluster, pretended_gpu: Path, tmp_path: Path
) -> None:
    data = tmp_path / "rows"
    data.mkdir()
    for name in ("train", "validation"):
        (data / f"{name}.parquet").touch()
    environment = {
        **os.environ,
        **NO_TOKEN,
        "PYTHON": str(pretended_gpu),
        "RAY_ADDRESS": cluster.address,
        "DATA": os.path.relpath(data, ROOT),
        "MODEL": "recipes/tiny/policy",
        "OUT": str(tmp_path / "out"),
        "JUDGE_URL": "http://judge:8001/v1",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "it's, [a] home"),
        "NCCL_DEBUG": "INFO",
        "TOKENIZERS_PARALLELISM": "false",
        "WANDB_MODE": "offline",
        "WANDB_API_KEY": "a-secret",
        "MLFLOW_TRACKING_URI": "https://me:a-secret@tracking",
    }
    command = ["bash", "recipes/train_ergo_7b.sh", "trainer.rollout_data_dir=runs/rollouts", "trainer.total_epochs=2"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("SEEN "))
    seen = json.loads(line.removeprefix("SEEN "))
    assert seen["folder"] == str(cluster.folder), "otherwise this test shows nothing"
    assert seen["there"] == [True, True, True]
    assert seen["dumps"] == str(ROOT / "runs/rollouts")
    for name in ("HF_HUB_OFFLINE", "HF_HOME", "NCCL_DEBUG", "TOKENIZERS_PARALLELISM", "WANDB_MODE"):
        assert seen["variables"].get(name) == environment[name], name
    assert Path(seen["variables"]["VERL_FILE_LOGGER_PATH"]).parent == tmp_path / "out/metrics"
    assert seen["variables"]["TENSORBOARD_DIR"] == str(tmp_path / "out/tensorboard")
    assert not {"WANDB_API_KEY", "MLFLOW_TRACKING_URI"} & seen["variables"].keys()
    assert "secret: MLFLOW_TRACKING_URI WANDB_API_KEY. Export them before 'ray start'" in done.stderr
    written = "".join(log.read_text(errors="replace") for log in cluster.logs.rglob("*.log"))
    assert "HF_HUB_OFFLINE" in written, "Ray logs runtime environments"
    assert "a-secret" not in written + done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_metrics_of_a_cluster_started_elsewhere_are_in_out_and_a_resumed_run_keeps_them(
    cluster: Cluster, tmp_path: Path
) -> None:
    make_rows(tmp_path, 12)
    first = trained(tmp_path, cluster, steps=1)
    again = trained(tmp_path, cluster, steps=2)
    assert again[: len(first)] == first, "the resumed run changed the metrics of the one before"
    assert [step["step"] for step in first if "training/global_step" in step["data"]] == [1]
    assert [step["step"] for step in again if "training/global_step" in step["data"]] == [1, 2]
    assert list((tmp_path / "tensorboard").iterdir())
    assert sorted(path.name for path in cluster.folder.iterdir()) == ["ray.log"], "something was written astray"


def trained(out: Path, cluster: Cluster, *, steps: int) -> list[dict[str, object]]:
    """Run recipes/tiny/train.sh until ``steps`` on the cluster; all lines of its metrics files, oldest first."""
    small = [
        setting for setting in SMALL if not setting.startswith(("trainer.save", "trainer.total", "trainer.logger"))
    ]
    variables = {"VENV": sys.prefix, "SKIP_INSTALL": "1", "EVALUATE": "no", "OUT": str(out), "STEPS": str(steps)}
    done = subprocess.run(
        ["bash", "recipes/tiny/train.sh", *small, "trainer.save_freq=1"],
        cwd=ROOT,
        env={**ENVIRONMENT, **NO_TOKEN, **variables, "RAY_ADDRESS": cluster.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    files = sorted((out / "metrics").iterdir())
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]
