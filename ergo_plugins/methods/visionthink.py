"""VisionThink (arXiv 2507.13348): answer from a quarter of the pixels, and ask for all of them only when needed.

The first turn shows the image at half its sides and offers one tool, ``resize_image``. A reply that calls it is shown
the whole image as well, and answers then; of a sample with several images, all of them each time. The reward is
``accuracy + format``, less a penalty that depends on what all rollouts of a prompt did (`VisionThinkReward.rule`):
asking costs where the small image was enough, and guessing where it was not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, get_args

from ..core.control_tokens import spelled_out
from ..core.geometry import Size, VisionGrid, whole
from ..core.images import RESAMPLERS, render, size_of
from ..core.outcome import Outcome
from ..core.replies import parse_answer, shown
from ..core.turns import Episode, Reply, Turn, View, noticed, numbered, record, regions
from .base import SEVERAL, Budget, Findings, Inquiry, IsSame, Method, Render, Sample, Score, Story, Target, is_right
from .prompts import PromptTexts, fill, question_repairs

Ask = Literal["policy", "never", "always", "full"]
Views = Literal["ours", "reference"]
Newline = Literal["template", "reference"]
Rule = Literal["code", "paper", "conditional", "own"]

TOOL, ACTION = "resize_image", "resize"
QUARTER = 4
"""How many times fewer visual tokens the reduced image has."""

_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_TAGS = ("<think>", "</think>", "<answer>", "</answer>", "<tool_call>", "</tool_call>")


@dataclass(frozen=True, slots=True)
class VisionThinkPrompts(PromptTexts):
    """The words around a question; ``{image}`` is where the image stands.

    Attributes:
        system: offers the tool.
        ask: first turn, with the reduced image.
        more: second turn, with the whole image.
        error: second turn after a call that cannot be followed; ``{error}`` says why.
        direct_system, direct: the only turn with ``ask=never`` and ``ask=full``.
    """

    asks: ClassVar[tuple[str, ...]] = ("ask", "direct")
    checkout: ClassVar[Mapping[str, tuple[str, str]]] = {
        "system": ("verl/trainer/constants.py", "TOOL_AGENT_SYSTEM_PROMPT"),
        "ask": ("verl/utils/dataset/multimodal_dataset.py", "prompt_template_dict[tool_agent]"),
        "more": ("verl/trainer/constants.py", "TOOL_CALL_MULTI_TRUN_PROMPT"),
        "error": ("verl/trainer/constants.py", "ERROR_INFO_MULTI_TURN_PROMPT"),
        "direct_system": ("verl/trainer/constants.py", "GENERAL_QA_SYSTEM_PROMPT"),
    }
    around: ClassVar[Mapping[str, str]] = {
        "more": "<tool_response>\nThe image in full resolution:\n{image}\n</tool_response>\n{text}",
        "error": "<tool_response>\nERROR: {error}\n</tool_response>\n{text}",
    }

    system: str = (
        "You answer questions about images. An image first reaches you reduced in size. You have one tool:\n<tools>\n"
        '{"type": "function", "function": {"name": "resize_image", "description": "Shows the image in full resolution. '
        'Call it only if the reduced image does not show what the question needs.", "parameters": {"type": "object", '
        '"properties": {"action": {"type": "string", "enum": ["resize"]}}, "required": ["action"]}}}\n</tools>\n'
        "To call it, write\n<tool_call>\n"
        '{"name": "resize_image", "arguments": {"action": "resize"}}\n</tool_call>'
    )
    ask: str = (
        "Think in <think></think> about what this image shows. If it is enough, write the answer in <answer></answer>; "
        "if it is not, call the tool once. Put a choice or a number into \\boxed{}.\n{image}\n{question}"
    )
    more: str = (
        "<tool_response>\nThe image in full resolution:\n{image}\n</tool_response>\n"
        "Think in <think></think> about what both images show, then write the answer in <answer></answer>."
    )
    error: str = (
        "<tool_response>\nERROR: {error}\n</tool_response>\n"
        "Think in <think></think> about what went wrong, then write the answer in <answer></answer>."
    )
    direct_system: str = (
        "Think in <think></think> first, then write the answer in <answer></answer>. Put a choice or a number into "
        "\\boxed{}."
    )
    direct: str = "{image}\n{question}"

    def __post_init__(self) -> None:
        PromptTexts.__post_init__(self)
        for name in ("ask", "more", "direct"):
            if getattr(self, name).count("{image}") != 1:
                raise ValueError(f"the prompt {name!r} needs {{image}} once, where the image is to stand")


@dataclass(frozen=True, slots=True)
class VisionThinkConfig:
    """How the model is asked.

    Attributes:
        full_tokens: budget of visual tokens for the whole image; with several, for each of them.
        ask_new_tokens: most tokens of the first reply.
        answer_new_tokens: most tokens of the last reply.
        ask: ``policy`` lets the model decide; with ``never`` it answers from the reduced image, with ``full`` from the
            whole one, each in one turn without the tool; with ``always`` the whole image follows whatever it replied.
        views: ``ours`` makes the reduced image a quarter of the whole one's visual tokens; ``reference`` halves the
            sides of the original, as the authors' evaluation does.
        newline: ``reference`` begins the second message right behind the end of the first reply, as the authors' code
            does and their checkpoint was trained; ``template`` on a line of its own, as the chat template has it.
        resample: filter that makes the views, a name in `core.images.RESAMPLERS`.
        prompts: the words around the question.
    """

    full_tokens: int = 5349
    ask_new_tokens: int = 2048
    answer_new_tokens: int = 2048
    ask: Ask = "policy"
    views: Views = "ours"
    newline: Newline = "template"
    resample: str = "lanczos"
    prompts: VisionThinkPrompts = field(default_factory=VisionThinkPrompts)

    def __post_init__(self) -> None:
        for name in ("full_tokens", "ask_new_tokens", "answer_new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        words = {"ask": get_args(Ask), "views": get_args(Views), "newline": get_args(Newline)}
        for name, allowed in {**words, "resample": tuple(RESAMPLERS)}.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class VisionThinkReward:
    """What counts how much.

    Attributes:
        accuracy: weight of a right answer.
        format: weight of replies in their tags.
        penalty: what asking, or guessing, costs.
        theta: share of right direct answers from which the small image counts as enough.
        rule: how the rollouts of a prompt are weighed against each other. ``code``, as the authors' code does: a call
            always costs its share of the accuracy, and right direct answers cost as much where they are rare among all
            right ones. ``paper``, as the paper has it: direct answers cost where they are rare among right ones, calls
            where they are not. ``conditional``: the same, by the share of direct answers that are right, which says
            whether the small image is enough however many asked. ``own``: a call costs, whatever the others did.
        tolerance: for number answers, the largest relative difference that still counts as equal.
    """

    accuracy: float = 1.0
    format: float = 0.5
    penalty: float = 0.1
    theta: float = 0.2
    rule: Rule = "code"
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise ValueError(f"rule is one of {', '.join(get_args(Rule))}, got {self.rule!r}")
        for name, value in asdict(self).items():
            if name != "rule" and value < 0:
                raise ValueError(f"{name} is at least 0, got {value}")


class VisionThink(Method):
    """One turn, or two where the model asks."""

    name = "visionthink"
    config = VisionThinkConfig
    reward = VisionThinkReward
    images = 2
    sources = SEVERAL
    story = Story(
        turns={"reduced": "The reduced image", "full": "The whole image, asked for", "error": "A call that failed"},
        shown={"reduced": "reduced image", "full": "whole image", "error": "error"},
        parts={"accuracy": "answer right", "format": "well formed", "asked": "asked for the whole image"},
        problems={"reduced": "a call that cannot be followed", "answer": "none in the last reply"},
        figures={"asked": "asked for the whole image", "call_errors": "called in a way that cannot be followed"},
        values={
            "asked": "Asked for the whole image",
            "delivered": "Was shown it",
            "call_error": "Why its call could not be followed",
        },
        lead="""<p>A model that reads pictures was asked questions about images. It first sees each at <b>a quarter of
the pixels</b>. Where that is enough it answers; where it is not, it asks for the whole image, sees it as well, and
answers then.</p>""",
    )

    def episode(self, sample: Sample, config: Any, grid: VisionGrid, *, render: Render = render) -> Episode:
        """See the class."""
        sources, prompts, question = [size_of(image) for image in sample.images], config.prompts, sample.question.full
        hints = {} if sample.others else sample.hints  # a row's sizes are those of its only image
        reduced, full = zip(*(views(size, config, grid, hints) for size in sources), strict=True)

        def seen(sizes: Sequence[Size]) -> list[View]:
            return [
                View(render(image, whole(source), size, resample=config.resample), region)
                for image, source, size, region in zip(sample.images, sources, sizes, regions(sources), strict=True)
            ]

        offers = config.ask in ("policy", "always")
        first = Turn(
            name="full" if config.ask == "full" else "reduced",
            parts=_parts(
                prompts.ask if offers else prompts.direct,
                seen(full if config.ask == "full" else reduced),
                question,
                grid,
            ),
            system=fill(prompts.system if offers else prompts.direct_system, question, grid.coordinates),
            max_new_tokens=config.ask_new_tokens if offers else config.answer_new_tokens,
        )
        reply = yield first
        turns = [record(first, reply, grid)]
        problems = noticed(first, reply)
        asked, error = read_call(reply) if offers else (False, None)
        answer = parse_answer(reply.text)
        if asked or config.ask == "always":
            shows_error = error is not None and config.ask == "policy"
            if shows_error and error is not None:
                problems += (f"reduced: {error}",)
                told = fill(prompts.error, question, grid.coordinates).replace("{error}", spelled_out(error))
                parts: tuple[str | View, ...] = (told,)
            else:
                parts = _parts(prompts.more, seen(full), question, grid)
            second = Turn(
                name="error" if shows_error else "full",
                parts=parts,
                max_new_tokens=config.answer_new_tokens,
                on_new_line=config.newline == "template",
            )
            reply = yield second
            turns.append(record(second, reply, grid))
            problems += noticed(second, reply)
            answer = parse_answer(reply.text)
        return Outcome(
            method=self.name,
            source=sources[0],
            turns=tuple(turns),
            answer=answer.text,
            values={"asked": asked, "delivered": turns[-1].name == "full" and len(turns) == 2, "call_error": error},
            single_pass_tokens=sum(grid.tokens(grid.fit(size, grid.max_tokens)) for size in sources),
            repairs=question_repairs(question) + tuple(f"answer: {repair}" for repair in answer.repairs),
            problems=problems + ((f"answer: {answer.problem}",) if answer.problem else ()),
        )

    def budget(self, config: Any) -> Budget:
        """See `base.Budget`."""
        if config.ask in ("full", "never"):
            first = config.full_tokens // (1 if config.ask == "full" else QUARTER)
            return Budget(first, 0, config.answer_new_tokens)
        written = config.ask_new_tokens + config.answer_new_tokens
        return Budget(config.full_tokens // QUARTER, config.full_tokens, written, replies=2)

    def inquiries(self, outcome: Outcome, target: Target, reward: Any) -> tuple[Inquiry, ...]:
        """Whether an answer that only a judge can compare is right."""
        is_asked = target.kind == "judge" and outcome.answer and reward.accuracy > 0
        return (IsSame("answer", outcome.answer),) if is_asked else ()

    def score(self, outcome: Outcome, target: Target, findings: Findings, reward: Any) -> Score:
        """The reward of a rollout alone, as rule ``own`` has it; `shape` weighs it against the others of its prompt."""
        right = is_right(outcome, target, findings, tolerance=reward.tolerance, was_asked=reward.accuracy > 0)
        accuracy, form = float(right), r_format(outcome)
        asked = float(bool(outcome.values.get("asked")))
        return Score(
            total=reward.accuracy * accuracy * (1 - reward.penalty * asked) + reward.format * form,
            accuracy=accuracy,
            parts={
                "accuracy": accuracy,
                "format": form,
                "asked": asked,
                "delivered": float(bool(outcome.values.get("delivered"))),
                # for verl's filter of groups: equal in one exactly when no rule can tell its rollouts apart
                "signal": accuracy + 2 * form + 4 * asked,
            },
        )

    def shape(self, scores: Sequence[Score], reward: Any) -> list[float]:
        """The totals of a prompt's rollouts by `VisionThinkReward.rule`."""
        if reward.rule == "own":
            return [score.total for score in scores]
        return [
            reward.accuracy * _accuracy(score, scores, reward)
            + reward.format * (score.parts["format"] or 0.0)
            - _penalty(score, scores, reward)
            for score in scores
        ]

    def group_figures(self, scores: Sequence[Score], reward: Any) -> dict[str, float]:
        """What the rule decided by: the share of direct answers among right ones, or of right ones among direct."""
        share = enough(scores, reward.rule)
        return {} if share is None else {"enough": share}

    def figures(self, outcomes: Iterable[Outcome]) -> dict[str, float | None]:
        """How often it asked, and how often in vain."""
        values = [outcome.values for outcome in outcomes]
        if not values:
            return {"asked": None, "call_errors": None}
        return {
            "asked": sum(bool(value.get("asked")) for value in values) / len(values),
            "call_errors": sum(value.get("call_error") is not None for value in values) / len(values),
        }


VISIONTHINK = VisionThink()


def views(source: Size, config: VisionThinkConfig, grid: VisionGrid, hints: Mapping[str, Any]) -> tuple[Size, Size]:
    """``(reduced, full)`` views of an image, neither over its budget.

    Args:
        source: size of the original.
        config: budget and rule.
        grid: the model's.
        hints: ``tgt_width`` and ``tgt_height`` of a training row, followed with ``views=reference``.
    """
    full = grid.fit(source, config.full_tokens)
    if config.views == "ours":
        return grid.fit(source, max(grid.min_tokens, grid.tokens(full) // QUARTER)), full
    target = hints.get("tgt_width"), hints.get("tgt_height")
    if isinstance(target[0], int) and isinstance(target[1], int):
        small = Size(*target)  # type: ignore[arg-type]  # checked in the line above
        double = Size(2 * small.width, 2 * small.height)
        return grid.fit(small, config.full_tokens), grid.fit(double, config.full_tokens)
    small = Size(max(1, source.width // 2), max(1, source.height // 2))
    if min(small.width, small.height) < grid.factor:
        grow = grid.factor / min(small.width, small.height)
        small = Size(round(small.width * grow), round(small.height * grow))
    return grid.fit(small, config.full_tokens), full


def read_call(reply: Reply) -> tuple[bool, str | None]:
    """``(whether the tool was called, why the call cannot be followed)`` of a first reply.

    Only a closed pair of tags is a call: a lone one, as in a reply that was cut, is none, and the reply is the last.
    """
    calls = _CALL.findall(reply.text)
    if not calls:
        return False, None
    if len(calls) > 1:
        return True, f"{len(calls)} calls in one reply; write one"
    try:
        call = json.loads(calls[0])
    except (ValueError, RecursionError) as damage:
        return True, f"the call is no JSON ({damage})"
    if not isinstance(call, dict) or not isinstance(call.get("arguments"), dict):
        return True, 'a call is {"name": …, "arguments": {…}}'
    if call.get("name") != TOOL:
        return True, f"there is no tool {shown(str(call.get('name')))}; the only one is {TOOL}"
    if call["arguments"].get("action") != ACTION:
        return True, f"{TOOL} knows no action {shown(str(call['arguments'].get('action')))}, only {ACTION}"
    return True, None


def r_format(outcome: Outcome) -> float:
    """1 if every reply is a thought and then its answer or its call, each tag once.

    How the prompt itself began a reply belongs to it: where the template opens ``<think>``, no policy writes that tag.
    """
    if not outcome.turns:
        return 0.0
    *before, last = (turn.opened + turn.reply for turn in outcome.turns)
    is_called = all(_is_made_of(reply, "<tool_call>") and outcome.values.get("call_error") is None for reply in before)
    return float(is_called and _is_made_of(last, "<answer>"))


def _is_made_of(reply: str, opening: str) -> bool:
    """Whether a reply starts with a thought and ends with one other element, and has no third."""
    closing = opening.replace("<", "</")
    wanted = {"<think>", "</think>", opening, closing}
    text = reply.strip()
    counts = {tag: text.count(tag) for tag in _TAGS}
    if any(counts[tag] != (tag in wanted) for tag in _TAGS):
        return False
    in_order = text.index("</think>") < text.index(opening)
    return text.startswith("<think>") and text.endswith(closing) and in_order


def enough(scores: Sequence[Score], rule: Rule) -> float | None:
    """How far the small image was enough for a prompt, 0 to 1, in the eyes of a rule; None if nothing tells."""
    right = [score for score in scores if score.accuracy]
    direct = [score for score in scores if not score.parts["asked"]]
    right_direct = sum(bool(score.accuracy) for score in direct)
    of = direct if rule == "conditional" else right
    return right_direct / len(of) if of else None


def _accuracy(score: Score, scores: Sequence[Score], reward: VisionThinkReward) -> float:
    """Accuracy as the rule ``code`` diminishes it; the other rules take their penalty off the total."""
    if reward.rule != "code":
        return score.accuracy
    share = enough(scores, reward.rule) or 0.0
    costs = score.parts["asked"] or 0 < share < reward.theta
    return score.accuracy * (1 - reward.penalty * bool(costs))


def _penalty(score: Score, scores: Sequence[Score], reward: VisionThinkReward) -> float:
    share = enough(scores, reward.rule)
    if reward.rule == "code" or share is None:
        return 0.0
    costs = share >= reward.theta if score.parts["asked"] else share < reward.theta
    return reward.penalty * costs


def _parts(template: str, seen: Sequence[View], question: str, grid: VisionGrid) -> tuple[str | View, ...]:
    """A message with its images in the place of ``{image}``; what a question says of images stays words."""
    before, _, after = template.partition("{image}")
    first, second = (fill(text, question, grid.coordinates) for text in (before, after))
    return tuple(part for part in (first, *numbered(seen), second) if part != "")
