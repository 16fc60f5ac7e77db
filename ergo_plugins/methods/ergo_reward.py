"""ERGO's reward: did the crop hold the evidence, was it small, is the answer right, are the replies well formed.

``R = tce * (alpha * r_region + beta * r_box) + accuracy * r_acc + format * r_format``, each ``r`` 0 or 1. With the
defaults this is the paper's ``R = r_TCE + r_acc + r_format``; every row of its ablation is a choice of these weights.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from ..core.answers import matches
from ..core.geometry import Box
from ..core.questions import Option
from ..core.replies import is_well_formed_answer, is_well_formed_look
from ..core.turns import Outcome

TargetKind = Literal["option", "number", "text", "judge"]
"""How an answer is compared with the target: as `core.answers.matches` does, or by a judge who reads both."""


@dataclass(frozen=True, slots=True)
class RewardConfig:
    """What counts how much.

    Attributes:
        alpha: weight of r_region inside r_TCE.
        beta: weight of r_box inside r_TCE.
        gamma: largest share of the original's area a crop may have and still earn r_box.
        tce: weight of r_TCE.
        accuracy: weight of r_acc.
        format: weight of r_format.
        min_coverage: when rules verify the region, the share of the target box that the crop must cover.
        min_target_px: when rules verify the region, the shortest side the target must have in the view the policy saw
            of the crop, pixels: a target too small to be read is not shown. 0 asks for nothing.
        tolerance: for number answers, the largest relative difference that still counts as equal.
    """

    alpha: float = 1.0
    beta: float = 0.5
    gamma: float = 0.6
    tce: float = 1.0
    accuracy: float = 1.0
    format: float = 1.0
    min_coverage: float = 0.9
    min_target_px: float = 0.0
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 0:
                raise ValueError(f"{name} is at least 0, got {value}")
        for name in ("gamma", "min_coverage"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} is a share, 0 to 1, got {getattr(self, name)}")

    @property
    def needs_region(self) -> bool:
        """Whether anybody has to verify the region at all."""
        return self.tce > 0 and self.alpha > 0


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

    def is_met_by(self, prediction: str, config: RewardConfig) -> bool:
        """Whether an answer is right.

        Raises:
            ValueError: the kind is ``judge``, which no rule decides; or the target is not of its kind.
        """
        if self.kind == "judge":
            raise ValueError("an answer of kind 'judge' is compared by a judge")
        return matches(prediction, self.answer, self.kind, options=self.options, tolerance=config.tolerance)


@dataclass(frozen=True, slots=True)
class Score:
    """A reward and all its parts; the parts are unweighted, 0 or 1."""

    total: float
    region: float
    box: float
    accuracy: float
    format: float

    def as_dict(self) -> dict[str, float]:
        """The parts by name, ``total`` included; the same keys for every trajectory."""
        return asdict(self)


def r_region(outcome: Outcome, region_correct: bool) -> float:
    """1 if a judge answers rightly from the crop alone; 0 without a usable box, whatever the judge says."""
    return float(region_correct and outcome.box_source is not None)


def r_box(outcome: Outcome, gamma: float) -> float:
    """1 if there is a crop and it takes at most ``gamma`` of the original's area."""
    ratio = outcome.area_ratio
    return float(ratio is not None and ratio <= gamma)


def r_acc(answer_correct: bool) -> float:
    """1 for the right answer."""
    return float(answer_correct)


def r_format(outcome: Outcome) -> float:
    """1 if there is a usable box and both replies are exactly a thought and what was asked for, each in its tags.

    How the prompt itself began a reply belongs to it: where the template opens ``<think>``, no policy writes that tag.
    """
    if outcome.box_source is None or len(outcome.turns) != 2:
        return 0.0
    look, answer = (turn.opened + turn.reply for turn in outcome.turns)
    return float(is_well_formed_look(look) and is_well_formed_answer(answer))


def coverage(outcome: Outcome, target: Box) -> float:
    """Target Coverage: the share of the target box that the crop covers, 0 to 1; 0 without a crop.

    Reported beside the crop's area ratio: a crop of the whole image covers everything.
    """
    return target.coverage_by(outcome.box_source) if outcome.box_source is not None else 0.0


def covers(outcome: Outcome, target: Box, config: RewardConfig) -> bool:
    """Whether the crop shows the target by rule: covered, and large enough in the view that the policy saw."""
    crop = outcome.box_source
    if crop is None or len(outcome.turns) < 2 or coverage(outcome, target) < config.min_coverage:
        return False
    view = outcome.turns[-1].view
    shown_px = min(target.width * view.width / crop.width, target.height * view.height / crop.height)
    return shown_px >= config.min_target_px


def score(
    outcome: Outcome,
    target: Target,
    region_correct: bool,
    config: RewardConfig,
    *,
    answer_correct: bool | None = None,
) -> Score:
    """The reward of a trajectory.

    Args:
        outcome: what happened.
        target: what was wanted.
        region_correct: whether the crop holds the evidence, as a judge or a rule found.
        config: weights and thresholds.
        answer_correct: for targets of kind ``judge``, what the judge says of the answer.

    Raises:
        ValueError: a judge's word on the answer is missing, or the target is not of its kind.
    """
    if target.kind == "judge" and answer_correct is None:
        raise ValueError("the target's kind is 'judge' and answer_correct, the judge's word, is missing")
    right = target.is_met_by(outcome.answer, config) if answer_correct is None else answer_correct
    region, box = r_region(outcome, region_correct), r_box(outcome, config.gamma)
    accuracy, form = r_acc(right), r_format(outcome)
    total = config.tce * (config.alpha * region + config.beta * box) + config.accuracy * accuracy + config.format * form
    return Score(total=total, region=region, box=box, accuracy=accuracy, format=form)
