"""What a judge states: the part of a server's reply that a verdict may be read from.

A thought is no statement, wherever a server puts it: in the text between tags, in a field of its own, or cut off
before its end. Neither is a refusal, a call of a tool, or a text that ran out of tokens on the way to its verdict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .replies import shown

NATURAL_ENDS = frozenset({None, "", "stop", "eos", "eos_token", "end_turn", "stop_sequence"})
"""Finish reasons of a reply that its model ended itself; some servers give none."""

_MARK = re.compile(
    r"(?i)<\s*(?P<tag>/?)\s*(?:think|thinking|thoughts?|reasoning|reflection)\s*>|\[(?P<bracket>/?)THINK\]|◁(?P<mark>/?)think▷"
)
_ANSWER = re.compile(r"(?i)<answer>((?:(?!<answer>).)*?)(?:</answer>|\Z)", re.DOTALL)
_TEXT_PARTS = frozenset({"text", "output_text"})
_THOUGHT_PARTS = frozenset({"thinking", "reasoning", "redacted_thinking"})


class NoVerdict(ValueError):
    """A judge's reply that says nothing one could use."""


class NoCompletion(ValueError):
    """Something else than a chat completion."""


def read_completion(body: str) -> str:
    """The text of a chat completion from which a verdict may be read.

    Args:
        body: of the response, JSON as the OpenAI API has it. The content may be a text or a list of parts.

    Raises:
        NoCompletion: the body is none.
        NoVerdict: the reply holds a thought alone, refuses, calls a tool, or was cut before it gave an answer.
    """
    message, finish = _first_choice(body)
    content = _text(message.get("content"), body)
    if message.get("refusal"):
        raise NoVerdict(f"a refusal: {shown(str(message['refusal']))}")
    if message.get("tool_calls") or message.get("function_call"):
        raise NoVerdict(f"a call of a tool in place of a verdict: {shown(body)}")
    if finish not in NATURAL_ENDS and not (finish == "length" and is_answered(content)):
        raise NoVerdict(f"finish_reason {finish!r} before a verdict in {shown(content)}")
    if not content.strip():
        thought = message.get("reasoning_content") or message.get("reasoning")
        raise NoVerdict(
            f"a thought and no statement: {shown(str(thought))}" if thought else "no answer in an empty reply"
        )
    return content


def _first_choice(body: str) -> tuple[Mapping[str, Any], str | None]:
    """The message of a completion, and why it ended.

    Raises:
        NoCompletion: it has none.
    """
    try:
        choice = json.loads(body)["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NoCompletion(f"no chat completion in {shown(body)}") from error
    if not isinstance(message, Mapping) or not isinstance(finish, str | None):
        raise NoCompletion(f"no chat completion in {shown(body)}")
    return message, finish


def _text(content: Any, body: str) -> str:
    """The text of a message's content, thoughts in parts of their own left out.

    Raises:
        NoCompletion: it is no content of a message.
        NoVerdict: a part is neither text nor thought.
    """
    if content is None or isinstance(content, str):
        return content if content is not None else ""
    if not isinstance(content, list):
        raise NoCompletion(f"a content that is neither a text nor a list of parts in {shown(body)}")
    texts: list[str] = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
        if kind in _THOUGHT_PARTS:
            continue
        if kind not in _TEXT_PARTS:
            raise NoVerdict(f"a part of type {kind!r} in place of text")
        text = part.get("text") if isinstance(part, Mapping) else part
        if not isinstance(text, str):
            raise NoCompletion(f"a part without text in {shown(body)}")
        texts.append(text)
    return "".join(texts)


def outside_thoughts(reply: str) -> str:
    """A reply without its thoughts, in the tags of several model families; nested ones are one thought.

    A thought that the prompt opened runs from the start, one that is not closed runs to the end.
    """
    kept, depth, position = list[str](), 0, 0
    for mark in _MARK.finditer(reply):
        if depth == 0:
            kept.append(reply[position : mark.start()])
        position = mark.end()
        if not (mark["tag"] or mark["bracket"] or mark["mark"]):
            depth += 1
        elif depth:
            depth -= 1
        else:
            kept.clear()
    if depth == 0:
        kept.append(reply[position:])
    return "".join(kept)


def is_answered(reply: str) -> bool:
    """Whether the last ``<answer>`` of a reply, after its thoughts, is closed."""
    return "</answer>" in outside_thoughts(reply).lower().rpartition("<answer>")[2] and bool(_answers(reply))


def stated(reply: str) -> str:
    """What a reply states: its ``<answer>``, or all that stands outside its thoughts. Never empty.

    Raises:
        NoVerdict: it states nothing, or several different answers.
    """
    answers = [answer.strip() for answer in _answers(reply)] or [outside_thoughts(reply).strip()]
    different = {" ".join(answer.split()).casefold(): answer for answer in answers if answer}
    if len(different) != 1:
        what = f"{len(different)} different answers" if different else "no answer"
        raise NoVerdict(f"{what} in {shown(reply)}")
    return different.popitem()[1]


def _answers(reply: str) -> list[str]:
    """What stands in the ``<answer>`` tags of a reply, after its thoughts; one that is not closed runs to the end."""
    return _ANSWER.findall(outside_thoughts(reply))
