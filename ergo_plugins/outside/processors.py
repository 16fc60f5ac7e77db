"""A model's processor, and what it says about how the model sees."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ..core.geometry import VisionGrid


def load_processor(model: str, *, trust_remote_code: bool = False) -> Any:
    """The processor of a local folder or hub id.

    Raises:
        ValueError: it has no image processor, so the model cannot see.
    """
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(model, trust_remote_code=trust_remote_code)
    if getattr(processor, "image_processor", None) is None:
        raise ValueError(f"{model} has no image processor; the zoom needs a vision-language model")
    return processor


def vision_grid(processor: Any) -> VisionGrid:
    """How the model of a processor sees images and writes coordinates.

    Qwen2-VL and Qwen2.5-VL write pixels of the image they are shown, Qwen3-VL thousandths of its sides.

    Raises:
        ValueError: an image processor without patches and limits of the Qwen kind.
    """
    images = processor.image_processor
    try:
        factor = images.patch_size * images.merge_size
        smallest, largest = images.size["shortest_edge"], images.size["longest_edge"]
    except (AttributeError, KeyError, TypeError) as missing:
        raise ValueError(
            f"{type(images).__name__} does not say how it makes visual tokens; "
            f"the zoom works with the processors of Qwen2-VL, Qwen2.5-VL and Qwen3-VL ({missing})"
        ) from missing
    return VisionGrid(
        factor=factor,
        coordinates="relative" if type(processor).__name__.startswith("Qwen3") else "absolute",
        min_tokens=-(-smallest // factor**2),
        max_tokens=largest // factor**2,
    )


def weights_fingerprint(model: str, *, sampled_bytes: int = 65536) -> str | None:
    """Tells the weights in a local folder from others that are put there later; None for a hub id.

    Hashes names, sizes and three samples of each safetensors file: an update of the weights changes all of them, and
    reading 15 GB at every start would take longer than many runs.
    """
    folder = Path(model)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for start in (0, size // 2, max(0, size - sampled_bytes)):
                file.seek(start)
                digest.update(file.read(sampled_bytes))
    return digest.hexdigest()[:16]
