"""One row a sentence: the image, the expression, and the box in pixels of the original.

Our models hand over the box in those pixels, whatever they write themselves; the reply of any other model is read as
thousandths of the sides, as Qwen3-VL writes them.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from ergo_plugins.core.geometry import RELATIVE_EXTENT, Box, Size
from ergo_plugins.core.grounding import iou, iou_reference, on_source, parse_located
from ergo_plugins.core.outcome import OBJECT

THRESHOLDS = (0.3, 0.5, 0.7, 0.9)


def doc_to_visual(doc: dict[str, Any]) -> list[Image.Image]:
    """The original, RGB."""
    with Image.open(doc["image"]) as image:
        return [image.convert("RGB")]


def doc_to_text(doc: dict[str, Any], lmms_eval_specific_kwargs: dict[str, Any] | None = None) -> str:
    """The expression alone: how it is asked is the method's."""
    return str(doc["sent"])


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Metrics of one sentence: the overlap, and whether it reaches each threshold; the reference's beside ours."""
    reply, truth = results[0], Box(*doc["target_box"])
    source = Size(doc["width"], doc["height"])
    outcome = getattr(reply, "outcome", None)
    if outcome is not None:
        box, written = outcome.boxes.get(OBJECT), outcome.values.get("written")
        frame = outcome.values.get("frame") or [RELATIVE_EXTENT, RELATIVE_EXTENT]
    else:
        located, frame = parse_located(reply), [RELATIVE_EXTENT, RELATIVE_EXTENT]
        written = located.written
        box = on_source(located.box_frame, Size(*frame), source)[0] if located.box_frame else None
    if written is not None:
        scales = [RELATIVE_EXTENT / side for side in frame] * 2
        written = [value * scale for value, scale in zip(written, scales, strict=True)]
    overlap, theirs = iou(box, truth), iou_reference(written, truth, source)
    modal = doc.get("modal_box")  # of a partly hidden object; target_box is then the box of all of it
    pair = {"iou_amodal": overlap, "iou_modal": iou(box, Box(*modal))} if modal else {}
    return {
        **pair,
        "iou": overlap,
        **{f"acc@{threshold}": float(overlap >= threshold) for threshold in THRESHOLDS},
        "iou_reference": theirs,
        "acc@0.5_reference": float(theirs > 0.5),
    }
