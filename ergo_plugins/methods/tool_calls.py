"""How families of models ask for a part of an image, as text: their calls, and what is read out of them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..core.replies import outside_thinking, shown

ProfileName = Literal["qwen3_vl", "deepeyes", "mini_o3", "gemini", "claude"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How a family of models asks for a part of an image.

    Attributes:
        opening, closing: tags round a call.
        tool: name that a call has to give; None if calls have none.
        frame: what a box is written in: ``thousandths`` or ``shares`` of the sides of the image it is in, or pixels of
            the ``view`` of it.
        source: key of a call that says which image the box is in; None for always the first.
        calls: how many of a reply's calls are followed.
        answer_ends: whether an answer beside a call ends the conversation.
        stop: strings that end a reply.
        example: a call as the model is told to write it.
        described: what its frame is called.
        key: of a call's box; other models' names for it are read as well where the order is theirs, too.
        order: of the box's corners.
    """

    opening: str
    closing: str
    tool: str | None
    frame: Literal["thousandths", "shares", "view"]
    source: str | None
    calls: Literal["all", "last"]
    answer_ends: bool
    stop: tuple[str, ...]
    example: str
    described: str
    key: str = "bbox_2d"
    order: Literal["xyxy", "yxyx"] = "xyxy"


PROFILES: dict[str, Profile] = {
    "qwen3_vl": Profile(
        opening="<tool_call>",
        closing="</tool_call>",
        tool="image_zoom_in_tool",
        frame="thousandths",
        source="img_idx",
        calls="all",
        answer_ends=False,
        stop=(),
        example=(
            '<tool_call>\n{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [x1, y1, x2, y2], "label": "what it '
            'is", "img_idx": 0}}\n</tool_call>'
        ),
        described="thousandths of the image's width and height (0 to 1000)",
    ),
    "deepeyes": Profile(
        opening="<tool_call>",
        closing="</tool_call>",
        tool="image_zoom_in_tool",
        frame="view",
        source=None,
        calls="last",
        answer_ends=True,
        stop=(),
        example=(
            '<tool_call>\n{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [x1, y1, x2, y2], "label": "what it '
            'is"}}\n</tool_call>'
        ),
        described="pixels of the first image",
    ),
    "mini_o3": Profile(
        opening="<grounding>",
        closing="</grounding>",
        tool=None,
        frame="shares",
        source="source",
        calls="last",
        answer_ends=True,
        stop=("</grounding>",),
        example='<grounding>{"bbox_2d": [x1, y1, x2, y2], "source": "original_image"}</grounding>',
        described="shares of the source's width and height (0 to 1); a source is original_image, observation_1, …",
    ),
    "gemini": Profile(
        opening="<tool_call>",
        closing="</tool_call>",
        tool="image_zoom_in_tool",
        frame="thousandths",
        source="img_idx",
        calls="all",
        answer_ends=False,
        stop=("</tool_call>",),
        example=(
            '<tool_call>\n{"name": "image_zoom_in_tool", "arguments": {"box_2d": [ymin, xmin, ymax, xmax], "label": '
            '"what it is", "img_idx": 0}}\n</tool_call>'
        ),
        described="thousandths of the height and width of the image img_idx, counted from 0 (0 to 1000)",
        key="box_2d",
        order="yxyx",
    ),
    "claude": Profile(
        opening="<tool_call>",
        closing="</tool_call>",
        tool="image_zoom_in_tool",
        frame="view",
        source="img_idx",
        calls="all",
        answer_ends=False,
        stop=("</tool_call>",),
        example=(
            '<tool_call>\n{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [x1, y1, x2, y2], "label": "what it '
            'is", "img_idx": 0}}\n</tool_call>'
        ),
        described="pixels of the image img_idx, counted from 0",
    ),
}
"""The protocols, facts of each read from its authors' code; the last two are ours, in the frames of those providers."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a reply asks for.

    Attributes:
        corners: as written, in the profile's frame; None if the call cannot be followed.
        source: which image it is in: 0 the first, then the parts in the order in which they were shown.
        error: why it cannot be followed.
        repaired: whether it was read as something other than JSON.
    """

    corners: tuple[float, float, float, float] | None
    source: int = 0
    error: str | None = None
    repaired: bool = False


