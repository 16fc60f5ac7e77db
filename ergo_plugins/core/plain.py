"""Plain values as files hold them, checked once where they are read: whoever reads a record may rely on it.

JSON as Python reads it may hold anything anywhere, NaN and infinities included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .geometry import Box, Size
from .outcome import Outcome

LARGEST_PX = 1_000_000
"""Longest side that is read as one."""

_NUMBERS = (int, float)
_LARGEST = math.nextafter(math.inf, 0)
"""What is larger is infinite, or a whole number that no float holds."""

FAULTS = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading a plain value raises that is not what it should be."""


def text(plain: Mapping[str, Any], name: str) -> str:
    """A text by its name.

    Raises:
        KeyError, TypeError: there is none.
    """
    if not isinstance(plain[name], str):
        raise TypeError(f"{name} is a text, got {plain[name]!r:.80}")
    return str(plain[name])


def number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    is_number = isinstance(value, bool | int | float) and abs(value) < math.inf
    return float(value) if is_number else None


def box(corners: Any) -> Box | None:
    """A box with area from its corners; None for none.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if not corners:
        return None
    return _with_area(Box(*map(float, corners)))


def outcome(plain: Any) -> Outcome:
    """What `Outcome.to_json` wrote.

    Raises:
        One of `FAULTS`: it is something else, or a value in it is.
    """
    read = Outcome.from_json(plain)
    _check_texts(read.method, read.answer, *read.repairs, *read.problems)
    _check_counts(read.single_pass_tokens, 0 if read.seconds is None else read.seconds)
    if read.source is not None:
        _check_size(read.source)
    for turn in read.turns:
        _check_texts(turn.name, turn.reply, turn.finish, turn.opened)
        known = (turn.prompt_tokens, turn.cached_tokens, turn.new_tokens, turn.seconds, turn.queued_s)
        _check_counts(*(0 if value is None else value for value in known))
        for shown in turn.shown:
            _check_counts(shown.tokens)
            _check_size(shown.view)
            _check_corners(shown.region_source)
    for named in read.boxes.values():
        _check_corners(named)
    if read.box_source is not None:
        _with_area(read.box_source)
    return read


# A long journal is read value by value: these are loops, without a call or a generator for each value.


def _check_texts(*values: Any) -> None:
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"a text of the outcome is no text: {value!r:.80}")


def _check_counts(*values: Any) -> None:
    for value in values:
        if not isinstance(value, _NUMBERS) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
            raise ValueError(f"a count or a time of the outcome is no number from 0 on: {value!r:.80}")


def _check_size(size: Size) -> None:
    for side in (size.width, size.height):
        if isinstance(side, bool) or not isinstance(side, int) or not 0 < side <= LARGEST_PX:
            raise ValueError(f"a side is 1 to {LARGEST_PX} pixels, got {side!r:.80}")


def _check_corners(box: Box | None) -> None:
    for corner in box.as_tuple() if box is not None else ():
        if not isinstance(corner, _NUMBERS) or not -_LARGEST <= corner <= _LARGEST:
            raise ValueError(f"a corner of a box is no number: {corner!r:.80}")


def _with_area(box: Box) -> Box:
    if not all(math.isfinite(corner) for corner in box.as_tuple()) or not (box.x1 < box.x2 and box.y1 < box.y2):
        raise ValueError(f"a box has finite corners and an area, got {box.as_tuple()!r:.80}")
    return box
