"""Answers as scorers read them: the letter of a choice, and whether an answer is the wanted one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Literal, get_args

from .questions import Option

AnswerKind = Literal["option", "number", "text"]
"""How an answer is compared: a choice by its letter, a number by its value, a short text by its words."""

NO_CHOICE = "Z"
"""Returned for a multiple-choice reply without a recognisable choice. Scorers take it as a wrong letter; an empty
or free text would make some of them call a paid judge."""

_LEADING = re.compile(r"\(?([A-Za-z])(?:[).:]|\s*$)")
_ANNOUNCED = re.compile(
    r"\b(?i:answer|option|choice)\b(?:[\s:]+(?i:is)\b)?[\s:*(\[]*([A-Z]|[a-z](?!\s+\w))(?![A-Za-z'’])"
    r"|\\boxed\{\(?([A-Za-z])\)?\}"
)
_STANDALONE = re.compile(r"(?<![A-Za-z'’])([A-Z])(?![A-Za-z'’])(?!\s+(?!and\b|or\b)[a-z])")  # the A of "A man" is none
_YES_NO = re.compile(r"(?i)(yes|no)\b\s*[,.;:!]")
_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_PLAIN_NUMBER = re.compile(r"[-+]?(?:\$\s*)?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)\s*(%?)")
_ARTICLES = frozenset({"a", "an", "the"})


def extract_letter(answer: str, options: Sequence[Option]) -> str | None:
    """The choice an answer names, or None.

    In order: a leading letter (``B``, ``(B)``, ``B. red``), the last announced one (``the answer is B``), an option's
    text alone, a single standalone capital, a single option whose text occurs. ``A man`` is not the letter A.

    Args:
        answer: the text of an answer, thoughts and tags removed.
        options: what there is to choose from.
    """
    letters = {option.letter for option in options}
    text = _unquoted(answer)
    leading = _LEADING.match(text)
    if leading and leading[1].upper() in letters and (leading[1].isupper() or len(text) <= 3):
        return str(leading[1]).upper()
    announced: list[str] = [(found[1] or found[2]).upper() for found in _ANNOUNCED.finditer(text)]
    announced = [letter for letter in announced if letter in letters]
    if announced:
        return announced[-1]
    said = _normalised(text)
    same = [option.letter for option in options if said and _normalised(option.text) == said]
    if len(same) == 1:
        return same[0]
    standing: set[str] = {letter for letter in _STANDALONE.findall(text) if letter in letters}
    if len(standing) == 1:
        return standing.pop()
    words = f" {said} "
    inside = [o.letter for o in options if _normalised(o.text) and f" {_normalised(o.text)} " in words]
    return inside[0] if len(inside) == 1 else None


def bare_answer(answer: str, options: Sequence[Option]) -> str:
    """An answer as benchmark scorers want it: the letter of a choice, or a short text without its full stop.

    A multiple-choice answer that names no choice becomes `NO_CHOICE`, which every scorer counts as wrong. To an open
    question, ``Yes, it is.`` becomes ``Yes``.
    """
    if options:
        return extract_letter(answer, options) or NO_CHOICE
    text = _unquoted(answer)
    yes_no = _YES_NO.match(text)
    if yes_no:
        return yes_no[1]
    return text[:-1].rstrip() if text.endswith(".") else text


def matches(
    prediction: str,
    target: str,
    kind: AnswerKind,
    *,
    options: Sequence[Option] = (),
    tolerance: float = 0.0,
) -> bool:
    """Whether a prediction is the wanted answer.

    Args:
        prediction: the text of an answer, thoughts and tags removed.
        target: the wanted answer; for ``option`` its letter.
        kind: how the two are compared.
        options: the choices, for ``option``; without them any letter A to Z is accepted as one.
        tolerance: for ``number``, the largest relative difference that still counts as equal.

    Raises:
        ValueError: an unknown kind, or a target that is not of its kind: both are faults of the data, not of the
            prediction.
    """
    if kind == "option":
        wanted = target.strip().strip("().").upper()
        if len(wanted) != 1 or not wanted.isalpha():
            raise ValueError(f"the target of an option question is a letter, got {target!r}")
        choices = options or tuple(Option(chr(code), "") for code in range(ord("A"), ord("Z") + 1))
        return extract_letter(prediction, choices) == wanted
    if kind == "number":
        wanted_value, said_value = number(target), number(prediction)
        if wanted_value is None:
            raise ValueError(f"the target of a number question is a number, got {target!r}")
        return said_value is not None and abs(said_value - wanted_value) <= tolerance * abs(wanted_value)
    if kind == "text":
        if not target.strip():
            raise ValueError("the target of a text question is empty")
        return _normalised(prediction) == _normalised(target)
    raise ValueError(f"an answer kind is one of {', '.join(get_args(AnswerKind))}, got {kind!r}")


def number(text: str) -> float | None:
    """The value of a text that holds exactly one number, percent as hundredths; None otherwise."""
    found = list(islice(_PLAIN_NUMBER.finditer(text), 2))
    if len(found) != 1:
        return None
    value = float(found[0][1].replace(",", "")) * (-1 if found[0][0].startswith("-") else 1)
    return value / 100 if found[0][2] else value


def _unquoted(text: str) -> str:
    """The text without the quotation marks and emphasis around it."""
    return text.strip().strip("*\"'` ")


def _normalised(text: str) -> str:
    """Lower-case words and numbers without punctuation and articles, one space between them."""
    words = _WORD.findall(text.casefold())
    kept = [word for word in words if word not in _ARTICLES] or words
    return " ".join(kept)
