"""The judge of crops and of open answers behind OpenAI-compatible servers. The only rewards file that opens a socket.

An outage is an error that names the endpoint. It is never a verdict: no trajectory is scored as wrong because a server
was down, slow, or wrote something unreadable.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import os
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from PIL import Image

from ..core.png import png
from ..core.questions import Question
from ..core.replies import shown
from ..core.statements import NoCompletion, NoVerdict, read_completion
from ..core.unicode import unicode_text
from ..core.verdicts import SAME_FIELDS, read_region_answer, read_same, region_prompt, same_prompt

if TYPE_CHECKING:
    import aiohttp  # not in every environment that has the settings of a judge

V = TypeVar("V")

RETRIED_STATUSES = frozenset({408, 409, 425, 429})
LONGEST_WAIT_S = 60.0
MOST_SHOWN = 3
"""Different failures named in an error, the latest ones."""


class JudgeError(RuntimeError):
    """There is no verdict: the judge was not reached, refused, or wrote nothing readable."""


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """Who verifies the region and compares open answers.

    Attributes:
        source: ``rules`` asks nobody and needs a target box in every row; ``endpoints`` asks the servers in ``urls``;
            ``reward_model`` asks the generative reward model that verl itself serves (``reward.reward_model``).
        sees: the crop alone, as in the paper, or the original beside it.
        urls: base URLs, usually ending in ``/v1``; requests go to them in turn, and to the next one when one fails.
        model: the name under which the servers know the model; by default verl's ``reward.reward_model.model_path``.
        api_key_env: environment variable that holds the bearer token; empty for none. It is read where rewards are
            computed.
        crop_tokens: visual tokens of the crop as the judge sees it; 0 shows it the view that the policy saw.
        original_tokens: visual tokens of the original for ``crop+original``.
        prompt: what is asked about a crop, ``{question}`` standing for the question with its options; empty for ours.
        same_prompt: what is asked about an open answer, with ``{question}``, ``{target}`` and ``{answer}`` in it; empty
            for ours. A verdict is yes or no, ``Score: 1`` or ``0``, ``[[YES]]`` or ``[[NO]]``.
        max_new_tokens: of a verdict, with its thought; one that is cut before its answer is asked for again.
        concurrency: requests under way in one process.
        timeout_s: a request without a complete reply by then counts as failed; waiting for a place among those under
            way does not count.
        attempts: how often one verdict is asked for.
        first_delay_s: wait before the second attempt; doubles each time.
        remembered: verdicts kept, so that the same crop and question are judged once.
    """

    source: Literal["rules", "endpoints", "reward_model"] = "rules"
    sees: Literal["crop", "crop+original"] = "crop"
    urls: tuple[str, ...] = ()
    model: str = ""
    api_key_env: str = ""
    crop_tokens: int = 0
    original_tokens: int = 1280
    prompt: str = ""
    same_prompt: str = ""
    max_new_tokens: int = 512
    concurrency: int = 32
    timeout_s: float = 120.0
    attempts: int = 6
    first_delay_s: float = 1.0
    remembered: int = 8192

    def __post_init__(self) -> None:
        for name, allowed in (
            ("source", ("rules", "endpoints", "reward_model")),
            ("sees", ("crop", "crop+original")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"judge.{name} is one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        if self.source == "endpoints" and not (self.urls and self.model):
            raise ValueError("judge.source=endpoints needs judge.urls and judge.model")
        if self.source != "endpoints" and self.urls:
            raise ValueError(f"judge.urls are given, but judge.source is {self.source}; set judge.source=endpoints")
        if self.prompt and "{question}" not in self.prompt:
            raise ValueError(f"judge.prompt has no {{question}} in it, got {self.prompt!r}")
        if self.same_prompt and (left := [name for name in SAME_FIELDS if f"{{{name}}}" not in self.same_prompt]):
            raise ValueError(f"judge.same_prompt has no {{{left[0]}}} in it, got {self.same_prompt!r}")
        for name in ("max_new_tokens", "concurrency", "attempts", "original_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"judge.{name} is at least 1, got {getattr(self, name)}")
        for name in ("crop_tokens", "first_delay_s", "remembered"):
            if getattr(self, name) < 0:
                raise ValueError(f"judge.{name} is at least 0, got {getattr(self, name)}")
        if not self.timeout_s > 0:
            raise ValueError(f"judge.timeout_s is more than 0, got {self.timeout_s}")


@dataclass(slots=True)
class Effort:
    """What verdicts cost: requests sent, of those failed, and the seconds waited for verdicts."""

    calls: int = 0
    errors: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Judge:
    """Asks servers, many requests at a time, each question once.

    Args:
        config: how patient, and how many at a time.
        urls: base URLs of OpenAI-compatible servers.
        model: the name they know the model by.
        advice: what to look at when there is no verdict, for the error.
    """

    config: JudgeConfig
    urls: Sequence[str]
    model: str
    advice: str = (
        "Look whether the judge is up; judge.attempts and judge.timeout_s say how long to wait for it, and "
        "judge.max_new_tokens how much it may write"
    )
    _verdicts: OrderedDict[str, asyncio.Task[Any]] = field(default_factory=OrderedDict)
    _session: aiohttp.ClientSession | None = None
    _slots: asyncio.Semaphore | None = None
    _turn: Any = field(default_factory=itertools.count)

    async def answer_from(
        self, question: Question, kind: str, images: Sequence[Image.Image], effort: Effort
    ) -> str | None:
        """The judge's answer to a question from one or two images; None if it says that it cannot tell.

        Raises:
            JudgeError: there is no verdict.
        """
        encoded = [await asyncio.to_thread(png, image) for image in images]
        prompt = self.config.prompt.replace("{question}", question.full) or region_prompt(
            question, with_original=len(images) > 1
        )
        return await self._once(prompt, encoded, lambda reply: read_region_answer(reply, question, kind), effort)

    async def is_same(self, question: Question, target: str, given: str, effort: Effort) -> bool:
        """Whether an answer means the same as the wanted one.

        Raises:
            JudgeError: there is no verdict.
        """
        prompt = same_prompt(question, target, given, self.config.same_prompt)
        return await self._once(prompt, [], read_same, effort)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _once(self, prompt: str, images: list[bytes], read: Callable[[str], V], effort: Effort) -> V:
        """The verdict on a prompt and images, asked for once however many want it at the same time or later."""
        key = hashlib.sha256(b"\0".join([prompt.encode("utf-8", "surrogatepass"), *images])).hexdigest()
        started = time.monotonic()
        task: asyncio.Task[V] | None = self._verdicts.get(key)
        if task is None:
            task = asyncio.create_task(self._verdict(prompt, images, read, effort))
            self._verdicts[key] = task
            while len(self._verdicts) > self.config.remembered:
                self._verdicts.popitem(last=False)
        else:
            self._verdicts.move_to_end(key)
        try:
            return await asyncio.shield(task)
        except BaseException:
            if task.done() and self._verdicts.get(key) is task:
                del self._verdicts[key]  # an outage is not remembered
            raise
        finally:
            effort.seconds += time.monotonic() - started

    async def _verdict(self, prompt: str, images: list[bytes], read: Callable[[str], V], effort: Effort) -> V:
        import aiohttp

        delay_s, failures = self.config.first_delay_s, list[str]()
        # taken once a verdict: others that are under way must not send a retry back to where it failed
        first = next(self._turn)
        for attempt in range(self.config.attempts):
            if attempt:
                await asyncio.sleep(min(delay_s, LONGEST_WAIT_S) * random.uniform(0.5, 1.0))
                delay_s *= 2
            url = self.urls[(first + attempt) % len(self.urls)].rstrip("/")
            effort.calls += 1
            try:
                return read(await self._ask(url, prompt, images, temperature=0.0 if attempt == 0 else 0.7))
            except NoVerdict as error:
                failures.append(f"{url}: {error}")
            except (aiohttp.ClientError, asyncio.TimeoutError, NoCompletion, _Unusable) as error:
                what = (
                    f"no reply within {self.config.timeout_s:g} s" if isinstance(error, asyncio.TimeoutError) else error
                )
                failures.append(f"{url}: {type(error).__name__.lstrip('_')}: {what}")
            effort.errors += 1
        different = "; ".join(list(dict.fromkeys(failures))[-MOST_SHOWN:])
        raise JudgeError(
            f"no verdict from {', '.join(self.urls)} in {len(failures)} attempts: {different}. {self.advice}"
        )

    async def _ask(self, url: str, prompt: str, images: list[bytes], *, temperature: float) -> str:
        """One reply of one server.

        Raises:
            JudgeError: the server refuses, and would again.
            _Unusable, aiohttp.ClientError, TimeoutError: it may do better next time.
        """
        import aiohttp
        import orjson

        if self._session is None or self._slots is None:
            timeout = aiohttp.ClientTimeout(total=self.config.timeout_s)
            # no limit of its own: aiohttp's 100 connections would let requests wait within their timeout
            connector = aiohttp.TCPConnector(limit=0)
            self._session = aiohttp.ClientSession(timeout=timeout, headers=self._headers(), connector=connector)
            self._slots = asyncio.Semaphore(self.config.concurrency)
        parts: list[dict[str, Any]] = [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(file).decode()}}
            for file in images
        ]
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": unicode_text(prompt)}]}],
            "temperature": temperature,
            "max_tokens": self.config.max_new_tokens,
        }
        # the session's own json= would take 7 ms for each MB of image in the thread that computes all rewards
        request = orjson.dumps(body)
        async with (
            self._slots,
            self._session.post(
                f"{url}/chat/completions", data=request, headers={"Content-Type": "application/json"}
            ) as response,
        ):
            # not text(): bytes in another encoding are a reply without a verdict, not an error of ours
            text = (await response.read()).decode("utf-8", errors="replace")
            status = response.status
        if status >= 500 or status in RETRIED_STATUSES:
            raise _Unusable(f"status {status}: {shown(text)}")
        if status >= 400:
            raise JudgeError(f"{url} refuses to judge with status {status}: {shown(text)}")
        return read_completion(text)

    def _headers(self) -> dict[str, str]:
        """What every request carries.

        Raises:
            JudgeError: the variable that is to hold the key is not set here.
        """
        name = self.config.api_key_env
        if not name:
            return {}
        key = os.environ.get(name, "")
        if not key:
            raise JudgeError(
                f"judge.api_key_env={name} is not set in the process that computes rewards; export it before Ray "
                "starts there, or hand it over with +ray_kwargs.ray_init.runtime_env.env_vars"
            )
        return {"Authorization": f"Bearer {key}"}


class _Unusable(Exception):
    """A reply that another attempt may improve on."""
