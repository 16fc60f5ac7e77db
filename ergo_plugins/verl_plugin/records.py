"""The record of a trajectory on its way through verl: left in ``extra_fields``, read by whoever computes the reward."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unicodedata import normalize

from ..core.outcome import Outcome
from ..core.record import Entry
from ..core.replies import parse_answer
from ..methods import tool_method
from .rows import Row

OUTCOME = "ergo"
"""Key of the record, `Outcome.to_json`."""

UNANSWERED = "ergo_unanswered"
"""Key that is true when a tool wrote the record before the policy answered."""

ASKED = "ergo_asked"
"""Key of the last text that the tool then handed the policy."""

FAULT = "ergo_fault"
"""Key of what kept a tool from working, where verl would only tell the model about it."""

SECONDS = "ergo_seconds"
"""Key of what decoding and cutting took."""

TOOL_LOOP = "tool_agent"
"""verl's own loop, in which a policy may also answer without calling any tool."""

_REPLY_HEADER = "assistant\n"
"""What the chat template writes before a reply, special tokens removed."""

_CUT_BY_VERL = "(truncated)"


def recorded(extra_fields: Mapping[str, Any] | None, response: str, method: str, *, may_lack: bool) -> Outcome:
    """The outcome of a trajectory.

    Args:
        extra_fields: of the trajectory.
        response: its text, all turns, special tokens removed.
        method: the name of the method, for a trajectory without a record.
        may_lack: whether a trajectory without a record simply never zoomed.

    Raises:
        ValueError: there is no record where there must be one, the tool that was to write it failed, or verl cut what
            the tool said.
    """
    fields = extra_fields if extra_fields is not None else {}
    if fields.get(FAULT):
        raise ValueError(fields[FAULT])
    if fields.get(OUTCOME):
        outcome = Outcome.from_json(fields[OUTCOME])
        return _answered(outcome, response, fields.get(ASKED, "")) if fields.get(UNANSWERED) else outcome
    if may_lack:
        return Outcome(method=method, answer=parse_answer(response).text, problems=(tool_method()[1].uncalled,))
    raise ValueError(
        "the trajectory has no record of a zoom; set actor_rollout_ref.rollout.agent.default_agent_loop=ergo_zoom, or "
        "use ErgoCropTool with tool_agent"
    )


def as_text(outcome: Outcome, row: Row) -> str:
    """A trajectory with what it was about, under `core.record.ROLLOUT_RECORD`."""
    entry = Entry(
        task=row.data_source,
        split="",
        doc_id=row.index,
        repeat=0,
        question=row.question.full,
        returned=outcome.answer,
        outcome=outcome,
        image_path=row.image_path,
        target_box_source=row.target.box_source,
    )
    return json.dumps(entry.to_json(), ensure_ascii=False)


def _answered(outcome: Outcome, response: str, asked: str) -> Outcome:
    """A record with the answer that came after it was written."""
    reply = _reply_after(response, outcome.turns[0].reply, asked)
    problems = tuple(problem for problem in outcome.problems if not problem.startswith("answer:"))
    if reply is None:
        short = "truncated: no room for the answer turn within the response length"
        last = replace(outcome.turns[-1], reply="", finish="length")
        return replace(outcome, turns=(*outcome.turns[:-1], last), answer="", problems=(*problems, short))
    opened = outcome.turns[0].opened
    opened = opened if reply.startswith(opened) else ""
    answer = parse_answer(reply)
    last = replace(outcome.turns[-1], reply=reply[len(opened) :], finish="stop", opened=opened)
    return replace(
        outcome,
        turns=(*outcome.turns[:-1], last),
        answer=answer.text,
        problems=problems + ((f"answer: {answer.problem}",) if answer.problem else ()),
    )


def _reply_after(response: str, look: str, asked: str) -> str | None:
    """The reply to what the tool asked; None if verl ended the trajectory before it.

    Found by what is known to stand before it: the policy's first reply, the tool's text, and one header of the chat
    template. A reply or a question may itself hold the words of a header.
    """
    start = len(look) if response.startswith(look) else 0
    for text in (asked, normalize("NFC", asked)):  # Qwen's tokenizer normalises
        at = response.find(text, start)
        if at >= 0:
            start = at + len(text)
            break
    else:
        if _CUT_BY_VERL in response[start:]:
            raise ValueError(
                f"verl cut the tool's text of {len(asked)} characters, so the policy did not see the whole question; "
                "raise actor_rollout_ref.rollout.multi_turn.max_tool_response_length"
            )
    _, header, reply = response[start:].partition(_REPLY_HEADER)
    return reply if header else None
