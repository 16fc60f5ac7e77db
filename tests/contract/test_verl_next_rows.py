"""Rows that come next, seen before they are taken: verl's trainer draws, checkpoints and resumes as if nobody had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tensordict import TensorDict
from torchdata.stateful_dataloader import StatefulDataLoader
from verl.trainer.ppo.v1.trainer_base import get_trainer_cls
from verl.utils import tensordict_utils as tu

from ergo_plugins.verl_plugin.coming import announce, make_ready
from ergo_plugins.verl_plugin.next_rows import NextRows
from tests.contract.verl_parts import POLICY, tiny, tokenizer_and_processor

ROWS, BATCH, STEPS = 11, 4, 6
"""Two steps an epoch, and three rows of each that are dropped."""


class Handle:
    """Stands where Ray's handle of an agent loop worker stands: what it is asked to run is kept and not run."""

    def __init__(self) -> None:
        self.asked: list[tuple[Callable[..., None], list[dict[str, Any]]]] = []

    @property
    def __ray_call__(self) -> Handle:
        return self

    def remote(self, function: Callable[..., None], rows: list[dict[str, Any]]) -> None:
        self.asked.append((function, rows))


def write_rows(folder: Path, count: int = ROWS) -> Path:
    """A training set as ``ergo data`` writes it, each row with an image of its own; the parquet."""
    rows = []
    for number in range(count):
        path = folder / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 255, (224, 224, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        question = "Which pattern fills the red tile?\nA. plain\nB. checkered\nC. horizontal\nD. vertical"
        extra = {"index": number, "image_path": str(path), "question": question, "answer_kind": "option"}
        rows.append(
            {
                "data_source": "panels",
                "prompt": [{"role": "user", "content": f"<image>{question}"}],
                "images": [{"image": str(path)}],
                "reward_model": {"style": "rule", "ground_truth": "B"},
                "extra_info": extra,
                "agent_name": "ergo_zoom",
            }
        )
    pd.DataFrame(rows).to_parquet(folder / "train.parquet")
    return folder / "train.parquet"


def made(mode: str, file: Path, *settings: str) -> Any:
    """A trainer as verl makes it, with its real loaders and without workers."""
    config = tiny(
        *(f"data.{name}_files={file}" for name in ("train", "val")),
        f"data.train_batch_size={BATCH}",
        f"trainer.default_local_dir={file.parent / 'checkpoints' / mode}",
        f"trainer.v1.trainer_mode={mode}",
        *settings,
    )
    torch.manual_seed(0)  # a loader with processes stores a seed for them, which it draws from torch's own generator
    trainer = get_trainer_cls(mode)(config)
    trainer.tokenizer, trainer.processor = tokenizer_and_processor(POLICY)
    trainer._init_dataloader()
    nothing = SimpleNamespace(
        save_checkpoint=lambda *_, **__: None, sleep_replicas=lambda: None, abort_replicas=lambda: None
    )
    trainer.actor_rollout_wg = trainer.checkpoint_manager = nothing
    trainer.agent_loop_manager = SimpleNamespace(agent_loop_workers=[Handle(), Handle(), Handle()])
    trainer.curr_step_profile, trainer.global_steps, trainer.timing_raw = False, 0, {}
    trainer.total_training_steps = STEPS
    return trainer


def taken(trainer: Any) -> list[int]:
    """The rows that verl's trainer takes for a step, by their index."""
    return [extra["index"] for extra in trainer._next_train_batch()["extra_info"]]


def steps(trainer: Any, count: int = STEPS) -> Iterator[tuple[list[int], Any]]:
    """The rows of each step, and what verl's own checkpoint at its end says of the loader."""
    trainer.on_train_begin()
    for _ in range(count):
        trainer.global_steps += 1
        rows = taken(trainer)
        trainer.on_sample_end()
        trainer._save_checkpoint()
        folder = Path(trainer.config.trainer.default_local_dir) / f"global_step_{trainer.global_steps}"
        yield rows, torch.load(folder / "data.pt", weights_only=False)


def plain(state: Any) -> Any:
    """A loader's state so that two can be compared."""
    if isinstance(state, dict):
        return {key: plain(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [plain(value) for value in state]
    return state.tolist() if isinstance(state, torch.Tensor) else state


def announced(trainer: Any) -> list[list[int]]:
    """The rows that each worker was told of last, by their index."""
    return [
        [row["extra_info"]["index"] for row in worker.asked[-1][1]] if worker.asked else []
        for worker in trainer.agent_loop_manager.agent_loop_workers
    ]


LOADERS = {
    "whole batches": (),
    "in order": ("data.shuffle=false",),
    "two processes": ("data.dataloader_num_workers=2",),
    "one by one": ("+data.gen_batch_size=1",),
}


@pytest.mark.parametrize("loader", LOADERS)
def test_rows_and_checkpoints_are_stock_verls_and_a_resumed_run_goes_on_with_them(tmp_path: Path, loader: str) -> None:
    file = write_rows(tmp_path)
    stock = list(steps(made("sync", file, *LOADERS[loader])))
    ours = made("ergo_sync", file, *LOADERS[loader])
    seen = []
    for number, (rows, state) in enumerate(steps(ours)):
        assert rows == stock[number][0]
        assert plain(state) == plain(stock[number][1])
        seen.append(list(chain.from_iterable(announced(ours))))
    assert {len(worker.asked) for worker in ours.agent_loop_manager.agent_loop_workers} == {0, STEPS - 1}, "once a step"
    assert seen[: STEPS - 1] == [rows for rows, _ in stock[1:]], "told of exactly what comes next, epochs included"
    assert seen[-1] == seen[-2], "nothing comes after the last step"
    for ended in (1, 2, 3):
        resumed = made("ergo_sync", file, *LOADERS[loader])
        folder = Path(ours.config.trainer.default_local_dir) / f"global_step_{ended}"
        resumed.train_dataloader.load_state_dict(torch.load(folder / "data.pt", weights_only=False))
        resumed.global_steps = ended
        assert [rows for rows, _ in steps(resumed, STEPS - ended)] == [rows for rows, _ in stock[ended:]]


def test_the_mode_that_pauses_its_rollouts_looks_ahead_too(tmp_path: Path) -> None:
    file = write_rows(tmp_path)
    warm = "trainer.v1.colocate_async.num_warmup_batches=0"
    stock = [(rows, plain(state)) for rows, state in steps_without_queue(made("colocate_async", file, warm))]
    ours = made("ergo_colocate_async", file, warm)
    told = []
    for number, (rows, state) in enumerate(steps_without_queue(ours)):
        assert (rows, plain(state)) == stock[number]
        told.append(list(chain.from_iterable(announced(ours))))
    assert told[:-1] == [rows for rows, _ in stock[1:]]


def steps_without_queue(trainer: Any) -> Iterator[tuple[list[int], Any]]:
    """As `steps`, where a checkpoint would also store the queue."""
    trainer.on_train_begin()
    for _ in range(STEPS):
        trainer.global_steps += 1
        rows = taken(trainer)
        trainer.on_sample_end()
        yield rows, trainer.train_dataloader.state_dict()


def test_off_is_off(tmp_path: Path) -> None:
    trainer = made("ergo_sync", write_rows(tmp_path), "+ergo.images.ahead_megapixels=0")
    loader = trainer.train_dataloader
    list(steps(trainer, 2))
    assert trainer.train_dataloader is loader
    assert announced(trainer) == [[], [], []]
    assert "look_ahead" not in trainer.timing_raw


def test_a_manager_without_workers_is_left_alone(tmp_path: Path) -> None:
    trainer = made("ergo_sync", write_rows(tmp_path))
    trainer.agent_loop_manager = object()
    assert [len(rows) for rows, _ in steps(trainer, 2)] == [BATCH, BATCH]


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("count", [1, 4, 5, 6])
def test_each_worker_is_told_of_the_rows_that_verl_will_hand_it(workers: int, count: int) -> None:
    """verl's manager cuts its batch by `TensorDict.chunk`; `test_verl_coming.py` has the real one do it."""
    handles = [Handle() for _ in range(workers)]
    rows = [{"extra_info": {"index": number}} for number in range(count)]
    announce(handles, rows)
    batch: TensorDict = tu.get_tensordict({"extra_info": [row["extra_info"] for row in rows]})
    chunks = [list(chunk["extra_info"]) for chunk in batch.chunk(workers)]
    assert [[row["extra_info"] for row in handle.asked[0][1]] for handle in handles if handle.asked] == chunks
    assert {function for handle in handles for function, _ in handle.asked} == {make_ready}


class Damaged(torch.utils.data.Dataset[int]):
    """Its row 2 cannot be read."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> int:
        if number == 2:
            raise KeyError("row 2")
        return number


def test_a_row_that_cannot_be_read_fails_where_it_is_taken() -> None:
    def loader() -> StatefulDataLoader:
        return StatefulDataLoader(Damaged(), batch_size=1, collate_fn=lambda rows: {"rows": rows})

    stock = loader()
    drawn = iter(stock)
    assert (next(drawn), next(drawn)) == ({"rows": [0]}, {"rows": [1]})
    rows = NextRows(loader())
    assert next(rows) == {"rows": [0]}
    assert rows.see(3) == [{"rows": [1]}]
    assert rows.see(3) == [{"rows": [1]}], "and is not tried again"
    assert next(rows) == {"rows": [1]}
    assert plain(rows.state_dict()) == plain(stock.state_dict())
    with pytest.raises(KeyError, match="row 2"):
        next(rows)
