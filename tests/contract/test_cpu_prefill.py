"""Prompts of the CPU rollout that come several times are read once, and continued as if each had been read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from ergo_plugins.cpu import server as cpu_server
from ergo_plugins.cpu.prefill import places
from tests.e2e.verl_runs import TINY

GREEDY = cpu_server._Kind(temperature=0.0, top_p=1.0, top_k=-1, max_tokens=12, stop=())
SAMPLED = cpu_server._Kind(temperature=1.0, top_p=1.0, top_k=-1, max_tokens=12, stop=())


def test_places_keep_the_order() -> None:
    assert places(["b", "a", "b", "c", "a"]) == ([0, 1, 0, 2, 1], [0, 1, 3])
    assert places([]) == ([], [])


def server_of(policy: Path) -> cpu_server.HFServer:
    return cpu_server.HFServer(str(policy), seed=0, largest_batch=64, prompt_length=256, response_length=64)


def request(
    server: cpu_server.HFServer, question: str, images: list[Image.Image], kind: cpu_server._Kind, seed: int
) -> cpu_server._Request:
    content = [*({"type": "image"} for _ in images), {"type": "text", "text": question}]
    text = server.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    ids = server.processor(text=[text], images=images or None, return_tensors="pt")["input_ids"][0].tolist()
    return cpu_server._Request(ids, kind, images, seed, None)  # type: ignore[arg-type]  # nobody waits for it


def noise(width: int, height: int, seed: int) -> Image.Image:
    pixels = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(pixels.numpy())


@pytest.mark.parametrize("policy", ["policy", "egm_policy_qwen3"])
@pytest.mark.parametrize("kind", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_shared_prompt_is_continued_as_a_prompt_of_its_own(policy: str, kind: cpu_server._Kind) -> None:
    """Prompts differ in length, images and their shapes, so that rows have paddings and positions of their own."""
    server = server_of(TINY / policy)
    wide, tall = noise(224, 112, 1), noise(112, 168, 2)
    asked = [("Where is the red tile?", [wide]), ("Where?", [tall, wide]), ("Which one?", [tall])]
    read: list[int] = []
    server.model.base_model.register_forward_pre_hook(
        lambda _module, _args, given: read.append(len(given["input_ids"])), with_kwargs=True
    )
    order = [0, 1, 0, 2, 2, 1, 0]
    batch = [request(server, *asked[which], kind, seed) for seed, which in enumerate(order)]
    together = server._generate(batch)
    assert read[0] == 3, "three prompts, in seven rows"
    assert set(read[1:]) == {7}
    for row, output in zip(batch, together, strict=True):
        (alone,) = server._generate([row])
        assert output.token_ids == alone.token_ids
        assert output.log_probs == pytest.approx(alone.log_probs, abs=1e-4)


def test_prompts_without_images_are_read_as_before() -> None:
    server = server_of(TINY / "policy")
    batch = [request(server, "Where is the red tile?", [], GREEDY, seed) for seed in range(3)]
    replies = [output.token_ids for output in server._generate(batch)]
    assert replies == [server._generate([batch[0]])[0].token_ids] * 3
