"""What lmms-eval calls for the tasks of `ergo_plugins.tasks.make_benchmark`: one row a question."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageStat

from ergo_plugins.core.geometry import Box
from ergo_plugins.core.images import size_of, to_rgb
from ergo_plugins.tasks.scores import (  # noqa: F401  (named by the tasks)
    grounded_results,
    mixed_results,
    open_results,
    option_results,
)

MARGIN = 0.1
"""How far an occlusion reaches over its target, as a share of the target's longer side."""


def doc_to_visual(doc: dict[str, Any]) -> list[Image.Image]:
    """The original, RGB."""
    with Image.open(doc["image"]) as image:
        return [to_rgb(image)]


def doc_to_text(doc: dict[str, Any], lmms_eval_specific_kwargs: dict[str, Any] | None = None) -> str:
    """The question with its options: how it is asked is the method's."""
    return str(doc["question"])


def doc_to_crop(doc: dict[str, Any]) -> list[Image.Image]:
    """The part that holds the evidence, as the benchmark's authors cut it, in place of the original."""
    return doc_to_visual({"image": doc["crop"]})


def doc_to_occluded(doc: dict[str, Any]) -> list[Image.Image]:
    """The original with its targets painted over in the mean colour of what surrounds each.

    Whoever claims to look has to fall to chance here.
    """
    (image,) = doc_to_visual(doc)
    for corners in doc["boxes"]:
        box = Box(*corners)
        margin = max(box.width, box.height) * MARGIN + 1
        painted, around = (
            Box(box.x1 - by, box.y1 - by, box.x2 + by, box.y2 + by).clamped(size_of(image))
            for by in (margin, 2 * margin)
        )
        area, outer = _pixels(painted), _pixels(around)
        ring = Image.new("L", image.size, 0)
        ring.paste(255, outer)
        ring.paste(0, area)
        is_ring = ring.getbbox() is not None  # a target that fills the image has nothing around it
        image.paste(tuple(round(c) for c in ImageStat.Stat(image, ring).mean) if is_ring else (128, 128, 128), area)
    return [image]


def _pixels(box: Box) -> tuple[int, int, int, int]:
    return round(box.x1), round(box.y1), round(box.x2), round(box.y2)
