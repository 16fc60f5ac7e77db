"""A benchmark's question text, taken apart: what is asked, the options, and how the answer is to be given.

Benchmarks hand over one string. The first turn of a zoom sees only what is asked, so that the policy looks for the
evidence instead of matching options; the second turn sees the whole string as the benchmark wrote it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NARROW = str.maketrans(
    {**{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}, "、": ")", "【": "[", "】": "]", "。": "."}
)
"""Full-width letters and punctuation, one for one: what is found in a narrow text stands there in the original."""

_OPTION_LINE = re.compile(r"\s*(?:[-*•]+\s*)?(?:\(([A-Za-z])\)|\[([A-Za-z])\]|([A-Za-z])\s?[.:)](?:\*\*)?)(.*)")
_INLINE_OPTION = re.compile(r"(?<![A-Za-z0-9_])\(([A-Z])\)\s*|(?:(?<=\s)|^)([A-Z])[:)]\s*")  # "A." may be initials
_MOST_MORE_LINES = 3
"""Lines of an option beside its first."""

_FORMAT_REQUEST = re.compile(
    r"""(?xi)
    (?:^|(?<=[.?!:)])[ \t]+|(?<=\n))            # a sentence of its own …
    (?:note:[ \t]*)?(?:please[ \t]+)?
    (?:
        (?:you[ ](?:only[ ])?(?:need|have)[ ]to[ ])?
        (?:answer|respond|reply|return|output)\b
        (?=[^.?!\n]*\b(?:letters?|options?|choices?|words?|phrases?|numbers?|directly|only|yes|no|without)\b)
        [^?\n]*?                                # … that says how to answer
      | (?:select|choose)[ ](?:from|one[ ]of|the[ ](?:best|correct|right))\b
        (?=[^.?!\n]*\b(?:answers?|letters?|options?|choices?|following|below)\b)
        [^?\n]*?
      | the[ ](?:choices|options)[ ]are[ ](?:listed[ ])?(?:below|as[ ]follows)
      | the[ ](?:best|correct)?[ ]?answer[ ]is
      | (?:options|choices|answer)[ ]*(?=:)
    )
    (?:[.:](?=\s|$)|$)
    | 请[^。？?\n]*(?:字母|选项|单词|短语|直接回答)[^。？?\n]*(?:。|$) | ^(?:选项|答案)\s*[:：]?\s*$
    """,
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a multiple-choice question."""

    letter: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question as one benchmark poses it.

    Attributes:
        full: the text as the benchmark wrote it.
        stem: what is asked, without options and without instructions on the form of the answer. Never empty.
        options: the choices in order; empty for an open question.
    """

    full: str
    stem: str
    options: tuple[Option, ...] = ()

    @property
    def letters(self) -> tuple[str, ...]:
        """The letters one can answer with; empty for an open question."""
        return tuple(option.letter for option in self.options)


def split_question(text: str) -> Question:
    """Take a benchmark's question apart.

    Options are recognised on lines of their own (``A. red``, ``(A) red``, ``[A] red``, ``A: red``, ``A) red``, also in
    small letters, and ``A、红``, ``（A）红``, ``Ａ．红``) or in a row within one line (``(A) red (B) blue``,
    ``A: red B: blue``), as a run of at least two letters that starts with A.

    Raises:
        ValueError: the text is empty.
    """
    if not text.strip():
        raise ValueError("the question is empty")
    stem, options = _options_on_lines(text)
    if not options:
        stem, options = _options_in_a_row(text)
    asked = _without_format_requests(stem) or stem.strip() or text.strip()
    return Question(full=text, stem=asked, options=options)


def _options_on_lines(text: str) -> tuple[str, tuple[Option, ...]]:
    """``(text before the options, options)``; the text unchanged if there are none."""
    lines = text.split("\n")
    run = list[tuple[int, str]]()
    for i, line in enumerate(lines):
        found = _OPTION_LINE.fullmatch(line.translate(_NARROW))
        letter = next(filter(None, found.groups()), "") if found else ""
        if not letter:
            continue
        first = "a" if run and run[0][1].islower() else "A"
        continues = letter == chr(ord(first) + len(run)) and (not run or _follows(lines[run[-1][0] + 1 : i]))
        if continues and run:
            run.append((i, letter))
        elif len(run) >= 2:
            break
        else:
            run = [(i, letter)] if letter in "Aa" else []
    if len(run) < 2:
        return text, ()
    ends = [i for i, _ in run[1:]] + [run[-1][0] + 1]
    options = []
    for (i, letter), end in zip(run, ends, strict=True):
        found = _OPTION_LINE.fullmatch(lines[i].translate(_NARROW))
        assert found is not None
        said = [lines[i][found.start(4) :], *lines[i + 1 : end]]
        options.append(Option(letter.upper(), " ".join(line.strip() for line in said if line.strip())))
    return "\n".join(lines[: run[0][0]]), tuple(options)


def _follows(between: list[str]) -> bool:
    """Whether the lines between two options can be the rest of the first one."""
    return sum(bool(line.strip()) for line in between) <= _MOST_MORE_LINES


def _options_in_a_row(text: str) -> tuple[str, tuple[Option, ...]]:
    """The same for options written one after another within a line."""
    for line_start, line in _lines_with_offsets(text):
        marks = list(_INLINE_OPTION.finditer(line.translate(_NARROW)))
        first = next((i for i, mark in enumerate(marks) if (mark[1] or mark[2]) == "A"), None)
        if first is None:
            continue
        run = [marks[first]]
        for mark in marks[first + 1 :]:
            if (mark[1] or mark[2]) == chr(ord("A") + len(run)):
                run.append(mark)
        if len(run) < 2:
            continue
        ends = [mark.start() for mark in run[1:]] + [len(line)]
        options = tuple(
            Option(chr(ord("A") + i), line[mark.end() : end].strip())
            for i, (mark, end) in enumerate(zip(run, ends, strict=True))
        )
        return text[: line_start + run[0].start()], options
    return text, ()


def _lines_with_offsets(text: str) -> list[tuple[int, str]]:
    lines, offset = [], 0
    for line in text.split("\n"):
        lines.append((offset, line))
        offset += len(line) + 1
    return lines


def _without_format_requests(text: str) -> str:
    """The text without sentences that only say how to answer, blank lines closed up."""
    kept = _FORMAT_REQUEST.sub("", text)
    return "\n".join(line.rstrip() for line in kept.split("\n") if line.strip()).strip()
