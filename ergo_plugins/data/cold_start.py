"""Which conversations a model may learn from before it is rewarded: right rollouts, and answers with a known box.

Of rollouts are kept those that are right and were played without a fault: every turn of a row is learnt, so one bad
call teaches bad calls. A share may do without a closer look, or the model never learns when not to.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.geometry import Box, Size, VisionGrid
from ..core.grounding import iou
from ..core.images import size_of
from ..core.outcome import OBJECT, Outcome
from ..core.questions import split_question
from ..methods.base import Method, Sample
from .conversations import Conversation, played_again, same_as_played
from .samples import BadSample

_THOUGHT = re.compile(r"(?:\s*<think>)?(.*?)(?:</think>|<box>|```|\{)", re.DOTALL)
_SMALLEST_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Rollout:
    """A conversation that was played.

    Attributes:
        name: names it in messages.
        question: the text as it was asked.
        image_path: where the original lies; None if that is not known.
        outcome: what happened.
        correct: whether the answer is right; None if nobody said.
    """

    name: str
    question: str
    image_path: str | None
    outcome: Outcome
    correct: bool | None

    @property
    def looked(self) -> bool:
        """Whether a later turn showed a part of the original, or all of it again."""
        return any(shown.region_source for turn in self.outcome.turns[1:] for shown in turn.shown)


def check_rollout(rollout: Rollout) -> None:
    """Make sure that every turn of a rollout is worth learning.

    Raises:
        BadSample: it is wrong, or something in it had to be put up with.
    """
    name, outcome = rollout.name, rollout.outcome
    if rollout.correct is None:
        raise BadSample(name, "not judged", "nobody said whether it is right; a journal needs --samples")
    if not rollout.correct:
        raise BadSample(name, "wrong answer", f"its answer is {outcome.answer!r:.80}")
    if not outcome.turns or any(turn.finish == "length" for turn in outcome.turns):
        raise BadSample(name, "truncated", "a reply reached its token cap")
    if outcome.problems:
        raise BadSample(name, "malformed", outcome.problems[0])
    mended = [repair for repair in outcome.repairs if not repair.startswith("question")]
    if mended:
        raise BadSample(name, "repaired", mended[0])
    if rollout.image_path is None:
        raise BadSample(name, "image in no file", "the record does not say where the original lies")
    seen: dict[Box, Size] = {}
    for shown in (one for turn in outcome.turns for one in turn.shown):
        before = seen.get(shown.region_source) if shown.region_source else None
        if before and shown.view.area <= before.area:
            raise BadSample(name, "the same part twice", f"it looked at {shown.region_source} again")
        if shown.region_source:
            seen[shown.region_source] = shown.view


def chosen(
    rollouts: Sequence[Rollout], *, per_question: int, without: float, seed: int
) -> Iterator[tuple[Rollout, BadSample | None]]:
    """Each rollout in order, with the reason if it is not kept.

    Args:
        per_question: most rollouts of a question about an image; those with a closer look come first.
        without: largest share of the kept ones that may do without a closer look.
        seed: which of these are kept.
    """
    bad: dict[int, BadSample] = {}
    for at, rollout in enumerate(rollouts):
        try:
            check_rollout(rollout)
        except BadSample as reason:
            bad[at] = reason
    kept: dict[tuple[str | None, str], int] = {}
    good = [at for at in range(len(rollouts)) if at not in bad]
    for at in sorted(good, key=lambda at: not rollouts[at].looked):
        asked = rollouts[at].image_path, rollouts[at].question
        kept[asked] = kept.get(asked, 0) + 1
        if kept[asked] > per_question:
            detail = f"the question has {per_question} rows already (--per-question)"
            bad[at] = BadSample(rollouts[at].name, "more of the same question", detail)
    looked = sum(rollouts[at].looked for at in good if at not in bad)
    others = [at for at in good if at not in bad and not rollouts[at].looked]
    most = len(others) if without >= 1 else int(without / (1 - without) * looked + 1e-9)
    random.Random(seed).shuffle(others)
    for at in others[most:]:
        detail = f"{most} rows without one are {without:.0%} of all (--without-crop)"
        bad[at] = BadSample(rollouts[at].name, "no closer look", detail)
    for at, rollout in enumerate(rollouts):
        yield rollout, bad.get(at)


def of_rollout(rollout: Rollout, sample: Sample, method: Method, config: Any, grid: VisionGrid) -> Conversation:
    """The conversation of a rollout, as its method words it.

    Raises:
        BadSample: played again it is another one.
    """
    replies = [turn.opened + turn.reply for turn in rollout.outcome.turns]
    conversation, again = played_again(rollout.name, method.episode(sample, config, grid), replies)
    same_as_played(rollout.name, rollout.outcome, again)
    return conversation


def of_box(
    name: str, sample: Sample, box: Box, said: str, method: Method, config: Any, grid: VisionGrid
) -> Conversation:
    """The conversation in which a model thinks as somebody wrote and gives a known box, in the frame it writes.

    Args:
        name: names it in messages.
        sample: image and expression.
        box: pixels of the original.
        said: the written reply; the thought is what stands before its box.
        method: how it is asked.
        config: of the method.
        grid: of the model that will learn it.

    Raises:
        BadSample: no thought, or the method does not find the box in the reply.
    """
    thought = _THOUGHT.match(said)
    if thought is None or not thought[1].strip():
        raise BadSample(name, "no thought", "nothing is said before the box")
    turn = next(method.episode(sample, config, grid))
    source, frame = size_of(sample.image), grid.frame(size_of(turn.images[0]))
    corners = box.scaled(frame.width / source.width, frame.height / source.height).as_tuple()
    located = json.dumps(
        [{"bbox_2d": [round(one) for one in corners], "label": sample.question.stem}], ensure_ascii=False
    )
    reply = f"<think>\n{thought[1].strip()}\n</think>\n\n```json\n{located}\n```"
    conversation, outcome = played_again(name, method.episode(sample, config, grid), [reply])
    if outcome.problems or iou(outcome.boxes.get(OBJECT), box) < _SMALLEST_OVERLAP:
        found = outcome.problems[0] if outcome.problems else f"it is read as {outcome.boxes.get(OBJECT)}"
        raise BadSample(name, "box not found again", f"the box {list(box.as_tuple())} in whole numbers: {found}")
    return conversation


def said_by_the_model(name: str, record: Mapping[str, Any]) -> str:
    """What the model says in an entry with ``conversations``.

    Raises:
        BadSample: nothing.
    """
    turns = record.get("conversations")
    said = [turn for turn in turns if isinstance(turn, Mapping)] if isinstance(turns, list) else []
    replies = [turn.get("value") for turn in said if turn.get("from") in ("gpt", "assistant")]
    if not replies or not isinstance(replies[-1], str):
        raise BadSample(name, "no answer", "'conversations' has no turn from 'gpt'")
    return replies[-1]


def rollout_sample(rollout: Rollout, image: Any) -> Sample:
    """What a rollout was about; ``image`` is the original, RGB."""
    return Sample(image, split_question(rollout.question))
