"""The same engines and methods from Python: ``open_model("folder").ask(image, question)``."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from queue import SimpleQueue
from typing import Any, get_type_hints

from PIL import Image

from .core.geometry import Box
from .core.images import to_rgb
from .core.outcome import Outcome
from .core.questions import split_question
from .core.record import Entry, sample_key
from .core.turns import Episode, Partial, Reply, Turn, watched
from .engines import Engine, Job, open_engine, options_for_images, options_of
from .methods import DEFAULT, method_named
from .methods.base import Method, Sample
from .methods.prompts import read_prompts
from .outside.image_files import ImageValue, open_image, path_of
from .outside.journal import Journal, JournalMismatch
from .outside.published_prompts import prompts_path
from .outside.streamed import Views, decode_named, original

TASK = "ask"
"""What the questions of a journal are called, where no benchmark asks them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question.

    Attributes:
        outcome: everything that happened.
        image: the original as it was given.
    """

    outcome: Outcome
    image: ImageValue

    @property
    def answer(self) -> str:
        """Its text, tags removed; empty if there is none."""
        return self.outcome.answer

    @property
    def boxes(self) -> Mapping[str, Box | None]:
        """The method's boxes by name, pixels of the original."""
        return self.outcome.boxes

    def crop(self) -> Image.Image | None:
        """What the model saw in more detail, cut out of the original in full resolution; None without a crop.

        Raises:
            OSError: the image cannot be read any more.
        """
        box = self.outcome.box_source
        if box is None:
            return None
        x1, y1, x2, y2 = map(round, box.as_tuple())
        with open_image(self.image) as image:
            return to_rgb(image).crop((x1, y1, x2, y2))


