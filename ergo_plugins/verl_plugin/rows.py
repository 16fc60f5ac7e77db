"""What a row of a training set says, wherever verl hands it over: to the agent loop, the tool or the reward manager.

A row as ``ergo data`` writes it::

    data_source   str
    prompt        [{"role": "user", "content": "<image>" + question}]
    images        [{"image": path}]
    reward_model  {"style": "rule", "ground_truth": answer}
    extra_info    {"index", "image_path", "question", "answer_kind", "target_box": [x1, y1, x2, y2] or null}
    agent_name    "ergo_zoom"

Rows of other projects may lack ``image_path``, ``question``, ``answer_kind`` and ``target_box``: the first image and
the last user text of the prompt are taken, and multiple choice is recognised by its options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.geometry import Box
from ..core.questions import Question, split_question
from ..methods.ergo_reward import Target


class RowError(ValueError):
    """A row of the data set that cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One question about one image, and what a right trajectory is.

    Attributes:
        name: for messages: data source and index.
        image_path: of the original.
    """

    name: str
    image_path: str
    question: Question
    target: Target

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Row:
        """The row behind verl's columns.

        Raises:
            RowError: something is missing or does not fit together.
        """
        extra = dict(row.get("extra_info") or {})
        name = f"{row.get('data_source', 'row')} {extra.get('index', row.get('index', '?'))}"
        image_path = extra.get("image_path") or first_image(row.get("raw_prompt"))
        if not isinstance(image_path, str):
            raise RowError(f"{name}: no path of an image, neither extra_info.image_path nor in the prompt")
        try:
            question = split_question(extra.get("question") or last_text(row.get("raw_prompt")))
            target = Target(
                answer=str((row.get("reward_model") or {}).get("ground_truth") or ""),
                kind=extra.get("answer_kind") or ("option" if question.options else "text"),
                options=question.options,
                box_source=_box(extra.get("target_box")),
            )
        except ValueError as error:
            raise RowError(f"{name}: {error}") from error
        if target.kind == "option" and target.answer.strip("(). ").upper() not in question.letters:
            raise RowError(f"{name}: the answer {target.answer!r} is not among the options {question.letters}")
        return cls(name, image_path, question, target)


def _box(corners: Sequence[float] | None) -> Box | None:
    if corners is None or len(corners) == 0:
        return None
    if len(corners) != 4:
        raise ValueError(f"target_box is [x1, y1, x2, y2], got {list(corners)}")
    x1, y1, x2, y2 = (float(corner) for corner in corners)
    if not (x1 < x2 and y1 < y2):
        raise ValueError(f"target_box has no area: {list(corners)}")
    return Box(x1, y1, x2, y2)


def _parts(messages: Sequence[Mapping[str, Any]] | None) -> list[Mapping[str, Any]]:
    """The parts of all user messages; a plain text is one part."""
    parts: list[Mapping[str, Any]] = []
    for message in messages if messages is not None else ():
        if message.get("role") == "user":
            content = message["content"]
            parts += [{"type": "text", "text": content}] if isinstance(content, str) else list(content)
    return parts


def first_image(messages: Sequence[Mapping[str, Any]] | None) -> Any:
    """The first image of a prompt, usually its path; None if there is none."""
    return next((part.get("image") for part in _parts(messages) if part.get("type") == "image"), None)


def last_text(messages: Sequence[Mapping[str, Any]] | None) -> str:
    """The last text of the user's messages; empty if there is none."""
    texts = [str(part["text"]) for part in _parts(messages) if part.get("type") == "text"]
    return texts[-1].replace("<image>", "").strip() if texts else ""
