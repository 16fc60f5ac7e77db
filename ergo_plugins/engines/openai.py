"""Any OpenAI-compatible server: each image is encoded once, losslessly, and sent again unchanged."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from ..core.geometry import VisionGrid
from ..core.png import png
from ..core.turns import Reply, Turn
from ..core.unicode import unicode_text
from ..outside.processors import load_processor, vision_grid
from .base import Engine, EngineRefused, EngineUnavailable, Finished, Heard, Job
from .completions import chat_completion
from .decoding import Decoding
from .overlap import LoopThread, Patience, play_overlapping
from .providers import PROVIDERS, cut_at
from .replicas import Replica, Replicas, addresses
from .served_grid import Served, check_processor, grid_of_name, served

WHICH_MODEL_S = 10.0
"""How long a server may take to say which models it has."""


class OpenAIEngine(Engine):
    """Chat completions of a server, many samples at a time.

    Args:
        model: the name under which the server knows the model.
        base_url: of the API, usually ending in ``/v1``; several with ``;`` between them serve the same model, and a
            conversation stays with one of them (`replicas`).
        api_key_env: environment variable that holds the bearer token; it stands in no argument and no file.
        api: ``openai``, ``gemini`` or ``anthropic`` for that provider's own API (`providers`): only what it takes is
            sent, and its grid is known; ``server`` for any other.
        hidden_tokens: with these, tokens beside a reply's cap for thoughts that the API counts and does not show.
        processor: folder or hub id whose processor tells the grid; without it, ``grid`` does.
        grid: a name in `GRIDS`; without either, what the server serves or the model's name tells it, or it is refused.
        concurrency: requests under way.
        temperature, top_p, top_k, repetition_penalty, seed: see `Decoding`.
        attempts: how often a turn is asked before its sample counts as failed.
        timeout_s: a request without a complete reply by then is asked again.
        retry_delay_s: up to this long is waited before the second attempt, doubling after that.
        enable_thinking: whether the model is to think, if the server's chat template asks (Qwen3.5's); None leaves it
            to the template.
        trust_remote_code: run code that comes with the processor.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key_env: str | None = None,
        api: str = "server",
        hidden_tokens: int = 0,
        processor: str | None = None,
        grid: str | None = None,
        concurrency: int = 16,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        repetition_penalty: float = 1.0,
        seed: int = 42,
        attempts: int = 4,
        timeout_s: float = 600.0,
        retry_delay_s: float = 1.0,
        enable_thinking: bool | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        from openai import AsyncOpenAI

        if grid is not None and (processor is not None or api in PROVIDERS):
            told = f"api={api}" if processor is None else f"processor={processor}"
            raise ValueError(f"{told} tells the grid already; leave grid={grid} out")
        if api != "server" and api not in PROVIDERS:
            raise ValueError(f"api is one of server, {', '.join(PROVIDERS)}, got {api!r}")
        self._api, self._provider = api, PROVIDERS.get(api)
        self._hidden_tokens = hidden_tokens
        read = None
        if processor is not None:
            read = vision_grid(load_processor(processor, trust_remote_code=trust_remote_code))
        self._model, self._concurrency = model, concurrency
        self._timeout_s, self._streams = timeout_s, True
        self.decoding = Decoding(temperature, top_p, top_k, repetition_penalty, seed)
        if self._provider:
            self._provider.check(api, self.decoding, enable_thinking)
            api_key_env = api_key_env or self._provider.key_variable
        # what the API of OpenAI itself does not know; servers that do would follow the checkpoint's wishes without it
        self._extras: dict[str, Any] = {"top_k": top_k or -1, "repetition_penalty": repetition_penalty}
        self._template: dict[str, Any] = {} if enable_thinking is None else {"enable_thinking": enable_thinking}
        self._patience = Patience(attempts=attempts, first_delay_s=retry_delay_s)
        key = _api_key(api_key_env)
        self._replicas = Replicas(
            [
                Replica(address, AsyncOpenAI(base_url=address, api_key=key, timeout=timeout_s, max_retries=0))
                for address in addresses(base_url)
            ]
        )
        self._thread = LoopThread()
        try:
            self._served = self._thread.run(self._listed())
            self.grid = self._grid(read, processor, grid)
        except ValueError:
            self.close()
            raise

    @property
    def sends_small_files(self) -> bool:
        """Whether images are compressed, as providers limit their size; a server beside the client need not wait."""
        return self._provider is not None

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "engine": "openai",
            "model": self._model,
            "served": self._served.root,
            "grid": f"{self.grid.factor} {self.grid.coordinates}",
            **self._template,
            **({"api": self._api, "hidden_tokens": self._hidden_tokens} if self._provider else self.decoding.identity),
        }

    def play_all(self, jobs: Iterable[Job], finished: Finished) -> None:
        self._thread.run(
            play_overlapping(
                jobs,
                lambda job: _Conversation(self, self._replicas, job.key, job.heard),
                finished,
                concurrency=self._concurrency,
                patience=self._patience,
            )
        )

    def close(self) -> None:
        async def stop() -> None:
            await asyncio.gather(*(replica.client.close() for replica in self._replicas.all))

        self._thread.run(stop())
        self._thread.close()

    def _grid(self, read: VisionGrid | None, processor: str | None, grid: str | None) -> VisionGrid:
        """How the model sees: by its processor, its provider, its grid's name, or what the server says.

        Raises:
            ValueError: see `served_grid`.
        """
        if read is not None:
            check_processor(read, str(processor), self._model, self._served.roots)
            return read
        return self._provider.grid if self._provider else grid_of_name(grid, self._model, self._served)

    async def _listed(self) -> Served:
        """What the servers say they serve under the model's name, as vLLM and SGLang do.

        Raises:
            ValueError: two of them serve different models under it.
        """
        found = await asyncio.gather(*(self._listed_by(replica) for replica in self._replicas.all))
        told = {one: replica for one, replica in zip(found, self._replicas.all, strict=True) if one.roots}
        if len(told) > 1:
            serving = ", ".join(f"{replica.base_url} {one.root}" for one, replica in told.items())
            raise ValueError(f"servers of one model are wanted, but under {self._model} there are {serving}")
        return next(iter(told), found[0])

    async def _listed_by(self, replica: Replica) -> Served:
        """Of one server. It need not have this list; whether it replies at all is found out later."""
        import openai

        try:
            known = await replica.client.models.list(timeout=WHICH_MODEL_S)
        except openai.APIConnectionError:
            return Served(missing=f"nothing answers at {replica.base_url}")
        except (openai.OpenAIError, ValueError):
            return Served()
        return served(getattr(known, "data", None) or [], self._model)

    async def complete(
        self, replica: Replica, messages: list[dict[str, Any]], turn: Turn, *, key: str, heard: Heard | None = None
    ) -> Reply:
        """A server's reply to a conversation whose last message is ``turn``.

        Args:
            key: names the sample.
            heard: see `Job`; with it the reply is streamed, unless the server refuses to.

        Raises:
            EngineRefused: a status of 4xx other than 408, 409 and 429: asking again is of no use.
            EngineUnavailable: anything else that is not a reply; silent unless it is one of those three.
        """
        import openai

        if not turn.on_new_line:
            raise EngineRefused(
                f"the {turn.name} turn is to begin without the chat template's newline (newline=reference), and "
                f"{replica.base_url} writes messages by its own template; set newline=template, or use vllm or hf"
            )
        parameters = {"model": self._model, "messages": messages, **self._parameters(turn, key)}
        told = self._as_replied(heard, turn) if heard and self._streams else None
        try:
            response = await self._completion(replica, parameters, told)
        except (openai.OpenAIError, ValueError, asyncio.TimeoutError) as error:
            status = _status(error)
            if status is None:  # no connection, no answer in time, or no JSON
                why = str(error) or f"no whole reply in {self._timeout_s:g} s"
                raise EngineUnavailable(
                    f"{replica.base_url} gave no reply to the {turn.name} turn: {type(error).__name__}: {why}",
                    is_silent=True,
                ) from error
            stated = str(getattr(error, "message", error))
            if self._forgo_extras(replica, status, stated) or (told and self._forgo_streams(status, stated)):
                return await self.complete(replica, messages, turn, key=key, heard=heard)
            message = f"{replica.base_url} answered {status} to the {turn.name} turn: {stated}"
            if status in (408, 409, 429) or status >= 500:
                raise EngineUnavailable(message, _retry_after_s(error), is_silent=status >= 500) from error
            raise EngineRefused(message) from error
        return self._reply(replica, response, turn)

    async def _completion(self, replica: Replica, parameters: dict[str, Any], heard: Heard | None) -> Any:
        """The server's answer to a request, streamed if somebody listens."""
        asked = chat_completion(replica.client, parameters, heard)
        # the client's own timeout is for a silence; a stream may also drip for ever
        return await (asyncio.wait_for(asked, self._timeout_s) if heard else asked)

    def _as_replied(self, heard: Heard, turn: Turn) -> Heard:
        """Tells what was said so far as `_reply` will have it: no half of a character, nothing behind a stop string."""

        def tell(text: str) -> None:
            text = unicode_text(text).rstrip(_REPLACEMENT)
            heard(cut_at(text, turn.stop)[0] if self._provider else text)

        return tell

    def _parameters(self, turn: Turn, key: str) -> dict[str, Any]:
        """What goes with a request; to a provider's API only what it takes."""
        if self._provider:
            return {self._provider.cap: turn.max_new_tokens + self._hidden_tokens}
        return {
            "temperature": self.decoding.temperature,
            "top_p": self.decoding.top_p,
            "max_tokens": turn.max_new_tokens,
            "seed": self.decoding.seed_of(key, turn.name),
            **({"stop": list(turn.stop)} if turn.stop else {}),
            **self._extras,
            **({"chat_template_kwargs": self._template} if self._template else {}),
        }

    def _forgo_extras(self, replica: Replica, status: int, stated: str) -> bool:
        """Whether a server that does not know what is not OpenAI's can be asked without, as nothing is lost by it."""
        names = [name for name in self._extras if name in stated]
        neutral = self.decoding.top_k == 0 and self.decoding.repetition_penalty == 1
        if self._provider or status not in (400, 422) or not names or not neutral:
            return False
        warnings.warn(
            f"{replica.base_url} does not take {' and '.join(names)}: it decodes by its own defaults for them",
            stacklevel=2,
        )
        self._extras = {}
        return True

    def _forgo_streams(self, status: int, stated: str) -> bool:
        """Whether a server that refuses to stream can be asked for whole replies from now on."""
        if status not in (400, 422) or "stream" not in stated:
            return False
        self._streams = False
        return True

    def _reply(self, replica: Replica, response: Any, turn: Turn) -> Reply:
        choices = getattr(response, "choices", None)
        message = getattr(choices[0], "message", None) if choices else None
        if not choices or message is None:
            raise EngineUnavailable(
                f"{replica.base_url} answered the {turn.name} turn with something that is no chat completion: "
                f"{str(response)[:200]!r}",
                is_silent=True,
            )
        usage = response.usage
        details = getattr(usage, "prompt_tokens_details", None)
        text = _with_stop(unicode_text(message.content or ""), choices[0], turn.stop)
        text, stopped = cut_at(text, turn.stop) if self._provider else (text, False)
        return Reply(
            text=text,
            finish="length" if choices[0].finish_reason == "length" and not stopped else "stop",
            prompt_tokens=getattr(usage, "prompt_tokens", None),
            cached_tokens=getattr(details, "cached_tokens", None),
            new_tokens=getattr(usage, "completion_tokens", None),
        )


