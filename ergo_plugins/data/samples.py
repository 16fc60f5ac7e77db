"""One question about one image, wherever it comes from, and what may be wrong with it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from ..core.answers import extract_letter, number
from ..core.geometry import Box, Size
from ..core.questions import Option
from ..methods.base import TargetKind
from ..outside.image_files import TooLargeImage, upright_size
from ..outside.image_values import brief

OUTSIDE_PX = 2.0
"""How far a box may reach over the image's edge: annotations are rounded."""

LONGEST_TEXT_WORDS = 4
"""Longer answers are sentences, which only a judge can compare."""


class BadSample(ValueError):
    """A sample that cannot be learnt from.

    Attributes:
        reason: a short name to count by.
    """

    def __init__(self, name: str, reason: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Sample:
    """As a source tells it.

    Attributes:
        name: names it in messages.
        image: path of the original.
        question: what is asked, without options.
        answer: for multiple choice the right option's text, or its letter in the given order.
        options: texts of the options in the source's order; empty for an open question.
        boxes: where the evidence lies, pixels of the original.
        kind: how answers are compared; None to tell from the answer.
        hints: whole numbers that a method may use, by name; the same names for all of a source.
    """

    name: str
    image: Path
    question: str
    answer: str
    options: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    kind: TargetKind | None = None
    hints: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """A sample that can be learnt from, options in their final order.

    Attributes:
        answer: for multiple choice the letter.
        target_box: the smallest box holding all of a sample's boxes, inside the image; None without boxes.
    """

    name: str
    image: Path
    size: Size
    question: str
    answer: str
    kind: TargetKind
    target_box: Box | None
    hints: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Counts:
    """What became of a source's samples, and how many pictures of evaluation sets were known by their names alone."""

    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    with_box: int = 0
    by_name_alone: int = 0

    def keep(self, sample: Checked) -> None:
        self.kept += 1
        self.kinds[sample.kind] = self.kinds.get(sample.kind, 0) + 1
        self.with_box += sample.target_box is not None

    def drop(self, bad: BadSample) -> None:
        self.dropped[bad.reason] = self.dropped.get(bad.reason, 0) + 1


def check(sample: Sample, *, rng: random.Random | None, max_megapixels: float) -> Checked:
    """The sample made ready: options shuffled and lettered, boxes united and clamped.

    Args:
        rng: shuffles the options; None keeps their order.
        max_megapixels: larger images are refused.

    Raises:
        BadSample: it cannot be learnt from.
    """
    size = size_of_file(sample.name, sample.image, max_megapixels=max_megapixels)
    if sample.kind is not None and sample.kind not in get_args(TargetKind):
        raise BadSample(
            sample.name, "unknown kind", f"a kind is one of {', '.join(get_args(TargetKind))}, got {brief(sample.kind)}"
        )
    if not sample.question.strip():
        raise BadSample(sample.name, "no question", "the question is empty")
    if not sample.answer.strip():
        raise BadSample(sample.name, "no answer", "the answer is empty")
    box = _united(sample, size)
    if not sample.options:
        kind = sample.kind or _kind_of(sample.answer)
        if kind == "option":
            raise BadSample(sample.name, "no options", "an answer of kind 'option' without options")
        if kind == "number" and number(sample.answer) is None:
            raise BadSample(
                sample.name, "unreadable answer", f"an answer of kind 'number' is one, got {brief(sample.answer)}"
            )
        asked, answer = sample.question.strip(), sample.answer.strip()
        return Checked(sample.name, sample.image, size, asked, answer, kind, box, sample.hints)
    if sample.kind not in (None, "option"):
        raise BadSample(sample.name, "unknown kind", f"options are compared by letter, not as {sample.kind!r}")
    right = _right_option(sample)
    order = list(sample.options)
    if rng is not None:
        rng.shuffle(order)
    letters = [chr(ord("A") + i) for i in range(len(order))]
    lines = (f"{letter}. {text}" for letter, text in zip(letters, order, strict=True))
    question = "\n".join((sample.question.strip(), *lines))
    right_letter = letters[order.index(right)]
    return Checked(sample.name, sample.image, size, question, right_letter, "option", box, sample.hints)


def size_of_file(name: str, path: Path, *, max_megapixels: float | None = None) -> Size:
    """The size in pixels of a sample's image file, upright as training shows it: boxes are in that frame.

    Raises:
        BadSample: it is missing, damaged or too large.
    """
    try:
        return upright_size(path, max_megapixels=max_megapixels)
    except TooLargeImage as error:
        raise BadSample(name, "too large image", str(error)) from error
    except FileNotFoundError:
        raise BadSample(name, "missing image", f"there is no image {path}") from None
    except OSError as error:
        raise BadSample(name, "damaged image", f"{path} is no readable image ({error})") from error


def _united(sample: Sample, size: Size) -> Box | None:
    if not sample.boxes:
        return None
    for box in sample.boxes:
        inside = (
            -OUTSIDE_PX <= box.x1 < box.x2 <= size.width + OUTSIDE_PX
            and -OUTSIDE_PX <= box.y1 < box.y2 <= size.height + OUTSIDE_PX
        )
        if not inside:
            raise BadSample(
                sample.name, "box outside", f"the box {list(box.as_tuple())} is empty or outside the {size} image"
            )
    united = sample.boxes[0]
    for box in sample.boxes[1:]:
        united = united.union(box)
    return united.clamped(size)


def _right_option(sample: Sample) -> str:
    if len(set(sample.options)) != len(sample.options) or not 2 <= len(sample.options) <= 26:
        raise BadSample(
            sample.name, "unusable options", f"the options are not 2 to 26 different ones: {brief(sample.options)}"
        )
    if sample.answer in sample.options:
        return sample.answer
    lettered = [Option(chr(ord("A") + i), text) for i, text in enumerate(sample.options)]
    letter = extract_letter(sample.answer, lettered)
    if letter is None:
        raise BadSample(
            sample.name,
            "answer not among options",
            f"the answer {brief(sample.answer)} is not among {brief(sample.options)}",
        )
    return sample.options[ord(letter) - ord("A")]


def _kind_of(answer: str) -> TargetKind:
    if number(answer) is not None and answer.strip().strip("-+$%.,0123456789 ") == "":
        return "number"
    return "text" if len(answer.split()) <= LONGEST_TEXT_WORDS else "judge"


def split_by_image(samples: Iterable[Checked], validation: int, seed: int) -> tuple[list[Checked], list[Checked]]:
    """``(training, validation)``; an image is in one of them, and validation has at least as many samples as asked."""
    by_image: dict[Path, list[Checked]] = {}
    for sample in samples:
        by_image.setdefault(sample.image, []).append(sample)
    images = list(by_image)
    random.Random(seed).shuffle(images)
    held_out: list[Checked] = []
    while images and len(held_out) < validation:
        held_out += by_image.pop(images.pop())
    return [sample for group in by_image.values() for sample in group], held_out
