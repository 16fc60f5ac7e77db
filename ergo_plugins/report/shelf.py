"""Cards of a long run: packed into the page, and unpacked by its script when somebody turns to them.

As elements, 20,000 cards are a page of 80 MB that a browser takes long to lay out. Packed they are text that it only
keeps. The page stays one file that asks no server for anything.
"""

from __future__ import annotations

import base64
import html
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .cards import card, sort_keys
from .pictures import Picture
from .read.rows import Row

LONGEST_LAID_OUT = 2000
"""Samples whose cards stand in the page as elements, there to read without a script."""

A_PAGE = 100
"""Cards that a longer run shows at once; so many are packed together."""

_SAID = re.compile(r'<div class="said">(.*?)</div>\n', re.DOTALL)
_MARKUP = re.compile(r"<[^>]*>")


def shelf(rows: Sequence[Row], pictures: Mapping[int, Mapping[str, Picture]]) -> Iterator[str]:
    """Elements that no browser shows: keys of all cards, then for each hundred the words to search in, and the cards.

    Args:
        rows: of the run.
        pictures: by the number of the row and the name of the turn.
    """
    yield _packed("keys", [sort_keys(number, row) for number, row in enumerate(rows)])
    for start in range(0, len(rows), A_PAGE):
        cards = [card(i, row, pictures.get(i, {})) for i, row in enumerate(rows[start : start + A_PAGE], start=start)]
        yield _packed("words", [words(made) for made in cards])
        yield _packed("cards", cards)


def words(made: str) -> str:
    """What a card says without its details, in small letters: what a search looks in."""
    said = _SAID.search(made)
    return html.unescape(_MARKUP.sub("", said[1])).lower() if said else ""


def _packed(kind: str, values: Sequence[Any]) -> str:
    """JSON, deflated, as base64: `assets/shelf.js` knows the way back."""
    content = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text = base64.b64encode(zlib.compress(content)).decode("ascii")
    return f'<script type="application/octet-stream" data-kept="{kind}">{text}</script>\n'
