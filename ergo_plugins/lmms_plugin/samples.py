"""A request of lmms-eval as a sample: one image, one question, opened when its turn has come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ..core.images import to_rgb
from ..core.questions import Option, Question, split_question
from ..image_files import open_image
from .journal import sample_key

PADDING_FLAG = "__padding_only__"
"""lmms-eval marks requests with this that only keep ranks in step; their results are thrown away."""


class UnusableTask(Exception):
    """A task that the zoom cannot run: not one image and one question a sample."""


class UnreadableImage(Exception):
    """A sample whose image is missing or damaged: a fault of the data, counted as a wrong answer."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request.

    Attributes:
        task, split, doc_id, repeat: which document of the host, and the how-manieth time.
        context: the text the host made for it beforehand.
    """

    task: str
    split: str
    doc_id: int
    repeat: int
    context: str
    _docs: Any
    _doc_to_messages: Any

    @property
    def key(self) -> str:
        return sample_key(self.task, self.split, self.doc_id, self.repeat)

    def context_options(self) -> tuple[Option, ...]:
        """The options in the host's text, for a sample that could not be opened."""
        return split_question(self.context).options if self.context.strip() else ()

    def open(self) -> tuple[Image.Image, Question]:
        """Decode the image and take the question apart.

        The document is read once: lmms-eval decodes its image anew at every access.

        Raises:
            UnreadableImage: the image is missing or damaged.
            UnusableTask: the task does not have one image and one question a sample.
        """
        try:
            messages = self._doc_to_messages(self._docs[self.doc_id])
        except Exception as damage:  # the host's decoding of one row: whatever it raises, this row is unreadable
            raise UnreadableImage(f"{type(damage).__name__}: {damage}") from damage
        images, texts = _contents(messages)
        if len(images) != 1 or not texts:
            raise UnusableTask(
                f"{self.key} has {len(images)} images and {len(texts)} texts; the zoom works on tasks with one image "
                "and one question a sample"
            )
        try:
            image = to_rgb(images[0] if isinstance(images[0], Image.Image) else open_image(images[0]))
        except OSError as damage:
            raise UnreadableImage(f"{type(damage).__name__}: {damage}") from damage
        return image, split_question("\n".join(texts))


def samples_of(requests: Sequence[Any], task_dict: Any) -> list[Sample | None]:
    """The samples of lmms-eval's requests, in order; None for requests that only pad a rank."""
    seen: Counter[tuple[str, str, int]] = Counter()
    samples: list[Sample | None] = []
    for request in requests:
        if request.metadata.get(PADDING_FLAG):
            samples.append(None)
            continue
        context, doc_to_messages, _generation, doc_id, task, split = request.args
        samples.append(
            Sample(task, split, doc_id, seen[task, split, doc_id], context, task_dict[task][split], doc_to_messages)
        )
        seen[task, split, doc_id] += 1
    return samples


def _contents(messages: Sequence[dict[str, Any]]) -> tuple[list[Any], list[str]]:
    """``(images, texts)`` of the host's chat messages.

    Raises:
        UnusableTask: messages of other roles, or other media.
    """
    images, texts = [], []
    for message in messages:
        if message["role"] != "user":
            raise UnusableTask(f"a {message['role']} message in a task; the zoom writes its own conversation")
        for part in message["content"]:
            if part["type"] == "image":
                images.append(part["url"])
            elif part["type"] == "text":
                texts.append(part["text"])
            else:
                raise UnusableTask(f"a task with {part['type']} input; the zoom works on images")
    return images, texts
