"""Rows that come next: the worker that will play them decodes their originals while the trainer still trains."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ..core.turns import Player
from .agent_loop import NAME, shared_so_far
from .originals import Original
from .rows import Row
from .trajectory import Shared

_logger = logging.getLogger(__name__)


def rows_of(batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A batch of verl's loader, columns by name, row by row."""
    return [{name: column[i] for name, column in batch.items()} for i in range(len(batch["raw_prompt"]))]


def announce(workers: Sequence[Any], rows: Sequence[dict[str, Any]]) -> None:
    """Tell each agent loop worker which rows it will get; waits for nothing.

    Answers are not looked at: whether a worker could make use of it or not, its rollouts open their images themselves.

    Args:
        workers: Ray's handles. Of an actor that is the host's class, `__ray_call__` is Ray's way to have it run more.
        rows: the whole batch, which verl's manager cuts as it does a tensor.
    """
    if not rows or not workers:
        return
    for worker, places in zip(workers, torch.arange(len(rows)).chunk(len(workers)), strict=False):
        worker.__ray_call__.remote(make_ready, [rows[place] for place in places.tolist()])


def make_ready(_worker: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Have a worker begin with it, in the background of its event loop; Ray calls from a thread of its own.

    A worker that has played nothing yet knows no processor, and is left alone.
    """
    shared = shared_so_far()
    if shared is not None:
        shared.loop.call_soon_threadsafe(_go_over_to, shared, rows)


def _go_over_to(shared: Shared, rows: Sequence[Mapping[str, Any]]) -> None:
    if shared.making_ready is not None:
        shared.making_ready.cancel()
    shared.making_ready = shared.loop.create_task(all_made_ready(shared, rows))


async def all_made_ready(shared: Shared, rows: Sequence[Mapping[str, Any]]) -> None:
    """Decode the rows' originals and make their first views, one after the other, off the event loop.

    Within ``ergo.images.ahead_megapixels``; what was kept for rows announced before, and not asked for, goes.
    """
    shared.originals.forget_ahead()
    for row in rows:
        if row.get("agent_name", NAME) != NAME:
            continue
        try:
            read = Row.read(row)
            original = None if read.image is None else await shared.originals.ahead(read.image)
            if original is not None:
                await asyncio.to_thread(_begin, shared, read, original)
        except Exception as error:  # noqa: BLE001  (only a head start is lost: its rollouts do the same and name it)
            _logger.warning("not made ready before its rollouts, which try again: %s", error)


def _begin(shared: Shared, row: Row, original: Original) -> None:
    """Run an episode to its first turn, whatever the method shows there: the original keeps views once made."""
    episode = shared.episode(row, original)
    Player(episode).start()
    episode.close()
