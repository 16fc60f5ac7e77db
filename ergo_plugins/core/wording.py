"""One wording for what is written in many ways, so that two texts can be compared without losing what they mean.

Widths, digits of other scripts, dashes, quotation marks and normal forms are told apart by nobody who reads; signs,
symbols, vowel signs, powers and the order of digits are, and stay.
"""

from __future__ import annotations

import re
import unicodedata

from .latex import boxed, plain, without_dollars

_KEPT_FORMS = ("<super>", "<sub>", "<fraction>", "<circle>")
"""Compatibility forms that mean something else than their characters: 10² is not 102."""

_SAME = {
    **dict.fromkeys("‐‑‒–—―−﹣⁃", "-"),
    **dict.fromkeys("‘’‚‛′ʼ＇`´", "'"),
    **dict.fromkeys("“”„‟″«»「」『』〝〞", '"'),
    **{"。": ".", "、": ",", "،": ",", "؛": ";", "؟": "?", "٫": ".", "٬": ",", "٪": "%", "∶": ":", "⁄": "/", "∕": "/"},
    **{"º": "°", "˚": "°", "【": "[", "】": "]", "〈": "<", "〉": ">", "《": "<", "》": ">", "∙": "·", "⋅": "·"},
}
_JOINERS = "\u200c\u200d"
"""Zero-width, but part of the spelling of Indic and Persian words and of emoji."""

_PUNCTUATION = ("FULL STOP", "COMMA", "COLON", "QUESTION MARK", "EXCLAMATION MARK", "DANDA", "ELLIPSIS", "MIDDLE DOT")
_PAIRS = (
    *(("**", "**"), ("__", "__"), ("*", "*"), ("`", "`"), ('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’")),
    *(("「", "」"), ("『", "』"), ("«", "»"), ("\\(", "\\)"), ("\\[", "\\]")),
)
_COMMAND = re.compile(r"\\(?:text\w*|mathrm|mathbf|mathit|mathsf|mbox|boxed)\s*\{([^{}]*)\}")

_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋]+")
_VULGAR = re.compile(r"(\d?)([¼-¾⅐-⅞↉])")

_ARTICLE = re.compile(r"(?<![^\s\"'(\[])(?:(?:the|THE|The|an|An|a)\s+(?=\w)|(?<!\w\s)A\s+(?=[a-z]{2}|[A-Z][a-z]))")
_INITIALS = re.compile(r"(?<![\w.])(?:[^\W\d_]\.){2,}(?!\w)")
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_PERCENT = re.compile(r"(?<=\d)\s*(?:%|percent|per\s?cent|pct)(?![^\W_])", re.IGNORECASE)
_MEGA = re.compile(r"(?<=\d)\s*([mM])(?=(?:W|Hz|V|J|A|Pa|eV|Ω)h?(?!\w))")
_HYPHEN = re.compile(r"(?<=[^\W\d_])\s*-+\s*(?=[^\W\d_])|(?:(?<=^)|(?<=\n))-\s+")
_LOOSE = re.compile(
    r"""
      \.(?!\w) | (?<![\w\s])\.(?=[^\W\d]) | (?<=\s)\.(?=[^\W\d])   # a dot inside a name or a number stays
    | (?<!\d)[,:] | [,:](?!\d) | (?<!\d)! | [;?]                   # as do 1,5 and 10:30, and 5!
    | (?<![\w])' | '(?!\w)(?<!\d') | (?<!\d)"                      # and 5' and 5"
    """,
    re.VERBOSE,
)
_DIGIT_EDGE = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")


class _Folded(dict[int, str]):
    """What each character is folded to, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold(chr(code))
        return folded


class _Spaced(dict[int, str]):
    """Characters of words as they are, symbols as words of their own, punctuation as a space."""

    def __missing__(self, code: int) -> str:
        self[code] = spaced = _space(chr(code))
        return spaced


_FOLDED, _SPACED = _Folded(), _Spaced()


def folded(text: str) -> str:
    """A text whose characters are told apart only where they mean different things.

    Full-width, half-width and presentation forms, ligatures, digits of all scripts, dashes, quotation marks and CJK
    punctuation become their plain counterparts, canonical equivalents become composed (NFC), and characters without
    width or meaning go. Superscripts, fractions, signs and marks stay.
    """
    return (
        text if text.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).translate(_FOLDED))
    )


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: spaces, controls, zero-width characters."""
    return not folded(text).strip()


def unwrapped(text: str) -> str:
    """What a text says, without what it is wrapped in; its characters are left as they are.

    Quotation marks, emphasis and mathematical delimiters go where they enclose the whole, and the last ``\\boxed{…}``
    is taken for the whole.
    """
    content = boxed(text)
    text = (text if content is None or is_blank(content) else content).strip()
    for _ in range(8):
        inner = _unwrapped_once(text)
        if inner == text:
            break
        text = inner
    return text


def reading(text: str) -> str:
    """A text as it is read: unwrapped, emphasis removed, LaTeX as characters, folded, powers as ``^``."""
    text = folded(_without_emphasis(plain(unwrapped(text)))).strip()
    if text.isascii():
        return text
    text = _RAISED.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]).replace("−", "-"), text)
    text = _LOWERED.sub(lambda found: unicodedata.normalize("NFKC", found[0]).replace("−", "-"), text)
    return _VULGAR.sub(lambda found: (found[1] and found[1] + " ") + _fold_fraction(found[2]), text)


