"""Tokens of one trajectory, exactly as the policy and the chat template made them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

from transformers import PreTrainedTokenizerBase
from verl.experimental.agent_loop.agent_loop import AgentLoopBase, AgentLoopMetrics, AgentLoopOutput
from verl.utils.profiler import simple_timer

from ..core.geometry import VisionGrid
from ..core.outcome import Outcome
from ..core.turns import Episode, Reply, Turn
from ..methods.base import Sample
from .opening import opened
from .originals import Original, Originals
from .records import OUTCOME, SECONDS
from .rows import Row
from .settings import Settings
from .stop_strings import stop_parameters

KEPT_MESSAGES = 1024
"""Tokenised messages kept in a process: more than there are of prompts between their first and last rollout."""


def tokenizer_of(loop: AgentLoopBase) -> PreTrainedTokenizerBase:
    """A loop's tokenizer as what it is: verl annotates the class that makes it."""
    return cast(PreTrainedTokenizerBase, loop.tokenizer)


@dataclass(slots=True)
class Tokenised:
    """Tokens of messages, each made once: a processor takes its time, and the rollouts of a prompt share them."""

    kept: OrderedDict[Hashable, asyncio.Task[list[int]]] = field(default_factory=OrderedDict)

    async def get(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, list[int]]]) -> list[int]:
        """The tokens of a key, from whoever asked for them first."""
        task = self.kept.get(key)
        if task is None or (task.done() and task.exception()):
            task = self.kept[key] = asyncio.create_task(make())
            if len(self.kept) > KEPT_MESSAGES:
                self.kept.popitem(last=False)
        return list(await asyncio.shield(task))


@dataclass(slots=True)
class Shared:
    """What all trajectories of a process have in common.

    Attributes:
        loop: the event loop in which all of them run.
        strays: tokens that a policy may sample and must not write, as `engines.chat` has them in evaluation.
        making_ready: decodes originals of rows that come next; None before the first of them were announced.
    """

    config: Any
    loop: asyncio.AbstractEventLoop
    settings: Settings
    grid: VisionGrid
    originals: Originals
    strays: frozenset[int]
    end_of_message: int
    end_ids: frozenset[int]
    messages: Tokenised = field(default_factory=Tokenised)
    systems_told: set[str] = field(default_factory=set)
    making_ready: asyncio.Task[None] | None = None

    def episode(self, row: Row, original: Original) -> Episode:
        """A row's conversation, not started; its views are those that all episodes of the original share."""
        sample = Sample(original.image, row.question, row.hints)
        return self.settings.method.episode(sample, self.settings.episode, self.grid, render=original.render)


