"""Text and numbers as they stand in the page. Whatever a model or a data set wrote is shown, never interpreted."""

from __future__ import annotations

import html
import re

from ..core.geometry import Size

LONGEST_TEXT = 20_000
"""Characters of one reply or question in the page."""

_HARMLESS: dict[int, str | int] = {code: "\ufffd" for code in (*range(0x7F, 0xA0), *range(0xD800, 0xE000))}
_HARMLESS.update({code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"})
_TO_ESCAPE = re.compile("[&<>\"'\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

UNKNOWN = "–"


def escaped(text: object) -> str:
    """Text for an element or a quoted attribute: markup escaped, control characters as visible symbols, lone
    surrogates (which no encoding takes) replaced."""
    shown = str(text)
    if not _TO_ESCAPE.search(shown):  # most texts; a report of 20,000 samples escapes half a million
        return shown
    return html.escape(shown.replace("\r\n", "\n").translate(_HARMLESS))


def passage(text: str) -> str:
    """A long text as a preformatted block, cut at `LONGEST_TEXT` characters with a note of its length."""
    if not text.strip():
        return '<p class="empty">(nothing)</p>'
    note = ""
    if len(text) > LONGEST_TEXT:
        note = f'<p class="cut">Cut here: the text has {len(text):,} characters, {LONGEST_TEXT:,} are shown.</p>'
    return f'<pre dir="auto">{escaped(text[:LONGEST_TEXT])}</pre>{note}'


def count(value: float | None) -> str:
    """A whole number with thousands apart."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def percent(share: float | None) -> str:
    """A share as per cent with as many places as it takes to tell small ones from nothing."""
    if share is None:
        return UNKNOWN
    places = 0 if share in (0, 1) else 1 if share >= 0.01 else 2
    return f"{share:.{places}%}"


def size(px: Size) -> str:
    """Width and height."""
    return f"{px.width:,} × {px.height:,}"


def seconds(value: float | None) -> str:
    """A time in the unit that suits it."""
    if value is None:
        return UNKNOWN
    if value < 0.995:
        return f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 10 else f"{value:,.0f} s"
