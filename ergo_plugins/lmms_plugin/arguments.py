"""``--model_args`` read once: which belong to the zoom, to the run and to the engine; unknown ones refused."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..core.geometry import CropRules
from ..engines import engine_class
from ..methods.ergo import ZoomConfig
from ..methods.ergo_prompts import read_prompts

_ZOOM = {
    "coarse_tokens": int,
    "crop_tokens": int,
    "zoom_new_tokens": int,
    "answer_new_tokens": int,
    "stage1_question": str,
    "zoom": str,
    "resample": str,
}
_CROP = {"min_crop_side": int, "max_crop_aspect": float}
_RUN = {"prompts": str, "journal": str, "previews": int}


@dataclass(frozen=True, slots=True)
class ModelArguments:
    """The arguments of one run, sorted.

    Attributes:
        zoom: how the zoom is run.
        engine: options of the engine's class.
        journal: file the samples are kept in, or None.
        previews: of how many samples the two views are kept as small pictures beside the journal.
    """

    zoom: ZoomConfig
    engine: dict[str, Any]
    journal: str | None = None
    previews: int = 200


def read_arguments(engine_name: str, given: Mapping[str, Any]) -> ModelArguments:
    """Sort the arguments of a model.

    Args:
        engine_name: a name in `engines.ENGINES`.
        given: as lmms-eval hands them over; ``pretrained`` is taken for ``model``.

    Raises:
        ValueError: an unknown argument (the message lists the known ones), or a value that is not of its kind.
    """
    left = {("model" if name == "pretrained" else name): value for name, value in given.items()}
    if {"model", "pretrained"} <= set(given):
        raise ValueError("model and pretrained are the same argument; give one of them")
    options = engine_options(engine_name)
    known = sorted({*_ZOOM, *_CROP, *_RUN, *options})
    unknown = sorted(set(left) - set(known))
    if unknown:
        raise ValueError(f"ergo_{engine_name} has no argument {', '.join(unknown)}; known are {', '.join(known)}")
    if "model" not in left:
        raise ValueError(f"ergo_{engine_name} needs model=<folder, hub id or served name>")

    zoom = {name: _as(kind, name, left[name]) for name, kind in _ZOOM.items() if name in left}
    crop = CropRules()
    if "min_crop_side" in left or "max_crop_aspect" in left:
        crop = CropRules(
            min_side_px=_as(int, "min_crop_side", left.get("min_crop_side", crop.min_side_px)),
            max_aspect=_as(float, "max_crop_aspect", left.get("max_crop_aspect", crop.max_aspect)),
        )
    prompts = {"prompts": read_prompts(left["prompts"])} if "prompts" in left else {}
    return ModelArguments(
        zoom=ZoomConfig(**zoom, crop=crop, **prompts),
        engine={name: _plain(name, value) for name, value in left.items() if name in options},
        journal=left.get("journal"),
        previews=_as(int, "previews", left.get("previews", 200)),
    )


def engine_options(engine_name: str) -> set[str]:
    """Names an engine's class takes; for vLLM also those of its own engine arguments."""
    parameters = inspect.signature(engine_class(engine_name)).parameters.values()
    names = {p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        from vllm.engine.arg_utils import AsyncEngineArgs

        names |= {field.name for field in fields(AsyncEngineArgs)}
    return names


def _as(kind: type, name: str, value: Any) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {'a whole number' if kind is int else 'a number'}, got {value!r}") from error


def _plain(name: str, value: Any) -> Any:
    """An engine's option; lmms-eval leaves JSON objects and lists as text."""
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"{name} looks like JSON and is not ({error}): {value!r}") from error
