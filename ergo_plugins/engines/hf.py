"""transformers in this process, on CPU or GPU: conversations in lockstep batches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from PIL import Image

from ..core.turns import Episode, Reply, Turn, play_batch
from ..outside.processors import load_processor, vision_grid, weights_fingerprint
from .base import Engine, Finished, Heard, Job, named
from .chat import ChatTokens
from .decoding import Decoding


@dataclass(slots=True)
class _Conversation:
    """Ids (one placeholder an image) and images of one conversation so far."""

    key: str
    heard: Heard | None = None
    ids: list[int] = field(default_factory=list)
    images: list[Image.Image] = field(default_factory=list)


class HFEngine(Engine):
    """``AutoModelForImageTextToText`` with left-padded batches, decoding greedily unless a temperature is given.

    Args:
        model: folder or hub id.
        concurrency: conversations generated together, as one batch.
        device: where the model runs; by default ``cuda`` if there is one.
        dtype: a torch dtype's name, or ``auto`` for the one the weights are stored in.
        temperature, top_p, top_k, repetition_penalty, seed: see `Decoding`. Sampled replies repeat with the same seed
            if the batches are the same, too: one batch draws from one stream.
        attn_implementation: transformers' name of an attention kernel; None for its default.
        enable_thinking: whether the model is to think, for a chat template that asks (Qwen3.5's); None leaves it to the
            template.
        trust_remote_code: run code that comes with the model.
    """

    def __init__(
        self,
        model: str,
        *,
        concurrency: int = 8,
        device: str | None = None,
        dtype: str = "auto",
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        repetition_penalty: float = 1.0,
        seed: int = 42,
        attn_implementation: str | None = None,
        enable_thinking: bool | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        import torch
        from transformers import AutoModelForImageTextToText, GenerationConfig

        self._torch = torch
        self._name, self._concurrency, self._dtype = model, concurrency, dtype
        self._attention = attn_implementation
        self.decoding = Decoding(temperature, top_p, top_k, repetition_penalty, seed)
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.chat = ChatTokens(
            load_processor(model, trust_remote_code=trust_remote_code), enable_thinking=enable_thinking
        )
        self.grid = vision_grid(self.chat.processor)
        opened: Any = AutoModelForImageTextToText.from_pretrained(
            model, dtype=dtype, attn_implementation=attn_implementation, trust_remote_code=trust_remote_code
        )
        self._model = opened.to(self._device)
        self._model.eval()
        # the checkpoint's own wishes are not ours, see `Decoding`
        self._model.generation_config = GenerationConfig(
            eos_token_id=sorted(self.chat.ends), pad_token_id=self.chat.tokenizer.pad_token_id
        )

    @property
    def identity(self) -> dict[str, Any]:
        return {
            "engine": "hf",
            "model": self._name,
            "weights": weights_fingerprint(self._name),
            "dtype": self._dtype,
            "attn_implementation": self._attention,
            **self.chat.identity,
            **self.decoding.identity,
        }

    def play_all(self, jobs: Iterable[Job], finished: Finished) -> None:
        """Play batch after batch; while one generates, the images of the next are decoded."""
        batches = _batches(jobs, self._concurrency)
        with ThreadPoolExecutor(self._concurrency, "ergo-pixels") as pixels:
            opening = _opened(next(batches, []), pixels)
            while opening:
                following = next(batches, [])
                started = time.perf_counter()
                batch = [(job, _episode(job, future)) for job, future in opening]
                opening = _opened(following, pixels)
                self._play_batch(batch, started, finished)

    def close(self) -> None:
        del self._model

    def _play_batch(self, batch: Sequence[tuple[Job, Episode]], started: float, finished: Finished) -> None:
        conversations = [_Conversation(job.key, job.heard) for job, _ in batch]

        def ask_all(asked: list[tuple[int, Turn]]) -> list[Reply]:
            return self._replies([(conversations[i], turn) for i, turn in asked])

        try:
            outcomes = play_batch([episode for _, episode in batch], ask_all)
        except Exception as error:  # noqa: BLE001 - torch, transformers, the model's own code: whatever it was, nothing goes on
            raise named(error, [job.key for job, _ in batch])  # noqa: B904 - it has its cause
        seconds = time.perf_counter() - started
        for (job, _), outcome in zip(batch, outcomes, strict=True):
            finished(job, replace(outcome, seconds=seconds))

    def _replies(self, asked: Sequence[tuple[_Conversation, Turn]]) -> list[Reply]:
        started = time.perf_counter()
        for conversation, turn in asked:
            conversation.ids = self.chat.prompt(conversation.ids, turn)
            conversation.images.extend(turn.images)
        prompts = [
            self.chat.expanded(conversation.ids, [self._image_tokens(image) for image in conversation.images])
            for conversation, _ in asked
        ]
        images = [image for conversation, _ in asked for image in conversation.images]
        turn = asked[0][1]
        seed = self.decoding.seed_of("\n".join(conversation.key for conversation, _ in asked), turn.name)
        heard = [conversation.heard for conversation, _ in asked]
        streamer = _Streamer(self.chat, turn, heard) if any(heard) else None
        generated = self._generate(prompts, images, turn, seed, streamer)
        seconds = time.perf_counter() - started
        replies = []
        for (conversation, _), prompt, new_ids in zip(asked, prompts, generated, strict=True):
            written = self.chat.written(new_ids, turn)
            conversation.ids.extend(written.ids)
            replies.append(
                Reply(
                    text=written.text,
                    finish=written.finish,
                    prompt_tokens=len(prompt),
                    new_tokens=len(written.ids),
                    seconds=seconds,
                    opened=self.chat.opened,
                    problems=written.problems,
                )
            )
        return replies

    def _image_tokens(self, image: Image.Image) -> int:
        return (image.width // self.grid.factor) * (image.height // self.grid.factor)

    def _generate(
        self,
        prompts: Sequence[list[int]],
        images: list[Image.Image],
        turn: Turn,
        seed: int,
        streamer: _Streamer | None,
    ) -> list[list[int]]:
        """Generated ids a prompt; a reply shorter than the longest is followed by padding."""
        torch = self._torch
        tokenizer = self.chat.tokenizer
        longest = max(len(prompt) for prompt in prompts)
        padded = [[tokenizer.pad_token_id] * (longest - len(prompt)) + prompt for prompt in prompts]
        input_ids = torch.tensor(padded, device=self._device)
        attended = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=self._device)
        seen = {}
        if images:
            pixels = self.chat.processor.image_processor(images=images, return_tensors="pt").to(self._device)
            seen = {
                "pixel_values": pixels["pixel_values"].to(self._model.dtype),
                "image_grid_thw": pixels["image_grid_thw"],
            }
        decoding = self.decoding
        sampling: dict[str, Any] = {"do_sample": False}
        if decoding.temperature:
            sampling = {
                "do_sample": True,
                "temperature": decoding.temperature,
                "top_p": decoding.top_p,
                "top_k": decoding.top_k,
            }
        stopping = {"stop_strings": list(turn.stop), "tokenizer": tokenizer} if turn.stop else {}
        torch.manual_seed(seed)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=input_ids,
                attention_mask=attended,
                **seen,
                mm_token_type_ids=(input_ids == self.chat.image_token_id).int(),
                max_new_tokens=turn.max_new_tokens,
                repetition_penalty=decoding.repetition_penalty,
                streamer=streamer,
                **sampling,
                **stopping,
            )
        return [ids.tolist() for ids in output[:, longest:]]


class _Streamer:
    """What transformers tells of a batch while it generates; its own streamers take no batches.

    Args:
        heard: told the reply of each row so far; None of a row that nobody listens to.
    """

    def __init__(self, chat: ChatTokens, turn: Turn, heard: Sequence[Heard | None]) -> None:
        self._chat, self._turn, self._heard = chat, turn, heard
        self._ids: list[list[int]] | None = None

    def put(self, tokens: Any) -> None:
        """First the prompts, then one token a row at a time."""
        if self._ids is None:
            self._ids = [[] for _ in self._heard]
            return
        for ids, heard, token in zip(self._ids, self._heard, tokens.tolist(), strict=True):
            ids.append(token)
            if heard:
                heard(self._chat.so_far(ids, self._turn))

    def end(self) -> None:
        """The batch has ended; what it came to is returned to the caller."""


def _batches(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    iterator = iter(jobs)
    while batch := list(islice(iterator, size)):
        yield batch


def _opened(batch: Sequence[Job], pixels: ThreadPoolExecutor) -> list[tuple[Job, Future[Episode]]]:
    return [(job, pixels.submit(job.open)) for job in batch]


def _episode(job: Job, opening: Future[Episode]) -> Episode:
    """The episode of a job that is being opened.

    Raises:
        EngineFault: it could not be, or another error that names the sample.
    """
    try:
        return opening.result()
    except Exception as error:  # noqa: BLE001 - raised with its sample
        raise named(error, [job.key])  # noqa: B904 - it has its cause
