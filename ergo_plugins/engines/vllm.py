"""vLLM in this process: every sample is a coroutine, and each second turn finds its first in the prefix cache."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from PIL import Image

from ..core.turns import Reply, Turn
from ..outside.processors import load_processor, vision_grid, weights_fingerprint
from .base import Engine, EngineRefused, EngineUnavailable, Finished, Heard, Job
from .chat import ChatTokens
from .decoding import Decoding
from .overlap import LoopThread, Patience, play_overlapping


class VLLMEngine(Engine):
    """An ``AsyncLLM`` on an event loop of its own.

    Args:
        model: folder or hub id.
        concurrency: requests under way; also vLLM's ``max_num_seqs`` unless that is given.
        temperature, top_p, top_k, repetition_penalty, seed: see `Decoding`.
        attempts: how often a turn is asked before its sample counts as failed.
        enable_thinking: whether the model is to think, for a chat template that asks (Qwen3.5's); None leaves it to the
            template.
        trust_remote_code: run code that comes with the model.
        engine_options: anything else of vLLM's ``AsyncEngineArgs`` (``tensor_parallel_size``, ``max_model_len``, …).
    """

    def __init__(
        self,
        model: str,
        *,
        concurrency: int = 32,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        repetition_penalty: float = 1.0,
        seed: int = 42,
        attempts: int = 2,
        enable_thinking: bool | None = None,
        trust_remote_code: bool = False,
        **engine_options: Any,
    ) -> None:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        self._model, self._concurrency = model, concurrency
        self.decoding = Decoding(temperature, top_p, top_k, repetition_penalty, seed)
        self._engine_options = engine_options
        self._patience = Patience(attempts=attempts)
        self.chat = ChatTokens(
            load_processor(model, trust_remote_code=trust_remote_code), enable_thinking=enable_thinking
        )
        self.grid = vision_grid(self.chat.processor)
        self._request_ids, self._turn_of_rank = itertools.count(), itertools.count()
        self._ranks = int(engine_options.get("data_parallel_size") or 1)
        check_tensor_parallel(model, int(engine_options.get("tensor_parallel_size") or 1), trust_remote_code)
        defaults = {
            "enable_prefix_caching": True,
            "max_num_seqs": concurrency,
            "max_num_batched_tokens": BATCHED_TOKENS,
            "generation_config": "vllm",  # the checkpoint's own wishes are not ours, see `Decoding`
        }
        arguments = AsyncEngineArgs(
            model=model, seed=seed, trust_remote_code=trust_remote_code, **{**defaults, **engine_options}
        )

        async def start() -> Any:
            return AsyncLLM.from_engine_args(arguments)

        self._thread = LoopThread()
        self._llm = self._thread.run(start())

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "engine": "vllm",
            "model": self._model,
            "weights": weights_fingerprint(self._model),
            **self.chat.identity,
            **self.decoding.identity,
            **{f"vllm.{name}": value for name, value in self._engine_options.items() if name in _DECIDES_REPLIES},
        }

    def play_all(self, jobs: Iterable[Job], finished: Finished) -> None:
        self._thread.run(
            play_overlapping(
                jobs,
                lambda job: _Conversation(self, job, next(self._turn_of_rank) % self._ranks),
                finished,
                concurrency=self._concurrency,
                patience=self._patience,
            )
        )

    def close(self) -> None:
        async def stop() -> None:
            self._llm.shutdown()

        self._thread.run(stop())
        self._thread.close()

    async def reply_to(
        self,
        prompt_ids: list[int],
        images: list[Image.Image],
        turn: Turn,
        *,
        key: str,
        rank: int,
        heard: Heard | None = None,
    ) -> tuple[Reply, list[int]]:
        """``(reply, its ids)`` for a conversation whose last message is ``turn``.

        Args:
            key: names the sample.
            rank: of the replica that holds the conversation's earlier turns in its cache.
            heard: see `Job`.

        Raises:
            EngineRefused: vLLM does not take the request, for example because it is too long.
            EngineUnavailable: the engine failed.
        """
        prompt: dict[str, Any] = {"prompt_token_ids": prompt_ids}
        if images:
            prompt["multi_modal_data"] = {"image": images}
        replicas = {"data_parallel_rank": rank} if self._ranks > 1 else {}
        request = f"ergo-{next(self._request_ids)}"
        last = None
        try:
            async for output in self._llm.generate(prompt, self._sampling(turn, key), request_id=request, **replicas):
                last = output
                if heard and output.outputs:
                    heard(self.chat.so_far(output.outputs[0].token_ids, turn))
        except _refusals() as refused:
            raise EngineRefused(f"vLLM does not take the {turn.name} turn: {refused}") from refused
        except Exception as failed:
            raise EngineUnavailable(f"vLLM failed on the {turn.name} turn: {failed}") from failed
        if last is None or not last.outputs:
            raise EngineUnavailable(f"vLLM ended the {turn.name} turn without a reply")
        completion = last.outputs[0]
        written = self.chat.written(completion.token_ids, turn)
        reply = Reply(
            text=written.text,
            finish="length" if completion.finish_reason == "length" and not written.problems else "stop",
            prompt_tokens=len(last.prompt_token_ids),
            cached_tokens=last.num_cached_tokens,
            new_tokens=len(written.ids),
            opened=self.chat.opened,
            queued_s=_queued_s(last),
            problems=written.problems,
        )
        return reply, written.ids

    def _sampling(self, turn: Turn, key: str) -> Any:
        from vllm import SamplingParams

        decoding = self.decoding
        return SamplingParams(
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            top_k=decoding.top_k,
            repetition_penalty=decoding.repetition_penalty,
            seed=decoding.seed_of(key, turn.name),
            max_tokens=turn.max_new_tokens,
            stop=list(turn.stop),
            include_stop_str_in_output=True,
            stop_token_ids=sorted(self.chat.ends),
        )


BATCHED_TOKENS = 16384
"""Tokens of one step, as in the training recipe: vLLM's own default for an engine in this process is 2048, and a large
image alone has more."""

_DECIDES_REPLIES = (
    "dtype",
    "quantization",
    "load_format",
    "revision",
    "max_model_len",
    "hf_overrides",
    "mm_processor_kwargs",
)


class _Conversation:
    """Ids and images so far; they move on only when a reply has come, so that a failed turn can be asked again."""

    def __init__(self, engine: VLLMEngine, job: Job, rank: int) -> None:
        self._engine, self._job, self._rank = engine, job, rank
        self._ids: list[int] = []
        self._images: list[Image.Image] = []

    async def ask(self, turn: Turn) -> Reply:
        ids = self._engine.chat.prompt(self._ids, turn)
        images = [*self._images, *turn.images]
        reply, new_ids = await self._engine.reply_to(
            ids, images, turn, key=self._job.key, rank=self._rank, heard=self._job.heard
        )
        self._ids, self._images = [*ids, *new_ids], images
        return reply


def check_tensor_parallel(model: str, size: int, trust_remote_code: bool = False) -> None:
    """Make sure that the model's attention heads can be divided among so many GPUs, before workers are started.

    Raises:
        ValueError: they cannot; the message names the sizes that can.
    """
    if size == 1:
        return
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model, trust_remote_code=trust_remote_code).get_text_config()
    heads: int = config.num_attention_heads
    if heads % size:
        fitting = ", ".join(str(n) for n in range(1, heads + 1) if heads % n == 0)
        raise ValueError(
            f"tensor_parallel_size={size} does not divide the {heads} attention heads of {model}; one of {fitting} does"
        )


def _queued_s(output: Any) -> float | None:
    """How long a request waited before its first step; None with ``disable_log_stats``."""
    if output.metrics is None or not output.metrics.scheduled_ts:
        return None
    return float(output.metrics.scheduled_ts - output.metrics.queued_ts)


def _refusals() -> tuple[type[Exception], ...]:
    """What vLLM raises for a request that it will never take; since 0.31 no ValueError."""
    from vllm import exceptions

    return (ValueError, getattr(exceptions, "VLLMClientError", ValueError))
