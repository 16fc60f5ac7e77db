"""What a paper is to the rest of the package: an episode, a reward, and words for the report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

from PIL import Image

from ..core.answers import bare_answer, matches
from ..core.geometry import Box, VisionGrid
from ..core.images import render
from ..core.outcome import Outcome
from ..core.questions import Option, Question
from ..core.turns import Episode

TargetKind = Literal["option", "number", "text", "judge", "box"]
"""How an answer is compared with the target: as `core.answers.matches` does, by a judge, or as a place."""

SEVERAL = 8
"""Images of a sample that a method takes which takes several; no stock image task has more than seven."""

Need = Literal["target_box"]
"""What a training row has to hold for a method."""

Render = Callable[..., Image.Image]
"""Makes views, as `core.images.render`; a host that plays many episodes of one image may share them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What an episode is about.

    Attributes:
        image: the original, RGB (`core.images.to_rgb`).
        question: what to answer (`core.questions.split_question`).
        hints: what else a row says, for methods that use it.
        others: further originals, for methods that take several (`Method.sources`); the question calls them
            ``[image 2]`` and so on where it speaks of them.
    """

    image: Image.Image
    question: Question
    hints: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Image.Image, ...] = ()

    @property
    def images(self) -> tuple[Image.Image, ...]:
        """All originals in order."""
        return (self.image, *self.others)


@dataclass(frozen=True, slots=True)
class Target:
    """What a trajectory is held against.

    Attributes:
        answer: the wanted answer; for ``option`` its letter.
        kind: how answers are compared with it.
        options: the choices; empty for an open question.
        box_source: where the evidence lies, pixels of the original; None if nobody knows.
    """

    answer: str
    kind: TargetKind
    options: tuple[Option, ...] = ()
    box_source: Box | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(TargetKind):
            raise ValueError(f"an answer kind is one of {', '.join(get_args(TargetKind))}, got {self.kind!r}")
        if not self.answer.strip():
            raise ValueError("the wanted answer is empty")

    def is_met_by(self, prediction: str, tolerance: float = 0.0) -> bool:
        """Whether an answer is right.

        Args:
            prediction: the text of an answer, thoughts and tags removed.
            tolerance: for number answers, the largest relative difference that still counts as equal.

        Raises:
            ValueError: the kind is ``judge``, which no rule decides, or ``box``, which is no text; or the target is not
                of its kind.
        """
        if self.kind == "box":
            raise ValueError("the row wants a box, and this method answers with text; train it with a grounding method")
        if self.kind == "judge":
            raise ValueError("an answer of kind 'judge' is compared by a judge")
        return matches(prediction, self.answer, self.kind, options=self.options, tolerance=tolerance)


@dataclass(frozen=True, slots=True)
class SeesAnswer:
    """To be found out: does a part of the original show what is asked for?

    Attributes:
        name: of the finding.
        region_source: the part, pixels of the original.
        by_rule: the verdict where nobody is asked; None if no rule can tell, as without a target box.
        tolerance: for number answers read from it, the largest relative difference that still counts as equal.
    """

    name: str
    region_source: Box
    by_rule: bool | None
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class IsSame:
    """To be found out: does an answer mean what is wanted? Only a judge can tell.

    Attributes:
        name: of the finding.
        given: the answer.
    """

    name: str
    given: str


Inquiry = SeesAnswer | IsSame
Findings = Mapping[str, bool]
"""What was found out, by the name of the inquiry."""


@dataclass(frozen=True, slots=True)
class Score:
    """A reward and all its parts.

    Attributes:
        total: what is learnt from.
        accuracy: whether the answer is right, 0 or 1.
        parts: by name, the same names for every trajectory of a method; None for one that nothing is known for.
    """

    total: float
    accuracy: float
    parts: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Story:
    """A method in the words of its report.

    Attributes:
        turns: titles of turns by name.
        shown: what each turn shows, in a word or two for legends, by the turn's name.
        parts: parts of the reward between 0 and 1, by name, and what each rewards.
        problems: kinds of problem and what each means.
        figures: the method's own figures (`Method.figures`) that are shares, by name, as the end of "so many …".
        values: what an outcome says under `Outcome.values`, by name, for readers.
        lead: what happens to a question, for readers who know nothing of it: HTML, one paragraph or more.
    """

    turns: Mapping[str, str] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """How verl's own tool loop finds that a policy played a method's first turn.

    Attributes:
        name: of the tool.
        marker: what a reply holds that calls it.
        call: a reply that calls it with arguments: a format with their names.
        uncalled: the problem of a trajectory that never called it.
    """

    name: str
    marker: str
    call: str
    uncalled: str


@dataclass(frozen=True, slots=True)
class Budget:
    """The most tokens that a conversation of a method takes, the words around its images aside.

    Attributes:
        first_tokens: visual tokens of the first message.
        later_tokens: visual tokens of all later messages together.
        written_tokens: all replies together.
        replies: most replies.
    """

    first_tokens: int
    later_tokens: int
    written_tokens: int
    replies: int = 1

    def response_tokens(self, wrapping_tokens: int) -> int:
        """What verl counts as the response: replies, and later messages.

        Args:
            wrapping_tokens: the words of a later message.
        """
        return self.written_tokens + self.later_tokens + (self.replies - 1) * wrapping_tokens


class Method(ABC):
    """A paper. An object of a subclass is registered: `methods.METHODS`, or the entry points ``ergo_plugins.methods``.

    Attributes:
        name: in records, in settings (``method=``) and before the names of metrics.
        config: a frozen dataclass; its fields are the model arguments and the keys of the yaml, with their defaults.
        reward: the same of the reward's weights.
        images: most images in a conversation, for each original of its sample.
        sources: most originals of a sample. With several each is held to the budget by itself.
        story: words for the report.
        needs: what every training row has to hold.
        tool: for methods that verl's own tool loop can play.
    """

    name: ClassVar[str]
    config: ClassVar[type[Any]]
    reward: ClassVar[type[Any]]
    images: ClassVar[int] = 1
    sources: ClassVar[int] = 1
    story: ClassVar[Story] = Story()
    needs: ClassVar[frozenset[Need]] = frozenset()
    tool: ClassVar[Tool | None] = None

    @abstractmethod
    def episode(self, sample: Sample, config: Any, grid: VisionGrid, *, render: Render = render) -> Episode:
        """One conversation about a sample: a generator of turns that is sent replies and returns an outcome."""

    @abstractmethod
    def score(self, outcome: Outcome, target: Target, findings: Findings, reward: Any) -> Score:
        """The reward of an outcome.

        Args:
            findings: an answer to each of `inquiries`.
        """

    def inquiries(self, outcome: Outcome, target: Target, reward: Any) -> tuple[Inquiry, ...]:
        """What has to be found out before `score`; by default whether an answer of kind ``judge`` is the wanted one."""
        return (IsSame("answer", outcome.answer),) if target.kind == "judge" and outcome.answer else ()

    def returned(self, outcome: Outcome, question: Question) -> str:
        """What a benchmark's scorer is handed."""
        return bare_answer(outcome.answer, question.options)

    def shape(self, scores: Sequence[Score], reward: Any) -> list[float]:
        """The totals of all rollouts of one prompt, in order; a method may weigh them against each other."""
        return [score.total for score in scores]

    def group_figures(self, scores: Sequence[Score], reward: Any) -> dict[str, float]:
        """What `shape` decided by for one prompt's rollouts, to be logged as means over prompts."""
        return {}

    def is_unlearnt(self, outcome: Outcome, reward: Any) -> bool:
        """Whether a trajectory is masked: it counts in its prompt's mean, and no token of it is learnt."""
        return False

    def signs(self, steps: Sequence[Mapping[str, float]]) -> Mapping[str, str]:
        """What goes wrong in training, by a short name, each with its figures.

        Args:
            steps: means of the parts of each step so far, the last one newest.
        """
        return {}

    def figures(self, outcomes: Iterable[Outcome]) -> dict[str, float | None]:
        """The method's own figures over many outcomes, beside `core.statistics.summarise`."""
        return {}

    def budget(self, config: Any) -> Budget | None:
        """The most tokens of a conversation; None if the method does not say, and a recipe's own lengths have to do."""
        return None

    def variant(self, config: Any) -> tuple[Method, Any]:
        """The method and configuration that a configuration asks for: usually these."""
        return self, config


def images_of(method: Method) -> int:
    """Most images that a conversation of a method may hold."""
    return method.images * method.sources


def is_right(
    outcome: Outcome, target: Target, findings: Findings, *, tolerance: float = 0.0, was_asked: bool = True
) -> bool:
    """Whether an answer is the wanted one, by rule or as the judge found.

    Args:
        was_asked: whether there was an inquiry about answers of kind ``judge``; one that weighs nothing needs none.

    Raises:
        KeyError: the judge's word is missing.
    """
    if target.kind == "judge":
        return bool(outcome.answer) and was_asked and findings["answer"]
    return target.is_met_by(outcome.answer, tolerance)
