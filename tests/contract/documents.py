"""The pages people read, taken apart: blocks of code, and commands in the order in which a reader meets them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("recipes/**/*.md")))

OPEN_END = "…"
"""Stands for what a reader adds."""
PLACEHOLDER = re.compile(rf"[A-Z][A-Z_=]+|.*{OPEN_END}")
"""What a reader puts a value of their own for."""

STARTS = re.compile(r"(\w+=\S* )*(bash|ergo|python|pip|uv|pytest|conda|sbatch) \S")
"""How a command inside a sentence begins; a program's name alone is none."""
ASSIGNED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
OPTIONAL = re.compile(r"(?<= )\[([^\]]*)\]")
"""What a sentence says may be left out."""
SUBSTITUTED = re.compile(r"\$\(\(.*?\)\)|\$\(.*?\)")
"""What bash puts another command's output, or a sum, in place of."""
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Code between fences.

    Attributes:
        line: of its first line of code in the page.
    """

    page: Path
    line: int
    language: str
    code: str


@dataclass(frozen=True)
class Command:
    """One command of a page; of a line that chains several, each.

    Attributes:
        page: where it stands.
        line: of the page, or of the block's first line.
        environment: variables set in front of it.
        words: the program and what it is given.
        comment: what is said behind it.
        inline: whether it stands inside a sentence, where it may be cut short.
    """

    page: Path
    line: int
    environment: tuple[tuple[str, str], ...]
    words: tuple[str, ...]
    comment: str = ""
    inline: bool = False

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line} {shlex.join(self.words)}"


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """A page's fenced code."""
    text = page.read_text(encoding="utf-8")
    return tuple(
        Block(page, text.count("\n", 0, found.start(2)) + 1, found[1], found[2]) for found in FENCED.finditer(text)
    )


@cache
def commands(page: Path) -> tuple[Command, ...]:
    """A page's commands from top to bottom, those inside sentences among them."""
    found = [one for block in blocks(page) if block.language == "bash" for one in commands_of(block)]
    for said, line in inline(page).items():
        if STARTS.match(said):
            found += parsed(OPTIONAL.sub(r"\1", said), page, line, inline=True)
    return tuple(sorted(found, key=lambda one: one.line))


@cache
def inline(page: Path) -> dict[str, int]:
    """Code inside sentences, and the line where it first stands."""
    text = FENCED.sub(lambda fenced: "\n" * fenced[0].count("\n"), page.read_text(encoding="utf-8"))
    found: dict[str, int] = {}
    for quoted in re.finditer(r"`([^`]+)`", text):
        found.setdefault(" ".join(quoted[1].split()), text.count("\n", 0, quoted.start()) + 1)
    return found


def commands_of(block: Block) -> list[Command]:
    """The commands of a block of bash."""
    found, line = [], block.line
    for written in re.split(r"(?<!\\)\n", block.code):
        joined = written.replace("\\\n", " ").strip()
        if joined and not joined.startswith("#"):
            found += parsed(joined, block.page, line)
        line += written.count("\n") + 1
    return found


def parsed(line: str, page: Path, number: int, *, inline: bool = False) -> list[Command]:
    """A line of bash as its commands: what stands between ``&&``, ``|``, ``;`` and ``&``.

    Raises:
        ValueError: a quotation does not end.
    """
    code, comment = _without_comment(SUBSTITUTED.sub("1", line))
    lexer = shlex.shlex(code, posix=True, punctuation_chars="&|;")
    lexer.whitespace_split, lexer.commenters = True, ""
    chained: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("&|;"):
            chained.append([])
        else:
            chained[-1].append(word)
    place = Command(page, number, (), (), comment, inline)
    return [command_of(words, place) for words in chained if words]


def _without_comment(line: str) -> tuple[str, str]:
    """A line, and what stands behind a ``#`` that begins a word outside quotes."""
    quote = ""
    for index, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (index == 0 or line[index - 1].isspace()):
            return line[:index], line[index + 1 :].strip()
    return line, ""


def command_of(words: Sequence[str], place: Command) -> Command:
    """Words as a command that stands where another does; assignments in front, or behind ``env``, are its variables."""
    environment: list[tuple[str, str]] = []
    left = list(words)
    while left and (left[0] == "env" or ASSIGNED.fullmatch(left[0])):
        found = ASSIGNED.fullmatch(left.pop(0))
        if found:
            environment.append((found[1], found[2]))
    return replace(place, environment=tuple(environment), words=tuple(left))
