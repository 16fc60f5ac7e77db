"""vLLM in this process: every sample is a coroutine, and each second turn finds its first in the prefix cache."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from PIL import Image

from ..core.turns import Reply, Turn
from ..processors import load_processor, vision_grid, weights_fingerprint
from .base import Engine, EngineRefused, EngineUnavailable, Finished, Job
from .chat import ChatTokens
from .overlap import LoopThread, Patience, play_overlapping


class VLLMEngine(Engine):
    """An ``AsyncLLM`` on an event loop of its own.

    Args:
        model: folder or hub id.
        concurrency: requests under way; also vLLM's ``max_num_seqs`` unless that is given.
        temperature: 0 decodes greedily.
        seed: of the engine and of every request.
        attempts: how often a turn is asked before its sample counts as failed.
        trust_remote_code: run code that comes with the model.
        engine_options: anything else of vLLM's ``AsyncEngineArgs`` (``tensor_parallel_size``, ``max_model_len``, …).
    """

    def __init__(
        self,
        model: str,
        *,
        concurrency: int = 32,
        temperature: float = 0.0,
        seed: int = 42,
        attempts: int = 2,
        trust_remote_code: bool = False,
        **engine_options: Any,
    ) -> None:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        self._model, self._concurrency, self._temperature, self._seed = model, concurrency, temperature, seed
        self._engine_options = engine_options
        self._patience = Patience(attempts=attempts)
        self.chat = ChatTokens(load_processor(model, trust_remote_code=trust_remote_code))
        self.grid = vision_grid(self.chat.processor)
        self._request_ids = itertools.count()
        defaults = {
            "enable_prefix_caching": True,
            "limit_mm_per_prompt": {"image": 2, "video": 0},
            "max_num_seqs": concurrency,
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
            "temperature": self._temperature,
            "seed": self._seed,
            **{f"vllm.{name}": value for name, value in self._engine_options.items() if name in _DECIDES_REPLIES},
        }

    def play_all(self, jobs: Iterable[Job], finished: Finished) -> None:
        self._thread.run(
            play_overlapping(
                jobs,
                lambda: _Conversation(self),
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

    async def reply_to(self, prompt_ids: list[int], images: list[Image.Image], turn: Turn) -> tuple[Reply, list[int]]:
        """``(reply, generated ids)`` for a conversation whose last message is ``turn``.

        Raises:
            EngineRefused: vLLM does not take the request, for example because it is too long.
            EngineUnavailable: the engine failed.
        """
        from vllm import SamplingParams

        sampling = SamplingParams(
            temperature=self._temperature,
            seed=self._seed,
            max_tokens=turn.max_new_tokens,
            stop=list(turn.stop),
            include_stop_str_in_output=True,
        )
        prompt = {"prompt_token_ids": prompt_ids, "multi_modal_data": {"image": images}}
        last = None
        try:
            async for output in self._llm.generate(prompt, sampling, request_id=f"ergo-{next(self._request_ids)}"):
                last = output
        except ValueError as refused:  # vLLM's way to say that a request is not acceptable
            raise EngineRefused(f"vLLM does not take the {turn.name} turn: {refused}") from refused
        except Exception as failed:
            raise EngineUnavailable(f"vLLM failed on the {turn.name} turn: {failed}") from failed
        if last is None or not last.outputs:
            raise EngineUnavailable(f"vLLM ended the {turn.name} turn without a reply")
        completion = last.outputs[0]
        new_ids = list(completion.token_ids)
        reply = Reply(
            text=self.chat.text(new_ids, turn.stop),
            finish="length" if completion.finish_reason == "length" else "stop",
            prompt_tokens=len(last.prompt_token_ids),
            cached_tokens=last.num_cached_tokens,
            new_tokens=len(new_ids),
        )
        return reply, new_ids


_DECIDES_REPLIES = ("dtype", "quantization", "load_format", "revision", "max_model_len", "hf_overrides")


class _Conversation:
    """Ids and images so far; they move on only when a reply has come, so that a failed turn can be asked again."""

    def __init__(self, engine: VLLMEngine) -> None:
        self._engine = engine
        self._ids: list[int] = []
        self._images: list[Image.Image] = []

    async def ask(self, turn: Turn) -> Reply:
        ids = self._engine.chat.prompt(self._ids, turn)
        images = [*self._images, turn.image]
        reply, new_ids = await self._engine.reply_to(ids, images, turn)
        self._ids, self._images = [*ids, *new_ids], images
        return reply
