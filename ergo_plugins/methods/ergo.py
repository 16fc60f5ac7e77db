"""ERGO (arXiv 2509.21991): look at a reduced image, point at the evidence, see it in full detail, answer.

The reward asks: did the crop hold the evidence, was it small, is the answer right, are the replies well formed?
``R = tce * (alpha * r_region + beta * r_box) + accuracy * r_acc + format * r_format``, each ``r`` 0 or 1. With the
defaults this is the paper's ``R = r_TCE + r_acc + r_format``; every row of its ablation is a choice of these weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from PIL import Image

from ..core.geometry import Box, CropRules, Size, VisionGrid, to_source, whole
from ..core.images import RESAMPLERS, render, size_of
from ..core.outcome import CROP, Outcome
from ..core.questions import Question
from ..core.replies import Pointed, is_well_formed_answer, is_well_formed_box, parse_answer, parse_box
from ..core.turns import Episode, Reply, Turn, View, noticed, record
from .base import (
    Budget,
    Findings,
    Inquiry,
    IsSame,
    Method,
    Render,
    Sample,
    Score,
    SeesAnswer,
    Story,
    Target,
    Tool,
    is_right,
)
from .prompts import PromptTexts, fill, question_repairs
from .single_pass import SINGLE_PASS, SinglePassConfig, SinglePassPrompts

TAG = "zoom"
STOP_LOOKING = f"</{TAG}>"


def parse_look(reply: str) -> Pointed:
    """The box of a first-turn reply: ``<zoom>[x1, y1, x2, y2]</zoom>``; see `core.replies.parse_box`."""
    return parse_box(reply, TAG)


def is_well_formed_look(reply: str) -> bool:
    """Whether a first-turn reply is exactly one thought and one box; see `core.replies.is_well_formed_box`."""
    return is_well_formed_box(reply, TAG)


@dataclass(frozen=True, slots=True)
class Prompts(PromptTexts):
    """The words around a question.

    Attributes:
        system: system message; empty for none.
        look: first turn, beside the reduced image.
        answer: second turn, beside the crop.
        direct: the only turn with ``zoom=off``; by default the benchmark's own words.
    """

    asks: ClassVar[tuple[str, ...]] = ("look", "answer", "direct")
    constants: ClassVar[dict[str, str]] = {
        "system": "SYSTEM_PROMPT",
        "look": "QUESTION_TEMPLATE1",
        "answer": "QUESTION_TEMPLATE2",
    }

    system: str = (
        "You answer questions about large images. Each image first reaches you reduced in size; you may then look at "
        "one part of it in full detail before you answer."
    )
    look: str = (
        "{question}\n\n"
        "Do not answer yet. Think in <think></think> about which part of this image you have to see in full detail to "
        "answer. Then give the smallest box that holds everything you need as <zoom>[x1, y1, x2, y2]</zoom>, in "
        "{coordinates}, and stop."
    )
    answer: str = (
        "This is the part you asked for, in full detail.\n\n"
        "{question}\n\n"
        "Think in <think></think> about what both images show, then write nothing but the answer in <answer></answer>."
    )
    direct: str = "{question}"


@dataclass(frozen=True, slots=True)
class ZoomConfig:
    """How the zoom is run.

    Attributes:
        coarse_tokens: budget of visual tokens for the reduced image (for the only image when ``zoom`` is off).
        crop_tokens: budget of visual tokens for the crop.
        zoom_new_tokens: most tokens of the first reply.
        answer_new_tokens: most tokens of the second reply.
        stage1_question: the first turn sees the question's ``stem``, or the ``full`` text with its options.
        zoom: ``off`` runs the method ``single_pass`` instead, with the budget and the words of this configuration.
        resample: filter that makes the views, a name in `core.images.RESAMPLERS`.
        crop: what makes a box usable as a crop.
        prompts: the words around the question.
    """

    coarse_tokens: int = 640
    crop_tokens: int = 640
    zoom_new_tokens: int = 1024
    answer_new_tokens: int = 1024
    stage1_question: Literal["stem", "full"] = "stem"
    zoom: Literal["on", "off"] = "on"
    resample: str = "bicubic"
    crop: CropRules = field(default_factory=CropRules)
    prompts: Prompts = field(default_factory=Prompts)

    def __post_init__(self) -> None:
        for name in ("coarse_tokens", "crop_tokens", "zoom_new_tokens", "answer_new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        for name, allowed in (
            ("stage1_question", ("stem", "full")),
            ("zoom", ("on", "off")),
            ("resample", tuple(RESAMPLERS)),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}, got {getattr(self, name)!r}")


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


class Ergo(Method):
    """Two turns: look and answer."""

    name = "ergo"
    config = ZoomConfig
    reward = RewardConfig
    images = 2
    story = Story(
        turns={"look": "First look: where to zoom", "answer": "Answer"},
        shown={"look": "first look", "answer": "close-up"},
        parts={"region": "right place", "box": "small enough", "accuracy": "answer right", "format": "well formed"},
        problems={"look": "no usable box in the first reply", "answer": "none in the last reply"},
        lead="""<p>A model that reads pictures was asked questions about large images. Reading a large image in full