def normalised(text: str, *, keep_case: bool = False, keep_articles: bool = False) -> str:
    """Words, numbers and symbols of a text, one space between them; punctuation between words and articles dropped.

    Args:
        keep_case: capitals stay capitals.
        keep_articles: ``a``, ``an`` and ``the`` stay.
    """
    text = reading(text)
    if not keep_articles:
        text = _ARTICLE.sub("", text)
    text = _INITIALS.sub(lambda found: found[0].replace(".", ""), text)
    text = _GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    text = _PERCENT.sub("% ", text)
    if not keep_case:
        text = _MEGA.sub(lambda found: " milli" if found[1] == "m" else " mega", text).casefold()
    text = _without_paired_marks(text)
    text = _LOOSE.sub(" ", _HYPHEN.sub(" ", text))
    return " ".join(_DIGIT_EDGE.sub(" ", text).translate(_SPACED).split())


def _fold(character: str) -> str:
    if character in _SAME:
        return _SAME[character]
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Cf":
        return character if character in _JOINERS else ""
    form, _, codes = unicodedata.decomposition(character).partition(" ")
    if not form.startswith("<") or form in _KEPT_FORMS:
        return character
    parts = [chr(int(code, 16)) for code in codes.split()]
    if len(parts) > 1 and parts[0] == " ":  # a mark that stands alone
        return character
    return "".join(map(_fold, parts))


def _fold_fraction(character: str) -> str:
    return unicodedata.normalize("NFKC", character).replace("⁄", "/")


def _space(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category[0] in "LMN" or category == "Cf":
        return character
    if category in ("Cc", "Ps", "Pe", "Pi", "Pf", "Pc", "Zs", "Zl", "Zp"):
        return " "
    name = unicodedata.name(character, "")
    if category == "Po" and not character.isascii() and any(word in name for word in _PUNCTUATION):
        return " "
    return f" {character} "


def _unwrapped_once(text: str) -> str:
    for opening, closing in _PAIRS:
        inner = text[len(opening) : -len(closing)]
        encloses = text.startswith(opening) and text.endswith(closing) and len(text) >= len(opening) + len(closing)
        if encloses and opening not in inner and closing not in inner:
            return inner.strip()
    command = _COMMAND.fullmatch(text)
    if command:
        return command[1].strip()
    if text.startswith("$") and text.endswith("$") and "$" not in text.strip("$"):
        return without_dollars(text).strip()
    return text


def _without_emphasis(text: str) -> str:
    """The text without the ``**`` around words; a power like ``2**3`` stays."""
    if "**" not in text:
        return text
    pieces = text.split("**")
    if len(pieces) % 2 == 0 or any(piece[-1:].isdigit() for piece in pieces[0:-1:2]):
        return text
    return "".join(pieces)


def _without_paired_marks(text: str) -> str:
    """The text without quotation marks that come in pairs; a single one may be feet or inches."""
    return text.replace('"', " ") if text.count('"') % 2 == 0 else text
