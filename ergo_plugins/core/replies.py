"""What the model wrote, read leniently and reported exactly.

A reply is data: nothing in this module raises because of what a model wrote. Whatever had to be repaired or could
not be read is named in the result, in words that go into the record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .geometry import Box

_BRACKETED = re.compile(r"\[([^\[\]]*)\]")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")  # not the 1 of x1

_FOUR_WHOLE_NUMBERS = re.compile(r"\s*\[\s*[0-9]+(?:\s*,\s*[0-9]+){3}\s*\]\s*")

FARTHEST = 1_000_000
"""Largest coordinate that is read as one; no image is that large, and infinities would not be JSON."""

LONGEST_SHOWN = 80
"""Characters of model text quoted in a problem."""


@dataclass(frozen=True, slots=True)
class Pointed:
    """Where a reply points.

    Attributes:
        box_frame: the box in the coordinates the model writes, corners in order; None if there is none to use.
        repairs: what had to be mended to read it.
        problem: why there is no box; None when there is one.
    """

    box_frame: Box | None
    repairs: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply answers.

    Attributes:
        text: the answer without its tags, stripped; empty if there is none.
        repairs: what had to be mended to read it.
        problem: why it is not a proper answer; None when it is.
    """

    text: str
    repairs: tuple[str, ...] = ()
    problem: str | None = None


def parse_box(reply: str, tag: str) -> Pointed:
    """Read the box of a reply: ``<tag>[x1, y1, x2, y2]</tag>``.

    Floats and negative numbers are read, swapped corners are put in order, several boxes become their union, and a
    missing closing tag is forgiven; each is listed in ``repairs``. Takes time linear in the reply's length.
    """
    content, repairs, problem = _tagged(reply, tag)
    if content is None:
        return Pointed(None, problem=problem)
    groups = _BRACKETED.findall(content) or [content]
    united: Box | None = None  # on the way: a megabyte of boxes is not kept to be united at the end
    for group in groups:
        numbers = _NUMBER.findall(group)
        if len(numbers) != 4:
            return Pointed(None, problem=f"4 numbers expected, got {len(numbers)} in {shown(group)}")
        x1, y1, x2, y2 = corners = [float(number) for number in numbers]
        if max(corners) > FARTHEST or min(corners) < -FARTHEST:
            return Pointed(None, problem=f"4 numbers up to {FARTHEST} expected in {shown(group)}")
        if x1 > x2 or y1 > y2:
            repairs.append("corners swapped")
        box = Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
        united = box if united is None else united.union(box)
    if len(groups) > 1:
        repairs.append(f"union of {len(groups)} boxes")
    return Pointed(united, tuple(dict.fromkeys(repairs)))


def parse_answer(reply: str) -> Answer:
    """Read the answer of a reply: ``<answer>…</answer>``, or else all that stands outside ``<think>``."""
    content, repairs, problem = _tagged(reply, "answer")
    if content is None:
        text = outside_thinking(reply).strip()
        return Answer(text, problem=problem if text else f"{problem}, and nothing outside <think>")
    text = content.strip()
    return Answer(text, tuple(repairs), None if text else "empty <answer>")


def is_well_formed_box(reply: str, tag: str) -> bool:
    """Whether a reply is exactly one thought and one box of whole numbers, each in its tags, and nothing else."""
    parts = _elements(reply, "think", tag)
    return parts is not None and _FOUR_WHOLE_NUMBERS.fullmatch(parts[1]) is not None


def is_well_formed_answer(reply: str) -> bool:
    """Whether a reply is exactly one thought and one non-empty answer, each in its tags, and nothing else."""
    parts = _elements(reply, "think", "answer")
    return parts is not None and bool(parts[1].strip())


def outside_thinking(reply: str) -> str:
    """The reply without its thoughts; one that the prompt opened runs from the start, an unclosed one to the end."""
    before, *thoughts = reply.split("<think>")
    return before.rpartition("</think>")[2] + "".join(thought.partition("</think>")[2] for thought in thoughts)


def shown(text: str) -> str:
    """Model text as it is quoted in a problem: one line, quoted, cut to `LONGEST_SHOWN` characters."""
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…")


def _tagged(reply: str, tag: str) -> tuple[str | None, list[str], str | None]:
    """``(content, repairs, problem)`` of all ``<tag>`` elements after the thoughts; content None if there is none.

    Several elements are joined; nested or repeated opening tags count as one.
    """
    opening, closing = f"<{tag}>", f"</{tag}>"
    text = outside_thinking(reply)
    repairs: list[str] = []
    if opening not in text:
        if opening not in reply:
            return None, [], f"no {opening}"
        text = reply
        repairs.append(f"{opening} inside <think>")
    parts = text.split(opening)[1:]
    if closing not in parts[-1]:
        repairs.append(f"no {closing}")
    contents = [part.partition(closing)[0] for part in parts]
    if tag == "answer":  # the last word counts; boxes are united instead
        filled = [content for content in contents if content.strip()]
        if len(filled) > 1:
            repairs.append(f"last of {len(filled)} answers")
        return (filled[-1] if filled else ""), repairs, None
    return " ".join(contents), repairs, None


def _elements(reply: str, first: str, second: str) -> tuple[str, str] | None:
    """Contents of ``<first>…</first><second>…</second>`` if the reply is just that, each tag once; else None."""
    tags = (f"<{first}>", f"</{first}>", f"<{second}>", f"</{second}>")
    if any(reply.count(tag) != 1 for tag in tags):
        return None
    contents: list[str] = []
    rest = reply
    for tag in tags:
        content, _, rest = rest.partition(tag)
        contents.append(content)
    before, first_content, between, second_content = contents
    return None if (before + between + rest).strip() else (first_content, second_content)
