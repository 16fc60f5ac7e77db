"""A request of lmms-eval as a sample: its images, one question, opened when its turn has come."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ..core.geometry import Box
from ..core.questions import Option, Question, split_question
from ..core.record import sample_key
from ..core.turns import image_mark
from ..outside.encoded import opened_encoded
from ..outside.image_files import open_image
from ..outside.streamed import Decode, original
from ..usage import Told
from .damage import is_image_damage, missing_images
from .ending import described
from .undecoded import Undecoded

PADDING_FLAG = "__padding_only__"
"""lmms-eval marks requests with this that only keep ranks in step; their results are thrown away."""


class UnusableTask(Told):
    """A task that a method cannot run: it shows other than images, or more of them than the method takes."""


class UnusableSample(Exception):
    """A sample whose image is missing or damaged or whose question is empty: a fault of the data, counted as wrong.

    Attributes:
        kind: ``image`` or ``question``.
    """

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


class SampleFault(Exception):
    """A sample on which something failed that is not its data's fault; the message names the sample."""


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Give whatever nobody foresaw the name of the sample on which it happened.

    Raises:
        SampleFault: in place of any exception but those that are sentences already.
    """
    try:
        yield
    except (Told, SampleFault):
        raise
    except Exception as error:
        raise SampleFault(f"{key}: {described(error)}") from error


@dataclass(frozen=True, slots=True)
class Opened:
    """What a sample is about.

    Attributes:
        images: the originals, RGB, or as `outside.encoded` keeps them; at least one.
        question: what is asked.
        target_box_source: the column ``target_box`` of the document, where it has one; pixels of the original.
    """

    images: tuple[Image.Image, ...]
    question: Question
    target_box_source: Box | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One request.

    Attributes:
        task, split, doc_id, repeat: which document of the host, and the how-manieth time.
        context: what the host made for it beforehand; text unless the row is broken.
        decode: how its images are decoded; by all but ``exact`` perhaps later (`outside.encoded`).
    """

    task: str
    split: str
    doc_id: int
    repeat: int
    context: Any
    _docs: Any
    _doc_to_messages: Any
    decode: Decode = "exact"
    _undecoded: Undecoded | None = None

    @property
    def key(self) -> str:
        return sample_key(self.task, self.split, self.doc_id, self.repeat)

    @property
    def text(self) -> str:
        """The host's text; empty where it made something else, which `open` then refuses."""
        return self.context if isinstance(self.context, str) else ""

    def context_options(self) -> tuple[Option, ...]:
        """The options in the host's text, for a sample that could not be opened."""
        return () if _is_blank(self.text) else split_question(self.text).options

    @property
    def docs(self) -> Any:
        """The documents of its task."""
        return self._docs

    def image_count(self) -> int:
        """How many images it shows; they are decoded for it.

        Raises:
            UnusableSample, UnusableTask: as `open`.
        """
        return len(_contents(self.key, self._messages()[1])[0])

    def open(self) -> Opened:
        """Decode the images and take the question apart.

        Raises:
            UnusableSample: an image is missing or damaged, or the question is empty or no text.
            UnusableTask: the task has samples without an image or without a question.
        """
        row, messages = self._messages()
        images, texts = _contents(self.key, messages)
        if not images or not texts:
            raise UnusableTask(
                f"{self.key} has {len(images)} images and {len(texts)} texts; methods look at images and are asked a "
                "question"
            )
        question = _asked(texts)
        try:
            opened = [self._original(image) for image in images]
        except OSError as error:
            if error.errno is None or is_image_damage(error):
                raise UnusableSample("image", f"{type(error).__name__}: {error}") from error
            raise
        return Opened(tuple(opened), question, _target_box(row))

    def _original(self, value: Any) -> Image.Image:
        """An image of the messages, in RGB or encoded.

        Raises:
            OSError: it is missing or damaged.
        """
        return original(value if isinstance(value, Image.Image) else open_image(value), self.decode)

    def _messages(self) -> tuple[Any, Any]:
        """The document and the host's messages of it. It is read once: lmms-eval decodes its image at every access."""
        row = None
        try:
            if self._undecoded is None:
                row = self._docs[self.doc_id]
                return row, self._doc_to_messages(row)
            row = self._undecoded[self.doc_id]
            with opened_encoded():
                return row, self._doc_to_messages(row)
        except Exception as error:
            if is_image_damage(error):
                raise UnusableSample("image", f"{type(error).__name__}: {error}") from error
            missing = [] if row is None else missing_images(getattr(self._docs, "features", None), row)
            if missing:
                raise UnusableSample("image", f"there is none in {', '.join(missing)}") from error
            raise


