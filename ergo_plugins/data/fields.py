"""Fields of other people's sets: what is clear is converted, and the rest is a bad sample with a name and a value.

Nothing is made text that is none: a null answer is not ``None``, a list of two is not ``['red', 'blue']``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core.geometry import Box
from ..core.questions import split_question
from ..outside.image_values import brief
from .samples import BadSample

_PLACEHOLDER = re.compile(r"\s*<image>[ \t]*")
_TEXT_KEYS = ("text", "content", "value", "option", "answer")
_BOX_KEYS = ("bbox", "bbox_2d", "box", "box_2d")
_CORNER_KEYS = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))
_SIZE_KEYS = (("x", "y", "width", "height"), ("x", "y", "w", "h"), ("left", "top", "width", "height"))
_LETTERED = re.compile(r"\s*(?:\(([A-Za-z])\)|([A-Za-z])\s?[.:)])\s*")


def question_text(name: str, value: Any) -> str:
    """What is asked, without the place of its image.

    Raises:
        BadSample: it is no text, or asks about several images.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadSample(name, "unreadable question", f"a question is a text, got {brief(value)}")
    if value.count("<image>") > 1:
        raise BadSample(name, "several images", f"it shows {value.count('<image>')} images, and the zoom looks at one")
    return _PLACEHOLDER.sub("\n", value).strip()


def answer_text(name: str, value: Any) -> str:
    """An answer as text: a number as it is written, true and false as yes and no, one in a list as itself.

    Raises:
        BadSample: there are several, or it is nothing that could be an answer.
    """
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if value is None or (isinstance(value, list | tuple) and not value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return str(int(value)) if value == int(value) else str(value)
    if isinstance(value, list | tuple):
        raise BadSample(name, "several answers", f"one answer is compared, got {brief(value)}")
    raise BadSample(name, "unreadable answer", f"an answer is a text or a number, got {brief(value)}")


def option_texts(name: str, value: Any) -> tuple[str, ...]:
    """Texts of the options without their letters, in order.

    Understood are a list of texts (lettered or not), numbers or objects with a text, a mapping of letters to texts,
    ``{"label": […], "text": […]}``, lines, and each of these as JSON.

    Raises:
        BadSample: it is something else.
    """
    if isinstance(value, str):
        value = _from_json(value)
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        lines = split_question(f"?\n{value}").options
        if lines:
            return tuple(option.text for option in lines)
    if isinstance(value, Mapping):
        value = _of_mapping(value)
    if not isinstance(value, list | tuple):
        raise BadSample(name, "unreadable options", f"options are a list of texts, got {brief(value)}")
    return _without_letters(tuple(_option_text(name, one) for one in value))


def boxes_of(name: str, value: Any) -> tuple[Box, ...]:
    """Boxes in pixels of the original: one of 4 numbers or 2 points, several, objects that hold one, or JSON of these.

    Raises:
        BadSample: something else, or numbers from 0 to 1, which are shares of the sides.
    """
    given = value
    if isinstance(value, str):
        value = _from_json(value)
    if value is None or value == "" or (isinstance(value, list | tuple | Mapping) and not value):
        return ()
    listed = [value] if isinstance(value, Mapping) or _is_one_box(value) else value
    if not isinstance(listed, list | tuple):
        raise BadSample(name, "unreadable box", f"a box is [x1, y1, x2, y2], got {brief(given)}")
    boxes = tuple(_box(name, one) for one in listed)
    if any(max(box.as_tuple()) <= 1 and box.x1 < box.x2 and box.y1 < box.y2 for box in boxes):
        raise BadSample(name, "box in shares", f"a box is in pixels of the original, got shares {brief(given)}")
    return boxes


def _from_json(text: str) -> Any:
    """What a text says in JSON, or the text."""
    try:
        return json.loads(text) if text.strip()[:1] in ("[", "{") else text.strip()
    except ValueError:
        return text


def _of_mapping(value: Mapping[str, Any]) -> list[Any] | Mapping[str, Any]:
    texts = value.get("text")
    if isinstance(texts, list | tuple) and set(value) <= {"label", "text"}:
        return list(texts)
    letters = sorted(key for key in value if value[key] is not None)  # a parquet of structs fills up with nulls
    if "".join(letters).upper() == "".join(chr(ord("A") + i) for i in range(len(letters))):
        return [value[letter] for letter in letters]
    return value


def _option_text(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        value = next((value[key] for key in _TEXT_KEYS if key in value), value)
    if isinstance(value, list | tuple) or value is None:
        raise BadSample(name, "unreadable options", f"an option is a text, got {brief(value)}")
    return answer_text(name, value).strip()


def _without_letters(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The options' texts; a letter before each goes if they are A, B, C and so on."""
    marks = [_LETTERED.match(text) for text in texts]
    letters = [(mark[1] or mark[2]).upper() for mark in marks if mark]
    if letters != [chr(ord("A") + i) for i in range(len(texts))]:
        return texts
    return tuple(text[mark.end() :].strip() for text, mark in zip(texts, marks, strict=True) if mark)


def _is_one_box(value: Any) -> bool:
    """Whether a list is a box itself: of numbers, or of two points."""
    if not isinstance(value, Sequence) or not value:
        return False
    is_points = len(value) == 2 and all(isinstance(one, list | tuple) and len(one) == 2 for one in value)
    return is_points or not isinstance(value[0], list | tuple | Mapping)


def _box(name: str, value: Any) -> Box:
    corners = _corners(value)
    try:
        numbers = [float(one) for one in corners if not isinstance(one, bool)]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise BadSample(name, "unreadable box", f"a box is [x1, y1, x2, y2], got {brief(value)}")
    return Box(*numbers)


def _corners(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        for key in _BOX_KEYS:
            if value.get(key) is not None:
                return _corners(value[key])
        for keys in _CORNER_KEYS:
            if all(key in value for key in keys):
                return [value[key] for key in keys]
        for keys in _SIZE_KEYS:
            if all(isinstance(value.get(key), int | float) for key in keys):
                x, y, width, height = (value[key] for key in keys)
                return [x, y, x + width, y + height]
        return []
    if _is_one_box(value) and len(value) == 2:
        return [number for point in value for number in point]
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []
