"""Stock verl's own trainer of a cold start takes a step on our rows, on the CPU, and saves what was learnt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file

from tests.e2e.verl_runs import ENVIRONMENT, LIMIT_S, ROOT, TINY

pytestmark = pytest.mark.slow


def test_a_step_on_rows_with_boxes(tmp_path: Path) -> None:
    Image.effect_noise((400, 200), 60).convert("RGB").save(tmp_path / "a.png")
    lines = []
    for number in range(4):
        turns = [{"from": "human", "value": f"<image>Find <ref>object {number}</ref>"}]
        turns.append({"from": "gpt", "value": f"It is number {number}. <box>[100, 200, 500, {600 + number}]</box>"})
        lines.append({"image": "a.png", "height": 200, "width": 400, "conversations": turns})
    (tmp_path / "sft.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "episode.yaml").write_text("ergo: {method: egm, episode: {view_tokens: 16}}")
    rows, policy = tmp_path / "rows", str(TINY / "policy")
    options = ["--out", str(rows), "--model", policy, "--episode", str(tmp_path / "episode.yaml")]
    convert = ["-m", "ergo_plugins.cli", "data", "egm-sft", str(tmp_path / "sft.jsonl"), *options]
    subprocess.run([sys.executable, *convert], cwd=ROOT, check=True, capture_output=True)
    metrics, saved = tmp_path / "metrics.jsonl", tmp_path / "checkpoints"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1"),
            *("-m", "ergo_plugins.cpu.sft", "--config-dir", "recipes", "--config-name", "sft_egm_8b"),
            f"hydra.run.dir={tmp_path / 'hydra'}",
            f"data.train_files={rows / 'train.parquet'}",
            f"model.path={policy}",
            "model.use_remove_padding=false",
            "+model.override_config.attn_implementation=sdpa",
            "data.train_batch_size=2",
            "data.num_workers=0",
            "optim.lr=1e-2",
            "optim.lr_warmup_steps_ratio=0",
            "engine.use_torch_compile=false",
            "trainer.device=cpu",
            "trainer.n_gpus_per_node=1",
            "trainer.logger=[console,file]",
            "trainer.test_freq=-1",
            f"trainer.default_local_dir={saved}",
        ],
        cwd=ROOT,
        env={**ENVIRONMENT, "VERL_FILE_LOGGER_PATH": str(metrics)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    losses = [json.loads(line)["data"]["train/loss"] for line in metrics.read_text().splitlines()]
    assert len(losses) == 2
    assert all(loss > 0 for loss in losses)
    (folder,) = saved.rglob("huggingface")
    before, after = load_file(TINY / "policy/model.safetensors"), load_file(folder / "model.safetensors")
    assert any((before[name].float() - after[name].float()).abs().max() > 1e-4 for name in before if name in after)