@dataclass(slots=True)
class Trajectory:
    """Tokens so far, and which of them the policy generated."""

    loop: AgentLoopBase
    shared: Shared
    row: Row
    sampling_params: Mapping[str, Any]
    request_id: str = field(default_factory=lambda: uuid4().hex)
    messages: list[dict[str, Any]] = field(default_factory=list)
    images: list[Any] = field(default_factory=list)
    prompt_length: int = 0
    tokens: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    log_probs: list[float] | None = None
    problems: list[str] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    host_fields: dict[str, Any] = field(default_factory=dict)
    routed_experts: Any = None
    replies: int = 0

    async def compute(self, function: Any, *arguments: Any) -> Any:
        """Resizing and cropping, off the event loop; verl reports the time under ``tool_calls``."""
        with simple_timer("tool_calls", self.metrics):
            return await asyncio.to_thread(function, *arguments)

    async def ask(self, turn: Turn) -> Reply:
        """Carry a turn to the policy."""
        started = time.monotonic()
        if not self.tokens:
            await self._begin(turn)
        elif not await self._go_on(turn):
            self.problems.append(f"truncated: no room for the {turn.name} turn within the response length")
            return Reply("", finish="length", new_tokens=0)
        room = self.loop.rollout_config.response_length - len(self.mask)
        cap = min(turn.max_new_tokens, room)
        prompt_tokens = len(self.tokens)
        begun = opened(tokenizer_of(self.loop), self.tokens)
        generated = await self._generate(turn, cap)
        text, ended = await self._take(turn, generated, cap)
        finish = "stop" if ended or len(generated.token_ids) < cap else "length"
        self.messages.append({"role": "assistant", "content": text})
        self.replies += 1
        return Reply(
            text=text,
            finish=finish,
            prompt_tokens=prompt_tokens,
            cached_tokens=generated.extra_fields.get("num_cached_tokens"),
            new_tokens=len(self.tokens) - prompt_tokens,
            seconds=time.monotonic() - started,
            opened=begun,
        )

    async def _begin(self, turn: Turn) -> None:
        if turn.system:
            self.messages.append({"role": "system", "content": turn.system})
        self.messages.append(_user(turn))
        self.images.extend(turn.images)
        messages, images = list(self.messages), list(self.images)
        self.tokens = await self.shared.messages.get(
            _words_and_sizes(turn),
            lambda: self.loop.ct_build_initial_tokens(messages, images=images),
        )
        self.prompt_length = len(self.tokens)

    async def _go_on(self, turn: Turn) -> bool:
        """Append the next message; False, and nothing changed, if it leaves no room for a reply."""
        room = self.loop.rollout_config.response_length
        if len(self.mask) + 1 >= room:
            return False
        if self.tokens[-1] not in self.shared.end_ids:  # cut at a stop string or a cap
            self._end_message()
        following = [*self.messages, _user(turn)]
        # verl makes them from the message alone, and what joins it to the tokens before from the last of these
        key = self.tokens[-1], _words_and_sizes(turn)
        appended = await self.shared.messages.get(key, lambda: self._appended(following))
        if len(self.mask) + len(appended) >= room:
            return False
        log_probs = None if self.log_probs is None else [*self.log_probs, *([0.0] * len(appended))]
        kept = [*self.tokens, *appended], [*self.mask, *([0] * len(appended))], log_probs
        self.tokens, self.mask, self.log_probs = kept if turn.on_new_line else self._without_newline(*kept)
        self.messages = following
        self.images.extend(turn.images)
        return True

    async def _appended(self, following: list[dict[str, Any]]) -> list[int]:
        """The tokens that verl puts behind those that stand, for the last of these messages.

        Raises:
            ValueError: it would change what stands, which was sampled just so.
        """
        standing = list(self.tokens)
        merged, _, _ = await self.loop.ct_merge_context_msg(self.messages, following, standing, [])
        if merged.token_ids[: len(standing)] != standing:
            raise ValueError(
                f"{self.row.name}: verl's token builder for {self.loop.config.actor_rollout_ref.model.path} changes "
                "sampled tokens where the next message begins; the zoom wants one that appends, as Qwen's do"
            )
        return list(merged.token_ids[len(standing) :])

    def _without_newline(
        self, tokens: list[int], mask: list[int], log_probs: list[float] | None
    ) -> tuple[list[int], list[int], list[float] | None]:
        """A conversation without the newline between the reply that stood last and the message behind it.

        Raises:
            ValueError: there is none.
        """
        at = len(self.tokens)
        if tokenizer_of(self.loop).decode(tokens[at : at + 1]) != "\n":
            raise ValueError(
                f"{self.row.name}: the chat template writes no newline behind a reply, so there is none to leave out; "
                "set newline=template"
            )

        def without(values: list[Any], place: int) -> list[Any]:
            return [*values[:place], *values[place + 1 :]]

        place = at - self.prompt_length
        return without(tokens, at), without(mask, place), None if log_probs is None else without(log_probs, place)

    async def _generate(self, turn: Turn, cap: int) -> Any:
        params = {**self.sampling_params, "max_tokens": cap, **stop_parameters(self.loop.rollout_config, turn.stop)}
        with simple_timer("generate_sequences", self.metrics):
            generated = await self.loop.server_manager.generate(
                request_id=self.request_id,
                prompt_ids=self.tokens,
                sampling_params=params,
                image_data=self.images,
            )
        if not generated.token_ids:
            raise RuntimeError(f"{self.row.name}: the rollout server returned no tokens ({generated.stop_reason})")
        first = not self.host_fields
        self.host_fields |= generated.extra_fields if first else {}
        self.host_fields["max_global_steps"] = generated.extra_fields.get("max_global_steps")
        if generated.num_preempted is not None:
            self.metrics["num_preempted"] = max(self.metrics.get("num_preempted", 0), 0) + generated.num_preempted
        self.routed_experts = generated.routed_experts
        return generated

    async def _take(self, turn: Turn, generated: Any, cap: int) -> tuple[str, bool]:
        """Append a reply's tokens; its text, and whether the policy ended it by itself.

        What follows a stop string, a token that no reply may hold or the cap (which verl's TensorRT-LLM server does not
        heed) is cut off: what stands before was sampled just so.
        """
        tokens: list[int] = list(generated.token_ids)[:cap]
        stray = next((i for i, token in enumerate(tokens) if token in self.shared.strays), None)
        if stray is not None:
            written = tokenizer_of(self.loop).convert_ids_to_tokens(tokens[stray])
            self.problems.append(
                f"{turn.name}: the reply was cut before {written}, which the model wrote as token {stray + 1}"
            )
            tokens = tokens[:stray]
        tokens, text, stopped = self._cut_at_stop(tokens, turn.stop)
        # the client of asynchronous modes says [] where none were asked for
        log_probs = list(generated.log_probs)[: len(tokens)] if generated.log_probs else None
        if log_probs is not None and not self.mask:
            self.log_probs = []
        if not tokens:  # verl puts the reward on a token
            self._end_message()
            return "", True
        merged, self.mask, self.log_probs = await self.loop.ct_merge_assistant_token(
            self.tokens, tokens, self.mask, self.log_probs, assistant_logprobs=log_probs
        )
        self.tokens = merged.token_ids
        return text, stopped or tokens[-1] in self.shared.end_ids

    def _end_message(self) -> None:
        """Append what the chat template ends a message with; the policy did not generate it."""
        self.tokens = [*self.tokens, self.shared.end_of_message]
        self.mask = [*self.mask, 0]
        if self.log_probs is not None:
            self.log_probs = [*self.log_probs, 0.0]

    def _cut_at_stop(self, tokens: list[int], stop: tuple[str, ...]) -> tuple[list[int], str, bool]:
        """The shortest beginning of a reply that holds a stop string, or all of it; its text; whether it holds one."""
        text = self._text(tokens)
        if not any(word in text for word in stop):
            return tokens, text, False
        low, high = 1, len(tokens)
        while low < high:
            middle = (low + high) // 2
            begun = self._text(tokens[:middle])
            low, high = (low, middle) if any(word in begun for word in stop) else (middle + 1, high)
        return tokens[:low], self._text(tokens[:low]), True

    def _text(self, tokens: list[int]) -> str:
        text = tokenizer_of(self.loop).decode(tokens, skip_special_tokens=True)
        assert isinstance(text, str)  # a list only of several sequences
        return text

    def output(self, outcome: Outcome, decode_s: float, brought: Mapping[str, Any]) -> AgentLoopOutput:
        """The trajectory as verl wants it; ``brought`` goes along for the reward."""
        length = len(self.mask)
        settings = self.shared.settings
        is_unlearnt = settings.method.is_unlearnt(outcome, settings.reward)
        extra = {
            "min_global_steps": None,
            "max_global_steps": None,
            **self.host_fields,
            OUTCOME: outcome.to_json(),
            **brought,
            SECONDS: {"decode": decode_s, "cut": self.metrics.get("tool_calls", 0.0)},
            "ergo_decodes": self.shared.originals.decodes,
            "turn_scores": [],
            "tool_rewards": [],
        }
        return AgentLoopOutput(
            prompt_ids=self.tokens[: self.prompt_length],
            response_ids=self.tokens[self.prompt_length : self.prompt_length + length],
            response_mask=[0] * length if is_unlearnt else self.mask,
            response_logprobs=self.log_probs,
            routed_experts=self.routed_experts,
            multi_modal_data={"images": self.images},
            num_turns=2 * self.replies,
            metrics=AgentLoopMetrics(**self.metrics),
            extra_fields=extra,
        )


def _user(turn: Turn) -> dict[str, Any]:
    return {"role": "user", "content": turn.content(lambda image: {"type": "image", "image": image})}


def _words_and_sizes(turn: Turn) -> Hashable:
    """What a message's tokens depend on: pixels have none of their own."""
    return turn.system, tuple(part if isinstance(part, str) else part.image.size for part in turn.parts)
