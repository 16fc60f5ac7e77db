"""What a judge is asked, and how its verdict is read: the half of a judge that needs no network.

A judge answers a question from a crop alone, and its answer is then matched like anybody's; or, for open questions,
it says whether two answers mean the same. A reply that is neither an answer nor an admission of not knowing is no
verdict: it is asked for again, and never counts as a wrong answer.
"""

from __future__ import annotations

import re

from .agreement import says_same
from .answers import extract_letter, number
from .marks import marked
from .questions import Question
from .replies import shown
from .statements import NoVerdict, stated

UNKNOWN = "unknown"
"""What a judge answers if the image does not show what is asked for."""

_CANNOT_TELL = re.compile(
    r"""(?xi)
    \bunknown\b | \bno\ (?:answer|information|evidence)\b | \bnone\ of\ (?:the|these|them)\b
    | \b(?:cannot|can'?t|can\ not|unable\ to|impossible\ to|not\ (?:able|possible)\ to)\b[^.!?\n]{0,30}?
      \b(?:see|tell|told|determined?|read|answer|identif|say|said|make\ out|made\ out|discern|find|found|know|decided?
      |recogni[sz]e|shown?|verif|visible|judged?)
    | \bnot\ (?:visible|shown|legible|readable|clear|enough|seen|present|depicted|recogni[sz]able)\b
    | \b(?:do|does)(?:\ not|n'?t)\ (?:show|contain|include|depict|reveal)\b
    """
)
_REFUSED = re.compile(
    r"(?i)\bas an ai\b|\bi(?:'m| am)? (?:can'?t|cannot|can not|won'?t|will not|unable to|not able to) "
    r"(?:help|assist|comply|provide|process|view|discuss|engage|fulfil|do (?:that|this))"
)
SAME_FIELDS = ("question", "target", "answer")
"""What a judge's own words about an open answer have to name, each in braces."""

_SAME = (
    "Question: {question}\nReference answer: {target}\nGiven answer: {answer}\n\n"
    "Does the given answer say the same as the reference answer to this question? Write yes or no."
)
_NAMED = re.compile(r"\{(question|target|answer)\}")
_LETTER_OR_NUMBER_FIRST = re.compile(r"\W*(?:\d|[A-Za-z]\b(?!\s+can)(?!'))")


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


def same_prompt(question: Question, target: str, given: str, words: str = "") -> str:
    """Ask whether an answer means the same as the wanted one.

    Args:
        words: what to say, with ``{question}``, ``{target}`` and ``{answer}`` in it; empty for ours.
    """
    values = {"question": question.stem, "target": target, "answer": given}
    return _NAMED.sub(lambda name: values[name[1]], words or _SAME)


def read_region_answer(reply: str, question: Question, kind: str) -> str | None:
    """The judge's answer to a question, or None if it says that it cannot tell.

    Args:
        kind: how the answer will be compared (``option``, ``number``, ``text`` or ``judge``).

    Raises:
        NoVerdict: the reply is neither.
    """
    answer = stated(reply).replace("’", "'")
    if _REFUSED.search(answer):
        raise NoVerdict(f"a refusal: {shown(reply)}")
    if answer.casefold().strip(" .") == UNKNOWN:
        return None
    if kind not in ("option", "number"):
        return answer
    is_read = (extract_letter(answer, question.options) if kind == "option" else number(answer)) is not None
    cannot_tell = _CANNOT_TELL.search(answer) and not any(_CANNOT_TELL.search(o.text) for o in question.options)
    if not is_read and cannot_tell:
        return None
    if not is_read or (cannot_tell and not _LETTER_OR_NUMBER_FIRST.match(answer)):
        raise NoVerdict(f"no clear {'choice' if kind == 'option' else 'number'} in {shown(reply)}")
    return answer


def read_same(reply: str) -> bool:
    """Whether a judge says that two answers mean the same: yes or no, ``Score: 1`` or ``0``, ``[[YES]]`` or ``[[NO]]``.

    Raises:
        NoVerdict: none of them, or several that contradict one another.
    """
    said, rest = marked(stated(reply))
    in_words = says_same(rest)
    verdicts = said if in_words is None else said | {in_words}
    if len(verdicts) != 1 or None in verdicts:
        raise NoVerdict(f"neither a clear yes nor a clear no in {shown(reply)}")
    return True in verdicts
