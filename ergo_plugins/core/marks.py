"""Verdicts in the marks that prompts of judges ask for: ``Score: 0`` and ``Score: 1``, ``[[YES]]`` and ``[[NO]]``.

A mark is read as a whole statement. ``Score: 0. 1 of 2 is right`` says 0, and ``Score: 0 or 1`` says nothing.
"""

from __future__ import annotations

import re

_DECORATION = r"[\s*_`\"']*"
_SCORE = re.compile(rf"(?i)\bscore\b{_DECORATION}[:=]")
_VALUE = re.compile(
    rf"{_DECORATION}([01])(?:\.0+)?(?!\w){_DECORATION}(?=\Z|\n|\.(?!\d)|[,;(!]|\s[-–—]\s|\s*\b(?:because|since|as)\b)",
    re.I,
)
_BRACKETS = re.compile(r"\[\[([^\[\]]*)\]\]")
_BEFORE = re.compile(rf"(?:\A|[\n.!?:;,]|\b(?:is|be)\b){_DECORATION}\Z", re.I)
_AFTER = re.compile(rf"{_DECORATION}(?:\Z|\n|[.!;,(]|\b(?:because|since|as)\b)", re.I)


def marked(statement: str) -> tuple[set[bool | None], str]:
    """``(what the marks of a statement say, the statement without them)``; None for a mark that says nothing clear."""
    said: set[bool | None] = set()
    cuts: list[tuple[int, int]] = []
    for mark in _SCORE.finditer(statement):
        value = _VALUE.match(statement, mark.end())
        said.add(value[1] == "1" if value else None)
        cuts.append((mark.start(), value.end() if value else mark.end()))
    for mark in _BRACKETS.finditer(statement):
        word = mark[1].strip().casefold()
        stands_alone = _BEFORE.search(statement[: mark.start()]) and _AFTER.match(statement, mark.end())
        said.add(word == "yes" if word in ("yes", "no") and stands_alone else None)
        cuts.append(mark.span())
    rest, position = [], 0
    for start, end in sorted(cuts):
        rest.append(statement[position:start])
        position = max(position, end)
    return said, "".join([*rest, statement[position:]])
