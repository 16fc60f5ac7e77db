"""A Qwen2.5-VL small enough to learn on a laptop: the architecture, a vocabulary made for the world, the processor.

Everything is built here, nothing is downloaded, and what `save` writes loads with the stock auto classes of
transformers and with vLLM.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
)
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor
from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from .world import COLORS, LETTERS, PATTERNS, WORDINGS

END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"
VISION_START, VISION_END, IMAGE, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
SPECIAL_TOKENS = (END_OF_TEXT, "<|im_start|>", END_OF_TURN, VISION_START, VISION_END, "<|vision_pad|>", IMAGE, VIDEO)
TAGS = ("<think>", "</think>", "<zoom>", "</zoom>", "<answer>", "</answer>")
NUMBERS = range(1001)
"""Coordinates are one token each: a tiny model need not learn to spell them."""

# Qwen2.5-VL's template without its default system prompt, which a tiny model would only have to ignore.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' or 'image' in part or 'image_url' in part -%}
{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif part['type'] == 'video' or 'video' in part -%}
{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- elif 'text' in part -%}
{{- part['text'] -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""

HIDDEN, LAYERS, HEADS = 128, 4, 4  # heads of 32: the smallest that vLLM's CPU attention supports
VISION_HIDDEN, VISION_LAYERS, VISION_HEADS = 96, 2, 2
PATCH_PX, MERGE = 14, 2
CONTEXT_TOKENS = 32768


def user_turn(text: str, images: Sequence[int], *, opens: bool, before: str = "") -> str:
    """A user's turn up to where the assistant's begins, as the chat template writes it.

    Args:
        text: what stands behind the images.
        images: visual tokens of each.
        opens: whether it is the first turn; a later one follows the end of a reply.
        before: what stands before the images.
    """
    shown = "".join(VISION_START + IMAGE * tokens + VISION_END for tokens in images)
    start = "" if opens else "\n"
    return f"{start}<|im_start|>user\n{before}{shown}{text}<|im_end|>\n<|im_start|>assistant\n"


def make_tokenizer(*, words: Sequence[str] = (), tags: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """A byte-level BPE that spells any text; each word of the world, each number and each tag is one token.

    Args:
        words: further words, of another world's questions and replies.
        tags: further tags.
    """
    tokenizer = Tokenizer(models.BPE())
    words_and_marks = Regex(r"\n|, | ?[A-Za-z]+|[^A-Za-z]")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words_and_marks, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    known = ["system", "user", "assistant", *LETTERS, *COLORS, *PATTERNS]
    asked = [wording.format(color=color) for wording in WORDINGS for color in COLORS]
    listed = [", ", *(f" {word}" for word in (*COLORS, *PATTERNS))]
    further = [text for word in words for text in (word, f" {word}")]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    # no limit is reached: training ends when every word of these texts is one token
    trainer = trainers.BpeTrainer(vocab_size=4096, min_frequency=1, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*known, *asked, *listed, *further], trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in (*TAGS, *tags, *map(str, NUMBERS))])
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in SPECIAL_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        additional_special_tokens=list(SPECIAL_TOKENS),
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


def token_id(tokenizer: PreTrainedTokenizerFast, text: str) -> int:
    """The id of a single token."""
    found = tokenizer.convert_tokens_to_ids(text)
    assert isinstance(found, int)  # a list only for a list
    return found


def make_processor(tokenizer: PreTrainedTokenizerFast) -> Qwen2_5_VLProcessor:
    """The stock processor with Qwen2.5-VL's own limits of 4 to 16384 tokens: views that fit them pass unchanged."""
    token_area_px = (PATCH_PX * MERGE) ** 2
    images = Qwen2VLImageProcessor(
        patch_size=PATCH_PX,
        temporal_patch_size=2,
        merge_size=MERGE,
        min_pixels=4 * token_area_px,
        max_pixels=16384 * token_area_px,
    )
    return Qwen2_5_VLProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT_TEMPLATE,
    )


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> Qwen2_5_VLForConditionalGeneration:
    """A freshly initialised model in float32, about 1.75 million parameters."""

    def token(text: str) -> int:
        return token_id(tokenizer, text)

    special = {
        "bos_token_id": token(END_OF_TEXT),
        "eos_token_id": token(END_OF_TURN),
        "pad_token_id": token(END_OF_TEXT),
    }
    rope = {
        "rope_type": "default",
        "rope_theta": 1e4,  # at 1e6 the bands of a short sequence hardly turn
        "mrope_section": [4, 6, 6],  # time, height, width; together half a head
    }
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": math.ceil(len(tokenizer) / 64) * 64,
            "hidden_size": HIDDEN,
            "intermediate_size": 3 * HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "max_position_embeddings": CONTEXT_TOKENS,
            "rope_parameters": rope,
            "tie_word_embeddings": False,
            **special,
        },
        vision_config={
            "depth": VISION_LAYERS,
            "hidden_size": VISION_HIDDEN,
            "intermediate_size": 256,
            "num_heads": VISION_HEADS,
            "out_hidden_size": HIDDEN,
            "patch_size": PATCH_PX,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": list(range(VISION_LAYERS)),
            "tokens_per_second": 2,
        },
        image_token_id=token(IMAGE),
        video_token_id=token(VIDEO),
        vision_start_token_id=token(VISION_START),
        vision_end_token_id=token(VISION_END),
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    model: Qwen2_5_VLForConditionalGeneration = Qwen2_5_VLForConditionalGeneration(config).float()
    initialise(model)
    model.generation_config = GenerationConfig(
        bos_token_id=special["bos_token_id"],
        eos_token_id=[token(END_OF_TURN), token(END_OF_TEXT)],
        pad_token_id=special["pad_token_id"],
        do_sample=False,
    )
    return model


