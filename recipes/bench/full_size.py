"""The folder of a Qwen2.5-VL-7B without its weights: for vLLM's ``load_format=dummy``, and nothing to download.

The dimensions are the published model's. Tokenizer, chat template and processor are the tiny policy's, so the special
tokens' ids are its own, and the rest of the vocabulary has no text.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

POLICY = Path(__file__).resolve().parents[1] / "tiny" / "policy"
BESIDE_THE_WEIGHTS = (
    *("chat_template.jinja", "generation_config.json", "processor_config.json"),
    *("tokenizer.json", "tokenizer_config.json"),
)
TEXT = {
    **{"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28},
    **{"num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064},
    **{"max_position_embeddings": 128000, "rms_norm_eps": 1e-6, "max_window_layers": 28},
    "rope_parameters": {"mrope_section": [16, 24, 24], "rope_theta": 1e6, "rope_type": "default"},
}
VISION = {
    **{"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584},
    **{"fullatt_block_indexes": [7, 15, 23, 31], "window_size": 112},
}


def config(policy: Path = POLICY, *, layers: int = 28, vision_layers: int = 32) -> dict[str, Any]:
    """The ``config.json``; with fewer layers, to see on a small machine whether it loads."""
    kept: dict[str, Any] = json.loads((policy / "config.json").read_text())
    text = {**kept["text_config"], **TEXT, "num_hidden_layers": layers, "layer_types": ["full_attention"] * layers}
    full = [index for index in VISION["fullatt_block_indexes"] if index < vision_layers]
    vision = {**kept["vision_config"], **VISION, "depth": vision_layers, "fullatt_block_indexes": full}
    parts = {"text_config": text, "vision_config": vision}
    for part in parts.values():
        part["dtype"] = "bfloat16"
    return {**kept, **parts, "dtype": "bfloat16"}


def write(folder: Path, policy: Path = POLICY, *, layers: int = 28, vision_layers: int = 32) -> Path:
    """Write the folder, over an earlier one; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in BESIDE_THE_WEIGHTS:
        shutil.copyfile(policy / name, folder / name)
    written = config(policy, layers=layers, vision_layers=vision_layers)
    (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n")
    return folder
