"""What a row of a training set says, wherever verl hands it over: to the agent loop, the tool or the reward manager.

A row as ``ergo data`` writes it::

    data_source   str
    prompt        [{"role": "user", "content": "<image>" + question}]
    images        [{"image": path}]
    reward_model  {"style": "rule", "ground_truth": answer}
    extra_info    {"index", "image_path", "question", "answer_kind", "target_box": [x1, y1, x2, y2] or null}
    agent_name    "ergo_zoom"

Rows of other projects may lack ``image_path``, ``question``, ``answer_kind`` and ``target_box``: the image and the
texts of the prompt are taken, and the kind of the answer is told from it. Images may be paths, ``file://`` and
``data:`` URLs, bytes, ``{"bytes", "path"}`` or PIL images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from ..core.geometry import Box
from ..core.questions import Question, split_question
from ..methods.base import Target, TargetKind
from ..outside.image_files import ImageValue, path_of
from .ground_truth import box_of, checked, is_box, kind_of, wanted
from .messages import Said, read_messages, without_marks

IMAGE = "ergo_image"
"""Key, among a trajectory's extra fields, of the original for rewards that verl hands no prompt."""

QUESTION = "ergo_question"
"""Key of the question's text for the same reason."""


class RowError(ValueError):
    """A row of the data set that cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One question about one image, and what a right trajectory is.

    Attributes:
        data_source, index: which row of which data.
        image: the original; None where only a reward is computed and verl handed over no prompt.
        question: what is asked; a system message of the row is no part of it.
        system: the row's own system message, which the zoom does not use; empty for none.
        hints: all of ``extra_info``, for methods that use more of it.
    """

    data_source: str
    index: str
    image: ImageValue | None
    question: Question
    target: Target
    system: str = ""
    hints: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Row:
        """The row behind verl's columns.

        Raises:
            RowError: something is missing or does not fit together.
        """
        name = source = str(row.get("data_source", "row"))
        try:
            extra = _mapping("extra_info", row.get("extra_info"))
            index = str(extra.get("index", row.get("index", "?")))
            name += f" {index}"
            prompt = row.get("raw_prompt")
            said = None if prompt is None else read_messages(prompt)
            image = _image(extra, said)
            question = split_question(_question(extra, said))
            target, system = _target(row, extra, question), said.system if said else ""
            return cls(source, index, image, question, target, system, extra)
        except ValueError as error:
            raise RowError(f"{name}: {error}") from error

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.data_source} {self.index}"

    @property
    def image_path(self) -> str | None:
        """Where the original lies; None if it came as bytes or pixels."""
        path = None if self.image is None else path_of(self.image)
        return None if path is None else str(path)


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"{name} holds keys and values, got {value!r:.80}")
    return dict(value or {})


def _image(extra: Mapping[str, Any], said: Said | None) -> ImageValue | None:
    """The original: where the row says it lies, else what the prompt shows, else what the trajectory brought along."""
    images = said.images if said else ()
    if len(images) > 1:
        raise ValueError(f"the prompt shows {len(images)} images, and the zoom looks at one")
    path = extra.get("image_path")
    if path is not None and not (isinstance(path, str) and path):
        raise ValueError(f"extra_info.image_path is the path of a file, got {path!r:.80}")
    value = next((value for value in (path, *images, extra.get(IMAGE)) if value is not None), None)
    if value is None and said is not None:
        raise ValueError(
            "no image, neither in extra_info.image_path nor in the prompt (a column 'images' and '<image>')"
        )
    return cast("ImageValue | None", value)


def _question(extra: Mapping[str, Any], said: Said | None) -> str:
    given = (extra.get("question"), said.question if said else None, extra.get(QUESTION))
    question = next((text for text in given if text is not None), None)
    if question is None:
        raise ValueError(
            "no question: verl hands compute_score nothing of the prompt; add extra_info.question, or set "
            "reward.reward_manager.name=ergo"
        )
    if not isinstance(question, str):
        raise ValueError(f"extra_info.question is a text, got {question!r:.80}")  # noqa: TRY004
    return without_marks(question)


def _target(row: Mapping[str, Any], extra: Mapping[str, Any], question: Question) -> Target:
    truth, kind = _mapping("reward_model", row.get("reward_model")).get("ground_truth"), extra.get("answer_kind")
    if kind == "box" or (kind is None and is_box(truth)):
        box = _box(extra.get("target_box")) or box_of(truth, extra, str(row.get("data_source", "")))
        return Target(answer=str(list(box.as_tuple())), kind="box", box_source=box)
    answer = wanted(truth)
    kind = kind_of(answer, question.options) if kind is None else kind
    if kind not in get_args(TargetKind):
        raise ValueError(f"answer_kind is one of {', '.join(get_args(TargetKind))}, got {kind!r:.80}")
    return Target(
        answer=checked(answer, kind, question.options),
        kind=kind,
        options=question.options,
        box_source=_box(extra.get("target_box")),
    )


def _box(corners: Any) -> Box | None:
    corners = corners.tolist() if hasattr(corners, "tolist") else corners
    if corners is None or corners == []:
        return None
    numbers = isinstance(corners, list | tuple) and all(
        isinstance(corner, int | float) and not isinstance(corner, bool) and math.isfinite(corner) for corner in corners
    )
    if not numbers or len(corners) != 4:
        raise ValueError(f"target_box is [x1, y1, x2, y2], got {corners!r:.80}")
    x1, y1, x2, y2 = (float(corner) for corner in corners)
    if not (x1 < x2 and y1 < y2):
        raise ValueError(f"target_box has no area: {list(corners)}")
    return Box(x1, y1, x2, y2)