@dataclass(slots=True)
class _Conversation:
    """Messages so far, images as data URLs; they move on only when a reply has come.

    The server that has the earlier turns in its cache is asked again; if it is silent, another one gets all of them.
    """

    engine: OpenAIEngine
    replicas: Replicas
    key: str
    heard: Heard | None = None
    replica: Replica | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    encoded: tuple[Turn, list[dict[str, Any]]] | None = None

    async def ask(self, turn: Turn) -> Reply:
        if self.encoded is None or self.encoded[0] is not turn:
            make = _small_image_url if self.engine.sends_small_files else _image_url
            self.encoded = turn, await asyncio.to_thread(turn.content, make)
        before = self.messages
        if not before and turn.system:
            before = [{"role": "system", "content": turn.system}]
        messages = [*before, {"role": "user", "content": self.encoded[1]}]
        replica = self.replica = self.replica or self.replicas.least_busy()
        try:
            with replica.busy():
                reply = await self.engine.complete(replica, messages, turn, key=self.key, heard=self.heard)
        except EngineUnavailable as error:
            if error.is_silent:
                self.replica = self.replicas.after_failure(replica)
            raise
        self.messages = [*messages, {"role": "assistant", "content": reply.text}]
        return reply


def _image_url(image: Image.Image) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": data_url(image)}}


