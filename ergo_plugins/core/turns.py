"""One conversation with a model as a generator, whoever carries it.

A method (ERGO, and others after it) is a generator that yields a `Turn`, is sent the model's `Reply`, and returns an
`Outcome`. It does no input or output and never waits; a driver carries turns to a model and replies back. The three
drivers here differ only in how they wait: `play` for one conversation, `play_batch` for many in lockstep,
`play_async` for one of many that overlap.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from .geometry import Box, Size


@dataclass(frozen=True, slots=True)
class Turn:
    """One message from the user, waiting for the model's reply.

    Attributes:
        name: what the turn is for (``look``, ``answer``).
        image: RGB pixels at exactly the size the model is to see; both sides multiples of the vision factor.
        text: follows the image in the message.
        system: system message; only on a first turn, empty for none.
        max_new_tokens: the reply is cut there.
        stop: strings that end the reply; the reply includes the one that ended it.
    """

    name: str
    image: Image.Image
    text: str
    max_new_tokens: int
    system: str = ""
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered to a turn, and what it cost; None where the engine does not say.

    Attributes:
        text: the reply, stop string included, special tokens removed.
        finish: ``stop`` for a complete reply, ``length`` for one cut at its token cap.
        prompt_tokens: tokens of the whole conversation up to this reply, images included.
        cached_tokens: how many of them the engine took from its prefix cache.
        new_tokens: generated tokens.
        seconds: wall time from handing over the turn to the complete reply, queueing included.
        opened: how the prompt itself began the reply, as a chat template does that opens ``<think>``; usually empty.
        problems: what the engine found wrong with the reply, each a plain sentence; the method records them.
    """

    text: str
    finish: str = "stop"
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    new_tokens: int | None = None
    seconds: float | None = None
    opened: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A turn and its reply as they are kept: text, sizes and counts, no pixels.

    Attributes:
        view: size in pixels of the image this turn showed.
        visual_tokens: visual tokens of that image (earlier turns' images not counted again).
        reply: the model's text, unchanged.
        opened: how the prompt itself began the reply; the form of a reply is that of ``opened + reply``.
    """

    name: str
    view: Size
    visual_tokens: int
    reply: str
    finish: str
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    new_tokens: int | None = None
    seconds: float | None = None
    opened: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything worth keeping of one conversation, plain enough for JSON.

    Attributes:
        method: the method that produced it.
        source: size of the original; None if it could not be read.
        turns: in order; empty if the image could not be read.
        answer: the text of the answer, tags removed; empty if there is none.
        box_view: where the model pointed, in pixels of the first turn's view, before repairs; None if nowhere.
        box_source: the crop it was shown, whole pixels of the original; None when that was the whole image.
        single_pass_tokens: visual tokens the original takes in one pass at the model's own limit, for comparison.
        repairs: what had to be mended in the replies or the box.
        problems: what went wrong, each as ``kind: what``; kinds are ``image``, ``question``, ``look``, ``answer``,
            ``truncated``.
        seconds: wall time of the whole sample, decoding and resizing included, waiting for its turn left out; None if
            nobody measured it.
    """

    method: str
    source: Size | None = None
    turns: tuple[TurnRecord, ...] = ()
    answer: str = ""
    box_view: Box | None = None
    box_source: Box | None = None
    single_pass_tokens: int = 0
    repairs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def visual_tokens(self) -> int:
        """Visual tokens of all turns together."""
        return sum(turn.visual_tokens for turn in self.turns)

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
            "turns": [
                {
                    "name": turn.name,
                    "view": _plain_size(turn.view),
                    "visual_tokens": turn.visual_tokens,
                    "reply": turn.reply,
                    "finish": turn.finish,
                    "prompt_tokens": turn.prompt_tokens,
                    "cached_tokens": turn.cached_tokens,
                    "new_tokens": turn.new_tokens,
                    "seconds": turn.seconds,
                    "opened": turn.opened,
                }
                for turn in self.turns
            ],
            "answer": self.answer,
            "box_view": _plain_box(self.box_view),
            "box_source": _plain_box(self.box_source),
            "area_ratio": self.area_ratio,
            "visual_tokens": self.visual_tokens,
            "single_pass_tokens": self.single_pass_tokens,
            "repairs": list(self.repairs),
            "problems": list(self.problems),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Outcome:
        """The outcome that `to_json` wrote.

        Raises:
            KeyError, TypeError: the dictionary is not one of ours.
        """
        view_sizes = [_size(turn["view"]) for turn in plain["turns"]]
        return cls(
            method=plain["method"],
            source=_size(plain["source"]) if plain["source"] else None,
            turns=tuple(
                TurnRecord(**{**turn, "view": view}) for turn, view in zip(plain["turns"], view_sizes, strict=True)
            ),
            answer=plain["answer"],
            box_view=Box(*plain["box_view"]) if plain["box_view"] else None,
            box_source=Box(*plain["box_source"]) if plain["box_source"] else None,
            single_pass_tokens=plain["single_pass_tokens"],
            repairs=tuple(plain["repairs"]),
            problems=tuple(plain["problems"]),
            seconds=plain["seconds"],
        )


Episode = Generator[Turn, Reply, Outcome]
"""One conversation: yields turns, is sent replies, returns what came of it."""


@dataclass(slots=True)
class Player:
    """An episode and where it stands; what every driver is made of.

    Attributes:
        episode: a generator that has not been started.
        turn: the turn that waits for a reply; None before the start and after the end.
        outcome: None until the episode has ended.
    """

    episode: Episode
    turn: Turn | None = None
    outcome: Outcome | None = field(default=None)

    def start(self) -> Turn | None:
        """Run to the first turn; None if the episode ends without one."""
        return self._advance(lambda: next(self.episode))

    def send(self, reply: Reply) -> Turn | None:
        """Run from a reply to the next turn; None if the episode ends."""
        return self._advance(lambda: self.episode.send(reply))

    def _advance(self, step: Callable[[], Turn]) -> Turn | None:
        try:
            self.turn = step()
        except StopIteration as stop:
            self.turn, self.outcome = None, stop.value
        return self.turn

    def finished(self) -> Outcome:
        """The outcome of an episode that has ended."""
        if self.outcome is None:
            raise RuntimeError("the episode has not ended: a turn still waits for its reply")
        return self.outcome


def play(episode: Episode, ask: Callable[[Turn], Reply]) -> Outcome:
    """Play one episode to its end, asking the model in place."""
    player = Player(episode)
    turn = player.start()
    while turn is not None:
        turn = player.send(ask(turn))
    return player.finished()


def play_batch(
    episodes: Sequence[Episode],
    ask_all: Callable[[list[tuple[int, Turn]]], Sequence[Reply]],
    *,
    rounds: int = 2,
) -> list[Outcome]:
    """Play many episodes in lockstep: all first turns, then all second turns, and so on.

    Args:
        episodes: not started.
        ask_all: given ``(index of the episode, its turn)``, returns one reply each, in order. It is called exactly
            ``rounds`` times even when nothing is left to ask: a generation may be a collective among ranks.
        rounds: turns of the longest episode.

    Raises:
        RuntimeError: an episode has more turns than ``rounds``.
    """
    players = [Player(episode) for episode in episodes]
    waiting = [(i, turn) for i, player in enumerate(players) if (turn := player.start()) is not None]
    for _ in range(rounds):
        replies = ask_all(waiting)
        waiting = [
            (i, turn)
            for (i, _turn), reply in zip(waiting, replies, strict=True)
            if (turn := players[i].send(reply)) is not None
        ]
    return [player.finished() for player in players]


async def play_async(
    episode: Episode,
    ask: Callable[[Turn], Awaitable[Reply]],
    run: Callable[..., Awaitable[Any]],
) -> Outcome:
    """Play one of many episodes that overlap.

    Args:
        episode: not started.
        ask: carries a turn to the model.
        run: calls ``function(*arguments)`` that computes (resizing, cropping) without holding up the others, as
            ``asyncio.to_thread`` does.
    """
    player = Player(episode)
    turn = await run(player.start)
    while turn is not None:
        turn = await run(player.send, await ask(turn))
    return player.finished()


def _plain_size(size: Size | None) -> list[int] | None:
    return [size.width, size.height] if size else None


def _plain_box(box: Box | None) -> list[float] | None:
    return list(box.as_tuple()) if box else None


def _size(plain: Sequence[int]) -> Size:
    width, height = plain
    return Size(width, height)
