"""How a question goes, as the page shows it: the messages so far, what was looked at, and what it cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from ..core.geometry import Box
from ..core.outcome import Outcome, TurnRecord
from ..core.turns import Partial, Reply, Turn
from ..python_api import Answer

LOOK_PX = 896
"""Longest side of the picture on which boxes are drawn."""
BOX_COLOR = "#f76707"
NUMBERS = ("", "answer", "visual tokens", "prompt tokens", "of these cached", "written", "seconds")
"""Columns of the table of costs."""


@dataclass(slots=True)
class Course:
    """What is known of one conversation.

    Attributes:
        folder: where the pictures of its messages are put.
        messages: as Gradio's chatbot takes them.
        regions_source: what was shown beyond the whole image, pixels of the original.
        outcome: None until it has ended.
        speaking: whether the last message is a reply under way.
    """

    folder: Path
    messages: list[dict[str, Any]] = field(default_factory=list)
    regions_source: list[Box] = field(default_factory=list)
    outcome: Outcome | None = None
    speaking: bool = False

    def take(self, event: Turn | Partial | Reply | Answer) -> None:
        """Go on by one event of `python_api.Model.watch`."""
        if isinstance(event, Turn):
            self._take_turn(event)
        elif isinstance(event, Partial | Reply):
            if self.speaking:
                self.messages.pop()
            self.messages.append({"role": "assistant", "content": event.text})
            self.speaking = isinstance(event, Partial)
        else:
            self.outcome = event.outcome
            pointed_at = event.outcome.pointed_at
            if pointed_at is not None and pointed_at not in self.regions_source:
                self.regions_source.append(pointed_at)

    def _take_turn(self, turn: Turn) -> None:
        if turn.system:
            self.messages.append({"role": "user", "content": turn.system})
        for part in turn.parts:
            if isinstance(part, str):
                if part.strip():
                    self.messages.append({"role": "user", "content": part})
                continue
            path = self.folder / f"{len(self.messages)}.png"
            part.image.save(path)
            self.messages.append({"role": "user", "content": {"path": str(path)}})
            if part.region_source is not None and any(said["role"] == "assistant" for said in self.messages):
                self.regions_source.append(part.region_source)


def reduced(image: Image.Image) -> tuple[Image.Image, float]:
    """A picture for the page, and by how much it is smaller: its pixels over the original's along a side."""
    scale = min(1.0, LOOK_PX / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX, reducing_gap=2.0) if scale < 1 else image.copy(), scale


def with_boxes(picture: Image.Image, regions_source: Iterable[Box], scale: float) -> Image.Image:
    """A reduced picture with regions of the original drawn."""
    drawn = picture.copy()
    pen = ImageDraw.Draw(drawn)
    for box in regions_source:
        pen.rectangle([corner * scale for corner in box.as_tuple()], outline=BOX_COLOR, width=4)
    return drawn


def numbers(name: str, outcome: Outcome) -> list[str]:
    """A row of the table of costs; a dash where the engine does not say."""
    return [
        name,
        outcome.answer or "(none)",
        str(outcome.visual_tokens),
        _total(outcome.turns, "prompt_tokens"),
        _total(outcome.turns, "cached_tokens"),
        _total(outcome.turns, "new_tokens"),
        "–" if outcome.seconds is None else f"{outcome.seconds:.2f}",
    ]


def table_of(rows: Sequence[Sequence[str]]) -> str:
    """Rows of `numbers` in Markdown; nothing for none."""
    if not rows:
        return ""
    lines = [NUMBERS, ["---"] * len(NUMBERS), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Words that a model wrote, as words: on one line, and nothing in them is markup."""
    return re.sub(r"([\\`*_{}\[\]()#+.!|<>~$-])", r"\\\1", " ".join(text.split()))


def _total(turns: Iterable[TurnRecord], name: str) -> str:
    counts = [getattr(turn, name) for turn in turns]
    return "–" if None in counts else str(sum(counts))