class Model:
    """A model that is asked about images; also a context manager that closes it.

    Args:
        engine: carries turns to the model.
        method: how it is asked.
        config: of the method.
        decode: how originals are decoded (`outside.streamed.Decode`).

    Raises:
        NoLibvips: ``decode`` needs what is not installed.
        ValueError: there is no such way to decode.
    """

    def __init__(self, engine: Engine, method: Method, config: Any, *, decode: str = "exact") -> None:
        self.engine = engine
        self.method, self.config = method.variant(config)
        self.decode = decode_named(decode)
        self._views = Views(self.decode)

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the engine holds."""
        self.engine.close()

    def ask(self, image: ImageValue, question: str) -> Answer:
        """Ask one question. It waits for the answer, also inside a running event loop.

        Raises:
            OSError, ValueError: the image cannot be read, or the question is empty.
            EngineFault: the engine failed.
        """
        (answer,) = self.ask_many([(image, question)])
        return answer[1]

    def watch(self, image: ImageValue, question: str) -> Iterator[Turn | Partial | Reply | Answer]:
        """Ask one question and see how it goes: each turn as it is asked, its reply while it grows, the reply, and last
        the answer.

        A reply under way comes from an engine that can stream, as often as it is waited for: who is slower than the
        model is told of fewer, longer parts. The answer is the same as that of `ask`.

        Raises:
            OSError, ValueError, EngineFault: as of `ask`.
        """
        events: SimpleQueue[Turn | Partial | Reply | Answer | BaseException] = SimpleQueue()

        def play() -> None:
            try:
                outcome = self.engine.play_one(
                    lambda: watched(self._episode(image, question), events.put),
                    heard=lambda text: events.put(Partial(text)),
                )
            except BaseException as error:  # noqa: BLE001 - raised where the answer is waited for
                events.put(error)
            else:
                events.put(Answer(outcome, image))

        player = threading.Thread(target=play, name="ergo-watch", daemon=True)
        player.start()
        try:
            while True:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, Partial) and not events.empty():
                    continue  # what comes next holds it
                yield event
                if isinstance(event, Answer):
                    return
        finally:
            player.join()

    def ask_many(
        self, asked: Iterable[tuple[ImageValue, str]], *, journal: str | Path | None = None
    ) -> Iterator[tuple[int, Answer]]:
        """Ask many questions; each answer comes with its place in ``asked`` as soon as it is there.

        Images are opened when their turn has come. Stop iterating, and no further question is asked.

        Args:
            asked: images and questions.
            journal: a file that keeps each answer as it comes. Asked again with the same file, what is in it comes from
                there; ``ergo report`` reads it.

        Raises:
            OSError, ValueError, EngineFault: as of `ask`, the place of the question first in the message; what was
                answered before has come.
            JournalMismatch, JournalUnusable: the journal is of other questions or settings, or cannot be used.
        """
        kept = self._journal(journal) if journal is not None else None
        try:
            yield from self._asked(asked, kept)
        finally:
            if kept:
                kept.close()

    def _journal(self, path: str | Path) -> Journal:
        settings = {**self.engine.identity, "method": self.method.name, **asdict(self.config)}
        if self.decode != "exact":  # older journals, which say nothing of it, were decoded so
            settings["decode"] = self.decode
        return Journal(path, settings, [TASK])

    def _asked(self, asked: Iterable[tuple[ImageValue, str]], kept: Journal | None) -> Iterator[tuple[int, Answer]]:
        ended: SimpleQueue[tuple[int, Answer] | BaseException | None] = SimpleQueue()
        stopped = threading.Event()
        images: dict[str, tuple[int, ImageValue, str]] = {}

        def jobs() -> Iterator[Job]:
            for index, (image, question) in enumerate(asked):
                if stopped.is_set():
                    return
                entry = kept.entries.get(sample_key(TASK, "", index, 0)) if kept else None
                if entry is not None:
                    if entry.question != question:
                        was, now = f"{entry.question!r:.80}", f"{question!r:.80}"
                        raise JournalMismatch(
                            f"question {index} of the journal is {was}, and this one is {now}; give another journal="
                        )
                    ended.put((index, Answer(entry.outcome, image)))
                    continue
                images[f"question {index}"] = index, image, question
                yield Job(
                    f"question {index}",
                    lambda image=image, question=question: self._episode(image, question),  # type: ignore[misc]
                )

        def finished(job: Job, outcome: Outcome) -> None:
            index, image, question = images.pop(job.key)
            if kept:
                returned = self.method.returned(outcome, split_question(question))
                path = path_of(image)
                lies = str(path.resolve()) if path else None
                kept.append(Entry(TASK, "", index, 0, question, returned, outcome, image_path=lies))
            ended.put((index, Answer(outcome, image)))

        def play() -> None:
            try:
                self.engine.play_all(jobs(), finished)
            except BaseException as error:  # noqa: BLE001 - raised where the answers are waited for
                ended.put(error)
            else:
                ended.put(None)

        player = threading.Thread(target=play, name="ergo-ask", daemon=True)
        player.start()
        try:
            while (said := ended.get()) is not None:
                if isinstance(said, BaseException):
                    raise said
                yield said
        finally:
            stopped.set()
            player.join()

    def _episode(self, image: ImageValue, question: str) -> Episode:
        with open_image(image) as opened:
            sample = Sample(original(opened, self.decode), split_question(question))
        return self.method.episode(sample, self.config, self.engine.grid, render=self._views)


def open_model(
    model: str | Path, *, engine: str = "hf", method: str = DEFAULT, decode: str = "exact", **options: Any
) -> Model:
    """A model in a folder, on the hub, or behind a server.

    Args:
        model: folder, hub id, or the name that a server knows.
        engine: ``hf``, ``vllm`` or ``openai``.
        method: its name (`methods.known_methods`).
        decode: how originals are decoded: ``exact``, or, of JPEGs and with the extra ``fast``, ``stream`` or ``fast``.
        options: fields of the method's configuration (``prompts`` may be a file or a published name); all others
            are the engine's.

    Raises:
        ValueError: an unknown engine or method, or a value that is refused; ``decode`` needs what is not installed.
        TypeError: an option that neither has.
        OSError: there is no such model.
    """
    chosen = method_named(method)
    config, engine_options = configured(chosen, options)
    known = set(options_of(engine)) - {"model"}
    if strange := sorted(set(engine_options) - known):
        own = sorted(one.name for one in fields(chosen.config))
        raise TypeError(
            f"open_model has no option {', '.join(strange)}; the method {chosen.name} has {', '.join(own)}, "
            f"and the engine {engine} {', '.join(sorted(known))}"
        )
    images = options_for_images(engine, chosen.images)
    way = decode_named(decode)  # before the model is loaded
    return Model(open_engine(engine, model=str(model), **{**images, **engine_options}), chosen, config, decode=way)


def configured(method: Method, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A method's configuration from those options that are fields of it (``prompts`` may be a file), and the others.

    Raises:
        OSError, ValueError: a value is refused, or the prompts cannot be read.
    """
    own = {one.name for one in fields(method.config)}
    given = {name: value for name, value in options.items() if name in own}
    if isinstance(given.get("prompts"), str | Path):
        given["prompts"] = read_prompts(prompts_path(given["prompts"]), get_type_hints(method.config)["prompts"])
    return method.config(**given), {name: value for name, value in options.items() if name not in own}
