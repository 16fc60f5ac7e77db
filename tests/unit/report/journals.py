"""Small journals for the tests of reports, and a reader of the page they become."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from PIL import Image

from ergo_plugins.core.geometry import Box, Size, whole
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord

HEADER = {"journal": "ergo-plugins/1", "settings": {"engine": "hf", "model": "some/model"}, "tasks": ["spots"]}


def outcome(
    *,
    box: tuple[float, ...] | None = (100, 100, 200, 150),
    replies: tuple[str, str] = ("<zoom>[10, 10, 20, 15]</zoom>", "<answer>B</answer>"),
    problems: tuple[str, ...] = (),
    seconds: float | None = 1.0,
    cached: int | None = 75,
) -> Outcome:
    """Two turns on a 1000 x 500 image: 8 and 4 visual tokens where one pass takes 100."""
    source, crop = Size(1000, 500), Box(*box) if box else None
    look = TurnRecord(
        "look",
        (Shown(whole(source), Size(112, 56), 8),),
        replies[0],
        "stop",
        prompt_tokens=80,
        new_tokens=20,
        seconds=0.5,
    )
    answer = TurnRecord(
        "answer", (Shown(crop or whole(source), Size(56, 56), 4),), replies[1], "stop", 150, cached, 10, 0.4
    )
    return Outcome(
        method="ergo",
        source=source,
        turns=(look, answer),
        answer="B",
        boxes={"crop": crop},
        values={"box_view": [10, 10, 20, 15] if box else None},
        single_pass_tokens=100,
        problems=problems,
        seconds=seconds,
    )


def entry(doc_id: int, played: Outcome | None = None, **changes: Any) -> dict[str, Any]:
    """A line of a journal."""
    line = {
        "task": "spots",
        "split": "test",
        "doc_id": doc_id,
        "repeat": 0,
        "question": "Which colour has the spot?\nA. red\nB. blue",
        "returned": "B",
        "previews": {},
        "outcome": (played or outcome()).to_json(),
    }
    return {**line, **changes}


def write_journal(folder: Path, *entries: dict[str, Any], header: dict[str, Any] = HEADER, tail: str = "") -> Path:
    """A journal with these lines, and ``tail`` behind them."""
    path = folder / "journal.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (header, *entries)) + tail)
    return path


def write_previews(folder: Path, name: str) -> dict[str, str]:
    """Two small pictures beside a journal, as an entry names them."""
    (folder / "views").mkdir(exist_ok=True)
    files = {turn: f"views/{name}-{turn}.jpg" for turn in ("look", "answer")}
    for file in files.values():
        Image.new("RGB", (112, 56), "navy").save(folder / file)
    return files


def sample(doc_id: int, target: str = "B", **metrics: Any) -> dict[str, Any]:
    """A line of lmms-eval's samples file."""
    return {
        "doc_id": doc_id,
        "target": target,
        "filtered_resps": ["B"],
        "doc_hash": "x",
        "token_counts": [{}],
        **metrics,
    }


def write_samples(folder: Path, *samples: dict[str, Any], name: str = "20260101_120000_samples_spots.jsonl") -> Path:
    """A samples file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in samples))
    return path


class PageReader(HTMLParser):
    """What a browser would find in a page: elements with their attributes, and the text outside scripts and styles.

    Raises AssertionError for elements that are not closed in order.
    """

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self._texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """Attributes of the elements of a kind, ``class_`` meaning one of its classes."""
        wanted = attributes.pop("class_", None)
        return [
            found
            for name, found in self.elements
            if name == tag
            and (wanted is None or wanted in (found.get("class") or "").split())
            and all(found.get(key) == value for key, value in attributes.items())
        ]
