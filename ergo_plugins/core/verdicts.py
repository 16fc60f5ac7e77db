"""What a judge is asked, and how its verdict is read: the half of a judge that needs no network.

A judge answers a question from a crop alone, and its answer is then matched like anybody's; or, for open questions,
it says whether two answers mean the same. A reply that is neither an answer nor an admission of not knowing is no
verdict: it is asked for again, and never counts as a wrong answer.
"""

from __future__ import annotations

import re

from .agreement import says_same
from .answers import extract_letter, number
from .questions import Question
from .replies import shown
from .statements import NoVerdict, stated

UNKNOWN = "unknown"
"""What a judge answers if the image does not show what is asked for."""

_CANNOT_TELL = re.compile(
    r"(?i)\b(?:unknown|cannot|can't|can not|unable|not (?:visible|shown|possible|clear|enough)|none of|no answer)\b"
)


def region_prompt(question: Question, *, with_original: bool) -> str:
    """Ask for the answer to a question from a crop, options included."""
    shows = (
        "The first image is a part of the second one, in full detail. Answer from them"
        if with_original
        else "This image is a part of a larger one. Answer from what it shows"
    )
    form = "the letter of the right option" if question.options else "a short answer"
    return (
        f"{question.full}\n\n{shows} and from nothing else. Write {form} in <answer></answer>, "
        f"or <answer>{UNKNOWN}</answer> if it cannot be seen here."
    )


def same_prompt(question: Question, target: str, given: str) -> str:
    """Ask whether an answer means the same as the wanted one."""
    return (
        f"Question: {question.stem}\nReference answer: {target}\nGiven answer: {given}\n\n"
        "Does the given answer say the same as the reference answer to this question? Write yes or no."
    )


def read_region_answer(reply: str, question: Question, kind: str) -> str | None:
    """The judge's answer to a question, or None if it says that it cannot tell.

    Args:
        kind: how the answer will be compared (``option``, ``number``, ``text`` or ``judge``).

    Raises:
        NoVerdict: the reply is neither.
    """
    answer = stated(reply)
    if answer.casefold().strip(" .") == UNKNOWN:
        return None
    understood = {
        "option": lambda: extract_letter(answer, question.options) is not None,
        "number": lambda: number(answer) is not None,
    }
    if kind in understood and not understood[kind]():
        if _CANNOT_TELL.search(answer):
            return None
        raise NoVerdict(f"no {'choice' if kind == 'option' else 'number'} in {shown(reply)}")
    return answer


def read_same(reply: str) -> bool:
    """Whether a judge says that two answers mean the same.

    Raises:
        NoVerdict: neither yes nor no, or both.
    """
    same = says_same(stated(reply))
    if same is None:
        raise NoVerdict(f"neither a clear yes nor a clear no in {shown(reply)}")
    return same
