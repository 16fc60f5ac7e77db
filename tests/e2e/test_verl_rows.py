"""verl trains on rows of other projects: whichever way a row holds its image, every rollout and reward is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
from PIL import Image

from ergo_plugins.core.record import ROLLOUT_RECORD
from tests.e2e.judge_server import JudgeServer
from tests.e2e.verl_runs import make_rows, verl

ROWS = 8
PARTS = ("score", "region", "box", "accuracy", "format")

GREEDY = (
    "actor_rollout_ref.rollout.top_k=1",
    "actor_rollout_ref.rollout.max_num_seqs=1",  # nothing then depends on which requests come together
    "actor_rollout_ref.rollout.n=1",  # verl takes the reward of a group of one for its advantage, so a step is taken
    f"data.train_batch_size={ROWS}",
    f"actor_rollout_ref.actor.ppo_mini_batch_size={ROWS}",
)


def with_bytes(path: str) -> dict[str, Any]:
    return {"bytes": Path(path).read_bytes(), "path": None}


FORMS: dict[str, tuple[Callable[[str], Any], Any]] = {
    "paths": (lambda path: {"image": path}, None),
    "bytes": (with_bytes, None),
    "pixels": (with_bytes, datasets.Image()),
}
"""How an image stands in its row, and the type of its column where the ``datasets`` library is to decode it."""


def rewritten(rows: Path, target: Path, form: str) -> None:
    """The same rows with their images in another form, named by the column ``images`` alone."""
    hold, kind = FORMS[form]
    changed = pd.read_parquet(rows).head(ROWS).to_dict("records")
    for row in changed:
        path = row["extra_info"].pop("image_path")
        row["images"] = [hold(path)]
        row["prompt"] = list(row["prompt"])
        row["extra_info"]["target_box"] = None  # so that whatever is verified is verified by what the crop shows
    table = datasets.Dataset.from_list(changed)
    if kind is not None:
        table = table.cast_column("images", datasets.Sequence(kind))
    table.to_parquet(target)


def by_pixels(_: int, __: str, images: list[Image.Image]) -> str:
    """A judge whose answer hangs on every pixel of the crop."""
    return f"<answer>{'ABCD'[hashlib.sha256(images[0].tobytes()).digest()[0] % 4]}</answer>"


def read(dump: Path) -> dict[str, Any]:
    """Of each row what was said, pointed at and paid."""
    said = {}
    for line in dump.read_text().splitlines():
        rollout = json.loads(line)
        record = json.loads(rollout[ROLLOUT_RECORD])
        outcome = record["outcome"]
        replies = [turn["reply"] for turn in outcome["turns"]]
        said[record["task"], record["doc_id"]] = (replies, outcome["boxes"]["crop"], [rollout[part] for part in PARTS])
    return said


def trained(rows: Path, folder: Path, form: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A validation with paths, then a step with a form: metrics of the step, and what the rows earned in either."""
    folder.mkdir()
    rewritten(rows, folder / "validation.parquet", "paths")
    rewritten(rows, folder / "train.parquet", form)
    with JudgeServer(by_pixels) as judge:
        run = verl(
            folder,
            folder,
            *GREEDY,
            "ergo.judge.source=endpoints",
            f"+ergo.judge.urls=[{judge.url}]",
            "+ergo.judge.model=judge",
            "trainer.val_before_train=true",
            f"trainer.validation_data_dir={folder / 'validated'}",
            f"trainer.rollout_data_dir={folder / 'rollouts'}",
        )
    assert run.exit_code == 0, run.log[-3000:]
    (step,) = run.trained
    assert step["actor/grad_norm"] > 0
    assert step["ergo/lost_prompts"] == 0
    return step, read(folder / "validated" / "0.jsonl"), read(folder / "rollouts" / "1.jsonl")


@pytest.mark.slow  # test_verl_foreign_rows reads each form through verl's own parts
@pytest.mark.training
def test_rows_with_pixels_earn_what_rows_with_paths_earn(tmp_path: Path) -> None:
    _, by_path, by_pixel = trained(make_rows(tmp_path) / "train.parquet", tmp_path / "run", "pixels")
    assert len(by_path) == ROWS
    paid = [parts for _, _, parts in by_path.values()]
    assert len({parts[0] for parts in paid}) > 1, "were all rewards equal, other images could earn them, too"
    assert {parts[1] for parts in paid} == {0, 1}, "the judge finds some crops right and some wrong"
    assert by_pixel == by_path


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_step_on_bytes_pixels_and_paths_is_the_same(tmp_path: Path) -> None:
    rows = make_rows(tmp_path) / "train.parquet"
    runs = {form: trained(rows, tmp_path / f"{form}_run", form) for form in FORMS}
    step, _, said = runs["paths"]
    for form in ("bytes", "pixels"):
        other, _, same = runs[form]
        assert same == said, form
        for metric in ("critic/rewards/mean", "actor/grad_norm", "ergo/region", "ergo/accuracy", "ergo/area_ratio"):
            assert other[metric] == pytest.approx(step[metric], rel=1e-4), (form, metric)
