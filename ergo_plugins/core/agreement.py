"""Whether a judge says that two answers mean the same: its yes or no, or its claim in plain words.

Words are read strictly. A clause counts if it is *yes* or *no* and nothing else, if it announces one of them, or if
every word of it is understood (``they do not mean the same``). The *no* of ``there is no doubt`` is none. Clauses that
contradict one another are no verdict, and a claim beside words that are not understood is none either: ``they agree if
the number does not matter``.
"""

from __future__ import annotations

import re

_SENTENCE = re.compile(r"[^.!?;\n]*[.!?;\n]?")
_CLAUSE_ENDS = re.compile(r"[,()–—]|\s-\s|\b(?:because|since)\b")
_TRIMMED = " \t\r\n*_`\"'“”‘’#>-.!:;,"
_BARE = re.compile(r"(yes|no)")
_ANNOUNCED = re.compile(
    r"(?:(?:so|thus|hence|therefore|and)\s+)?"
    r"(?:(?:(?:the|my|our)\s+)?(?:final\s+|overall\s+)?(?:answer|verdict|judge?ment|conclusion|decision)"
    r"\s*(?:\bis\b|:)*|i(?:'d|\s+would)?\s+say)[\s:*\"']*(yes|no)"
)
_LED = re.compile(r"(yes|no)\s+(.+)", re.DOTALL)
_NO_DOUBT = re.compile(
    r"\b(?:there(?: is|'s) )?(?:no|without(?: any| a)?) (?:doubt|question)(?: (?:but )?that|,)?(?=\W|$)|\bundoubtedly\b"
)
_ECHO = re.compile(r"(?:they|it|this|both|these) (?:do|does|are|is)( not|n't)?")

_SAME = re.compile(r"same|agree[sd]?|agreement|match(?:es|ing)?|equivalent|identical|equals?|synonymous")
_DIFFERENT = re.compile(r"differ(?:s|ent|ences?)?|disagree(?:s|ment)?")
_NOT = re.compile(r"not|never|cannot")
_AFTER_NO = re.compile(r"differences?|disagreement|agreement|match")
_UNDERSTOOD = re.compile(
    r"an?|the|th[eo]se|this|it|they|both|two|and|but|so|thus|therefore|hence|however|though|as|to|of|in|on|with|from"
    r"|each|other|one|another|there|is|are|was|were|do|does|did|has|have|mean(?:s|ings?)?|says?|answers?|given"
    r"|reference|things?|statement|indeed|clearly|certainly|definitely"
)


def says_same(statement: str) -> bool | None:
    """What a statement says of two answers; None if it does not say it clearly.

    Args:
        statement: of a judge asked whether two answers mean the same; thoughts and tags removed.
    """
    said: set[bool] = set()
    has_verdict, all_understood = False, True
    for sentence in _SENTENCE.findall(statement.casefold().replace("’", "'")):
        if sentence.endswith("?"):
            continue
        for clause in _CLAUSE_ENDS.split(_NO_DOUBT.sub(" ", sentence)):
            words = clause.strip(_TRIMMED)
            if not words:
                continue
            spoken = _spoken(words)
            claims = {_claim(words)} - {None} if spoken is None else spoken
            has_verdict = has_verdict or spoken is not None
            all_understood = all_understood and bool(claims)
            said |= {claim for claim in claims if claim is not None}
    if len(said) != 1 or not (has_verdict or all_understood):
        return None
    return said.pop()


def _spoken(clause: str) -> set[bool | None] | None:
    """What a clause says that gives or announces a yes or no; None if it does neither."""
    bare = _BARE.fullmatch(clause) or _ANNOUNCED.fullmatch(clause)
    if bare:
        return {bare[1] == "yes"}
    led = _LED.fullmatch(clause)
    claim = _claim(led[2]) if led else None
    return {led[1] == "yes", claim} if led and claim is not None and _claim(clause) is None else None


def _claim(clause: str) -> bool | None:
    """Whether a clause of words that are all understood claims sameness; None if it claims nothing, or twice."""
    echo = _ECHO.fullmatch(clause)
    if echo:
        return echo[1] is None
    words = re.sub(r"'s\b", " is", re.sub(r"n't\b", " not", clause)).split()
    negations = predicates = 0
    is_same = True
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if _NOT.fullmatch(word) or (word == "no" and _AFTER_NO.fullmatch(following)):
            negations += 1
        elif _SAME.fullmatch(word) or _DIFFERENT.fullmatch(word):
            predicates += 1
            is_same = bool(_SAME.fullmatch(word))
        elif not _UNDERSTOOD.fullmatch(word):
            return None
    if predicates != 1 or negations > 1:
        return None
    return is_same != bool(negations)
