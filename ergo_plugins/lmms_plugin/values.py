"""A value as lmms-eval read it off ``--model_args``, made the kind that an argument wants.

lmms-eval reads ``true`` and ``false`` as booleans, whatever looks like a number as one (``-1`` and ``1e3`` as floats)
and all else as text. Text that stands for a boolean is the trap: ``trust_remote_code=off`` would arrive as a true
value.
"""

from __future__ import annotations

import math
import re
from typing import Any

from ..usage import Told

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_BY_NAME = {kind.__name__: kind for kind in _WORDS}


class WrongArgument(Told, ValueError):
    """An argument that is unknown, missing, or of another kind; the message is a sentence for the user."""


def as_kind(name: str, value: Any, *kinds: type, least: float | None = None) -> Any:
    """The value as one of some kinds.

    Args:
        name: of the argument, for the message.
        value: a boolean, a number, text, or anything else, which no kind fits.
        kinds: of ``bool``, ``int``, ``float`` and ``str``. Whole floats are whole numbers, 0 and 1 are booleans where
            no number is wanted, whole numbers are text where nothing else is (a folder named ``2024``).
        least: the smallest number that makes sense.

    Raises:
        WrongArgument: the value is of none of the kinds, is empty text, or is below the least.
    """
    fitting = _text(value, kinds) if isinstance(value, str) else _plain(value, kinds)
    if fitting is None:
        wanted = " or ".join(_WORDS[kind] for kind in kinds)
        hint = " (lmms-eval reads it as a number; put ./ before a path)" if isinstance(value, float) else ""
        raise WrongArgument(f"{name} is {wanted}, got {value!r}{hint if kinds == (str,) else ''}")
    if least is not None and not isinstance(fitting, str) and fitting < least:
        raise WrongArgument(f"{name} is at least {least:g}, got {value!r}")
    return fitting


def kinds_of(annotation: Any) -> tuple[type, ...]:
    """The kinds that an annotation such as ``int``, ``bool | None`` or ``"str | None"`` allows.

    Returns:
        Nothing if it allows anything beyond them (dictionaries, literals, classes): such values are not checked here.
    """
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    words = set(re.findall(r"[\w.]+", text.removeprefix("typing."))) - {"None", "NoneType", "Optional", "Union"}
    return tuple(kind for word, kind in _BY_NAME.items() if word in words) if words <= set(_BY_NAME) else ()


def _plain(value: Any, kinds: tuple[type, ...]) -> Any:
    """A boolean or number as the first kind it fits; None if it fits none."""
    if isinstance(value, bool):
        return value if bool in kinds else None
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if int in kinds and value == int(value):
        return int(value)
    if float in kinds:
        return float(value)
    if bool in kinds and value in (0, 1):
        return bool(value)
    return str(value) if str in kinds and isinstance(value, int) else None


def _text(value: str, kinds: tuple[type, ...]) -> Any:
    """Text as itself where text is wanted, else as what it spells; None if it is empty or spells something else."""
    if str in kinds:
        return value if value.strip() else None
    if value.lower() in ("true", "false"):
        return _plain(value.lower() == "true", kinds)
    try:
        return _plain(int(value) if value.strip().lstrip("+-").isdigit() else float(value), kinds)
    except ValueError:
        return None