_XML = re.compile(r"<function=(\w+)>(.*?)</function>", re.DOTALL)


_XML_PARAMETER = re.compile(r"<parameter=(\w+)>\s*(.*?)\s*</parameter>", re.DOTALL)


_OBSERVATION = re.compile(r"observation_(\d+)")


def read_calls(reply: str, profile: Profile) -> list[Call]:
    """The calls of a reply that are to be followed, readable or not; none if it has none, or an answer that ends it.

    Calls inside a thought are thoughts. A stop string may have cut the closing tag off.
    """
    text = outside_thinking(reply)
    if profile.answer_ends and "<answer>" in text:
        return []
    pieces = text.split(profile.opening)[1:]
    inside = [piece.partition(profile.closing) for piece in pieces]
    calls = [_read_call(content, profile) for content, closing, _ in inside if closing]
    return calls if profile.calls == "all" else calls[-1:]


def without_calls(reply: str, profile: Profile) -> str:
    """A reply without its calls, which are no answer."""
    before, *pieces = reply.split(profile.opening)
    return before + "".join(piece.partition(profile.closing)[2] for piece in pieces)


def _read_call(content: str, profile: Profile) -> Call:
    plain, repaired = _plain(content.strip())
    if not isinstance(plain, Mapping):
        return Call(None, error=f"the call is no JSON object: {shown(content.strip())}")
    arguments: Any = plain
    if profile.tool is not None:
        if plain.get("name") != profile.tool:
            return Call(None, error=f"there is no tool {shown(str(plain.get('name')))}; the only one is {profile.tool}")
        arguments = plain.get("arguments")
        arguments = _plain(arguments)[0] if isinstance(arguments, str) else arguments
        if not isinstance(arguments, Mapping):
            return Call(None, error=f'a call has "arguments" with a "{profile.key}"')
    names = ("bbox_2d", "bbox") if profile.order == "xyxy" else (profile.key,)
    corners = next((arguments[name] for name in names if name in arguments), None)
    corners = _plain(corners)[0] if isinstance(corners, str) else corners
    if (
        not isinstance(corners, list | tuple)
        or len(corners) != 4
        or not all(isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e9 for one in corners)
    ):
        return Call(None, error=f'"{profile.key}" is four numbers, got {shown(str(corners))}')
    index = _index(arguments.get(profile.source)) if profile.source else 0
    if index is None:
        return Call(None, error=f"there is no image {shown(str(arguments.get(profile.source or '')))}")
    x1, y1, x2, y2 = map(float, corners)
    if profile.order == "yxyx":
        x1, y1, x2, y2 = y1, x1, y2, x2
    return Call((x1, y1, x2, y2), index, repaired=repaired)


def _plain(text: str) -> tuple[Any, bool]:
    """``(value, repaired)`` of JSON, of a Python literal, or of the XML that Qwen3.5 writes; None for anything else."""
    try:
        return json.loads(text), False
    except (ValueError, RecursionError):
        pass  # it may be one of the others
    written = _XML.search(text)
    if written:
        return {"name": written[1], "arguments": dict(_XML_PARAMETER.findall(written[2]))}, False
    try:
        return ast.literal_eval(text), True
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None, False


def _index(given: Any) -> int | None:
    """Which image a call names: 0 for none, a number, ``original_image`` or ``observation_3``; None for no image."""
    if given is None or given == "original_image":
        return 0
    if isinstance(given, int) and not isinstance(given, bool):
        return given if given >= 0 else None
    if isinstance(given, str):
        named = _OBSERVATION.fullmatch(given.strip())
        return int(named[1]) if named else int(given) if given.strip().isdecimal() else None
    return None