detail is expensive, so the model works in <b>two steps</b>. It first sees the whole picture reduced in size and marks
the part it needs, the <span class="ink-box">orange box</span>. Then it is shown only that part in full detail, and
answers.</p>""",
    )
    tool = Tool(name="zoom", marker="<zoom>", call="<zoom>{box}</zoom>", uncalled="look: no <zoom>")

    def episode(self, sample: Sample, config: Any, grid: VisionGrid, *, render: Render = render) -> Episode:
        """See `zoom_episode`."""
        return zoom_episode(sample.image, sample.question, config, grid, render=render)

    def budget(self, config: Any) -> Budget:
        """See `base.Budget`."""
        return Budget(
            config.coarse_tokens, config.crop_tokens, config.zoom_new_tokens + config.answer_new_tokens, replies=2
        )

    def inquiries(self, outcome: Outcome, target: Target, reward: Any) -> tuple[Inquiry, ...]:
        """Whether the crop holds the evidence, and for answers that only a judge can compare whether it is right."""
        asked: list[Inquiry] = []
        if reward.needs_region and outcome.box_source is not None:
            by_rule = None if target.box_source is None else covers(outcome, target.box_source, reward)
            asked.append(SeesAnswer("region", outcome.box_source, by_rule, reward.tolerance))
        if target.kind == "judge" and outcome.answer and reward.accuracy > 0:
            asked.append(IsSame("answer", outcome.answer))
        return tuple(asked)

    def score(self, outcome: Outcome, target: Target, findings: Findings, reward: Any) -> Score:
        """The paper's reward; its parts are unweighted, 0 or 1, and beside them stands what the crop was like.

        Raises:
            KeyError: a finding is missing.
            ValueError: the target is not of its kind.
        """
        right = is_right(outcome, target, findings, tolerance=reward.tolerance, was_asked=reward.accuracy > 0)
        was_asked = reward.needs_region and outcome.box_source is not None
        region = r_region(outcome, findings["region"] if was_asked else findings.get("region", False))
        box, accuracy, form = r_box(outcome, reward.gamma), r_acc(right), r_format(outcome)
        total = reward.tce * (reward.alpha * region + reward.beta * box) + reward.accuracy * accuracy
        return Score(
            total=total + reward.format * form,
            accuracy=accuracy,
            parts={
                "region": region,
                "box": box,
                "accuracy": accuracy,
                "format": form,
                "zoomed": float(outcome.box_source is not None),
                "area_ratio": outcome.area_ratio if outcome.area_ratio is not None else 1.0,
                "coverage": coverage(outcome, target.box_source) if target.box_source is not None else None,
            },
        )

    def variant(self, config: Any) -> tuple[Method, Any]:
        """The single pass, if the zoom is off."""
        if config.zoom == "on":
            return self, config
        return SINGLE_PASS, SinglePassConfig(
            coarse_tokens=config.coarse_tokens,
            answer_new_tokens=config.answer_new_tokens,
            resample=config.resample,
            prompts=SinglePassPrompts(config.prompts.direct),
        )


ERGO = Ergo()


def zoom_episode(
    image: Image.Image,
    question: Question,
    config: ZoomConfig,
    grid: VisionGrid,
    *,
    render: Callable[..., Image.Image] = render,
) -> Episode:
    """The two turns of ERGO on one image.

    A first reply without a usable box is no end: the second turn then shows the whole image inside the crop budget,
    and the outcome says so.

    Args:
        image: the original, RGB (`core.images.to_rgb`).
        question: what to answer (`core.questions.split_question`).
        config: budgets and prompts.
        grid: the model's vision grid and coordinates.
        render: makes the views, as `core.images.render`; a host that plays many episodes of one image may share them.
    """
    source = size_of(image)
    view = grid.fit(source, config.coarse_tokens)
    asked = question.stem if config.stage1_question == "stem" else question.full
    look = Turn(
        name="look",
        parts=(
            View(render(image, whole(source), view, resample=config.resample), whole(source)),
            fill(config.prompts.look, asked, grid.coordinates),
        ),
        system=fill(config.prompts.system, asked, grid.coordinates),
        max_new_tokens=config.zoom_new_tokens,
        stop=(STOP_LOOKING,),
    )
    reply = yield look
    first = record(look, reply, grid)
    box_view, box_source, repairs, problems = _pointed_at(look, reply, view, source, config, grid)

    region = box_source or whole(source)
    crop_view = grid.fit(Size(round(region.width), round(region.height)), config.crop_tokens)
    answer_turn = Turn(
        name="answer",
        parts=(
            View(render(image, region, crop_view, resample=config.resample), region),
            fill(config.prompts.answer, question.full, grid.coordinates),
        ),
        max_new_tokens=config.answer_new_tokens,
    )
    del image, render, look  # while the model answers, the original need not stay in memory for our sake
    reply = yield answer_turn
    answer = parse_answer(reply.text)
    problems += noticed(answer_turn, reply) + ((f"answer: {answer.problem}",) if answer.problem else ())
    return Outcome(
        method=ERGO.name,
        source=source,
        turns=(first, record(answer_turn, reply, grid)),
        answer=answer.text,
        boxes={CROP: box_source},
        values={"box_view": list(box_view.as_tuple()) if box_view else None},
        single_pass_tokens=grid.tokens(grid.fit(source, grid.max_tokens)),
        repairs=question_repairs(question.full) + repairs + tuple(f"answer: {repair}" for repair in answer.repairs),
        problems=problems,
    )


def _pointed_at(
    turn: Turn, reply: Reply, view: Size, source: Size, config: ZoomConfig, grid: VisionGrid
) -> tuple[Box | None, Box | None, tuple[str, ...], tuple[str, ...]]:
    """``(box_view, box_source, repairs, problems)`` of a first reply."""
    wrong = noticed(turn, reply)
    look = parse_look(reply.text)
    repairs = tuple(f"look: {repair}" for repair in look.repairs)
    if look.box_frame is None:
        return None, None, repairs, (*wrong, f"look: {look.problem}")
    frame = grid.frame(view)
    box_view = look.box_frame.scaled(view.width / frame.width, view.height / frame.height)
    box_source, mended = to_source(look.box_frame, frame, source, config.crop)
    if box_source is None:
        return box_view, None, repairs, (*wrong, f"look: the box lies outside the {view} view")
    return box_view, box_source, repairs + tuple(f"box: {repair}" for repair in mended), wrong


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
    assert view is not None, "the crop was shown"
    shown_px = min(target.width * view.width / crop.width, target.height * view.height / crop.height)
    return shown_px >= config.min_target_px
