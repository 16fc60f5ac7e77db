"""How a model behind a server sees: told by its processor or a name of a grid, found out, or refused; never guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.geometry import VisionGrid

GRIDS = {
    "qwen2.5-vl": VisionGrid(factor=28, coordinates="absolute"),
    "qwen3-vl": VisionGrid(factor=32, coordinates="relative", min_tokens=64),
}
"""Grids for servers whose model has no processor at hand."""

_WORDS = {
    "qwen2.5-vl": re.compile(r"qwen[-_. ]?2[-_. ]?5[-_. ]?vl", re.IGNORECASE),
    "qwen3-vl": re.compile(r"qwen[-_. ]?3[-_. ]?vl", re.IGNORECASE),
}
"""How a name, or ``model_type`` of a ``config.json``, says which of them it is."""


@dataclass(frozen=True, slots=True)
class Served:
    """What a server's list of models says of one.

    Attributes:
        root: the weights that it serves under the name; None if it does not say.
        roots: the same, and behind it those of the model that an adapter stands on.
        missing: why the list says nothing of it, as far as that is known.
    """

    root: str | None = None
    roots: tuple[str, ...] = ()
    missing: str = ""


def served(listed: Sequence[Any], model: str) -> Served:
    """What a list of models says of one: ``root`` as vLLM and SGLang have it, ``parent`` of an adapter."""
    by_name = {getattr(one, "id", None): one for one in listed}
    if model not in by_name:
        names = [str(name) for name in by_name if name]
        return Served(missing=f"the server has {', '.join(names)}" if names else "")
    root = getattr(by_name[model], "root", None)
    parent = getattr(by_name[model], "parent", None)
    said = (root, getattr(by_name.get(parent), "root", None), parent)
    return Served(root, tuple(one for one in said if isinstance(one, str)))


def family(model: str, roots: Sequence[str]) -> tuple[str, str] | None:
    """``(name in GRIDS, what tells it)``: a local folder's configuration before names, the server's before ours.

    None if nothing tells, or the first thing that speaks of such models speaks of both.
    """
    for text, where in [*((_model_type(root), f"{root}/config.json") for root in roots), *((r, r) for r in roots)]:
        if found := _named(text):
            return _one(found, where)
    return _one(_named(model), model)


def grid_of_name(grid: str | None, model: str, listed: Served) -> VisionGrid:
    """The grid that is named, or that the server or the model's name tells.

    Args:
        grid: a name in `GRIDS`; None to find it out.
        model: the name under which the server knows the model.
        listed: what the server says of it.

    Raises:
        ValueError: no such grid, one that contradicts what is known, or nothing tells.
    """
    if grid is not None and grid not in GRIDS:
        raise ValueError(f"grid is one of {', '.join(GRIDS)}, got {grid!r}; or name a processor")
    known = family(model, listed.roots)
    if known is None and grid is None:
        why = f" ({listed.missing})" if listed.missing else ""
        raise ValueError(
            f"neither the server nor the name {model} tells how the model writes coordinates{why}; give "
            f"grid={' or grid='.join(GRIDS)}, or processor= with the folder or hub id of the model"
        )
    if known and grid not in (None, known[0]):
        raise ValueError(f"grid={grid} contradicts {known[1]}, which is a {known[0]}; leave grid out")
    return GRIDS[grid or (known[0] if known else "")]


def check_processor(read: VisionGrid, processor: str, model: str, roots: Sequence[str]) -> None:
    """Make sure that a processor's grid is that of the served model, as far as that is known.

    Raises:
        ValueError: boxes would be read in other coordinates than the model writes.
    """
    known = family(model, roots)
    if known and GRIDS[known[0]].coordinates != read.coordinates:
        raise ValueError(
            f"processor={processor} contradicts {known[1]}, which is a {known[0]}; name the served model's processor"
        )


def _named(text: str) -> list[str]:
    return [name for name, words in _WORDS.items() if words.search(text)]


def _one(found: Sequence[str], where: str) -> tuple[str, str] | None:
    return (found[0], where) if len(found) == 1 else None


def _model_type(root: str) -> str:
    """``model_type`` of a local folder; empty for a hub id, another machine's folder, or one without."""
    try:
        config = json.loads((Path(root) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # then names have to tell
        return ""
    return str(config.get("model_type", "")) if isinstance(config, dict) else ""
