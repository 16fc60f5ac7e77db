"""The asynchronous mode of verl that needs no GPUs of its own, with real Ray, a real server and the shipped policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from ergo_plugins.report.read.rollouts import read_rollouts
from tests.e2e.verl_runs import make_rows, verl


@pytest.mark.slow
def test_rollouts_of_earlier_weights_keep_the_parts_of_their_reward(tmp_path: Path) -> None:
    run = verl(
        tmp_path,
        make_rows(tmp_path),
        "trainer.v1.trainer_mode=ergo_colocate_async",
        "trainer.total_training_steps=2",
        "trainer.test_freq=2",
        f"trainer.rollout_data_dir={tmp_path / 'rollouts'}",
    )
    assert run.exit_code == 0, run.log[-3000:]
    first, second = run.trained
    assert second["training/off_policy/trajectory_staleness/max"] >= 1, "begun before the first update"
    for number, step in enumerate((first, second), start=1):
        total = step["ergo/region"] + 0.5 * step["ergo/box"] + step["ergo/accuracy"] + step["ergo/format"]
        assert step["critic/rewards/mean"] == pytest.approx(total, abs=1e-6)
        assert step["ergo/lost_prompts"] == 0
        rows = read_rollouts(tmp_path / "rollouts", number).rows
        assert sum(row.metrics["region"] for row in rows) / len(rows) == pytest.approx(step["ergo/region"], abs=1e-6)
    assert any(name.startswith("val-") and name.split("/")[-2] == "region" for name in second), sorted(second)
