"""How the benchmarks that `make_benchmark` writes are scored: answers by rule, boxes in pixels of the original.

Where a model looked is known of the models of this package alone; for any other, what hangs on it is left out of the
results rather than reported as zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.answers import AnswerKind, extract_letter, matches, number
from ..core.geometry import Box, whole
from ..core.grounding import iou
from ..core.outcome import OBJECT, Outcome
from ..core.questions import split_question

_NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"
_WRITTEN = re.compile(rf"<box>\s*\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]\s*</box>")
_WRITTEN_OFFICIAL = re.compile(r"<box>\[(\d+),(\d+),(\d+),(\d+)\]</box>")
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def option_results(doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, float]:
    """``accuracy`` by letter, and where the model looked."""
    return {"accuracy": float(names_the_letter(doc, results[0])), **looked(doc, results[0])}


def open_results(doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, float]:
    """``exact_match``, a floor: whether an open answer is right in other words, a judge says (``ergo judge``)."""
    return {"exact_match": float(is_exact(doc, results[0])), **looked(doc, results[0])}


def mixed_results(doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, float]:
    """``accuracy``, and the same of choices and of open answers apart; of the latter by rule, which is a floor."""
    is_option = doc["kind"] == "option"
    right = float((names_the_letter if is_option else is_exact)(doc, results[0]))
    apart = "accuracy_option" if is_option else "accuracy_open"
    return {"accuracy": right, apart: right, **looked(doc, results[0])}


def grounded_results(doc: Mapping[str, Any], results: Sequence[Any]) -> dict[str, float]:
    """`option_results`, and how the boxes a model gives or shows overlap with the true ones.

    ``miou`` is the best overlap of each true box, ``box_precision`` that of each given one, both of boxes mapped to the
    original. ``miou_official`` is reckoned as TreeBench's own script does: whole numbers in ``<box>[x,y,x,y]</box>``
    alone, taken as pixels of the original whatever the view, and as many as one likes.
    """
    reply, truth = results[0], [Box(*corners) for corners in doc["boxes"]]
    given = list(boxes_given(reply))
    written = [Box(*map(float, found)) for found in _WRITTEN_OFFICIAL.findall(_text(reply))]
    return {
        **option_results(doc, results),
        "miou": best_overlap(truth, given),
        "box_precision": best_overlap(given, truth),
        "miou_official": best_overlap(truth, written),
    }


def names_the_letter(doc: Mapping[str, Any], reply: Any) -> bool:
    """Whether a reply names the wanted letter; one that names none is wrong."""
    options = split_question(doc["question"]).options
    return bool(str(reply).strip()) and extract_letter(_answer(reply), options) == doc["answer"]


def is_exact(doc: Mapping[str, Any], reply: Any) -> bool:
    """Whether a reply is the wanted answer by its value, if that is a number, or by its words."""
    kind: AnswerKind = "number" if number(doc["answer"]) is not None and len(doc["answer"].split()) == 1 else "text"
    return matches(_answer(reply), doc["answer"], kind)


def looked(doc: Mapping[str, Any], reply: Any) -> dict[str, float]:
    """How much of each target the best of the parts that were shown covers, and how often it holds the centre.

    Nothing without an outcome, or without boxes.
    """
    outcome: Outcome | None = getattr(reply, "outcome", None)
    truth = [Box(*corners) for corners in doc["boxes"]]
    if outcome is None or not truth:
        return {}
    parts = list(parts_shown(outcome))
    covered = [max((box.coverage_by(part) for part in parts), default=0.0) for box in truth]
    held = [any(_holds_centre(part, box) for part in parts) for box in truth]
    return {"target_coverage": sum(covered) / len(truth), "target_centre": sum(held) / len(truth)}


def parts_shown(outcome: Outcome) -> Iterator[Box]:
    """The parts of the original that were shown after the first image, not all of it again."""
    for turn in outcome.turns[1:]:
        for shown in turn.shown:
            if shown.region_source and outcome.source and shown.region_source != whole(outcome.source):
                yield shown.region_source


def boxes_given(reply: Any) -> Iterator[Box]:
    """Boxes on the original: parts that were shown, an object that was pointed at, and boxes written in a reply.

    A written one is in pixels of the view that its turn showed first; of a model that does not say what it saw, it is
    taken as pixels of the original.
    """
    outcome: Outcome | None = getattr(reply, "outcome", None)
    if outcome is None:
        yield from (Box(*map(float, found)) for found in _WRITTEN.findall(str(reply)))
        return
    yield from parts_shown(outcome)
    if pointed := outcome.boxes.get(OBJECT):
        yield pointed
    for turn in outcome.turns:
        for found in _WRITTEN.findall(turn.reply):
            if turn.shown and turn.shown[0].region_source:
                region, view = turn.shown[0].region_source, turn.shown[0].view
                box = Box(*map(float, found)).scaled(region.width / view.width, region.height / view.height)
                yield Box(box.x1 + region.x1, box.y1 + region.y1, box.x2 + region.x1, box.y2 + region.y1)


def best_overlap(of: Sequence[Box], among: Sequence[Box]) -> float:
    """The best intersection over union of each box, as a mean; 0 without any."""
    best = [max((iou(other, box) for other in among), default=0.0) for box in of]
    return sum(best) / len(best) if best else 0.0


def _holds_centre(part: Box, box: Box) -> bool:
    x, y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    return part.x1 <= x <= part.x2 and part.y1 <= y <= part.y2


def _answer(reply: Any) -> str:
    """What a reply answers: the last ``<answer>``, else all of it."""
    found = _ANSWER.findall(str(reply))
    return str(found[-1] if found else reply).strip()


def _text(reply: Any) -> str:
    """All that a model wrote."""
    outcome: Outcome | None = getattr(reply, "outcome", None)
    return "\n".join(turn.reply for turn in outcome.turns) if outcome else str(reply)
