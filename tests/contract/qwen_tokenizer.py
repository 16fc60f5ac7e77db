"""Qwen2.5-VL's real vocabulary, without a download: its byte pairs ship in Alibaba's ``dashscope`` (Apache-2.0).

The file in the package is a table of tokens and ranks; transformers wants the pairs that make them. Everything else of
the tokenizer (how text is split, the special tokens and their ids) is Qwen2.5's own.
"""

from __future__ import annotations

import base64
import math
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import torch
from tokenizers import AddedToken
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
"""Ids 151643 to 151656, in order."""

ADDED = [
    "<tool_call>",
    "</tool_call>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
]
"""Ids 151657 to 151664: single tokens that are no special ones."""

SYSTEM = "You are a helpful assistant."
"""What Qwen's template says when nobody gives a system message."""

TEMPLATE = """
{%- for message in messages -%}
{%- if loop.first and message.role != 'system' -%}
{{- '<|im_start|>system\\nSYSTEM<|im_end|>\\n' -}}
{%- endif -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content is string -%}
{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' or 'image' in part or 'image_url' in part -%}
{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif part.type == 'video' or 'video' in part -%}
{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- elif 'text' in part -%}
{{- part.text -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
""".strip().replace("SYSTEM", SYSTEM)
"""The parts of Qwen2.5-VL's chat template that a conversation with images needs."""

HEADER = "<|im_start|>assistant\\n"
"""Of a reply, as it stands in the template."""

THINKING_TEMPLATE = TEMPLATE.replace(
    HEADER, HEADER + "' }}{% if enable_thinking %}<think>\n{% else %}<think>\n\n</think>\n\n{% endif %}{{ '"
)
"""Begins a reply as templates of Qwen3.5 do: thoughts are the policy's, or an empty one is written for it."""


def qwen_tokenizer() -> Qwen2Tokenizer:
    """Qwen2.5-VL's tokenizer; takes about three seconds to make."""
    ranks = _ranks()
    symbols = _symbols()

    def written(token: bytes) -> str:
        return "".join(symbols[byte] for byte in token)

    pairs = [_pair(token, ranks) for token in ranks if len(token) > 1]
    numbered = {token: len(ranks) + i for i, token in enumerate([*SPECIAL, *ADDED])}
    tokenizer = Qwen2Tokenizer(
        vocab={written(token): rank for token, rank in ranks.items()} | numbered,
        merges=[(written(left), written(right)) for left, right in pairs],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
    )
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in ADDED])
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def write_processor(folder: Path, chat_template: str = TEMPLATE) -> Path:
    """Save Qwen2.5-VL's processor with this tokenizer; `AutoProcessor` and verl read it from the folder."""
    tokenizer = qwen_tokenizer()
    tokenizer.chat_template = chat_template
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=chat_template,
    ).save_pretrained(folder)
    return folder


RECITED = ("\n", "A", "]</", "zoom", ">\n", "B", "<|im_end|>")
"""Tokens of which the model of `write_model` says each after the one before it; a prompt ends with the first."""

STRAY = "<|image_pad|>"
"""What it would say instead of the last, were that not likelier."""


def write_model(folder: Path, processor: Path) -> Path:
    """Save an fp32 Qwen2.5-VL with this vocabulary that recites `RECITED`, beside its processor.

    What a layer adds to its input is zero, so that the next token depends on the last alone, in any engine.
    """
    for file in processor.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    ids = {token: 151643 + i for i, token in enumerate(SPECIAL)}
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(_config(ids))
    tokenizer = Qwen2Tokenizer.from_pretrained(processor)
    recited = [tokenizer(token, add_special_tokens=False)["input_ids"] for token in RECITED]
    _teach(model, [token for (token,) in recited], ids[STRAY])
    ends = [ids["<|im_end|>"], ids["<|endoftext|>"]]
    model.generation_config = GenerationConfig(eos_token_id=ends, pad_token_id=ids["<|endoftext|>"])
    model.save_pretrained(folder)
    return folder


def _config(ids: dict[str, int]) -> Qwen2_5_VLConfig:
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 151936,
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32768,
            "rope_parameters": {"rope_type": "default", "mrope_section": [4, 6, 6], "rope_theta": 1e4},
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "dtype": "float32",
        },
        vision_config={
            "depth": 1,
            "hidden_size": 96,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [0],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )


def _teach(model: Qwen2_5_VLForConditionalGeneration, recited: list[int], stray: int) -> None:
    """Write the recital into the weights: each token's embedding is a direction of its own, and the next one's row."""
    embeddings, head = model.model.language_model.embed_tokens.weight.data, model.lm_head.weight.data
    for layer in model.model.language_model.layers:
        layer.self_attn.o_proj.weight.data.zero_()
        layer.mlp.down_proj.weight.data.zero_()
    head.zero_()
    for place, (token, following) in enumerate(pairwise(recited)):
        embeddings[token] = torch.eye(64)[place]
        head[following, place] = 2.0
    head[stray, len(recited) - 2] = 1.0


def _ranks() -> dict[bytes, int]:
    """Tokens as bytes and their ids, 0 to 151642. The package is found without being imported: it opens connections."""
    package = find_spec("dashscope")
    assert package is not None, "the tests need Qwen's vocabulary: pip install --no-deps dashscope"
    assert package.origin is not None
    lines = (Path(package.origin).parent / "resources" / "qwen.tiktoken").read_bytes().splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}


def _pair(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two tokens that are joined last when the byte pairs are applied, in the order of their ranks."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        joined = [ranks.get(parts[i] + parts[i + 1], math.inf) for i in range(len(parts) - 1)]
        at = joined.index(min(joined))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    left, right = parts
    return left, right


def _symbols() -> dict[int, str]:
    """The printable character that stands for each byte in a byte-level vocabulary, as GPT-2 numbered them."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{byte: chr(byte) for byte in printable}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}
