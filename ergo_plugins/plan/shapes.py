"""The sizes of a model, and what follows from them: parameters, bytes of the cache a token.

From a folder's ``config.json``; for well-known bases that are not on this machine, from `KNOWN`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..usage import CommandError

Family = Literal["qwen2", "qwen2_5_vl", "qwen3_vl", "qwen3_5"]
FAMILIES: tuple[Family, ...] = ("qwen2", "qwen2_5_vl", "qwen3_vl", "qwen3_5")
QUANTIZED_BITS = 4.25
"""Of a weight of a layer in AWQ or GPTQ of 4 bits: a scale and a zero point for each 128 of them."""


@dataclass(frozen=True, slots=True)
class Tower:
    """A vision tower.

    Attributes:
        depth: blocks.
        hidden, intermediate: sizes of a patch inside it.
        patch_px: side of a patch; two frames of three colours each.
        merge: patches a side that become one visual token.
        positions: learnt positions; 0 for none.
        deepstack: layers whose patches also go into the language model.
    """

    depth: int
    hidden: int
    intermediate: int
    patch_px: int
    merge: int = 2
    positions: int = 0
    deepstack: int = 0

    @property
    def patches_per_token(self) -> int:
        """Patches that become one visual token."""
        return self.merge**2

    @property
    def values_per_patch(self) -> int:
        """Numbers of a patch's pixels: colours x frames x side x side."""
        return 3 * 2 * self.patch_px**2


@dataclass(frozen=True, slots=True)
class Recurrent:
    """Layers without a cache of keys (gated delta nets); the others of a model have attention.

    Attributes:
        layers: how many of a model's are such.
        key_heads, value_heads: of one.
        head_dim: of both.
        kernel: of the convolution before them.
    """

    layers: int
    key_heads: int
    value_heads: int
    head_dim: int
    kernel: int = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """A model of one of the `FAMILIES`.

    Attributes:
        name: of the base.
        hidden, intermediate: sizes of a token inside a layer.
        heads, kv_heads, head_dim: of the attention.
        tied: whether the output layer is the embedding.
        vision: None for a model of text alone.
        recurrent: of a hybrid model.
        layer_bits: of a weight in a layer where it is served; less than 16 in a quantized checkpoint.
    """

    name: str
    family: Family
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    tied: bool
    vision: Tower | None = None
    recurrent: Recurrent | None = None
    layer_bits: float = 16

    @property
    def attention_layers(self) -> int:
        """Layers that keep a key and a value of each token."""
        return self.layers - (self.recurrent.layers if self.recurrent else 0)

    @property
    def layer_parameters(self) -> int:
        """Of one layer with attention."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        gate = self.hidden * queries if self.recurrent else 0
        attention = self.hidden * (queries + 2 * keys) + gate + queries * self.hidden
        extra = queries + 2 * keys if self.family in ("qwen2", "qwen2_5_vl") else 2 * self.head_dim
        return attention + extra + self._beside_attention  # biases, or the norms of q and k

    @property
    def recurrent_parameters(self) -> int:
        """Of one of the other layers; 0 without such."""
        if self.recurrent is None:
            return 0
        inner = self.recurrent
        keys, values = inner.key_heads * inner.head_dim, inner.value_heads * inner.head_dim
        mixed = 2 * keys + values
        weights = self.hidden * (mixed + 2 * values + 2 * inner.value_heads)  # in, gate and out; decay and its rate
        return weights + mixed * inner.kernel + 2 * inner.value_heads + inner.head_dim + self._beside_attention

    @property
    def _beside_attention(self) -> int:
        return 3 * self.hidden * self.intermediate + 2 * self.hidden

    @property
    def layers_parameters(self) -> int:
        """Of all layers of the language model."""
        others = self.layers - self.attention_layers
        return self.attention_layers * self.layer_parameters + others * self.recurrent_parameters

    @property
    def embedding_parameters(self) -> int:
        """Of the embedding; the output layer has as many again, unless it is tied."""
        return self.vocab * self.hidden

    @property
    def text_parameters(self) -> int:
        """Of the language model, embedding and output layer included."""
        ends = self.embedding_parameters * (1 if self.tied else 2)
        return self.layers_parameters + ends + self.hidden

    @property
    def vision_parameters(self) -> int:
        """Of the vision tower."""
        tower = self.vision
        if tower is None:
            return 0
        size, inner, merged = tower.hidden, tower.intermediate, tower.hidden * tower.patches_per_token
        block = 4 * size * size + 4 * size  # attention
        into_text = merged * merged + merged + merged * self.hidden + self.hidden
        patches = tower.values_per_patch * size
        if self.family in ("qwen3_vl", "qwen3_5"):
            block += 2 * size * inner + inner + size + 4 * size
            ends = patches + size + tower.positions * size + into_text + 2 * size
            return tower.depth * block + ends + tower.deepstack * (into_text + 2 * merged)
        block += 3 * size * inner + 2 * inner + size + 2 * size
        return tower.depth * block + patches + into_text + size

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.text_parameters + self.vision_parameters

    @property
    def computed_parameters(self) -> int:
        """Those that a token of text is multiplied with: layers and output layer, not the embedding's table."""
        return self.layers_parameters + self.embedding_parameters

    @property
    def served_bytes(self) -> float:
        """Of the weights where they generate: 2 each, less in the layers of a quantized checkpoint."""
        return 2 * (self.parameters - self.layers_parameters) + self.layers_parameters * self.layer_bits / 8

    def kv_bytes_per_token(self, value_bytes: int = 2) -> int:
        """Of the cache: a key and a value in each layer with attention."""
        return 2 * self.attention_layers * self.kv_heads * self.head_dim * value_bytes


