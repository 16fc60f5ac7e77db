"""Patches of a view are made once for all rollouts, and are to the bit what the processor makes of each trajectory."""

from __future__ import annotations

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor
from verl.utils.tokenizer import build_multimodal_processor_inputs

from ergo_plugins.verl_plugin.agent_loop import ErgoZoomLoop
from ergo_plugins.verl_plugin.patches import Patches
from ergo_plugins.verl_plugin.settings import Settings
from tests.contract.verl_parts import TINY, Bench, ScriptedPolicy, panel_row, tiny, tokenizer_and_processor

MODELS = ("policy", "egm_policy_qwen3")


def processor(name: str) -> Any:
    return AutoProcessor.from_pretrained(TINY / name)


def views(*sizes: tuple[int, int]) -> list[Image.Image]:
    return [Image.effect_noise(size, 80).convert("RGB") for size in sizes]


def as_verl_asks(of: Any, images: list[Image.Image]) -> Any:
    """What verl makes of an ended trajectory."""
    text = "".join(f"{of.image_token}{number}" for number in range(len(images)))
    return build_multimodal_processor_inputs(of, text=[text], images=images)


@pytest.mark.parametrize("model", MODELS)
def test_trajectories_get_what_the_processor_gives_them(model: str) -> None:
    stock, ours = processor(model), processor(model)
    Patches.remember(ours.image_processor, kept_mib=64)
    memory: Patches = ours.image_processor.preprocess.__self__
    whole, crop, other, large = views((112, 112), (112, 112), (56, 140), (300, 200))
    seen = set()
    for images in ([whole], [whole, crop], [whole, other, crop], [crop, whole], [large, large, whole], [whole, crop]):
        wanted, found = as_verl_asks(stock, images), as_verl_asks(ours, images)
        assert wanted.keys() == found.keys()
        for name in wanted:
            assert torch.equal(torch.as_tensor(wanted[name]), torch.as_tensor(found[name])), name
        seen |= {id(image) for image in images}
        assert memory.made == len(seen)


def test_other_settings_are_other_patches_and_other_inputs_go_to_the_processor() -> None:
    stock, ours = (processor("policy").image_processor for _ in range(2))
    Patches.remember(ours, kept_mib=64)
    memory: Patches = ours.preprocess.__self__
    (image,) = views((200, 200))
    for kwargs in ({}, {"do_rescale": False}, {"do_normalize": False}):
        wanted, found = stock([image], return_tensors="pt", **kwargs), ours([image], return_tensors="pt", **kwargs)
        assert torch.equal(wanted["pixel_values"], found["pixel_values"])
    assert memory.made == 3
    for images, kwargs in ((image, {"return_tensors": "pt"}), ([image], {"return_tensors": "np"})):
        wanted, found = stock(images, **kwargs), ours(images, **kwargs)
        assert (torch.as_tensor(wanted["pixel_values"]) == torch.as_tensor(found["pixel_values"])).all()
    assert memory.made == 3, "these went past it"


def test_what_it_keeps_has_an_end_and_lasts_no_longer_than_the_view() -> None:
    ours = processor("policy").image_processor
    (first, second) = views((112, 112), (112, 112))
    size = ours([first], return_tensors="pt")["pixel_values"].nbytes
    memory = Patches(ours, kept_mib=1.5 * size / 2**20)
    for image, made in ((first, 1), (first, 1), (second, 2), (second, 2), (first, 3), (second, 4)):
        memory.preprocess([image], return_tensors="pt")
        assert memory.made == made
    assert list(memory._sizes.values()) == [size]
    del second, image
    gc.collect()
    assert not memory._sizes
    assert not memory._known


def test_threads_that_ask_at_once_share_one_making() -> None:
    ours = processor("policy").image_processor
    wanted = ours(views((112, 112)), return_tensors="pt")["image_grid_thw"]
    at_once, begun = threading.Barrier(8), 0
    preprocess = ours.preprocess

    def slow(*args: Any, **kwargs: Any) -> Any:
        nonlocal begun
        begun += 1
        time.sleep(0.2)
        return preprocess(*args, **kwargs)

    ours.preprocess = slow
    memory = Patches(ours, kept_mib=64)
    images = views((112, 112), (112, 112))

    def ask(number: int) -> Any:
        at_once.wait()
        return memory.preprocess(images[:: 1 if number % 2 else -1], return_tensors="pt")

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert begun == 1
    for number, one in enumerate(found):
        assert torch.equal(one["image_grid_thw"], wanted.repeat(2, 1))
        assert torch.equal(one["pixel_values"], found[number % 2]["pixel_values"])
    assert not torch.equal(found[0]["pixel_values"], found[1]["pixel_values"]), "in the order in which they were given"


def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    ours = processor("policy").image_processor
    preprocess, fails = ours.preprocess, True

    def failing(*args: Any, **kwargs: Any) -> Any:
        if fails:
            raise MemoryError("no room")
        return preprocess(*args, **kwargs)

    ours.preprocess = failing
    memory = Patches(ours, kept_mib=64)
    images = views((112, 112))
    with pytest.raises(MemoryError, match="no room"):
        memory.preprocess(images, return_tensors="pt")
    fails = False
    assert memory.preprocess(images, return_tensors="pt")["pixel_values"].shape[0] == 64


def test_remembering_twice_is_remembering_once() -> None:
    ours = processor("policy").image_processor
    Patches.remember(ours, kept_mib=64)
    remembered = ours.preprocess
    Patches.remember(ours, kept_mib=64)
    assert ours.preprocess == remembered


def test_the_loop_hands_all_rollouts_of_a_prompt_one_first_view(tmp_path: Path) -> None:
    tokenizer_and_processor.cache_clear()  # else it is one that an earlier test's loop has seen
    made = Bench(tiny(), ErgoZoomLoop, ScriptedPolicy(lambda turn: []))
    replies = ("<zoom>[0, 0, 28, 28]</zoom><|im_end|>", "<answer>B</answer><|im_end|>")
    tokens = [made.tokenizer.encode(reply, add_special_tokens=False) for reply in replies]
    made.policy.replies = lambda turn: tokens[turn]
    row = panel_row(tmp_path)
    outputs = made.run(row, 8)
    memory: Patches = made.processor.image_processor.preprocess.__self__
    for output in outputs:
        as_verl_asks(made.processor, output.multi_modal_data["images"])
    assert len(outputs) == 8
    assert memory.made == 2, "the view and the crop that all eight asked for"


def test_what_is_kept_is_bounded_by_a_number_from_0_on() -> None:
    with pytest.raises(ValueError, match=r"kept_patches_mib is 0 or more, got -1"):
        Settings.read({"images": {"kept_patches_mib": -1}}, "ergo")
    ours = processor("policy").image_processor
    memory = Patches(ours, kept_mib=0)
    (image,) = views((112, 112))
    for made in (1, 2):
        memory.preprocess([image], return_tensors="pt")
        assert memory.made == made
    assert not memory._sizes
