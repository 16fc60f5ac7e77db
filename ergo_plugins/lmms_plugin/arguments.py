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
from .values import WrongArgument, as_kind, kinds_of

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
_FORMS = {"model": "<folder, hub id or served name>", "base_url": "<address of the API, ending in /v1>"}
_LEAST = {"previews": 0, "concurrency": 1, "attempts": 1, "temperature": 0, "timeout_s": 0.001, "retry_delay_s": 0}


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
        WrongArgument: an unknown argument (the message lists the known ones), one that is missing, or a value that is
            not of its kind.
        OSError, ValueError: the prompts' file cannot be read, or holds no prompts.
    """
    left = {("model" if name == "pretrained" else name): value for name, value in given.items()}
    if {"model", "pretrained"} <= set(given):
        raise WrongArgument("model and pretrained are the same argument; give one of them")
    options = _annotations(engine_name)
    known = {*_ZOOM, *_CROP, *_RUN, *options}
    unknown = sorted(set(left) - known)
    if unknown:
        raise WrongArgument(
            f"ergo_{engine_name} has no argument {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    missing = [name for name in _required(engine_name) if name not in left]
    if missing:
        raise WrongArgument(f"ergo_{engine_name} needs {missing[0]}={_FORMS.get(missing[0], '')}")

    ours = {
        name: as_kind(name, _on_or_off(left[name]) if name == "zoom" else left[name], kind, least=_LEAST.get(name))
        for name, kind in {**_ZOOM, **_CROP, **_RUN}.items()
        if name in left
    }
    return ModelArguments(
        zoom=_zoom_config(ours),
        engine={name: _option(name, value, options[name]) for name, value in left.items() if name in options},
        journal=ours.get("journal"),
        previews=ours.get("previews", 200),
    )


def check_argument_text(text: Any) -> None:
    """Make sure that lmms-eval can take ``--model_args`` apart; it says nothing useful when it cannot.

    Raises:
        WrongArgument: something other than text, or a part without ``=``.
    """
    from lmms_eval.utils import simple_parse_args_string

    if not isinstance(text, str):
        raise WrongArgument(f"--model_args is text, name=value,name=value and so on, got a {type(text).__name__}")
    try:
        simple_parse_args_string(text)
    except ValueError as error:
        raise WrongArgument(f"every part of --model_args is name=value, commas between them ({error})") from error


def known_arguments(engine_name: str) -> set[str]:
    """Names of all arguments that a model takes."""
    return {*_ZOOM, *_CROP, *_RUN, *engine_options(engine_name)}


def engine_options(engine_name: str) -> set[str]:
    """Names an engine's class takes; for vLLM also those of its own engine arguments."""
    return set(_annotations(engine_name))


def _required(engine_name: str) -> list[str]:
    """The options that an engine's class cannot do without."""
    parameters = inspect.signature(engine_class(engine_name)).parameters.values()
    without = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in without]


def _annotations(engine_name: str) -> dict[str, Any]:
    """The options of an engine and what each is annotated with."""
    parameters = inspect.signature(engine_class(engine_name)).parameters.values()
    own = {p.name: p.annotation for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}
    if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters):
        return own
    from vllm.engine.arg_utils import AsyncEngineArgs

    return {**{field.name: field.type for field in fields(AsyncEngineArgs)}, **own}


def _zoom_config(ours: Mapping[str, Any]) -> ZoomConfig:
    rules = {"min_crop_side": "min_side_px", "max_crop_aspect": "max_aspect"}
    prompts = {"prompts": read_prompts(ours["prompts"])} if "prompts" in ours else {}
    try:
        crop = CropRules(**{rule: ours[name] for name, rule in rules.items() if name in ours})
        return ZoomConfig(**{name: ours[name] for name in _ZOOM if name in ours}, crop=crop, **prompts)
    except ValueError as wrong:
        raise WrongArgument(str(wrong)) from wrong


def _on_or_off(value: Any) -> Any:
    """A boolean as the word for it: yaml and people write ``zoom: off`` as one."""
    return ("off", "on")[value] if isinstance(value, bool) else value


def _option(name: str, value: Any, annotation: Any) -> Any:
    """An engine's option; lmms-eval leaves JSON objects and lists as text."""
    kinds = kinds_of(annotation)
    if kinds and value is not None:
        return as_kind(name, value, *kinds, least=_LEAST.get(name))
    if not isinstance(value, str) or not value.startswith(("{", "[")):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise WrongArgument(f"{name} looks like JSON and is not ({error}): {value!r}") from error
