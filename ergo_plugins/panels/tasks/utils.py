"""The lmms-eval task ``ergo_panels``: what a model is shown, and how its answer and its crop are scored.

`panels_accuracy` works for every model of lmms-eval. `target_coverage` and `target_hit` need to know where the model
looked. The models of this package say so; for any other, and for answers from lmms-eval's cache, both are left out of
the results rather than reported as zero.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from ergo_plugins.core.answers import extract_letter
from ergo_plugins.core.geometry import Box
from ergo_plugins.core.outcome import CROP, Outcome
from ergo_plugins.core.questions import split_question


def doc_to_visual(doc: dict[str, Any]) -> list[Image.Image]:
    """The original, RGB."""
    return [doc["image"].convert("RGB")]


def doc_to_text(doc: dict[str, Any], lmms_eval_specific_kwargs: dict[str, Any] | None = None) -> str:
    """The question with its options, exactly as the policy was taught it."""
    text: str = doc["text"]
    return text


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Metrics of one sample, 0 to 1."""
    reply = results[0]
    question = doc["text"]
    options = split_question(question).options if isinstance(question, str) and question.strip() else ()
    is_right = extract_letter(reply, options) == doc["label"]
    metrics = {"panels_accuracy": float(is_right)}
    outcome: Outcome | None = getattr(reply, "outcome", None)
    if outcome is not None and looked(outcome):
        target_source = Box(*doc["target_box"])
        metrics["target_coverage"] = target_source.coverage_by(outcome.box_source) if outcome.box_source else 0.0
        metrics["target_hit"] = float(metrics["target_coverage"] >= 0.9 and is_legible(outcome, doc["detail_px"]))
    return metrics


def looked(outcome: Outcome) -> bool:
    """Whether the model was asked where to look; a sample that failed before that counts as asked in vain."""
    return not outcome.turns or CROP in outcome.boxes


def is_legible(outcome: Outcome, detail_px: int) -> bool:
    """Whether ``detail_px`` pixels of the original are at least one pixel of the view that showed the crop."""
    box_source, view = outcome.box_source, outcome.turns[-1].view
    if box_source is None:
        return False
    assert view is not None  # it showed the crop
    return max(box_source.width / view.width, box_source.height / view.height) <= detail_px
