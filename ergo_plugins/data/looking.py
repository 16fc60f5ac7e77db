"""Sets for models that look several times: questions about small things, some with the box of the evidence.

Fields are those that the sets' cards and public converters name; none of the full sets could be downloaded where this
was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.answers import number
from ..core.questions import split_question
from .fields import answer_text, boxes_of, question_text
from .samples import BadSample, Sample, size_of_file
from .sources import Reader, Record, Source

SMALLEST_SIDE = 28
"""Images with a shorter side are no square of the vision grid."""

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_HOW_TO_ANSWER = "Think first"
"""How the words begin that DeepEyes puts behind a question."""

_BOX_DRAWN_IN, _CLEAN = "images", "original_images"
"""ZwZ's two trees of the same pictures; in the first the box of the evidence is drawn into them."""


def deepeyes47k(source: Source, name: str, record: Record) -> Sample:
    """DeepEyes-Datasets-47k: ``images`` as bytes, ``extra_info.question`` and ``.answer``, or the prompt and
    ``reward_model.ground_truth``; answers are for a judge, those of its mathematics for a rule where they are numbers.
    """
    extra, style = _mapping(record.get("extra_info")), _mapping(record.get("reward_model"))
    asked = extra.get("question") or _said_by_user(source.get(record, "prompt")).partition(_HOW_TO_ANSWER)[0]
    answer = extra.get("answer") or style.get("ground_truth")
    return _sample(name, source.image(name, source.get(record, "images")), asked, answer)


def visualprobe(source: Source, name: str, record: Record) -> Sample:
    """VisualProbe_train and DeepEyes_train_4K of Mini-o3: ``images``, ``problem``, ``solution``; for a judge.

    A path begins with the name of its repository.
    """
    image = source.get(record, "images")
    first = image[0] if isinstance(image, list) and len(image) == 1 else image
    if isinstance(first, str) and not (source.images / first).exists():
        first = first.partition("/")[2] or first
    found = source.image(name, first)
    return _sample(name, found, source.get(record, "problem"), source.get(record, "solution"))


def zwz(source: Source, name: str, record: Record) -> Sample:
    """ZwZ-RL-VQA: ``images``, ``problem``, ``answer``, ``bbox`` as corners in pixels; of the clean pictures."""
    image = source.get(record, "images")
    first = image[0] if isinstance(image, list) and len(image) == 1 else image
    if isinstance(first, str):
        parts = Path(first).parts
        clean = Path(*(_CLEAN if part == _BOX_DRAWN_IN else part for part in parts))
        if (source.images / clean).exists():
            first = str(clean)
        elif _BOX_DRAWN_IN in parts:
            raise BadSample(
                name, "box drawn in", f"{first} shows where to look; unpack {_CLEAN}/, and there is no {clean} yet"
            )
    boxes = boxes_of(name, source.get(record, "bbox"))
    found = source.image(name, first)
    return _sample(name, found, source.get(record, "problem"), source.get(record, "answer"), boxes=boxes)


def thyme(source: Source, name: str, record: Record) -> Sample:
    """Thyme-RL: ``images``, ``question`` or ``messages``, ``solution``, which says how it is compared."""
    asked = record.get("question") or _said_by_user(source.get(record, "messages"))
    answer = source.get(record, "solution")
    return _sample(name, source.image(name, source.get(record, "images")), asked, answer, by_its_answer=True)


LOOKING: dict[str, Reader] = {"deepeyes47k": deepeyes47k, "visualprobe": visualprobe, "zwz": zwz, "thyme": thyme}


def _sample(name: str, image: Path, asked: Any, answer: Any, *, boxes: Any = (), by_its_answer: bool = False) -> Sample:
    """The sample; options are taken out of the question's text.

    Args:
        by_its_answer: whether short words are compared by rule and not by a judge.
    """
    size = size_of_file(name, image)
    if min(size.width, size.height) < SMALLEST_SIDE:
        raise BadSample(name, "too small image", f"{image.name} is {size}; no side is under {SMALLEST_SIDE} pixels")
    text = question_text(name, asked)
    question = split_question(text) if text else None
    said = answer_text(name, answer)
    tagged = _ANSWER.search(said)
    said = (tagged[1] if tagged else said).strip()
    options = tuple(option.text for option in question.options) if question else ()
    by_rule = bool(options) or by_its_answer or (number(said) is not None and len(said.split()) == 1)
    return Sample(
        name=name,
        image=image,
        question=question.stem if question else "",
        answer=said,
        options=options,
        boxes=tuple(boxes),
        kind=None if by_rule else "judge",
    )


def _said_by_user(messages: Any) -> str:
    texts = [
        message.get("content")
        for message in (messages if isinstance(messages, list) else [])
        if isinstance(message, Mapping) and message.get("role") == "user"
    ]
    return texts[0] if texts and isinstance(texts[0], str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
