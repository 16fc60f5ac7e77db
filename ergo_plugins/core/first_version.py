"""Records of the first version, ``ergo-plugins/1``, in the shape of today's.

It knew two methods, both under the name ``ergo``, with one image a turn; and a dump named its row in one text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def outcome(plain: Mapping[str, Any]) -> dict[str, Any]:
    """An outcome as `core.outcome.Outcome.to_json` writes it today."""
    crop = plain["box_source"]
    source = plain["source"]
    everything = [0, 0, source[0], source[1]] if source else None
    turns = []
    for turn in plain["turns"]:
        kept = {name: value for name, value in turn.items() if name not in ("view", "visual_tokens")}
        region = crop if turn["name"] == "answer" and crop else everything
        shown = {"region_source": region, "view": turn["view"], "tokens": turn["visual_tokens"]}
        turns.append({**kept, "shown": [shown]})
    asked_for_a_box = any(turn["name"] == "look" for turn in turns)
    is_single_pass = bool(turns) and not asked_for_a_box and not crop
    return {
        **plain,
        "method": "single_pass" if is_single_pass else plain["method"],
        "turns": turns,
        "boxes": {"crop": crop} if asked_for_a_box or crop else {},
        "values": {"box_view": plain["box_view"]} if asked_for_a_box else {},
    }


def dumped(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a dump as `core.record.Entry.to_json` writes it today.

    Raises:
        KeyError, TypeError, AttributeError: it is none.
    """
    task, _, index = plain["row"].rpartition(" ")
    return {**plain, "task": task or index, "split": "", "doc_id": index, "returned": plain["outcome"]["answer"]}
