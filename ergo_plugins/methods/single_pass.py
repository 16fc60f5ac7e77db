"""The plain model: the whole image within a budget, one question, one answer. All others are compared with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from ..core.geometry import VisionGrid, whole
from ..core.images import RESAMPLERS, render, size_of
from ..core.outcome import Outcome
from ..core.replies import parse_answer
from ..core.turns import Episode, Turn, View, noticed, numbered, record, regions
from .base import SEVERAL, Budget, Findings, Method, Render, Sample, Score, Story, Target, is_right
from .prompts import PromptTexts, fill, question_repairs


@dataclass(frozen=True, slots=True)
class SinglePassPrompts(PromptTexts):
    """The words around a question.

    Attributes:
        direct: the only turn; by default the benchmark's own words.
    """

    asks: ClassVar[tuple[str, ...]] = ("direct",)

    direct: str = "{question}"


@dataclass(frozen=True, slots=True)
class SinglePassConfig:
    """How the model is asked.

    Attributes:
        coarse_tokens: budget of visual tokens for the image; with several, for each of them.
        answer_new_tokens: most tokens of the reply.
        resample: filter that makes the view, a name in `core.images.RESAMPLERS`.
        prompts: the words around the question.
    """

    coarse_tokens: int = 16384
    answer_new_tokens: int = 1024
    resample: str = "bicubic"
    prompts: SinglePassPrompts = field(default_factory=SinglePassPrompts)

    def __post_init__(self) -> None:
        for name in ("coarse_tokens", "answer_new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        if self.resample not in RESAMPLERS:
            raise ValueError(f"resample is one of {', '.join(RESAMPLERS)}, got {self.resample!r}")


@dataclass(frozen=True, slots=True)
class SinglePassReward:
    """What counts.

    Attributes:
        accuracy: weight of a right answer.
        tolerance: for number answers, the largest relative difference that still counts as equal.
    """

    accuracy: float = 1.0
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 0:
                raise ValueError(f"{name} is at least 0, got {value}")


class SinglePass(Method):
    """One turn."""

    name = "single_pass"
    config = SinglePassConfig
    reward = SinglePassReward
    sources = SEVERAL
    story = Story(
        turns={"answer": "Answer"},
        shown={"answer": "whole image"},
        parts={"accuracy": "answer right"},
        problems={"answer": "none in the reply"},
        lead="""<p>A model that reads pictures was asked questions about images, each shown once and reduced in size
where needed, <b>without zooming in</b>. Such a run is the yardstick for runs that zoom.</p>""",
    )

    def episode(self, sample: Sample, config: Any, grid: VisionGrid, *, render: Render = render) -> Episode:
        """The question beside the whole image, or all of them."""
        sources = [size_of(image) for image in sample.images]
        views = [
            View(render(image, whole(size), grid.fit(size, config.coarse_tokens), resample=config.resample), region)
            for image, size, region in zip(sample.images, sources, regions(sources), strict=True)
        ]
        turn = Turn(
            name="answer",
            parts=(
                *numbered(views),
                fill(config.prompts.direct, sample.question.full, grid.coordinates),
            ),
            max_new_tokens=config.answer_new_tokens,
        )
        reply = yield turn
        answer = parse_answer(reply.text)  # tags are welcome, but a plain model is not asked for them
        return Outcome(
            method=self.name,
            source=sources[0],
            turns=(record(turn, reply, grid),),
            answer=answer.text,
            single_pass_tokens=sum(grid.tokens(grid.fit(size, grid.max_tokens)) for size in sources),
            repairs=question_repairs(sample.question.full),
            problems=noticed(turn, reply) + (() if answer.text else ("answer: empty",)),
        )

    def budget(self, config: Any) -> Budget:
        """See `base.Budget`."""
        return Budget(config.coarse_tokens, 0, config.answer_new_tokens)

    def score(self, outcome: Outcome, target: Target, findings: Findings, reward: Any) -> Score:
        """1 for the right answer, weighed."""
        accuracy = float(is_right(outcome, target, findings, tolerance=reward.tolerance))
        return Score(total=reward.accuracy * accuracy, accuracy=accuracy, parts={"accuracy": accuracy})


SINGLE_PASS = SinglePass()
