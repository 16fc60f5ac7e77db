"""The engine that ``--model ergo_vllm`` runs, with replies of a forced length, and with what it is compared to: second
turns made from text again, and turns in lockstep.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image
from tqdm import tqdm

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.turns import Episode, Reply, Turn
from ergo_plugins.engines import Job
from ergo_plugins.engines.chat import ChatTokens
from ergo_plugins.engines.vllm import VLLMEngine

GATE_LIMIT_S = 300.0
"""For all first turns of a batch."""


@dataclass(frozen=True, slots=True)
class Played:
    """A set of samples played to its end: what came of them, as they ended, and the wall time of all together."""

    outcomes: tuple[Outcome, ...]
    seconds: float


class ForcedEngine(VLLMEngine):
    """Each reply has as many tokens as its turn allows: ordinary ones, no end of message and no image among them."""

    def __init__(self, model: str, **options: Any) -> None:
        super().__init__(model, **options)
        special = set(self.chat.tokenizer.all_special_ids)
        ordinary = sorted(set(self.chat.tokenizer.get_vocab().values()) - special)
        self._llm = _Forced(self._llm, ordinary)
        self._gate: _Gate | None = None

    def play(
        self,
        jobs: Sequence[Job],
        *,
        at_once: int,
        reuse: bool = True,
        retemplated: bool = False,
        lockstep: bool = False,
        told: str = "",
    ) -> Played:
        """Play all jobs.

        Args:
            at_once: samples under way.
            reuse: take from the prefix cache what it has.
            retemplated: make each second turn's prompt from the text of the first turn and its reply.
            lockstep: ``at_once`` samples make a batch; all first turns of a batch end before its second turns start,
                and these before the next batch.
            told: stands beside the progress.
        """
        exact, self._concurrency, self._llm.reuse = self.chat, at_once, reuse
        self.chat = RetemplatedChat(exact.processor) if retemplated else exact
        batches = [jobs[i : i + at_once] for i in range(0, len(jobs), at_once)] if lockstep else [jobs]
        outcomes: list[Outcome] = []
        with tqdm(total=len(jobs), desc=told, unit="sample") as progress:

            def finished(_job: Job, outcome: Outcome) -> None:
                outcomes.append(outcome)
                progress.update()

            started = time.perf_counter()
            try:
                for batch in batches:
                    self._gate = _Gate(len(batch)) if lockstep else None
                    self.play_all(batch, finished)
            finally:
                self.chat, self._gate = exact, None
            return Played(tuple(outcomes), time.perf_counter() - started)

    def close(self) -> None:
        super().close()
        del self._llm  # or it shuts down once more, when the interpreter has forgotten how

    async def reply_to(
        self, prompt_ids: list[int], images: list[Image.Image], turn: Turn, **told: Any
    ) -> tuple[Reply, list[int]]:
        gate = self._gate
        if gate is None:
            return await super().reply_to(prompt_ids, images, turn, **told)
        if len(images) > 1:
            await asyncio.wait_for(gate.opened.wait(), GATE_LIMIT_S)  # one that failed never passes
        try:
            return await super().reply_to(prompt_ids, images, turn, **told)
        finally:
            if len(images) == 1:
                gate.passed()


class RetemplatedChat(ChatTokens):
    """Turns as text, tokenised anew each time: what a client does that keeps messages and no tokens."""

    def prompt(self, so_far: Sequence[int], turn: Turn) -> list[int]:
        ids = super().prompt(so_far, turn)
        return self._ids(self.tokenizer.decode(ids, skip_special_tokens=False))


def pointing(episode: Episode, corner: tuple[float, float], side: float) -> Episode:
    """The episode, with the box that its first reply is to have, whatever the model wrote, and without stop strings.

    The engine keeps the tokens that were generated. The box is written in pixels of the view (Qwen2.5-VL).

    Args:
        corner: left and top of the box, shares of the view's width and height.
        side: width and height of the box, shares likewise.
    """
    try:
        turn = next(episode)
        while True:
            reply = yield replace(turn, stop=())
            if turn.name == "look":
                ends = (*corner, *(start + side for start in corner))
                pixels = [round(share * extent) for share, extent in zip(ends, turn.images[0].size * 2, strict=True)]
                reply = replace(reply, text=f"<zoom>{pixels}</zoom>")
            turn = episode.send(reply)
    except StopIteration as ended:
        outcome: Outcome = ended.value
        return outcome


class _Gate:
    """Opens when so many have passed."""

    def __init__(self, awaited: int) -> None:
        self.opened, self._awaited = asyncio.Event(), awaited

    def passed(self) -> None:
        self._awaited -= 1
        if self._awaited == 0:
            self.opened.set()


class _Forced:
    """An ``AsyncLLM`` that generates to the cap of each request, and only some tokens; with or without ``reuse``."""

    def __init__(self, llm: Any, token_ids: list[int]) -> None:
        self._llm, self._token_ids, self.reuse = llm, token_ids, True

    def generate(self, prompt: Any, sampling: Any, **request: Any) -> AsyncIterator[Any]:
        sampling.ignore_eos, sampling.allowed_token_ids = True, self._token_ids
        sampling.skip_reading_prefix_cache = not self.reuse
        replies: AsyncIterator[Any] = self._llm.generate(prompt, sampling, **request)
        return replies

    def shutdown(self) -> None:
        self._llm.shutdown()