def _small_image_url(image: Image.Image) -> dict[str, Any]:
    file = io.BytesIO()
    image.save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
    return {"type": "image_url", "image_url": {"url": url}}


def data_url(image: Image.Image) -> str:
    """The image as a lossless PNG data URL."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode("ascii")


def _api_key(variable: str | None) -> str:
    """The bearer token; servers of one's own want any.

    Raises:
        ValueError: the variable is not set.
    """
    if variable is None:
        return "EMPTY"
    if not os.environ.get(variable):
        raise ValueError(f"api_key_env={variable}: there is no environment variable {variable}, or it is empty")
    return os.environ[variable]


_REPLACEMENT = "\ufffd"


def _with_stop(text: str, choice: Any, stop: tuple[str, ...]) -> str:
    """The reply with the stop string that ended it, which servers leave out.

    vLLM and SGLang name it. From other servers, one tag left open by a reply that was not cut short is closed.
    """
    named = getattr(choice, "stop_reason", getattr(choice, "matched_stop", None))
    for word in stop:
        opening = word.replace("</", "<")
        left_open = choice.finish_reason == "stop" and text.count(opening) == text.count(word) + 1
        if (named == word and not text.endswith(word)) or (named is None and left_open):
            return text + word
    return text


def _status(error: Exception) -> int | None:
    """The HTTP status of an error, also of one that a server sends within a stream; None without one."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code
    code = str(getattr(error, "code", None))
    return int(code) if re.fullmatch(r"[45]\d\d", code) else None


def _retry_after_s(error: Any) -> float | None:
    """What the server asks to wait, in seconds; None if it does not say so in seconds."""
    response = getattr(error, "response", None)  # none for an error within a stream
    value = response.headers.get("retry-after", "") if response is not None else ""
    return float(value) if value.replace(".", "", 1).isdigit() else None