def _qwen25_tower(intermediate: int = 3420) -> Tower:
    return Tower(depth=32, hidden=1280, intermediate=intermediate, patch_px=14)


def _qwen3_tower(depth: int, hidden: int, intermediate: int) -> Tower:
    return Tower(depth, hidden, intermediate, patch_px=16, positions=2304, deepstack=3)


def _qwen35(name: str, hidden: int, intermediate: int, *, tied: bool, tower: tuple[int, int, int]) -> Shape:
    """Of 32 layers every fourth has attention."""
    eyes = Tower(*tower, patch_px=16, positions=2304)
    return Shape(name, "qwen3_5", hidden, 32, 16, 4, 256, intermediate, 248320, tied, eyes, Recurrent(24, 16, 32, 128))


KNOWN: tuple[Shape, ...] = (
    Shape("Qwen2.5-VL-3B", "qwen2_5_vl", 2048, 36, 16, 2, 128, 11008, 151936, True, _qwen25_tower()),
    Shape("Qwen2.5-VL-7B", "qwen2_5_vl", 3584, 28, 28, 4, 128, 18944, 152064, False, _qwen25_tower()),
    Shape("Qwen2.5-VL-32B", "qwen2_5_vl", 5120, 64, 40, 8, 128, 27648, 152064, False, _qwen25_tower(3456)),
    Shape("Qwen2.5-VL-72B", "qwen2_5_vl", 8192, 80, 64, 8, 128, 29568, 152064, False, _qwen25_tower(3456)),
    Shape("Qwen3-VL-4B", "qwen3_vl", 2560, 36, 32, 8, 128, 9728, 151936, True, _qwen3_tower(24, 1024, 4096)),
    Shape("Qwen3-VL-8B", "qwen3_vl", 4096, 36, 32, 8, 128, 12288, 151936, False, _qwen3_tower(27, 1152, 4304)),
    _qwen35("Qwen3.5-4B", 2560, 9216, tied=True, tower=(24, 1024, 4096)),
    _qwen35("Qwen3.5-9B", 4096, 12288, tied=False, tower=(27, 1152, 4304)),
    Shape("Qwen2.5-1.5B", "qwen2", 1536, 28, 12, 2, 128, 8960, 151936, True),
    Shape("Qwen2.5-3B", "qwen2", 2048, 36, 16, 2, 128, 11008, 151936, True),
    Shape("Qwen2.5-7B", "qwen2", 3584, 28, 28, 4, 128, 18944, 152064, False),
    Shape("Qwen2.5-14B", "qwen2", 5120, 48, 40, 8, 128, 13824, 152064, False),
    Shape("Qwen2.5-32B", "qwen2", 5120, 64, 40, 8, 128, 27648, 152064, False),
    Shape("Qwen2.5-72B", "qwen2", 8192, 80, 64, 8, 128, 29568, 152064, False),
)
"""Architecture numbers of the published configurations; parameters follow by formula, which a test builds."""

