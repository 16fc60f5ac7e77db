"""Boxes that are answers: read from a reply, compared with the truth, written as a benchmark wants them.

Visual grounding has as many conventions as papers: pixels of the view, thousandths and shares of the sides; JSON,
arrays, tags. A model writes one of them, a benchmark reads another, and neither may cost accuracy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .geometry import Box, Size
from .replies import FARTHEST, outside_thinking, shown

Convention = Literal["shares", "json", "json or null"]
"""How a benchmark wants a box: ``[x1, y1, x2, y2]`` as shares of the sides, or JSON in pixels of the original; and
whether "there is none" is an answer."""

SMALLEST_PX = 1.0
"""Shortest side of a box that is handed over, pixels of the original."""

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_FOUR = r"(?:\s*,\s*|\s+)".join([f"({_NUMBER})"] * 4)
_KEYED = re.compile(rf"[\"']?(?:bbox_2d|bbox|box_2d|box)[\"']?\s*:\s*\[+\s*{_FOUR}\s*\]")
_NULL = re.compile(r"[\"']?(?:bbox_2d|bbox|box_2d|box)[\"']?\s*:\s*(?:null|None|\[\s*\])")
_TAGGED = re.compile(rf"<box>\s*[\[(]*\s*{_FOUR}\s*[\])]*\s*</box>")
_PAIRS = re.compile(rf"\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)\s*,?\s*\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)")
_ARRAY = re.compile(rf"[\[(]\s*{_FOUR}\s*[\])]")
_BARE = re.compile(rf"(?<![\w.]){_FOUR}(?![\w.])")
_FORMS = (("", _KEYED), ("", _TAGGED), ("", _ARRAY), ("two points", _PAIRS), ("bare numbers", _BARE))
"""What to look for, best first, and what to call it where it had to be put up with."""

_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL)
_SHARES = re.compile(
    r"(?i)\b(?:between|from|range(?:s)?(?: of)?)\s*\[?\(?\s*0(?:\.0+)?\s*(?:and|to|-|,|–)\s*1(?:\.0+)?\b(?!\d)"
)
_NULL_ALLOWED = re.compile(r"(?i)[\"']?bbox_2d[\"']?\s*:\s*null")
_SENTENCE = re.compile(r"(?is)(?:region this sentence describes|following statement describes)\s*:\s*(.+)")
_QUOTED = re.compile(r'(?is)matches the description (".+?") in the image')


@dataclass(frozen=True, slots=True)
class Located:
    """Where a reply says that something is.

    Attributes:
        box_frame: the box in the coordinates the model writes, corners in order; None if there is none to use.
        written: its four numbers as they stand.
        absent: whether the reply says that there is nothing of the kind.
        repairs: what had to be mended to read it.
        problem: why there is no box; None when there is one, or when there is said to be none.
    """

    box_frame: Box | None
    written: tuple[float, float, float, float] | None = None
    absent: bool = False
    repairs: tuple[str, ...] = ()
    problem: str | None = None


def parse_located(reply: str) -> Located:
    """Read the box of a reply, in any of the forms that grounding models write.

    JSON with a key like ``bbox_2d``, ``<box>[…]</box>``, an array, two points in parentheses, or four bare numbers, in
    this order, outside the thought; only if nothing stands there, the last box of the thought. Of several boxes the
    first counts. Takes time linear in the reply's length.
    """
    text, repairs = outside_thinking(reply), []
    answers = _ANSWER.findall(text)
    if answers and any(character.isdigit() for character in answers[-1]):
        text = answers[-1]
    found = _boxes(text)
    if found is None and _NULL.search(text):
        return Located(None, absent=True)
    if found is None and text != reply:
        found = _boxes(reply)
        if found is not None:
            repairs.append("box inside <think>")
            found = found[0], found[1][-1:]
    if found is None:
        return Located(None, problem=f"no box in {shown(reply.strip()[-60:])}" if reply.strip() else "empty")
    form, boxes = found
    repairs += [form] if form else []
    repairs += [f"first of {len(boxes)} boxes"] if len(boxes) > 1 else []
    x1, y1, x2, y2 = (float(number) for number in boxes[0])
    if max(map(abs, (x1, y1, x2, y2))) > FARTHEST:
        problem = f"4 numbers up to {FARTHEST} expected in {shown(', '.join(boxes[0]))}"
        return Located(None, repairs=tuple(repairs), problem=problem)
    if x1 > x2 or y1 > y2:
        repairs.append("corners swapped")
    box = Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    return Located(box, (x1, y1, x2, y2), repairs=tuple(repairs))


def _boxes(text: str) -> tuple[str, list[tuple[str, str, str, str]]] | None:
    """The form of the best boxes in a text, and their numbers; None without any."""
    return next(((form, boxes) for form, pattern in _FORMS if (boxes := pattern.findall(text))), None)


def on_source(box_frame: Box, frame: Size, source: Size) -> tuple[Box | None, tuple[str, ...]]:
    """The box on the original, exactly: mapped and clamped, and nothing else.

    Args:
        box_frame: the box in the coordinates the model writes.
        frame: extent of those coordinates (`VisionGrid.frame`).
        source: size of the original.

    Returns:
        ``(box_source, repairs)``, or ``(None, ())`` when the box lies outside the image.
    """
    box = box_frame.scaled(source.width / frame.width, source.height / frame.height)
    if box.x1 >= source.width or box.y1 >= source.height or box.x2 <= 0 or box.y2 <= 0:
        return None, ()
    clamped = box.clamped(source)
    return clamped, ("clamped",) if clamped != box else ()


def _widened(low: float, high: float, limit: float) -> tuple[float, float]:
    """A span of at least `SMALLEST_PX` round the same middle, within ``[0, limit]``."""
    if high - low >= SMALLEST_PX:
        return low, high
    low = min(max(0.0, (low + high - SMALLEST_PX) / 2), limit - SMALLEST_PX)
    return low, low + SMALLEST_PX


def iou(box: Box | None, truth: Box) -> float:
    """Intersection over union, 0 to 1; 0 without a box."""
    if box is None:
        return 0.0
    width = min(box.x2, truth.x2) - max(box.x1, truth.x1)
    height = min(box.y2, truth.y2) - max(box.y1, truth.y1)
    common = max(width, 0.0) * max(height, 0.0)
    union = box.area + truth.area - common
    return common / union if union > 0 else 0.0


def iou_reference(written: Sequence[float] | None, truth: Box, source: Size) -> float:
    """Intersection over union as EGM's evaluation reckons it: the predicted corners in whole pixels, no further than
    the last one, in the order in which they stand; the truth as it is.

    Args:
        written: the corners as the model wrote them, 0 to 1000 along each side; None without any.
        truth: pixels of the original.
        source: size of the original.
    """
    if written is None:
        return 0.0
    sides = (source.width, source.height) * 2
    clamped = [min(max(value, 0.0), 1000.0) for value in written]
    pixels = [round(value / 1000 * side) for value, side in zip(clamped, sides, strict=True)]
    x1, y1, x2, y2 = (float(min(max(pixel, 0), side - 1)) for pixel, side in zip(pixels, sides, strict=True))
    common = max(0.0, min(x2, truth.x2) - max(x1, truth.x1)) * max(0.0, min(y2, truth.y2) - max(y1, truth.y1))
    union = max(0.0, x2 - x1) * max(0.0, y2 - y1) + truth.area - common
    return common / union if union > 0 else 0.0


def convention_of(request: str) -> Convention | None:
    """What a benchmark's text asks for; None for a text that says nothing of it, such as an expression alone."""
    if _SHARES.search(request):
        return "shares"
    if _NULL_ALLOWED.search(request):
        return "json or null"
    return "json" if "json" in request.lower() else None


