"""Texts as they are compared: what is only dress is taken off, what carries meaning stays.

Case, articles, white space, quotation marks, emphasis and the punctuation of sentences are dress. Signs, units,
currencies, comparison signs, accents and vowel signs are not: ``-5 °C`` is not ``5 °C``, ``C#`` is not ``C++``.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

_ARTICLES = frozenset({"a", "an", "the"})
_LIKE = str.maketrans({"\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2018": "'"})
_LIKE.update(str.maketrans({"\u2019": "'", "\u3002": ". ", "\u3001": ", ", "\u3000": " "}))
"""Characters that differ in print and not in meaning: minus signs and dashes as a hyphen, CJK stops and blanks."""

_MEANT = frozenset("#%&@§‰")
"""Punctuation, by Unicode's book, that is read aloud."""
_BETWEEN_DIGITS = frozenset("-/:.,")
_PERCENT = re.compile(r"(?<=\d)\s*per\s?cent\b")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")


def plain(text: str) -> str:
    """The text composed (NFC), full-width letters, digits and punctuation narrow, dashes and CJK stops as in ASCII."""
    narrow = "".join(normalize("NFKC", c) if "\uff01" <= c <= "\uffee" else c for c in text)
    return normalize("NFC", narrow).translate(_LIKE)


def normalised(text: str) -> str:
    """Words, numbers and signs in lower case, one space between them; equal for texts that say the same."""
    folded = normalize("NFC", plain(text).casefold())
    folded = _PERCENT.sub("%", folded)
    tokens = _tokens(_THOUSANDS.sub(lambda number: number[0].replace(",", ""), folded))
    kept = [
        token
        for token, after in zip(tokens, [*tokens[1:], ""], strict=False)  # no tokens, no last one
        if not (token in _ARTICLES and after[:1].isalpha())
    ]
    return " ".join(kept)


def _tokens(text: str) -> list[str]:
    """Runs of letters, runs of digits, and signs; a letter behind a digit begins a run (``5km``)."""
    tokens: list[str] = []
    start: int | None = None  # of the run under way: one slice a run keeps a megabyte of digits linear
    for at, (before, character, after) in enumerate(zip(" " + text, text, text[1:] + " ", strict=False)):
        kind = category(character)
        if character.isalnum() or (kind in ("Mn", "Mc", "Me") and not "\ufe00" <= character <= "\ufe0f"):
            if start is not None and character.isalpha() and before.isdigit():
                tokens.append(text[start:at])
                start = at
            start = at if start is None else start
            continue
        inside = character in _BETWEEN_DIGITS and before.isdigit() and after.isdigit()
        if inside and character in ".,":
            continue
        if start is not None:
            tokens.append(text[start:at])
            start = None
        if inside or _is_meant(before, character, after, kind):
            tokens.append(character)
    if start is not None:
        tokens.append(text[start:])
    return tokens


def _is_meant(before: str, character: str, after: str, kind: str) -> bool:
    """Whether a character that is neither letter nor digit says something."""
    if character == "-":  # a sign, or a grade: not what joins words
        return (after.isdigit() and not before.isalnum()) or (before.isalnum() and not after.isalnum() and after != "-")
    if character == "+":
        return before.isalnum() or before == "+" or not after.isdigit()
    return character in _MEANT or (kind.startswith("S") and character != "`")