def save(model: PreTrainedModel, processor: ProcessorMixin, folder: Path) -> None:
    """Write everything that the auto classes of transformers and vLLM read."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)  # safetensors writes it for the owner alone


def pixel_values(
    views: NDArray[np.uint8],
    *,
    patch_px: int = PATCH_PX,
    mean: Sequence[float] = OPENAI_CLIP_MEAN,
    std: Sequence[float] = OPENAI_CLIP_STD,
) -> torch.Tensor:
    """What the processor makes of RGB views that need no resizing, without its per-image overhead.

    Args:
        views: ``(images, height, width, 3)``, sides multiples of two patches.
        patch_px: side of a patch.
        mean: of each channel, 0 to 1, which the processor takes off.
        std: of each channel, by which it divides.

    Returns:
        ``(images * patches, 6 * patch_px ** 2)``, the patches of one token beside each other.
    """
    block = patch_px * MERGE
    images, height, width, channels = views.shape
    pixels = torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255
    pixels = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    patches = pixels.reshape(images, channels, height // block, MERGE, patch_px, width // block, MERGE, patch_px)
    patches = patches.permute(0, 2, 5, 3, 6, 1, 4, 7)  # image, token row, token column, patch row, patch column, …
    twice = patches.unsqueeze(6).expand(*patches.shape[:6], 2, patch_px, patch_px)  # a still is two equal frames
    return twice.reshape(-1, channels * 2 * patch_px**2)


@torch.no_grad()
def initialise(model: PreTrainedModel) -> None:
    """Scale weights by their fan-in: the default deviation of 0.02 suits wide models; a narrow one barely starts."""
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
        elif "embed_tokens" in name:
            parameter.normal_(0, 0.5)
        elif parameter.dim() >= 2:
            fan_in = parameter[0].numel()
            layers = VISION_LAYERS if "visual" in name else LAYERS
            ends_a_branch = any(end in name for end in ("o_proj", "down_proj", "attn.proj"))
            parameter.normal_(0, (1 / (2 * layers) if ends_a_branch else 1) ** 0.5 / fan_in**0.5)
