"""The little LaTeX in which models write answers, as plain text: ``\\text{red}``, ``$12\\%$``, ``\\frac{1}{2}``.

No mathematics is done here: a formula keeps its meaning and only loses the notation. What is not known stays as it
stands. Everything takes time linear in the text's length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

DEEPEST = 40
"""Braces nested deeper than this are no answer; such a text is left as it stands."""

_TOKEN = re.compile(r"\\[A-Za-z]+[ \t]*|\\.|[{}]|[^\\{}]+|\\", re.DOTALL)
_BRACE = re.compile(r"\\[{}]|[{}]")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_SIMPLE = re.compile(r"-?[\w.°′]+")

TEXT_COMMANDS = frozenset(
    (
        *("text", "textbf", "textit", "textrm", "textsf", "texttt", "textnormal", "mbox", "hbox", "emph", "underline"),
        *("mathrm", "mathbf", "mathit", "mathsf", "mathtt", "mathnormal", "boldsymbol", "bm", "operatorname"),
        *("boxed", "fbox", "displaystyle", "textstyle", "left", "right", "big", "Big", "bigg", "Bigg", "ensuremath"),
    )
)
"""Commands that change how their argument looks and not what it says."""

_SPACES = frozenset({"quad", "qquad", ",", ";", ":", "!", " ", "\n", "enspace", "thinspace", "space"})
_DELIMITERS = frozenset("()[]")
_SYMBOLS = {
    **{"times": "×", "cdot": "·", "div": "÷", "pm": "±", "mp": "∓", "ast": "*", "star": "*", "bullet": "•"},
    **{"le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥", "geqslant": "≥", "lt": "<", "gt": ">"},
    **{"ne": "≠", "neq": "≠", "approx": "≈", "sim": "~", "equiv": "≡", "infty": "∞", "circ": "°", "degree": "°"},
    **{"to": "→", "rightarrow": "→", "leftarrow": "←", "gets": "←", "uparrow": "↑", "downarrow": "↓"},
    **{"leftrightarrow": "↔", "Rightarrow": "⇒", "Leftarrow": "⇐", "angle": "∠", "triangle": "△", "parallel": "∥"},
    **{"perp": "⊥", "cong": "≅", "prime": "′", "percent": "%", "colon": ":", "ldots": "...", "dots": "..."},
    **{"euro": "€", "pounds": "£", "textdollar": "$", "textdegree": "°", "textendash": "-", "lbrace": "{"},
    **{"rbrace": "}", "backslash": "\\", "textbackslash": "\\", "checkmark": "✓"},
}


def boxed(text: str) -> str | None:
    """What stands in the last ``\\boxed{…}`` of a text, the place for a final answer; None without one.

    A box that was never closed, as in a reply that was cut, runs to the end.
    """
    start = max(_BOX.finditer(text), key=re.Match.start, default=None)
    if start is None:
        return None
    depth = 1
    for brace in _BRACE.finditer(text, start.end()):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return text[start.end() : brace.start()]
    return text[start.end() :]


def plain(text: str) -> str:
    """A text with its LaTeX as plain characters: ``\\frac{1}{2}`` is ``1/2``, ``90^{\\circ}`` is ``90°``."""
    text = without_dollars(text)
    if "\\" not in text:
        return text
    frames = [_Frame()]
    for token in _TOKEN.findall(text):
        if token == "{":
            if len(frames) > DEEPEST:
                return text
            frames.append(_Frame())
        elif token == "}" and len(frames) > 1:
            _close(frames)
        elif token.startswith("\\"):
            frames[-1].command(token[1:].rstrip(" \t") or token[1:])
        else:
            frames[-1].write(token)
    while len(frames) > 1:
        _close(frames)
    return frames[0].text()


def is_only_text(text: str) -> bool:
    """Whether all LaTeX of a text is wording, spaces and escaped signs, and none of it mathematics."""
    commands = [token[1:].strip() for token in _TOKEN.findall(text) if token.startswith("\\")]
    return all(command in TEXT_COMMANDS or not command.isalpha() for command in commands)


def without_dollars(text: str) -> str:
    """A text without the ``$`` and ``$$`` that enclose mathematics; those of prices stay.

    As pandoc tells them apart: an opening one is followed by no space, a closing one follows no space and precedes no
    digit.
    """
    if "$" not in text:
        return text
    pieces = re.split(r"(?<!\\)(\$\$?)", text)
    opening = None
    for i in range(1, len(pieces), 2):
        before, after = pieces[i - 1], pieces[i + 1]
        closes = opening is not None and pieces[opening] == pieces[i] and not before[-1:].isspace() and before
        if closes and not after[:1].isdigit():
            assert opening is not None
            pieces[opening] = pieces[i] = ""
            opening = None
        else:
            opening = i if after and not after[0].isspace() else None
    return "".join(pieces)


@dataclass(slots=True)
class _Frame:
    """One pair of braces on the way: what was written so far, and a command that waits for its arguments."""

    parts: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    wanted: int = 0
    build: Callable[[list[str]], str] = "".join

    def command(self, name: str) -> None:
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            self._await(2, _fraction)
        elif name == "sqrt":
            self._await(1, lambda found: "√" + _grouped(found[0]))
        elif name in _SPACES:
            self.write(" ")
        elif name in TEXT_COMMANDS or name in _DELIMITERS:
            return
        elif name in _SYMBOLS:
            self._append(_SYMBOLS[name])
        else:
            self._append(_greek(name) if name.isalpha() else name)  # \% \$ \# \& \_ \{ \}

    def write(self, text: str) -> None:
        """Characters; a command that waits takes the first ones, as LaTeX does with ``\\frac12``."""
        while self.wanted and (found := text.lstrip()):
            self.take(found[0])
            text = found[1:]
        self._append(text)

    def take(self, content: str) -> None:
        """What stood in braces."""
        if self.wanted:
            self.arguments.append(content)
            if len(self.arguments) == self.wanted:
                built = self.build(self.arguments)
                self.wanted, self.arguments = 0, []
                self._append(" " + built if self.parts and self.parts[-1][-1:].isdigit() else built)
        else:
            raised = bool(self.parts) and self.parts[-1].rstrip().endswith(("^", "_"))
            self._append(_grouped(content) if raised else content)

    def text(self) -> str:
        return "".join([*self.parts, *self.arguments]).replace("^°", "°").replace("^′", "'")

    def _await(self, wanted: int, build: Callable[[list[str]], str]) -> None:
        self.wanted, self.arguments, self.build = wanted, [], build

    def _append(self, text: str) -> None:
        if text:
            self.parts.append(text)


def _close(frames: list[_Frame]) -> None:
    content = frames.pop().text()
    frames[-1].take(content)


def _fraction(found: list[str]) -> str:
    return f"{_grouped(found[0].strip())}/{_grouped(found[1].strip())}"


def _grouped(content: str) -> str:
    return content if _SIMPLE.fullmatch(content) else f"({content})"


def _greek(name: str) -> str:
    """The letter that a command like ``\\alpha`` or ``\\Omega`` names; an unknown command as it stands."""
    size = "SMALL" if name.islower() else "CAPITAL"
    try:
        return unicodedata.lookup(f"GREEK {size} LETTER {name}")
    except KeyError:
        return f"\\{name} "