_BASES: tuple[tuple[str, str], ...] = (
    (r"EGM-8B", "Qwen3-VL-8B"),
    (r"EGM-4B", "Qwen3-VL-4B"),
    (r"ERGO-7B|VisionThink", "Qwen2.5-VL-7B"),
    *((re.escape(shape.name) + r"(?!\d)", shape.name) for shape in KNOWN),
)
"""Whose sizes a checkpoint has, by a part of its name."""


def shape_known(name: str) -> Shape:
    """One of `KNOWN` by its name."""
    return next(shape for shape in KNOWN if shape.name == name)


def shape_of(model: str) -> Shape:
    """The sizes of a local folder's model, or of the well-known base that a hub id names; ``-AWQ`` behind it is 4 bits.

    Raises:
        CommandError: neither; or a family whose parameters are not known here.
    """
    file = Path(model).expanduser() / "config.json"
    if file.is_file():
        return shape_read(json.loads(file.read_text(encoding="utf-8")), Path(model).name)
    for pattern, base in _BASES:
        if re.search(pattern, Path(model).name):
            bits = QUANTIZED_BITS if re.search(r"-(AWQ|GPTQ-Int4)$", model) else 16
            return replace(shape_known(base), layer_bits=bits)
    known = ", ".join(shape.name for shape in KNOWN)
    raise CommandError(
        f"the sizes of {model} are not known: give actor_rollout_ref.model.path a folder with its config.json, or a "
        f"checkpoint named after one of {known}"
    )


def shape_read(config: Mapping[str, Any], name: str) -> Shape:
    """The sizes in a ``config.json``.

    Raises:
        CommandError: another family.
    """
    family = config.get("model_type")
    if family not in FAMILIES:
        raise CommandError(f"{name} is a {family}; parameters are known of {', '.join(FAMILIES)}")
    text, seen = config.get("text_config", config), config.get("vision_config")
    heads = text["num_attention_heads"]
    return Shape(
        name=name,
        family=family,
        hidden=text["hidden_size"],
        layers=text["num_hidden_layers"],
        heads=heads,
        kv_heads=text["num_key_value_heads"],
        head_dim=text.get("head_dim") or text["hidden_size"] // heads,
        intermediate=text["intermediate_size"],
        vocab=text["vocab_size"],
        tied=config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)),
        vision=None if seen is None else _tower_read(seen, family),
        recurrent=_recurrent_read(text) if family == "qwen3_5" else None,
        layer_bits=QUANTIZED_BITS if config.get("quantization_config", {}).get("bits") == 4 else 16,
    )


def _recurrent_read(text: Mapping[str, Any]) -> Recurrent:
    if text["linear_key_head_dim"] != text["linear_value_head_dim"]:
        raise CommandError("parameters of layers without attention are known for keys and values of one size only")
    return Recurrent(
        layers=text["layer_types"].count("linear_attention"),
        key_heads=text["linear_num_key_heads"],
        value_heads=text["linear_num_value_heads"],
        head_dim=text["linear_key_head_dim"],
        kernel=text["linear_conv_kernel_dim"],
    )


def _tower_read(seen: Mapping[str, Any], family: Family) -> Tower:
    return Tower(
        depth=seen["depth"],
        hidden=seen["hidden_size"],
        intermediate=seen["intermediate_size"],
        patch_px=seen["patch_size"],
        merge=seen["spatial_merge_size"],
        positions=seen["num_position_embeddings"] if family in ("qwen3_vl", "qwen3_5") else 0,
        deepstack=len(seen["deepstack_visual_indexes"]) if family == "qwen3_vl" else 0,
    )
