"""Answers as scorers read them: the letter of a choice, and whether an answer is the wanted one."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import islice
from typing import Literal, get_args

from .questions import Option
from .wording import normalised, reading, unwrapped

AnswerKind = Literal["option", "number", "text"]
"""How an answer is compared: a choice by its letter, a number by its value, a short text by its words."""

NO_CHOICE = "Z"
"""Returned for a multiple-choice reply without a recognisable choice. Scorers take it as a wrong letter; an empty
or free text would make some of them call a paid judge."""

_LEADING = re.compile(r"\(?([A-Za-z])(?:[).:]|\s*$|,(?!\s*\(?[A-Z]\b))")
_LETTER = (
    r"[\s:*(\[\"']*([B-Z]|[a-z](?!\s+\w)"
    r"|A(?!\s+(?!and\b|or\b|because\b|since\b|as\b|is\b|which\b|with\b|but\b|due\b|so\b|it\b|for\b|not\b)[a-z]))"
    r"(?![A-Za-z'])(?!\)?\s*(?:,|/|&|and\b|or\b)\s*\(?[A-Z]\b(?!'))"
)
"""A capital, or a small one that ends a statement; the A of "A man" is none."""
_ANSWERED = re.compile(
    r"\b(?i:answer|choice)\b(?:[\s:]+(?i:is|would be|must be)\b)?" + _LETTER + r"|\\boxed\{\(?([A-Za-z])\)?\}"
    r"|(?:答案|选项|选择|应选|选)(?:应该)?(?:是|为)?" + _LETTER
)
"""An answer, stated as such. Of several the last counts: what came before was thinking aloud."""
_OFFERED = re.compile(r"\b(?i:option)\b(?:[\s:]+(?i:is)\b)?" + _LETTER)
"""An option that is named, which may also be for its faults."""
_BEFORE = r"not|neither|nor|than|isn't|\w+n't be|cannot be|except|rule out|eliminate|unlike|instead of"
_BEHIND = r"not\b|n't\b|incorrect|wrong|false|impossible|ruled out|unlikely"
_NOT_RIGHT = rf"(?i:be\s+)?(?i:{_BEHIND})(?:\s+(?i:be|correct|right))?"
_DENIED = re.compile(
    rf"\b(?i:{_BEFORE})\s+"
    r"(?:(?i:the\s+)?(?i:options?|choices?|answers?)\s+)?\(?[A-Z]\)?(?![A-Za-z'])"
    r"|\b(?:(?i:options?|choices?)\s+)?\(?[A-Z]\)?(?:(?:,|\s+and|\s+or)\s+\(?[A-Z]\)?)+\s+"
    r"(?i:are|were|seem|look|can|could|would|do|must)\s*" + _NOT_RIGHT + r"|\b(?:(?i:option|choice)\s+)?\(?[A-Z]\)?\s+"
    r"(?i:is|was|seems?|looks?|can|could|would|does|must)\s*" + _NOT_RIGHT
)
_DENYING = (
    *("not", "n't", "neither", "nor", "than", "except", "rule", "eliminate", "unlike", "instead"),
    *("incorrect", "wrong", "false", "impossible"),
)
"""What each of those words holds; where none of these is, looking at every capital for what is said of it is spared."""
_STANDALONE = re.compile(r"(?<![A-Za-z'])([A-Z])(?![A-Za-z'])(?!\s+(?!and\b|or\b)[a-z])")  # the A of "A man" is none
_YES_NO = re.compile(r"(?i)(yes|no)\b\s*(?:[,;:!]|\.(?!\s*\d))")  # "No. 10" is a number
_PLAIN_NUMBER = re.compile(
    r"(?:(?<![^\W_])[-+])?\s?(?:[$€£¥]\s*)?(?:(?<![^\W_])[-+])?"
    r"((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(e[-+]?\d+)?\s*(%?)"
)
_PERCENT = re.compile(r"(?i)(?<=\d)\s*(?:per\s?cent\b|\\%)")
_POWER = re.compile(r"(?<=\d)\s*(?:\\times|\\cdot|[×*])\s*10\s*\^\s*\{?\s*([-+]?\d+)\s*\}?")
_FRACTION = re.compile(
    r"\\[dt]?frac\s*\{\s*([-+]?[\d.,]+)\s*\}\s*\{\s*([\d.,]+)\s*\}|(?<![\d/.,])([\d.]+)\s*/\s*([\d.]+)(?![\d/])"
)
_NEGATION = re.compile(r"\b(?:not?|never|neither|nor|cannot|without|than|except|unlike|instead)\b|n't\b", re.IGNORECASE)
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALE = re.compile(rf"(?<=\d)\s*({'|'.join(_SCALES)})\b", re.IGNORECASE)
_PART_OF_A_FORMULA = re.compile(r"[√π∞∫∑^]|(?<=\d)\s*[×÷·*]\s*\d")
LONGEST_STATEMENT = 20_000
"""Characters of a reply whose words can be an option's: which words occur in more says nothing about a choice."""

