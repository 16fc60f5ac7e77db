"""Thinking with images: look at parts of an image in full detail, several times, then answer.

One conversation for the protocols of Qwen3-VL's zoom tool, DeepEyes and Mini-o3, as text: no server has to know of
tools. Every part that is shown is a box on the original, so a zoom into a zoom loses no resolution, and whatever
frame a model writes in is mapped. A call that cannot be followed is told why; the last turn has to answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, get_args

from ..core.control_tokens import spelled_out
from ..core.geometry import RELATIVE_EXTENT, Box, CropRules, Size, VisionGrid, to_source, whole
from ..core.images import RESAMPLERS, render, size_of
from ..core.outcome import CROP, Outcome, TurnRecord
from ..core.replies import parse_answer
from ..core.turns import Episode, Turn, View, noticed, record
from .base import Budget, Findings, Inquiry, IsSame, Method, Render, Sample, Score, SeesAnswer, Story, Target, is_right
from .prompts import PromptTexts, fill, question_repairs
from .tool_calls import PROFILES, Call, Profile, ProfileName, read_calls, without_calls

OverTurns = Literal["learn", "mask"]

MOST_TURNS = 12
"""Most replies in a conversation, and so most images: the first one and one after each reply but the last."""

TURNS_LOGGED = 6
"""Parts of a reward tell of so many turns one by one."""


@dataclass(frozen=True, slots=True)
class ToolZoomPrompts(PromptTexts):
    """The words around a question; ``{call}`` and ``{frame}`` are the profile's.

    Attributes:
        system: offers the zoom.
        ask: first turn, after the image.
        more: after a part that was asked for.
        last: the same, before the last reply.
        error: after a call that cannot be followed; ``{error}`` says why.
    """

    asks: ClassVar[tuple[str, ...]] = ("ask",)
    constants: ClassVar[Mapping[str, str]] = {  # DeepEyes': its code says the same after each part
        "system": "PROMPT.SYSTEM_PROMPT_V2",
        "ask": "PROMPT.USER_PROMPT_V2",
        "more": "PROMPT.USER_PROMPT_V2",
        "last": "PROMPT.USER_PROMPT_V2",
    }
    around: ClassVar[Mapping[str, str]] = {"ask": "{question}{text}"}

    system: str = (
        "You answer questions about images. You may look at a part of an image in full detail, as often as you need. "
        "To do so, end your reply with\n{call}\nwhere the box is in {frame}."
    )
    ask: str = (
        "{question}\n\n"
        "Think in <think></think>, then look at a part of the image, or write the answer in <answer></answer>."
    )
    more: str = "Think in <think></think>, then look at another part, or write the answer in <answer></answer>."
    last: str = "This was the last part. Think in <think></think>, then write the answer in <answer></answer>."
    error: str = "ERROR: {error}"

    def __post_init__(self) -> None:
        PromptTexts.__post_init__(self)
        if "{error}" not in self.error:
            raise ValueError("the prompt 'error' has no {error} in it")


@dataclass(frozen=True, slots=True)
class ToolZoomConfig:
    """How the conversation is run.

    Attributes:
        profile: whose calls are read and answered.
        view_tokens: budget of visual tokens for the first image.
        crop_tokens: the same for each part.
        all_tokens: the same for all images of a conversation; a part gets what is left of it.
        turns: most replies.
        answer_new_tokens: most tokens of each reply.
        resample: filter that makes the views, a name in `core.images.RESAMPLERS`.
        crop: what makes a box usable as a part.
        prompts: the words around the question.
    """

    profile: ProfileName = "qwen3_vl"
    view_tokens: int = 1280
    crop_tokens: int = 1280
    all_tokens: int = 8192
    turns: int = 6
    answer_new_tokens: int = 2048
    resample: str = "bicubic"
    crop: CropRules = field(default_factory=CropRules)
    prompts: ToolZoomPrompts = field(default_factory=ToolZoomPrompts)

    def __post_init__(self) -> None:
        for name in ("view_tokens", "crop_tokens", "all_tokens", "answer_new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, got {getattr(self, name)}")
        if self.view_tokens > self.all_tokens:
            raise ValueError(f"all_tokens={self.all_tokens} does not hold the first image's {self.view_tokens}")
        if not 1 <= self.turns <= MOST_TURNS:
            raise ValueError(f"turns is 1 to {MOST_TURNS}, got {self.turns}")
        for name, allowed in (("profile", get_args(ProfileName)), ("resample", tuple(RESAMPLERS))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class ToolZoomReward:
    """What counts how much; by default as DeepEyes has it, but for what the bonus hangs on.

    Attributes:
        accuracy: weight of a right answer.
        format: weight of replies in their tags whose calls could all be followed.
        tool: weight of a right answer for which a part was really shown; tags alone earn nothing.
        region: weight of a part that shows the evidence, by judge or target box; 0 asks nobody.
        min_coverage: when rules verify the region, the share of the target box that a part must cover.
        tolerance: for number answers, the largest relative difference that still counts as equal.
        over_turns: whether conversations that ran out of turns are learnt from (``learn``), or masked as in Mini-o3
            (``mask``): they count in their prompt's mean, and giving up early does not become a habit.
    """

    accuracy: float = 0.8
    format: float = 0.2
    tool: float = 1.2
    region: float = 0.0
    min_coverage: float = 0.9
    tolerance: float = 0.0
    over_turns: OverTurns = "learn"

    def __post_init__(self) -> None:
        for name in ("accuracy", "format", "tool", "region", "min_coverage", "tolerance"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is at least 0, got {getattr(self, name)}")
        if self.over_turns not in get_args(OverTurns):
            raise ValueError(f"over_turns is one of {', '.join(get_args(OverTurns))}, got {self.over_turns!r}")
        if self.min_coverage > 1:
            raise ValueError(f"min_coverage is a share, 0 to 1, got {self.min_coverage}")


class ToolZoom(Method):
    """As many turns as the model wants, up to a limit."""

    name = "tool_zoom"
    config = ToolZoomConfig
    reward = ToolZoomReward
    images = MOST_TURNS
    story = Story(
        turns={"look": "First look", **{f"zoom {n}": f"After zoom {n}" for n in range(1, MOST_TURNS)}},
        shown={"look": "first look", **{f"zoom {n}": f"zoom {n}" for n in range(1, MOST_TURNS)}},
        parts={
            "accuracy": "answer right",
            "format": "well formed",
            "tool": "right, and a part was shown",
            "region": "a part shows the evidence",
        },
        problems={
            "call": "a call that could not be followed",
            "turns": "no answer within the turns",
            "answer": "none given",
        },
        lead="""<p>A model that reads pictures was asked questions about images. It first sees each reduced in size, and
