"""The record of a trajectory on its way through verl: left in ``extra_fields``, read by whoever computes the reward."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..core.replies import parse_answer
from ..core.turns import Outcome, TurnRecord
from ..methods.ergo import METHOD
from .rows import Row

OUTCOME = "ergo"
"""Key of the record, `Outcome.to_json`."""

UNANSWERED = "ergo_unanswered"
"""Key that is true when a tool wrote the record before the policy answered."""

FAULT = "ergo_fault"
"""Key of what kept a tool from working, where verl would only tell the model about it."""

SECONDS = "ergo_seconds"
"""Key of what decoding and cutting took."""

RECORD = "ergo_record"
"""Key, among the parts of the reward, of the trajectory as JSON text. verl dumps it with the other parts and, as it is
text, takes no mean of it; `report/rollouts.py` reads it there."""

TOOL_LOOP = "tool_agent"
"""verl's own loop, in which a policy may also answer without calling any tool."""


def recorded(extra_fields: Mapping[str, Any] | None, response: str, *, may_lack: bool) -> Outcome:
    """The outcome of a trajectory.

    Args:
        extra_fields: of the trajectory.
        response: its text, all turns, special tokens removed.
        may_lack: whether a trajectory without a record simply never zoomed.

    Raises:
        ValueError: there is no record where there must be one, or the tool that was to write it failed.
    """
    fields = extra_fields or {}
    if fields.get(FAULT):
        raise ValueError(fields[FAULT])
    if fields.get(OUTCOME):
        outcome = Outcome.from_json(fields[OUTCOME])
        return _answered(outcome, response) if fields.get(UNANSWERED) else outcome
    if may_lack:
        return Outcome(method=METHOD, answer=parse_answer(response).text, problems=("look: no <zoom>",))
    raise ValueError(
        "the trajectory has no record of a zoom; set actor_rollout_ref.rollout.agent.default_agent_loop=ergo_zoom, or "
        "use ErgoCropTool with tool_agent"
    )


def as_text(outcome: Outcome, row: Row) -> str:
    """A trajectory with what it was about, under `RECORD`."""
    box = row.target.box_source
    plain = {
        "row": row.name,
        "image_path": row.image_path,
        "question": row.question.full,
        "target_box_source": list(box.as_tuple()) if box is not None else None,
        "outcome": outcome.to_json(),
    }
    return json.dumps(plain, ensure_ascii=False)


def _answered(outcome: Outcome, response: str) -> Outcome:
    """A record with the answer that came after it was written."""
    _, _, reply = response.rpartition("assistant\n")  # the chat template's words before each reply
    answer = parse_answer(reply)
    last: TurnRecord = replace(outcome.turns[-1], reply=reply, finish="stop")
    kept = tuple(problem for problem in outcome.problems if not problem.startswith("answer:"))
    return replace(
        outcome,
        turns=(*outcome.turns[:-1], last),
        answer=answer.text,
        problems=kept + ((f"answer: {answer.problem}",) if answer.problem else ()),
    )
