"""The wanted answer of a row, however its project wrote it: an unambiguous one is converted, any other refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ..core.answers import matches, number
from ..core.geometry import RELATIVE_EXTENT, Box
from ..core.questions import Option
from ..methods.base import TargetKind

LONGEST_TEXT_WORDS = 4
"""Longer answers are sentences, which only a judge can compare; `ergo data` draws the line there too."""

_TAGGED = re.compile(r"(?is)<answer>(.*)</answer>")
_LETTER = re.compile(r"\(?\s*([A-Za-z])\s*\)?\s*[.:)]?")
_LETTER_AND_TEXT = re.compile(r"(?s)(?:\(\s*([A-Za-z])\s*\)|([A-Za-z])\s*[.:)]|([A-Za-z])(?=\s))\s*(.+)")
_ONLY_A_NUMBER = re.compile(r"[-+$%.,\d\s\u2212]+")
_FORMULA = re.compile(r"(?=.*\\)(?:\\[A-Za-z]+|\\.|(?<![A-Za-z])[A-Za-z](?![A-Za-z])|[^A-Za-z\\])+")
"""LaTeX without words, however far apart its signs stand; it is compared as one."""


def wanted(value: Any) -> str:
    """A row's ``ground_truth`` as text.

    Numbers keep their value, numpy's too; a list or a mapping of one is that one; ``<answer>`` tags are taken off.

    Raises:
        ValueError: there is none, or it is several or nothing that a reply can be compared with.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        value = [one for one in value.values() if one is not None]
    if isinstance(value, list | tuple | set | frozenset):
        several = list(value)
        if len(several) != 1:
            raise ValueError(
                f"ground_truth holds {len(several)} answers, and a reply is compared with one: {several!r:.80}"
            )
        return wanted(several[0])
    if isinstance(value, bool):
        raise ValueError(f"ground_truth is {value}; write the word that the policy is to answer, such as 'yes'")  # noqa: TRY004
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise ValueError(f"ground_truth is no number a reply can be compared with: {value}")
        return format(Decimal(str(value)), "f")
    if not isinstance(value, str):
        raise ValueError(f"ground_truth is a text or a number, got {value!r:.80}")  # noqa: TRY004
    tagged = _TAGGED.fullmatch(value.strip())
    text = (tagged[1] if tagged else value).strip()
    if not text:
        raise ValueError("ground_truth is empty")
    return text


def is_box(value: Any) -> bool:
    """Whether a row's ``ground_truth`` is four numbers, which nothing but a box is."""
    corners = value.tolist() if hasattr(value, "tolist") else value
    return isinstance(corners, list | tuple) and len(corners) == 4 and all(map(_is_number, corners))


def box_of(value: Any, extra: Mapping[str, Any], data_source: str) -> Box:
    """The box that a row's ``ground_truth`` is, in pixels of the original.

    Args:
        value: four numbers.
        extra: of the row; ``box_frame`` says what they are, ``pixels`` of the original or ``thousandths`` of its sides,
            and for these ``width`` and ``height`` are the original's. Rows of EGM's own files, whose data source is
            ``grounding``, are in thousandths.

    Raises:
        ValueError: it is no box with an area, or its frame or the original's size is not known.
    """
    if not is_box(value):
        raise ValueError(f"ground_truth is to be a box [x1, y1, x2, y2], got {value!r:.80}")
    x1, y1, x2, y2 = (float(corner) for corner in value)
    if not (x1 < x2 and y1 < y2):
        raise ValueError(f"the box of ground_truth has no area: {[x1, y1, x2, y2]}")
    frame = extra.get("box_frame", "thousandths" if data_source == "grounding" else None)
    if frame == "pixels":
        return Box(x1, y1, x2, y2)
    if frame != "thousandths":
        raise ValueError(
            f"extra_info.box_frame is 'pixels' of the original or 'thousandths' of its sides, got {frame!r:.80}"
        )
    given: list[Any] = [extra.get("width"), extra.get("height")]
    sides = [side.item() if hasattr(side, "item") else side for side in given]
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"a box in thousandths needs extra_info.width and height of the original, got {sides}")
    return Box(x1, y1, x2, y2).scaled(sides[0] / RELATIVE_EXTENT, sides[1] / RELATIVE_EXTENT)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def kind_of(answer: str, options: Sequence[Option]) -> TargetKind:
    """How a wanted answer is compared where the row does not say: as `ergo data` decides it."""
    if options:
        return "option"
    if number(answer) is not None and _ONLY_A_NUMBER.fullmatch(answer):
        return "number"
    is_short = len(answer.split()) <= LONGEST_TEXT_WORDS or _FORMULA.fullmatch(answer)
    return "text" if is_short else "judge"


def checked(answer: str, kind: TargetKind, options: Sequence[Option]) -> str:
    """The wanted answer as its kind has it: a choice as its letter.

    Raises:
        ValueError: it is not of its kind.
    """
    if kind == "number" and number(answer) is None:
        raise ValueError(f"the answer {answer!r:.80} is no number, and answer_kind says it is")
    return _letter(answer, options) if kind == "option" else answer


def _letter(answer: str, options: Sequence[Option]) -> str:
    """The letter of the option that an answer names by its letter, its text or both.

    Raises:
        ValueError: it names none, or its letter and its text name two.
    """
    texts = {option.letter: option.text for option in options}
    named = {letter for letter, text in texts.items() if text and matches(answer, text, "text")}
    letter = _LETTER.fullmatch(answer)
    if letter and letter[1].upper() in texts:
        named.add(letter[1].upper())
    both = _LETTER_AND_TEXT.fullmatch(answer)
    if both:
        first, rest = (both[1] or both[2] or both[3]).upper(), both[4]
        of_the_rest = {letter for letter, text in texts.items() if text and matches(rest, text, "text")}
        if first in of_the_rest or (first in texts and of_the_rest and not both[3]):  # "A blue" may be an article
            named |= of_the_rest | {first}
    if len(named) != 1:
        which = f"names {' and '.join(sorted(named))} of" if named else "is not among"
        choices = ", ".join(f"{option.letter}. {option.text}" for option in options) or "options: the question has none"
        raise ValueError(f"the answer {answer!r:.80} {which} {choices:.200}")
    return named.pop()
