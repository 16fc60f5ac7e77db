"""EGM (arXiv 2601.13633): find what an expression names. A small model that thinks grounds like a large one.

One turn over the whole image; the reply thinks and gives a box. The reward is the box's overlap with the truth, in one
of several shapes; with the defaults it is the paper's ``0.5 * [IoU >= 0.5] + 0.5 * IoU``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from ..core.geometry import VisionGrid, whole
from ..core.grounding import convention_of, expression_of, handed_over, iou, on_source, parse_located
from ..core.images import RESAMPLERS, render, size_of
from ..core.outcome import OBJECT, Outcome
from ..core.questions import Question
from ..core.turns import Episode, Turn, View, noticed, record
from .base import Budget, Findings, Inquiry, Method, Render, Sample, Score, Story, Target
from .prompts import PromptTexts, fill, question_repairs

Extent = Literal["modal", "amodal"]
"""The part of an object that can be seen, or all of it, hidden parts included."""

Shape = Literal["mix", "iou", "indicator", "sigmoid", "penalty", "normalized_exp"]
"""How a reward grows with the overlap; `EgmReward` says how each is reckoned."""

_WORD = re.compile(r"\S+")
_REPEATED = re.compile(r"(?<!\S)(\S+)(?:\s+\1(?!\S)){6}")


@dataclass(frozen=True, slots=True)
class EgmPrompts(PromptTexts):
    """The words around an expression.

    Attributes:
        modal: what can be seen of the object is asked for.
        amodal: all of it, hidden parts included.
    """

    asks: ClassVar[tuple[str, ...]] = ("modal", "amodal")

    modal: str = 'Where in the image is this: {question}? Give its box as JSON, "bbox_2d", in {coordinates}.'
    amodal: str = (
        'Where in the image is this: {question}? Give the box of the complete object as JSON, "bbox_2d", in '
        "{coordinates}, with the parts of it that something else hides."
    )


@dataclass(frozen=True, slots=True)
class EgmConfig:
    """How the model is asked.

    Attributes:
        view_tokens: budget of visual tokens for the image.
        answer_new_tokens: most tokens of the reply, the thought included.
        extent: ``modal`` asks for what can be seen of an object, ``amodal`` for all of it.
        asked: the prompt holds the ``expression`` alone, read out of a stock task's text, or the whole ``request``.
        resample: filter that makes the view, a name in `core.images.RESAMPLERS`.
        prompts: the words around the expression.
    """

    view_tokens: int = 16384
    answer_new_tokens: int = 4096
    extent: Extent = "modal"
    asked: Literal["expression", "request"] = "expression"
    resample: str = "bicubic"
    prompts: EgmPrompts = field(default_factory=EgmPrompts)

    def __post_init__(self) -> None:
        for name in ("view_tokens", "answer_new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        for name, allowed in (
            ("extent", get_args(Extent)),
            ("asked", ("expression", "request")),
            ("resample", tuple(RESAMPLERS)),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class EgmReward:
    """What counts how much.

    Attributes:
        shape: ``mix`` is ``alpha * [IoU >= threshold] + (1 - alpha) * IoU``; ``iou`` and ``indicator`` are its two
            halves alone; ``sigmoid`` is ``1 / (1 + exp(-8 * (IoU - threshold)))``; ``penalty`` is ``mix`` less
            ``per_50_words`` for every 50 words begun beyond ``free_words`` and ``repetition`` for a word that comes
            seven times in a row; ``normalized_exp`` is ``(1 - exp(-k * IoU)) / (1 - exp(-k))`` with ``k = ln 16``.
        threshold: overlap from which a box counts as right.
        alpha: weight of being right, in ``mix``.
        format: weight of a reply that is exactly a thought and one JSON box; the paper has none.
        free_words, per_50_words, repetition: see ``penalty``.
    """

    shape: Shape = "mix"
    threshold: float = 0.5
    alpha: float = 0.5
    format: float = 0.0
    free_words: int = 512
    per_50_words: float = 0.01
    repetition: float = 0.3

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise ValueError(f"shape is one of {', '.join(get_args(Shape))}, got {self.shape!r}")
        for name in ("threshold", "alpha"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, 0 to 1, got {getattr(self, name)}")
        for name in ("format", "free_words", "per_50_words", "repetition"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is at least 0, got {getattr(self, name)}")


class Egm(Method):
    """One turn: think and give a box."""

    name = "egm"
    config = EgmConfig
    reward = EgmReward
    needs = frozenset(("target_box",))
    story = Story(
        turns={"locate": "Where it is"},
        shown={"locate": "whole image"},
        parts={"accuracy": "box right", "iou": "overlap with the truth", "format": "well formed"},
        problems={"locate": "no usable box in the reply"},
        lead="""<p>A model that reads pictures was told what to look for, in words, and answered with a box round it,