may then look at <b>parts of it in full detail, one after another</b>, before it answers. The orange box is the last
part it asked for.</p>""",
    )

    def episode(self, sample: Sample, config: Any, grid: VisionGrid, *, render: Render = render) -> Episode:
        """See the class."""
        profile, source, question = PROFILES[config.profile], size_of(sample.image), sample.question.full
        words = {name: _worded(text, profile) for name, text in asdict(config.prompts).items()}
        left = config.all_tokens

        def view(region: Box, budget: int) -> View:
            size = grid.fit(Size(round(region.width), round(region.height)), budget)
            return View(render(sample.image, region, size, resample=config.resample), region)

        first = view(whole(source), config.view_tokens)
        left -= grid.tokens(size_of(first.image))
        seen = [(whole(source), size_of(first.image))]
        turn = Turn(
            name="look",
            parts=(first, fill(words["ask"], question, grid.coordinates)),
            system=fill(words["system"], question, grid.coordinates),
            max_new_tokens=config.answer_new_tokens,
            stop=profile.stop,
        )
        turns: list[TurnRecord] = []
        problems: list[str] = []
        repairs: list[str] = []
        calls = malformed = 0
        while True:
            reply = yield turn
            turns.append(record(turn, reply, grid))
            problems += noticed(turn, reply)
            asked = read_calls(reply.text, profile)
            calls += len(asked)
            if not asked or len(turns) == config.turns:
                break
            parts: list[str | View] = []
            for call in asked:
                region, error = _region(call, seen, profile, source, config.crop)
                budget = min(config.crop_tokens, left)
                if region is not None and (budget < grid.min_tokens or len(seen) == MOST_TURNS):
                    region, error = None, "no more images fit into this conversation; answer now"
                if region is None:
                    malformed += 1
                    problems.append(f"call: {error}")
                    told = words["error"].replace("{error}", spelled_out(str(error)))
                    parts.append(told + "\n")
                    continue
                shown_part = view(region, budget)
                left -= grid.tokens(size_of(shown_part.image))
                seen.append((region, size_of(shown_part.image)))
                repairs += ["call: read as a Python literal"] if call.repaired else []
                parts += [f"<tool_response>\nobservation_{len(seen) - 1}:\n", shown_part, "\n</tool_response>\n"]
            is_last = len(turns) + 1 == config.turns
            parts.append(fill(words["last" if is_last else "more"], question, grid.coordinates))
            turn = Turn(
                name=f"zoom {len(turns)}",
                parts=tuple(_joined(parts)),
                max_new_tokens=config.answer_new_tokens,
                stop=profile.stop,
            )
        answer = parse_answer(without_calls(reply.text, profile))
        over = bool(asked) and not answer.text
        problems += ["turns: the last reply asked for another part"] if over else []
        problems += [f"answer: {answer.problem}"] if answer.problem and not over else []
        crops = [region for region, _ in seen[1:]]
        return Outcome(
            method=self.name,
            source=source,
            turns=tuple(turns),
            answer=answer.text,
            boxes={CROP: crops[-1] if crops else None, **{f"crop {n}": box for n, box in enumerate(crops, start=1)}},
            values={"calls": calls, "malformed": malformed, "delivered": len(crops), "over_turns": over},
            single_pass_tokens=grid.tokens(grid.fit(source, grid.max_tokens)),
            repairs=question_repairs(question) + tuple(repairs) + tuple(f"answer: {one}" for one in answer.repairs),
            problems=tuple(problems),
        )

    def budget(self, config: Any) -> Budget:
        """See `base.Budget`."""
        written = config.turns * config.answer_new_tokens
        return Budget(config.view_tokens, config.all_tokens - config.view_tokens, written, config.turns)

    def inquiries(self, outcome: Outcome, target: Target, reward: Any) -> tuple[Inquiry, ...]:
        """Whether a part shows the evidence, if that is rewarded, and whether an answer for a judge is right."""
        asked: list[Inquiry] = []
        crops = parts_shown(outcome)
        if reward.region > 0 and crops:
            best = max(crops, key=lambda box: target.box_source.coverage_by(box) if target.box_source else 0.0)
            by_rule = target.box_source.coverage_by(best) >= reward.min_coverage if target.box_source else None
            asked.append(SeesAnswer("region", best if target.box_source else crops[-1], by_rule, reward.tolerance))
        if target.kind == "judge" and outcome.answer and reward.accuracy + reward.tool > 0:
            asked.append(IsSame("answer", outcome.answer))
        return tuple(asked)

    def score(self, outcome: Outcome, target: Target, findings: Findings, reward: Any) -> Score:
        """The reward and its parts; the bonus hangs on a part that was shown and an answer that is right."""
        weighs = reward.accuracy + reward.tool > 0
        accuracy = float(is_right(outcome, target, findings, tolerance=reward.tolerance, was_asked=weighs))
        values, crops = outcome.values, parts_shown(outcome)
        delivered = len(crops)
        form = float(is_well_formed(outcome))
        tool = accuracy * (delivered > 0)
        region = float(findings.get("region", False))
        return Score(
            total=reward.accuracy * accuracy + reward.format * form + reward.tool * tool + reward.region * region,
            accuracy=accuracy,
            parts={
                "accuracy": accuracy,
                "format": form,
                "tool": tool,
                "region": region,
                "calls": float(values.get("calls", 0)),
                "malformed": float(values.get("malformed", 0)),
                "delivered": float(delivered),
                "over_turns": float(bool(values.get("over_turns", False))),
                "coverage": max((target.box_source.coverage_by(box) for box in crops), default=0.0)
                if target.box_source
                else None,
                **_by_turn(outcome, target),
            },
        )

    def is_unlearnt(self, outcome: Outcome, reward: Any) -> bool:
        """A conversation that ran out of turns, if these are masked."""
        return reward.over_turns == "mask" and bool(outcome.values.get("over_turns", False))

    def signs(self, steps: Sequence[Mapping[str, float]]) -> Mapping[str, str]:
        """Calls that die out, and calls that cannot be followed."""
        found: dict[str, str] = {}
        *before, now = [step for step in steps if "calls" in step and "malformed" in step] or [{}]
        if not now:
            return found
        most = max((step["calls"] for step in before), default=0.0)
        if most >= 0.2 and now["calls"] < most / 10:
            found["calls collapsed"] = f"{now['calls']:.2f} calls a rollout, after {most:.2f}"
        if now["calls"] > 0 and now["malformed"] > now["calls"] / 2:
            found["malformed calls"] = f"{now['malformed'] / now['calls']:.0%} of the calls cannot be followed"
        if now.get("over_turns", 0.0) > 0.5:
            found["out of turns"] = f"{now['over_turns']:.0%} of the rollouts end without an answer"
        return found

    def figures(self, outcomes: Iterable[Outcome]) -> dict[str, float | None]:
        """Calls a sample, the share that could not be followed, and samples that ran out of turns."""
        values = [outcome.values for outcome in outcomes if outcome.turns]
        calls = sum(value["calls"] for value in values)
        return {
            "calls": calls / len(values) if values else None,
            "malformed_share": sum(value["malformed"] for value in values) / calls if calls else None,
            "over_turns": sum(value["over_turns"] for value in values) / len(values) if values else None,
        }


TOOL_ZOOM = ToolZoom()


def _by_turn(outcome: Outcome, target: Target) -> dict[str, float | None]:
    """Of each turn, as far as `TURNS_LOGGED`: tokens of the reply; whether it was shown a part, and of what coverage.

    None for turns that a conversation did not have: means are over those that had them.
    """
    parts: dict[str, float | None] = {}
    for at in range(TURNS_LOGGED):
        turn = outcome.turns[at] if at < len(outcome.turns) else None
        regions = [one.region_source for one in turn.shown if one.region_source] if turn else []
        parts[f"turn_{at + 1}_tokens"] = None if turn is None or turn.new_tokens is None else float(turn.new_tokens)
        if at:
            parts[f"turn_{at + 1}_delivered"] = None if turn is None else float(bool(regions))
            box = target.box_source
            covered = max((box.coverage_by(region) for region in regions), default=0.0) if box else None
            parts[f"turn_{at + 1}_coverage"] = None if turn is None else covered
    return parts


def parts_shown(outcome: Outcome) -> list[Box]:
    """The parts of the original that were shown after the first image, in order."""
    return [box for name, box in outcome.boxes.items() if name != CROP and box is not None]


def _region(
    call: Call, seen: Sequence[tuple[Box, Size]], profile: Profile, source: Size, rules: CropRules
) -> tuple[Box | None, str | None]:
    """``(part of the original, why there is none)`` of a call.

    Args:
        call: as read.
        seen: region and view of each image so far.
        profile: whose frame it is in.
        source: size of the original.
        rules: what makes a box usable.
    """
    if call.corners is None:
        return None, call.error
    if call.source >= len(seen):
        return None, f"there is no image {call.source}; there are {len(seen)}, counted from 0"
    within, view = seen[call.source]
    width, height = {
        "thousandths": (float(RELATIVE_EXTENT), float(RELATIVE_EXTENT)),
        "shares": (1.0, 1.0),
        "view": (float(view.width), float(view.height)),
    }[profile.frame]
    x1, y1, x2, y2 = call.corners
    if not (x1 < x2 and y1 < y2):
        return None, f"a box is [x1, y1, x2, y2] with x1 < x2 and y1 < y2, got {list(call.corners)}"
    box = Box(x1, y1, x2, y2).scaled(within.width / width, within.height / height)
    placed = Box(box.x1 + within.x1, box.y1 + within.y1, box.x2 + within.x1, box.y2 + within.y1)
    region, _ = to_source(placed, source, source, rules)
    return (region, None) if region is not None else (None, f"the box {list(call.corners)} lies outside the image")


def is_well_formed(outcome: Outcome) -> bool:
    """Whether each reply is a thought and then a call or, at the end, an answer, and no call failed."""
    if not outcome.turns or outcome.values.get("malformed", 1) or outcome.values.get("over_turns", True):
        return False
    *before, last = (turn.opened + turn.reply for turn in outcome.turns)
    thinks = all(reply.strip().startswith("<think>") and reply.count("</think>") == 1 for reply in (*before, last))
    answered = last.count("<answer>") == last.count("</answer>") == 1 and last.strip().endswith("</answer>")
    return thinks and answered and not any("<answer>" in reply for reply in before)


def _worded(text: str, profile: Profile) -> str:
    return text.replace("{call}", profile.example).replace("{frame}", profile.described)


def _joined(parts: Iterable[str | View]) -> list[str | View]:
    """The same with neighbouring texts as one."""
    joined: list[str | View] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined
