"""The two families of Qwen's vision models that a tiny policy may be built as, and what differs between them.

Both see a square of 4 x 4 visual tokens of 2 x 2 patches each; a patch of Qwen2.5-VL is 14 pixels wide and its boxes
are in pixels of the view, a patch of Qwen3-VL is 16 and its boxes are in thousandths of the sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)
from transformers.utils.constants import (
    IMAGENET_STANDARD_MEAN,
    IMAGENET_STANDARD_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)

from ..core.geometry import RELATIVE_EXTENT
from . import policy
from .policy import CONTEXT_TOKENS, HEADS, HIDDEN, LAYERS, MERGE, VISION_HEADS, VISION_HIDDEN, VISION_LAYERS

QWEN3_PATCH_PX = 16
TOKENS_A_SIDE = 4
"""Of the view that a policy sees first."""


@dataclass(frozen=True, slots=True)
class Family:
    """How a family is built, and how it sees and says where something is.

    Attributes:
        name: transformers' ``model_type``.
        patch_px: side of a patch in pixels of the view.
        extent: what the far side of the first view is called in a box.
        mean, std: of the channels, as the processor normalises them.
        make_processor: from a tokenizer.
        make_model: from a tokenizer and a seed; float32.
    """

    name: str
    patch_px: int
    extent: int
    mean: list[float]
    std: list[float]
    make_processor: Callable[[PreTrainedTokenizerFast], ProcessorMixin]
    make_model: Callable[[PreTrainedTokenizerFast, int], PreTrainedModel]

    @property
    def view_px(self) -> int:
        """Side of the view of 4 x 4 tokens."""
        return self.patch_px * MERGE * TOKENS_A_SIDE

    def pixel_values(self, views: NDArray[np.uint8]) -> torch.Tensor:
        """Patches of RGB views ``(images, height, width, 3)``, as the processor makes them."""
        return policy.pixel_values(views, patch_px=self.patch_px, mean=self.mean, std=self.std)


def _qwen3_processor(tokenizer: PreTrainedTokenizerFast) -> ProcessorMixin:
    token_area_px = (QWEN3_PATCH_PX * MERGE) ** 2
    images = Qwen2VLImageProcessor(
        patch_size=QWEN3_PATCH_PX,
        temporal_patch_size=2,
        merge_size=MERGE,
        min_pixels=4 * token_area_px,
        max_pixels=16384 * token_area_px,
        image_mean=IMAGENET_STANDARD_MEAN,
        image_std=IMAGENET_STANDARD_STD,
    )
    return Qwen3VLProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(),
        chat_template=tokenizer.chat_template,
    )


def _qwen3_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> PreTrainedModel:
    ends = {
        "bos_token_id": policy.token_id(tokenizer, policy.END_OF_TEXT),
        "eos_token_id": policy.token_id(tokenizer, policy.END_OF_TURN),
        "pad_token_id": policy.token_id(tokenizer, policy.END_OF_TEXT),
    }
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": math.ceil(len(tokenizer) / 64) * 64,
            "hidden_size": HIDDEN,
            "intermediate_size": 3 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "head_dim": HIDDEN // HEADS,
            "max_position_embeddings": CONTEXT_TOKENS,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e4,
                "mrope_section": [4, 6, 6],
                "mrope_interleaved": True,
            },
            "tie_word_embeddings": False,
            **ends,
        },
        vision_config={
            "depth": VISION_LAYERS,
            "hidden_size": VISION_HIDDEN,
            "intermediate_size": 256,
            "num_heads": VISION_HEADS,
            "out_hidden_size": HIDDEN,
            "patch_size": QWEN3_PATCH_PX,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "num_position_embeddings": (TOKENS_A_SIDE * MERGE) ** 2,
            "deepstack_visual_indexes": [0],
        },
        image_token_id=policy.token_id(tokenizer, policy.IMAGE),
        video_token_id=policy.token_id(tokenizer, policy.VIDEO),
        vision_start_token_id=policy.token_id(tokenizer, policy.VISION_START),
        vision_end_token_id=policy.token_id(tokenizer, policy.VISION_END),
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    model: PreTrainedModel = Qwen3VLForConditionalGeneration(config).float()
    policy.initialise(model)
    model.generation_config = GenerationConfig(
        bos_token_id=ends["bos_token_id"],
        eos_token_id=[ends["eos_token_id"], ends["pad_token_id"]],
        pad_token_id=ends["pad_token_id"],
        do_sample=False,
    )
    return model


FAMILIES = {
    family.name: family
    for family in (
        Family(
            "qwen2_5_vl",
            policy.PATCH_PX,
            policy.PATCH_PX * MERGE * TOKENS_A_SIDE,
            OPENAI_CLIP_MEAN,
            OPENAI_CLIP_STD,
            policy.make_processor,
            policy.make_model,
        ),
        Family(
            "qwen3_vl",
            QWEN3_PATCH_PX,
            RELATIVE_EXTENT,
            IMAGENET_STANDARD_MEAN,
            IMAGENET_STANDARD_STD,
            _qwen3_processor,
            _qwen3_model,
        ),
    )
}