_ABBREVIATION = re.compile(r"(?:^|\s)(?:\w\.)+$")


def extract_letter(answer: str, options: Sequence[Option]) -> str | None:
    """The choice an answer names, or None.

    In order: a leading letter (``B``, ``(B)``, ``B. red``), the last announced one (``the answer is B``), an option's
    text alone, a single standalone capital, a single option whose text occurs. ``A man`` is not the letter A.

    Args:
        answer: the text of an answer, thoughts and tags removed.
        options: what there is to choose from.
    """
    letters = {option.letter for option in options}
    text = reading(answer)
    leading = _LEADING.match(text)
    if leading and leading[1].upper() in letters and (leading[1].isupper() or len(text) <= 3):
        return str(leading[1]).upper()
    # a letter that is mentioned for its faults is not stated
    lowered = text.lower()
    stated = _DENIED.sub(" ", text) if any(word in lowered for word in _DENYING) else text
    for announcement in (_ANSWERED, _OFFERED):
        announced = [letter for found in announcement.finditer(stated) if (letter := _letter_of(found)) in letters]
        if announced:
            return announced[-1]
    said = normalised(text) if len(text) <= LONGEST_STATEMENT else ""
    same = [option.letter for option in options if said and normalised(option.text) == said]
    if len(same) == 1:
        return same[0]
    standing: set[str] = {letter for letter in _STANDALONE.findall(stated) if letter in letters}
    if len(standing) == 1:
        return standing.pop()
    inside = _occurring(said, options)
    if len(inside) != 1:
        return None
    denied = _DENIED.search(text) or (_NEGATION.search(text) and not any(_NEGATION.search(o.text) for o in options))
    return None if denied else inside[0]


def bare_answer(answer: str, options: Sequence[Option]) -> str:
    """An answer as benchmark scorers want it: the letter of a choice, or a short text without its full stop.

    A multiple-choice answer that names no choice becomes `NO_CHOICE`, which every scorer counts as wrong. To an open
    question, ``Yes, it is.`` becomes ``Yes``.
    """
    if options:
        return extract_letter(answer, options) or NO_CHOICE
    text = unwrapped(answer)
    yes_no = _YES_NO.match(text)
    if yes_no:
        return yes_no[1]
    return text[:-1].rstrip() if text.endswith(".") and not _ABBREVIATION.search(text) else text


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
    if kind in ("number", "text", "option") and not prediction.strip() and target.strip():
        return False
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
        said, wanted = normalised(prediction), normalised(target)
        if not wanted:  # punctuation alone
            return prediction.strip() == target.strip()
        return said == wanted
    raise ValueError(f"an answer kind is one of {', '.join(get_args(AnswerKind))}, got {kind!r}")


def number(text: str) -> float | None:
    """The value of a text that holds exactly one number; None otherwise.

    Percent are hundredths. Minus signs and digits of any kind, LaTeX fractions, powers of ten and ``2 million`` are
    read; of what is to be computed, like a root, nothing is.
    """
    text = _POWER.sub(r"e\1", _PERCENT.sub("%", reading(text)))
    text = _SCALE.sub(lambda found: f"e{_SCALES[found[1].lower()]}", _FRACTION.sub(_quotient, text))
    if _PART_OF_A_FORMULA.search(text):
        return None
    found = list(islice(_PLAIN_NUMBER.finditer(text), 2))
    if len(found) != 1:
        return None
    digits, exponent, percent = found[0].groups()
    value = float(digits.replace(",", "") + (exponent or "")) * (-1 if "-" in found[0][0].partition("e")[0] else 1)
    if not math.isfinite(value):
        return None
    return value / 100 if percent else value


def _quotient(fraction: re.Match[str]) -> str:
    """A fraction as a decimal number; unchanged if it has no value."""
    above, below = (part.replace(",", "") for part in fraction.groups() if part is not None)
    try:
        return repr(float(above) / float(below))
    except (ValueError, ZeroDivisionError):
        return fraction[0]


def _letter_of(found: re.Match[str]) -> str:
    """The letter of an announcement, whichever form it had."""
    return next(letter for letter in found.groups() if letter is not None).upper()


def _occurring(said: str, options: Sequence[Option]) -> list[str]:
    """Letters of the options whose words occur; those of ``red`` do not in ``dark red`` if that is an option, too."""
    words, letters = f" {said} ", list[str]()
    by_text: dict[str, list[str]] = {}
    for option in options:
        by_text.setdefault(normalised(option.text), []).append(option.letter)
    for text in sorted(by_text, key=len, reverse=True):
        if text and f" {text} " in words:
            letters += by_text[text]
            words = words.replace(f" {text} ", " \0 ")
    return letters