the <span class="ink-box">orange box</span>. What counts is how much of that box and of the true one is common to
both.</p>""",
    )

    def episode(self, sample: Sample, config: Any, grid: VisionGrid, *, render: Render = render) -> Episode:
        """The expression beside the whole image."""
        source = size_of(sample.image)
        view = grid.fit(source, config.view_tokens)
        request = sample.question.full
        asked = expression_of(request) if config.asked == "expression" else request
        turn = Turn(
            name="locate",
            parts=(
                View(render(sample.image, whole(source), view, resample=config.resample), whole(source)),
                fill(getattr(config.prompts, config.extent), asked, grid.coordinates),
            ),
            max_new_tokens=config.answer_new_tokens,
        )
        reply = yield turn
        located = parse_located(reply.text)
        frame = grid.frame(view)
        box, mended = on_source(located.box_frame, frame, source) if located.box_frame else (None, ())
        problem = located.problem
        if located.box_frame is not None and box is None:
            problem = "the box lies outside the image"
        return Outcome(
            method=self.name,
            source=source,
            turns=(record(turn, reply, grid),),
            answer=handed_over(box, source, "json or null" if located.absent else "json"),
            boxes={OBJECT: box},
            values={
                "written": list(located.written) if located.written else None,
                "frame": [frame.width, frame.height],
                "absent": located.absent,
            },
            single_pass_tokens=grid.tokens(grid.fit(source, grid.max_tokens)),
            repairs=question_repairs(asked) + tuple(f"locate: {repair}" for repair in (*located.repairs, *mended)),
            problems=noticed(turn, reply) + ((f"locate: {problem}",) if problem else ()),
        )

    def returned(self, outcome: Outcome, question: Question) -> str:
        """The box in the convention that the request itself asks for; a benchmark's scorer reads no other."""
        if outcome.source is None:
            return "none"
        return handed_over(outcome.boxes.get(OBJECT), outcome.source, convention_of(question.full) or "json")

    def budget(self, config: Any) -> Budget:
        """See `base.Budget`."""
        return Budget(config.view_tokens, 0, config.answer_new_tokens)

    def inquiries(self, outcome: Outcome, target: Target, reward: Any) -> tuple[Inquiry, ...]:
        """Nothing: the truth is known."""
        return ()

    def score(self, outcome: Outcome, target: Target, findings: Findings, reward: Any) -> Score:
        """The overlap with the truth, in the shape that was chosen.

        Raises:
            ValueError: the target has no box.
        """
        if target.box_source is None:
            raise ValueError("grounding is rewarded by the box of the object, and the row has no target_box")
        overlap = iou(outcome.boxes.get(OBJECT), target.box_source)
        right = float(overlap >= reward.threshold)
        reply = outcome.turns[-1].reply if outcome.turns else ""
        form = float(bool(outcome.turns) and is_well_formed(outcome.turns[-1].opened + reply))
        words = sum(1 for _ in _WORD.finditer(reply))
        total = shaped(overlap, words, repeats=_REPEATED.search(reply) is not None, reward=reward)
        return Score(
            total=total + reward.format * form,
            accuracy=right,
            parts={
                "accuracy": right,
                "iou": overlap,
                "format": form,
                "located": float(outcome.boxes.get(OBJECT) is not None),
                "words": float(words),
            },
        )

    def figures(self, outcomes: Any) -> dict[str, float | None]:
        """The share of samples with a usable box."""
        found = [outcome.boxes.get(OBJECT) is not None for outcome in outcomes]
        return {"located": sum(found) / len(found) if found else None}


EGM = Egm()


def shaped(overlap: float, words: int, *, repeats: bool, reward: EgmReward) -> float:
    """The reward of an overlap; see `EgmReward`.

    Args:
        overlap: intersection over union.
        words: of the reply.
        repeats: whether a word comes seven times in a row.
        reward: the shape and its numbers.
    """
    right = float(overlap >= reward.threshold)
    if reward.shape == "iou":
        return overlap
    if reward.shape == "indicator":
        return right
    if reward.shape == "sigmoid":
        return 1 / (1 + math.exp(-8 * (overlap - reward.threshold)))
    if reward.shape == "normalized_exp":
        k = math.log(16)
        return (1 - math.exp(-k * overlap)) / (1 - math.exp(-k))
    mix = reward.alpha * right + (1 - reward.alpha) * overlap
    if reward.shape == "penalty":
        beyond = math.ceil(max(0, words - reward.free_words) / 50)
        return mix - reward.per_50_words * beyond - reward.repetition * repeats
    return mix


_WELL_FORMED = re.compile(
    r"\s*<think>(?:(?!</?think>).)*</think>\s*(?:```json\s*)?\[?\s*\{[^{}]*\"bbox_2d\"\s*:\s*"
    r"\[\s*[0-9]+(?:\s*,\s*[0-9]+){3}\s*\][^{}]*\}\s*\]?\s*(?:```)?\s*",
    re.DOTALL,
)


def is_well_formed(reply: str) -> bool:
    """Whether a reply is exactly one thought and one JSON object with a box of whole numbers, fenced or not."""
    return _WELL_FORMED.fullmatch(reply) is not None