def expression_of(request: str) -> str:
    """What is to be found, without the instructions round it that stock tasks are known to write; else all of it."""
    sentence = _SENTENCE.search(request)
    if sentence:
        return sentence[1].partition("\n")[0].strip() or request.strip()
    quoted = _QUOTED.search(request)
    if quoted:
        first = quoted[1].split('", "')[0]
        return first.strip('" ') or request.strip()
    return request.strip()


def handed_over(box: Box | None, source: Size, convention: Convention | None) -> str:
    """A box as a benchmark reads it: one, ordered, inside the image, no side shorter than a pixel.

    Args:
        box: pixels of the original, as `on_source` leaves it; None for none.
        source: size of the original.
        convention: what the benchmark asks for.
    """
    if box is None:
        return '{"bbox_2d": null}' if convention == "json or null" else "none"
    x1, x2 = _widened(box.x1, box.x2, source.width)
    y1, y2 = _widened(box.y1, box.y2, source.height)
    box = Box(x1, y1, x2, y2)
    if convention == "shares":
        box = box.scaled(1 / source.width, 1 / source.height)
    numbers = ", ".join(_plain(value) for value in box.as_tuple())
    return f"[{numbers}]" if convention == "shares" else f'{{"bbox_2d": [{numbers}]}}'


def _plain(value: float) -> str:
    """A number without an exponent, which scorers' patterns do not read."""
    if not math.isfinite(value):
        raise ValueError(f"a corner of a box is a number, got {value}")
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text
