"""The model of the rollout ``ergo_hf``: transformers' ``generate`` in a Ray actor, many requests a batch."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
from verl.workers.rollout.replica import TokenOutput

from .chat_server import serve_chat
from .prefill import places, read_once
from .sampling import Seeds, sampling

QUIET_S = 0.02
"""A batch starts when no further request has come for this long."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a reply is generated; requests of one kind can share a batch."""

    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    stop: tuple[str, ...]


@dataclass(slots=True)
class _Request:
    prompt_ids: list[int]
    kind: _Kind
    images: list[Any]
    seed: int
    reply: asyncio.Future[TokenOutput]


class HFServer:
    """A Ray actor that holds the policy and generates. Vision placeholders are never sampled.

    What it samples follows from the seed, the weights and the requests, not from their order (`sampling`).
    """

    def __init__(
        self, model_path: str, *, seed: int, largest_batch: int, prompt_length: int, response_length: int
    ) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        self._seeds = Seeds(seed)
        self.processor = AutoProcessor.from_pretrained(model_path)
        self.tokenizer = self.processor.tokenizer
        self.model = AutoModelForImageTextToText.from_pretrained(model_path, dtype=torch.float32).eval()
        eos = self.model.generation_config.eos_token_id
        self.eos_ids = set(eos) if isinstance(eos, list) else {eos}
        self.image_id = self.processor.image_token_id
        self.never_sampled = [
            token for token in (self.image_id, getattr(self.processor, "video_token_id", None)) if token is not None
        ]
        self.largest_batch = largest_batch
        self.prompt_length, self.response_length = prompt_length, response_length
        self.global_steps: int | None = None
        self._weights = threading.Lock()
        self._waiting: asyncio.Queue[_Request] = asyncio.Queue()
        self._batches: asyncio.Task[None] | None = None

    async def serve_http(self) -> str:
        """Open the chat endpoint that verl's reward router talks to; its ``host:port``."""
        return await serve_chat(self)

    async def generate(
        self,
        request_id: str,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        image_data: list[Any] | None = None,
        video_data: list[Any] | None = None,
        **ignored: Any,
    ) -> TokenOutput:
        """The continuation of a prompt whose image placeholders stand expanded."""
        if self._batches is None:
            self._batches = asyncio.create_task(self._generate_batches())
        room = self.prompt_length + self.response_length - len(prompt_ids)  # as vLLM's server reckons
        kind = _Kind(
            temperature=float(sampling_params.get("temperature", 1.0)),
            top_p=float(sampling_params.get("top_p", 1.0)),
            top_k=int(sampling_params.get("top_k", -1)),
            max_tokens=int(sampling_params.get("max_tokens") or max(1, min(self.response_length, room))),
            stop=tuple(sampling_params.get("stop") or ()),
        )
        reply: asyncio.Future[TokenOutput] = asyncio.get_running_loop().create_future()
        images = list(image_data or ())
        asked = repr((prompt_ids, kind, [image.size for image in images])).encode()
        seed = self._seeds.seed(self.global_steps, b"".join([asked, *(image.tobytes() for image in images)]))
        await self._waiting.put(_Request(list(prompt_ids), kind, images, seed, reply))
        return await reply

    async def _generate_batches(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < self.largest_batch:
                try:
                    batch.append(await asyncio.wait_for(self._waiting.get(), QUIET_S))
                except asyncio.TimeoutError:
                    break
            kinds: dict[_Kind, list[_Request]] = defaultdict(list)
            for request in batch:
                kinds[request.kind].append(request)
            for requests in kinds.values():
                await self._answer(requests)

    async def _answer(self, requests: list[_Request]) -> None:
        try:
            outputs = await asyncio.to_thread(self._generate, requests)
        except Exception as error:  # noqa: BLE001  (each waiting caller raises it)
            for request in requests:
                request.reply.set_exception(error)
        else:
            for request, output in zip(requests, outputs, strict=True):
                request.reply.set_result(output)

    @torch.inference_mode()
    def _generate(self, requests: list[_Request]) -> list[TokenOutput]:
        kind = requests[0].kind
        sampled = kind.temperature > 0
        draws = None
        if sampled:
            seeds = [request.seed for request in requests]
            draws = sampling(seeds, temperature=kind.temperature, top_p=kind.top_p, top_k=kind.top_k)
        with self._weights:
            inputs = self._read(requests)
            generated = self.model.generate(
                **inputs,
                max_new_tokens=kind.max_tokens,
                do_sample=False,
                logits_processor=draws,
                suppress_tokens=self.never_sampled,
                pad_token_id=self.image_id,  # follows where a reply has ended; cannot be mistaken for a sampled token
                stop_strings=list(kind.stop) or None,
                tokenizer=self.tokenizer if kind.stop else None,
                output_logits=True,
                return_dict_in_generate=True,
            )
            step = self.global_steps
        new = generated.sequences[:, inputs["input_ids"].shape[1] :]
        logits = torch.stack(generated.logits, dim=1).float() / (kind.temperature if sampled else 1.0)
        chosen = torch.log_softmax(logits, dim=-1).gather(-1, new[..., None])[..., 0]
        outputs: list[TokenOutput] = []
        for tokens, log_probs in zip(new.tolist(), chosen.tolist(), strict=True):
            length = tokens.index(self.image_id) if self.image_id in tokens else len(tokens)
            outputs.append(
                TokenOutput(
                    token_ids=tokens[:length],
                    log_probs=log_probs[:length],
                    stop_reason="completed",  # as vLLM's server says of both ends
                    extra_fields={"global_steps": step},
                )
            )
        return outputs

    def _read(self, requests: list[_Request]) -> dict[str, Any]:
        """What ``generate`` continues; prompts with images that come several times are read here, once each."""
        keys = [(tuple(request.prompt_ids), *map(_key, request.images)) for request in requests]
        order, firsts = places(keys)
        if len(firsts) == len(requests) or not any(request.images for request in requests):
            return self._inputs(requests)
        return read_once(self.model, self._inputs([requests[first] for first in firsts]), order)

    def _inputs(self, requests: list[_Request]) -> dict[str, torch.Tensor]:
        """Prompts padded on the left, and the pixels of all images in order."""
        longest = max(len(request.prompt_ids) for request in requests)
        padding = [longest - len(request.prompt_ids) for request in requests]
        pad_id = self.tokenizer.pad_token_id
        ids = torch.tensor([[pad_id] * pad + r.prompt_ids for pad, r in zip(padding, requests, strict=True)])
        mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in padding])
        inputs = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": (ids == self.image_id).long()}
        images = [image for request in requests for image in request.images]
        return {**inputs, **self._pixels(images)} if images else inputs

    def _pixels(self, images: list[Any]) -> dict[str, torch.Tensor]:
        """What the image processor makes of all images in order; of equal ones, as rollouts of a prompt share, once."""
        order, firsts = places([_key(image) for image in images])
        made = self.processor.image_processor(images=[images[first] for first in firsts], return_tensors="pt")
        grids = made["image_grid_thw"]
        patches = made["pixel_values"].split(grids.prod(-1).tolist())
        return {"pixel_values": torch.cat([patches[i] for i in order]), "image_grid_thw": grids[order]}

    async def update_weights(self, weights: dict[str, torch.Tensor], global_steps: int | None) -> None:
        """Take over the actor's weights.

        Raises:
            ValueError: they are not those of this model.
        """
        await asyncio.to_thread(self._update_weights, weights, global_steps)

    @torch.no_grad()
    def _update_weights(self, weights: dict[str, torch.Tensor], global_steps: int | None) -> None:
        with self._weights:
            own = self.model.state_dict()
            if own.keys() != weights.keys():
                differing = sorted(own.keys() ^ weights.keys())
                raise ValueError(f"the actor's weights and the rollout's differ in {', '.join(differing[:5])}")
            for name, tensor in own.items():
                tensor.copy_(weights[name])
            self.global_steps = global_steps

    async def sleep(self) -> None: ...

    async def wake_up(self, tags: list[str] | None = None) -> None: ...

    async def abort_all_requests(self, reject_request: bool = False) -> dict[str, Any]:
        return {"aborted_count": 0, "request_ids": []}

    async def resume_generation(self) -> None: ...

    async def clear_kv_cache(self) -> None: ...

    async def release_kv_cache(self) -> None: ...

    async def resume_kv_cache(self) -> None: ...

    async def start_profile(self, **ignored: Any) -> None: ...

    async def stop_profile(self) -> None: ...


def _key(image: Any) -> tuple[tuple[int, int], bytes]:
    return image.size, image.tobytes()
