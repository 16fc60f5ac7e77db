"""Many episodes at once on one event loop: the second turn of one overlaps the first turns of others."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from ..core.turns import Reply, Turn, play_async
from .base import EngineUnavailable, Finished, Job, named

T = TypeVar("T")


class Conversation(Protocol):
    """One conversation with a model. A turn that failed may be asked again."""

    async def ask(self, turn: Turn) -> Reply:
        """The reply to the next turn.

        Raises:
            EngineUnavailable: worth another try.
            EngineRefused: not worth another try.
        """


@dataclass(frozen=True, slots=True)
class Patience:
    """How an unavailable engine is asked again.

    Attributes:
        attempts: how often a turn is asked in all.
        first_delay_s: the first wait is up to this long; it doubles each time. A server's own wish comes first.
        longest_delay_s: no wait is longer.
    """

    attempts: int = 4
    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0

    def retrying(self) -> AsyncRetrying:
        """A tenacity loop with this patience, for `EngineUnavailable` only."""
        backoff = wait_random_exponential(multiplier=self.first_delay_s, max=self.longest_delay_s)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked_for = getattr(error, "retry_after_s", None)
            return backoff(state) if asked_for is None else min(asked_for, self.longest_delay_s)

        return AsyncRetrying(
            retry=retry_if_exception_type(EngineUnavailable),
            stop=stop_after_attempt(self.attempts),
            wait=wait,
            reraise=True,
        )


async def play_overlapping(
    jobs: Iterable[Job],
    converse: Callable[[Job], Conversation],
    finished: Finished,
    *,
    concurrency: int,
    patience: Patience,
) -> None:
    """Play jobs, at most ``concurrency`` requests at a time; see `Engine.play_all`.

    A few more samples are open than that: they are decoded while the others have the places, so that a free place is
    taken at once. One at a time stays one at a time. Waiting for a place is no part of an outcome's seconds.
    """
    threads = min(concurrency, 2 * (os.cpu_count() or 1))
    window = asyncio.Semaphore(concurrency + min(concurrency - 1, threads))
    places = asyncio.Semaphore(concurrency)
    faults: list[tuple[Job, Exception]] = []
    loop = asyncio.get_running_loop()

    with ThreadPoolExecutor(threads, "ergo-pixels") as pixels:

        async def run(function: Callable[..., T], *arguments: Any) -> T:
            return await loop.run_in_executor(pixels, function, *arguments)

        async def one(job: Job) -> None:
            started = time.perf_counter()
            waited = 0.0

            async def ask(turn: Turn) -> Reply:
                nonlocal waited
                arrived = time.perf_counter()
                async with places:
                    waited += time.perf_counter() - arrived
                    return await retrying(_timed, conversation, turn)

            try:
                conversation = converse(job)
                retrying = patience.retrying()
                episode = await run(job.open)
                outcome = await play_async(episode, ask, run)
                finished(job, replace(outcome, seconds=time.perf_counter() - started - waited))
            except Exception as error:  # noqa: BLE001 - told apart and raised below, when the others have ended
                faults.append((job, error))
            finally:
                window.release()

        tasks = []
        for job in jobs:
            await window.acquire()
            if faults:
                break
            tasks.append(asyncio.create_task(one(job)))
        await asyncio.gather(*tasks)
    if faults:
        raise named(faults[0][1], [job.key for job, _ in faults])


async def _timed(conversation: Conversation, turn: Turn) -> Reply:
    started = time.perf_counter()
    reply = await conversation.ask(turn)
    return replace(reply, seconds=time.perf_counter() - started)


class LoopThread:
    """An event loop of our own on a thread of its own; hosts may already run one on theirs."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True, name="ergo-loop")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end on the loop, from any other thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def close(self) -> None:
        """Stop the loop and its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