def samples_of(requests: Sequence[Any], task_dict: Any, *, decode: Decode = "exact") -> list[Sample | None]:
    """The samples of lmms-eval's requests, in order; None for requests that only pad a rank.

    Args:
        decode: how images are decoded.
    """
    seen: Counter[tuple[str, str, int]] = Counter()
    undecoded: dict[tuple[str, str], Undecoded] = {}
    samples: list[Sample | None] = []
    for request in requests:
        if request.metadata.get(PADDING_FLAG):
            samples.append(None)
            continue
        context, doc_to_messages, _generation, doc_id, task, split = request.args
        docs, repeat = task_dict[task][split], seen[task, split, doc_id]
        if decode != "exact" and (task, split) not in undecoded:
            undecoded[task, split] = Undecoded(docs)
        of_task = undecoded.get((task, split))
        samples.append(Sample(task, split, doc_id, repeat, context, docs, doc_to_messages, decode, of_task))
        seen[task, split, doc_id] += 1
    return samples


def _contents(key: str, messages: Sequence[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """``(images, texts)`` of the host's chat messages.

    Where several images stand between texts, each leaves its name there: ``What is in [image 1] and not in [image 2]``.

    Raises:
        UnusableTask: messages of other roles, or other media.
    """
    images: list[Any] = []
    texts: list[Any] = []
    marks: list[int] = []  # where among the texts an image stands
    for message in messages:
        if message["role"] != "user":
            raise UnusableTask(f"{key}: a {message['role']} message in a task; the zoom writes its own conversation")
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "image":
                images.append(part["url"])
                marks.append(len(texts))
            elif part["type"] == "text":
                texts.append(part["text"])
            else:
                raise UnusableTask(f"{key}: a task with {part['type']} input; the zoom works on images")
    if len(images) > 1 and marks[-1] > 0:
        texts = _with_marks(texts, marks)
    return images, texts


def _with_marks(texts: Sequence[Any], marks: Sequence[int]) -> list[Any]:
    """Texts with the name of each image behind the text that it follows, on the same line: it may be an option's."""
    named = ["", *texts]
    for number, at in enumerate(marks, start=1):
        if isinstance(named[at], str):  # what is no text is refused later
            named[at] = f"{named[at]} {image_mark(number)}".lstrip()
    return named if named[0] else named[1:]


def _target_box(row: Any) -> Box | None:
    """Where the evidence lies, if the document says it as our own tasks do; stock tasks have no such column."""
    corners = row.get("target_box") if isinstance(row, Mapping) else None
    if not isinstance(corners, list | tuple) or len(corners) != 4:
        return None
    x1, y1, x2, y2 = map(float, corners)
    return Box(x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _asked(texts: Sequence[Any]) -> Question:
    """The question in the texts of a message.

    Raises:
        UnusableSample: they are no text, or nothing can be seen in them.
    """
    for text in texts:
        if not isinstance(text, str):
            raise UnusableSample("question", f"text was wanted, got {text!r:.80}")
    joined = "\n".join(texts)
    if _is_blank(joined):
        raise UnusableSample("question", "empty")
    return split_question(joined)


def _is_blank(text: str) -> bool:
    """Whether a text holds nothing but spaces, line ends and characters without ink."""
    return all(unicodedata.category(character)[0] in "ZC" for character in text)
