"""Whether an answer is the wanted one, as far as rules can tell without being wrong; the rest is for a judge.

What rules call right is right: a chosen letter, the same words, or two bare numbers of one value. ``46 m`` and
``46 km`` hold one number and are not the same, so numbers beside words are left to the judge.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from .answers import matches, number
from .questions import Question
from .wording import reading

_BARE_NUMBER = re.compile(r"[-+]?\s*[\d.,\s]*\d[\d.,\s]*%?")
_LETTER = re.compile(r"\(?([A-Za-z])\)?\.?")


def wanted_answers(target: str) -> tuple[str, ...]:
    """The answers that a benchmark takes: those of a list that was written as text, or the text itself."""
    if target.lstrip().startswith(("[", "(")):
        try:
            listed = ast.literal_eval(target.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return (target,)
        if isinstance(listed, list | tuple) and listed and all(isinstance(one, str | int | float) for one in listed):
            return tuple(dict.fromkeys(str(one) for one in listed))
    return (target,)


def same_by_rule(question: Question, wanted: Sequence[str], given: str) -> bool | None:
    """What rules say of an answer; None where only a judge can tell.

    Args:
        question: what was asked; an answer to one with options is their letter.
        wanted: the answers, each of which is right.
        given: the answer.
    """
    if not given.strip():
        return False
    said = [_same(question, one, given) for one in wanted]
    return True if True in said else None if None in said else False


def _same(question: Question, wanted: str, given: str) -> bool | None:
    letter = _LETTER.fullmatch(wanted.strip())
    if question.options and letter and letter[1].upper() in question.letters:
        return matches(given, letter[1], "option", options=question.options)
    if wanted.strip() and matches(given, wanted, "text"):
        return True
    values = [number(text) if _BARE_NUMBER.fullmatch(reading(text).strip()) else None for text in (wanted, given)]
    return True if values[0] is not None and values[0] == values[1] else None
