"""ERGO (arXiv 2509.21991): look at a reduced image, point at the evidence, see it in full detail, answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image

from ..core.control_tokens import spelled_out
from ..core.geometry import Box, Coordinates, CropRules, Size, VisionGrid, to_source, whole
from ..core.images import RESAMPLERS, render, size_of
from ..core.questions import Question
from ..core.replies import parse_answer, parse_look
from ..core.turns import Episode, Outcome, Reply, Turn, TurnRecord

METHOD = "ergo"
STOP_LOOKING = "</zoom>"
COORDINATES: dict[Coordinates, str] = {
    "absolute": "pixels of this image",
    "relative": "thousandths of its width and height (0 to 1000)",
}
"""What a prompt calls the frame of a model's boxes."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """The words around a question. ``{question}`` and ``{coordinates}`` are filled in; other braces stay.

    Attributes:
        system: system message; empty for none.
        look: first turn, beside the reduced image.
        answer: second turn, beside the crop.
        direct: the only turn of a single-pass run; by default the benchmark's own words.
    """

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

    def __post_init__(self) -> None:
        for name in ("look", "answer", "direct"):
            if "{question}" not in getattr(self, name):
                raise ValueError(f"the prompt {name!r} has no {{question}} in it")


@dataclass(frozen=True, slots=True)
class ZoomConfig:
    """How the zoom is run.

    Attributes:
        coarse_tokens: budget of visual tokens for the reduced image (for the only image when ``zoom`` is off).
        crop_tokens: budget of visual tokens for the crop.
        zoom_new_tokens: most tokens of the first reply.
        answer_new_tokens: most tokens of the second reply.
        stage1_question: the first turn sees the question's ``stem``, or the ``full`` text with its options.
        zoom: ``off`` runs the plain single-pass model instead, for comparison.
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


def zoom_episode(
    image: Image.Image,
    question: Question,
    config: ZoomConfig,
    grid: VisionGrid,
    *,
    render: Callable[..., Image.Image] = render,
) -> Episode:
    """The two turns of ERGO on one image; or one turn if ``config.zoom`` is off.

    A first reply without a usable box is no end: the second turn then shows the whole image inside the crop budget,
    and the outcome says so.

    Args:
        image: the original, RGB (`core.images.to_rgb`).
        question: what to answer (`core.questions.split_question`).
        config: budgets and prompts.
        grid: the model's vision grid and coordinates.
        render: makes the views, as `core.images.render`; a host that plays many episodes of one image may share them.
    """
    if config.zoom == "off":
        return (yield from _single_pass(image, question, config, grid, render))
    source = size_of(image)
    view = grid.fit(source, config.coarse_tokens)
    asked = question.stem if config.stage1_question == "stem" else question.full
    reply = yield Turn(
        name="look",
        image=render(image, whole(source), view, resample=config.resample),
        text=fill(config.prompts.look, asked, grid.coordinates),
        system=fill(config.prompts.system, asked, grid.coordinates),
        max_new_tokens=config.zoom_new_tokens,
        stop=(STOP_LOOKING,),
    )
    first = _record("look", view, grid, reply)
    box_view, box_source, repairs, problems = _pointed_at(reply, view, source, config, grid)

    region = box_source or whole(source)
    crop_view = grid.fit(Size(round(region.width), round(region.height)), config.crop_tokens)
    crop = render(image, region, crop_view, resample=config.resample)
    del image, render  # while the model answers, the original need not stay in memory for our sake
    reply = yield Turn(
        name="answer",
        image=crop,
        text=fill(config.prompts.answer, question.full, grid.coordinates),
        max_new_tokens=config.answer_new_tokens,
    )
    answer = parse_answer(reply.text)
    problems += _noticed("answer", reply) + ((f"answer: {answer.problem}",) if answer.problem else ())
    return Outcome(
        method=METHOD,
        source=source,
        turns=(first, _record("answer", crop_view, grid, reply)),
        answer=answer.text,
        box_view=box_view,
        box_source=box_source,
        single_pass_tokens=grid.tokens(grid.fit(source, grid.max_tokens)),
        repairs=_question_repairs(question) + repairs + tuple(f"answer: {repair}" for repair in answer.repairs),
        problems=problems,
    )


def _single_pass(
    image: Image.Image, question: Question, config: ZoomConfig, grid: VisionGrid, render: Callable[..., Image.Image]
) -> Episode:
    source = size_of(image)
    view = grid.fit(source, config.coarse_tokens)
    reply = yield Turn(
        name="answer",
        image=render(image, whole(source), view, resample=config.resample),
        text=fill(config.prompts.direct, question.full, grid.coordinates),
        max_new_tokens=config.answer_new_tokens,
    )
    answer = parse_answer(reply.text)  # tags are welcome, but a plain model is not asked for them
    return Outcome(
        method=METHOD,
        source=source,
        turns=(_record("answer", view, grid, reply),),
        answer=answer.text,
        single_pass_tokens=grid.tokens(grid.fit(source, grid.max_tokens)),
        repairs=_question_repairs(question),
        problems=_noticed("answer", reply) + (() if answer.text else ("answer: empty",)),
    )


def _pointed_at(
    reply: Reply, view: Size, source: Size, config: ZoomConfig, grid: VisionGrid
) -> tuple[Box | None, Box | None, tuple[str, ...], tuple[str, ...]]:
    """``(box_view, box_source, repairs, problems)`` of a first reply."""
    noticed = _noticed("look", reply)
    look = parse_look(reply.text)
    repairs = tuple(f"look: {repair}" for repair in look.repairs)
    if look.box_frame is None:
        return None, None, repairs, (*noticed, f"look: {look.problem}")
    frame = grid.frame(view)
    box_view = look.box_frame.scaled(view.width / frame.width, view.height / frame.height)
    box_source, mended = to_source(look.box_frame, frame, source, config.crop)
    if box_source is None:
        return box_view, None, repairs, (*noticed, f"look: the box lies outside the {view} view")
    return box_view, box_source, repairs + tuple(f"box: {repair}" for repair in mended), noticed


def _noticed(name: str, reply: Reply) -> tuple[str, ...]:
    """What the engine says of a reply."""
    cut_short = (f"truncated: the {name} reply reached its token cap",) if reply.finish == "length" else ()
    return cut_short + tuple(f"{name}: {problem}" for problem in reply.problems)


def _question_repairs(question: Question) -> tuple[str, ...]:
    if spelled_out(question.full) == question.full:
        return ()
    return ("question: a space was put into each <|name|>, which the model would have taken for a command",)


def _record(name: str, view: Size, grid: VisionGrid, reply: Reply) -> TurnRecord:
    return TurnRecord(
        name=name,
        view=view,
        visual_tokens=grid.tokens(view),
        reply=reply.text,
        finish=reply.finish,
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        new_tokens=reply.new_tokens,
        seconds=reply.seconds,
        opened=reply.opened,
    )


def fill(template: str, question: str, coordinates: Coordinates) -> str:
    """A prompt with its question, control tokens in it spelled out, and the frame in which boxes are written."""
    return template.replace("{coordinates}", COORDINATES[coordinates]).replace("{question}", spelled_out(question))
