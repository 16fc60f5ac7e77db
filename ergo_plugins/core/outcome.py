"""What happened in one conversation: the turns with what each showed, the boxes, the answer; plain enough for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from . import first_version
from .geometry import Box, Size

CROP = "crop"
"""Name of the box that a method showed again in more detail."""

OBJECT = "object"
"""Name of the box that is itself the answer."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One image of a turn.

    Attributes:
        region_source: which part of the original it showed, pixels of the original; None for another image.
        view: its size in pixels as the model saw it.
        tokens: its visual tokens.
    """

    region_source: Box | None
    view: Size
    tokens: int


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A turn and its reply as they are kept: text, sizes and counts, no pixels.

    Attributes:
        shown: the images of this turn in order; empty for a turn of words alone.
        reply: the model's text, unchanged.
        opened: how the prompt itself began the reply; the form of a reply is that of ``opened + reply``.
        queued_s: how many of its ``seconds`` the engine let it wait before its first step; None if it does not say.
    """

    name: str
    shown: tuple[Shown, ...]
    reply: str
    finish: str
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    new_tokens: int | None = None
    seconds: float | None = None
    opened: str = ""
    queued_s: float | None = None

    @property
    def view(self) -> Size | None:
        """The size of the turn's only or first image, pixels; None without one."""
        return self.shown[0].view if self.shown else None

    @property
    def visual_tokens(self) -> int:
        """Visual tokens of this turn's images; those of earlier turns are not counted again."""
        return sum(shown.tokens for shown in self.shown)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything worth keeping of one conversation.

    Attributes:
        method: the method that produced it.
        source: size of the original; None if it could not be read.
        turns: in order; empty if the image could not be read.
        answer: the text of the answer, tags removed; empty if there is none.
        boxes: by name, pixels of the original; None for one that was asked for and is not usable.
        values: what else the method wants kept, plain enough for JSON.
        single_pass_tokens: visual tokens the original takes in one pass at the model's own limit, for comparison.
        repairs: what had to be mended in the replies or the box.
        problems: what went wrong, each as ``kind: what``; kinds are ``image``, ``question``, ``truncated`` and the
            names of the method's turns.
        seconds: wall time of the whole sample, decoding and resizing included, waiting for its turn left out; None if
            nobody measured it.
    """

    method: str
    source: Size | None = None
    turns: tuple[TurnRecord, ...] = ()
    answer: str = ""
    boxes: Mapping[str, Box | None] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    single_pass_tokens: int = 0
    repairs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def visual_tokens(self) -> int:
        """Visual tokens of all turns together."""
        return sum(turn.visual_tokens for turn in self.turns)

    @property
    def box_source(self) -> Box | None:
        """The crop, whole pixels of the original; None if the method showed none."""
        return self.boxes.get(CROP)

    @property
    def pointed_at(self) -> Box | None:
        """Where the method points, for drawings: the crop, or else the object."""
        return self.box_source or self.boxes.get(OBJECT)

    @property
    def area_ratio(self) -> float | None:
        """Area of the crop over the area of the original, 0 to 1; None without a crop."""
        if self.box_source is None or self.source is None:
            return None
        return self.box_source.area / self.source.area

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values; sizes as ``[width, height]``, boxes as ``[x1, y1, x2, y2]``."""
        return {
            "method": self.method,
            "source": _plain_size(self.source),
            "turns": [_plain_turn(turn) for turn in self.turns],
            "answer": self.answer,
            "boxes": {name: _plain_box(box) for name, box in self.boxes.items()},
            "values": dict(self.values),
            "area_ratio": self.area_ratio,
            "visual_tokens": self.visual_tokens,
            "single_pass_tokens": self.single_pass_tokens,
            "repairs": list(self.repairs),
            "problems": list(self.problems),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Outcome:
        """The outcome that `to_json` wrote, of this version or of the first.

        Raises:
            KeyError, TypeError, ValueError: the dictionary is not one of ours.
        """
        if "boxes" not in plain:
            plain = first_version.outcome(plain)
        return cls(
            method=_same_word(plain["method"]),
            source=_size(plain["source"]) if plain["source"] else None,
            turns=tuple(_turn(turn) for turn in plain["turns"]),
            answer=plain["answer"],
            boxes={_same_word(name): Box(*box) if box else None for name, box in plain["boxes"].items()},
            values={_same_word(name): value for name, value in plain["values"].items()},
            single_pass_tokens=plain["single_pass_tokens"],
            repairs=tuple(plain["repairs"]),
            problems=tuple(plain["problems"]),
            seconds=plain["seconds"],
        )


def _plain_turn(turn: TurnRecord) -> dict[str, Any]:
    shown = [
        {
            "region_source": _plain_box(image.region_source),
            "view": _plain_size(image.view),
            "tokens": image.tokens,
        }
        for image in turn.shown
    ]
    return {
        "name": turn.name,
        "shown": shown,
        "reply": turn.reply,
        "finish": turn.finish,
        "prompt_tokens": turn.prompt_tokens,
        "cached_tokens": turn.cached_tokens,
        "new_tokens": turn.new_tokens,
        "seconds": turn.seconds,
        "opened": turn.opened,
        **({} if turn.queued_s is None else {"queued_s": turn.queued_s}),
    }


def _turn(plain: Mapping[str, Any]) -> TurnRecord:
    shown = [
        Shown(Box(*image["region_source"]) if image["region_source"] else None, _size(image["view"]), image["tokens"])
        for image in plain["shown"]
    ]
    # words that stand in every line are one object each
    words = {"name": _same_word(plain["name"]), "finish": _same_word(plain["finish"])}
    return TurnRecord(**{**plain, **words, "shown": tuple(shown)})


def _plain_size(size: Size | None) -> list[int] | None:
    return [size.width, size.height] if size else None


def _plain_box(box: Box | None) -> list[float] | None:
    return list(box.as_tuple()) if box else None


def _size(plain: Sequence[int]) -> Size:
    width, height = plain
    return _same_size(width, height)


_same_size = lru_cache(maxsize=1024, typed=True)(Size)
"""One object for a size that many lines have."""


@lru_cache(maxsize=1024, typed=True)
def _same_word(word: Any) -> Any:
    """One object for a name that many lines have."""
    return word
