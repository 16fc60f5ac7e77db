"""Conversations as rows of verl's own SFT trainer, each checked with the processor of the model that will learn them.

A row has ``messages``, whose texts hold ``<image>`` where an image stands, and ``images``, the files of just the views
that were shown, in order. verl templates each message alone, trains on every assistant turn, and stops where that is
not what the chat template makes of the whole; a row that would stop it is refused here instead.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ..core.geometry import Size, VisionGrid
from ..core.images import size_of
from ..core.outcome import Outcome, TurnRecord
from ..core.turns import Episode, Player, Reply, Turn
from ..outside.processors import vision_grid
from .samples import BadSample

IMAGE_MARK = "<image>"
"""Where verl's data set puts an image into a text."""

_EATEN = (IMAGE_MARK, "<video>")
"""What verl takes for the place of an image or a video wherever it stands."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row before it is written.

    Attributes:
        name: names it in messages.
        turns: what was said to the model, in order.
        replies: what it said to each, the beginning that a chat template makes included.
    """

    name: str
    turns: tuple[Turn, ...]
    replies: tuple[str, ...]

    @property
    def images(self) -> list[Image.Image]:
        """The views of all turns, in order."""
        return [image for turn in self.turns for image in turn.images]

    def messages(self) -> list[dict[str, Any]]:
        """Messages whose contents are parts, as chat templates take them."""
        system = self.turns[0].system
        said: list[dict[str, Any]] = [{"role": "system", "content": [_text(system)]}] if system else []
        for turn, reply in zip(self.turns, self.replies, strict=True):
            said.append({"role": "user", "content": turn.content(lambda _image: {"type": "image"})})
            said.append({"role": "assistant", "content": [_text(reply)]})
        return said

    def row(self, source: str) -> dict[str, Any]:
        """The row, images as PNG files."""
        messages = [{"role": one["role"], "content": "".join(map(_marked, one["content"]))} for one in self.messages()]
        images = [{"bytes": _file(image)} for image in self.images]
        return {"messages": messages, "images": images, "name": self.name, "source": source}


def played_again(name: str, episode: Episode, replies: Sequence[str]) -> tuple[Conversation, Outcome]:
    """The conversation in which a model gave these replies.

    Args:
        name: names it in messages.
        episode: not started.
        replies: in order, each as a whole.

    Raises:
        BadSample: the conversation takes more or fewer turns than there are replies.
    """
    player, turns = Player(episode), list[Turn]()
    turn = player.start()
    for reply in replies:
        if turn is None:
            raise BadSample(name, "another conversation", f"it ends after {len(turns)} of {len(replies)} replies")
        turns.append(turn)
        turn = player.send(Reply(reply))
    if turn is not None:
        raise BadSample(name, "another conversation", f"it goes on after all {len(replies)} replies")
    return Conversation(name, tuple(turns), tuple(replies)), player.finished()


def same_as_played(name: str, played: Outcome, again: Outcome) -> None:
    """Make sure that a conversation that was played again showed what it showed the first time.

    Raises:
        BadSample: other turns, regions or views: other settings of the method, or another processor.
    """

    def shown(turns: Sequence[TurnRecord]) -> list[Any]:
        return [(turn.name, [(one.region_source, one.view) for one in turn.shown]) for turn in turns]

    was, now = shown(played.turns), shown(again.turns)
    if was != now:
        at, (one, other) = next(pair for pair in enumerate(zip(was, now, strict=True)) if pair[1][0] != pair[1][1])
        raise BadSample(
            name,
            "other views",
            f"turn {at + 1} showed {one} when it was played and shows {other} now: give the settings (--episode) and "
            "the processor (--model) of the run",
        )


class Template:
    """What a processor's chat template makes of rows, in the way in which verl puts them together.

    Args:
        processor: of the model that will learn them.
        max_length: most tokens of a row, ``data.max_length``.
    """

    def __init__(self, processor: Any, max_length: int) -> None:
        self.processor, self.max_length = processor, max_length
        self.grid: VisionGrid = vision_grid(processor)
        one, two = (self._ids([{"role": "user", "content": [_text("")]}] * count) for count in (1, 2))
        self._system = one[: 2 * len(one) - len(two)]

    def tokens(self, conversation: Conversation) -> int:
        """The length of a row in tokens, images included.

        Raises:
            BadSample: verl could not read it, or it would be changed, or it is too long.
        """
        name, messages = conversation.name, conversation.messages()
        for message in messages:
            for part in message["content"]:
                eaten = next((mark for mark in _EATEN if mark in part.get("text", "")), None)
                if eaten:
                    raise BadSample(name, "a mark of images in a text", f"a {message['role']} text holds {eaten}")
        sizes = [size_of(image) for image in conversation.images]
        for size in sizes:
            self._check_view(name, size)
        whole = self._ids(messages)
        joined: list[int] = []
        for at, message in enumerate(messages):
            alone = self._ids([message])
            joined += alone[len(self._system) :] if at and message["role"] != "system" else alone
        if joined != whole:
            raise BadSample(
                name,
                "the template changes it",
                "its messages templated one by one are not what the chat template makes of the whole, which verl "
                "refuses; templates of thinking models drop thoughts: give one that repeats messages as they are "
                "(--chat-template here, model.custom_chat_template in training)",
            )
        places = whole.count(self.processor.image_token_id)
        if places != len(sizes):
            raise BadSample(name, "images without a place", f"{len(sizes)} images, and {places} places for them")
        length = len(whole) - places + sum(map(self.grid.tokens, sizes))
        if length > self.max_length:
            raise BadSample(name, "too long", f"it has {length} tokens, more than --max-length {self.max_length}")
        return length

    def _check_view(self, name: str, size: Size) -> None:
        on_grid = size.width % self.grid.factor == 0 == size.height % self.grid.factor
        if not (on_grid and self.grid.min_tokens <= self.grid.tokens(size) <= self.grid.max_tokens):
            raise BadSample(
                name,
                "a view off the grid",
                f"a view of {size} is none of {self.grid.min_tokens} to {self.grid.max_tokens} squares of "
                f"{self.grid.factor} pixels, so the processor would change it once more",
            )

    def _ids(self, messages: list[dict[str, Any]]) -> list[int]:
        text: str = self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
        ids: list[int] = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _marked(part: dict[str, Any]) -> str:
    return IMAGE_MARK if part["type"] == "image" else str(part["text"])


def _file(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()
