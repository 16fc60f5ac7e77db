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

from .geometry import Box, Size, VisionGrid, whole
from .images import size_of
from .outcome import Outcome, Shown, TurnRecord


@dataclass(frozen=True, slots=True)
class View:
    """An image in a message.

    Attributes:
        image: RGB pixels at exactly the size the model is to see; both sides multiples of the vision factor.
        region_source: which part of the original it shows, pixels of the original; None for another image.
    """

    image: Image.Image
    region_source: Box | None


@dataclass(frozen=True, slots=True)
class Turn:
    """One message from the user, waiting for the model's reply.

    Attributes:
        name: what the turn is for; names it in the record.
        parts: texts and images in the order in which they stand in the message.
        max_new_tokens: the reply is cut there.
        system: system message; only on a first turn, empty for none.
        stop: strings that end the reply; the reply includes the one that ended it.
        on_new_line: whether a later message begins on a line of its own behind the reply before it, as chat templates
            have it. Not, for a model that was trained without that newline.
    """

    name: str
    parts: tuple[str | View, ...]
    max_new_tokens: int
    system: str = ""
    stop: tuple[str, ...] = ()
    on_new_line: bool = True

    @property
    def views(self) -> tuple[View, ...]:
        """The images of the message with what they show, in order."""
        return tuple(part for part in self.parts if isinstance(part, View))

    @property
    def images(self) -> tuple[Image.Image, ...]:
        """The pixels of the message, in order."""
        return tuple(view.image for view in self.views)

    @property
    def text(self) -> str:
        """The words of the message."""
        return "".join(part for part in self.parts if isinstance(part, str))

    def content(self, image: Callable[[Image.Image], dict[str, Any]]) -> list[dict[str, Any]]:
        """The message's content as chat templates and servers take it.

        Args:
            image: makes the entry of an image.
        """
        return [{"type": "text", "text": part} if isinstance(part, str) else image(part.image) for part in self.parts]


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
        queued_s: how many of the seconds the engine let it wait before its first step.
        problems: what the engine found wrong with the reply, each a plain sentence; the method records them.
    """

    text: str
    finish: str = "stop"
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    new_tokens: int | None = None
    seconds: float | None = None
    opened: str = ""
    queued_s: float | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Partial:
    """A reply under way.

    Attributes:
        text: all of it so far, a beginning of what the `Reply` will hold. Asked again after an outage, the model begins
            again.
    """

    text: str


def regions(sources: Sequence[Size]) -> list[Box | None]:
    """What whole images show of the original: the first is the original itself, any further is another image."""
    return [whole(size) if number == 0 else None for number, size in enumerate(sources)]


def numbered(views: Sequence[View]) -> tuple[str | View, ...]:
    """Images as they stand in a message: one by itself, several under the names by which a question calls them."""
    if len(views) < 2:
        return tuple(views)
    parts: list[str | View] = []
    for number, view in enumerate(views, start=1):
        parts += [f"{image_mark(number)}\n", view, "\n"]
    return tuple(parts)


def image_mark(number: int) -> str:
    """The name of an image in the words of a sample with several, counted from 1."""
    return f"[image {number}]"


def record(turn: Turn, reply: Reply, grid: VisionGrid) -> TurnRecord:
    """A turn and its reply as they are kept; the pixels are not."""
    return TurnRecord(
        name=turn.name,
        shown=tuple(
            Shown(view.region_source, size_of(view.image), grid.tokens(size_of(view.image))) for view in turn.views
        ),
        reply=reply.text,
        finish=reply.finish,
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        new_tokens=reply.new_tokens,
        seconds=reply.seconds,
        opened=reply.opened,
        queued_s=reply.queued_s,
    )


def noticed(turn: Turn, reply: Reply) -> tuple[str, ...]:
    """What the engine found wrong with a reply, as problems of an outcome."""
    cut_short = (f"truncated: the {turn.name} reply reached its token cap",) if reply.finish == "length" else ()
    return cut_short + tuple(f"{turn.name}: {problem}" for problem in reply.problems)


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
    episodes: Sequence[Episode], ask_all: Callable[[list[tuple[int, Turn]]], Sequence[Reply]]
) -> list[Outcome]:
    """Play many episodes in lockstep: all first turns, then all second turns, and so on, however many each has.

    Args:
        episodes: not started.
        ask_all: given ``(index of the episode, its turn)``, returns one reply each, in order. Called with turns that
            are cut and stopped alike, so several times a round if they are not.
    """
    players = [Player(episode) for episode in episodes]
    waiting = [(i, turn) for i, player in enumerate(players) if (turn := player.start()) is not None]
    while waiting:
        alike: dict[tuple[int, tuple[str, ...]], list[tuple[int, Turn]]] = {}
        for i, turn in waiting:
            alike.setdefault((turn.max_new_tokens, turn.stop), []).append((i, turn))
        replies = {
            i: reply for asked in alike.values() for (i, _turn), reply in zip(asked, ask_all(asked), strict=True)
        }
        waiting = [(i, turn) for i, _turn in waiting if (turn := players[i].send(replies[i])) is not None]
    return [player.finished() for player in players]


def watched(episode: Episode, tell: Callable[[Turn | Reply], None]) -> Episode:
    """The same conversation, of which each turn is told before it is asked, and each reply before it is read."""
    player = Player(episode)
    turn = player.start()
    while turn is not None:
        tell(turn)
        reply = yield turn
        tell(reply)
        turn = player.send(reply)
    return player.finished()


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
