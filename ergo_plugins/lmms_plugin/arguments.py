"""``--model_args`` read once: which belong to the zoom, to the run and to the engine; unknown ones refused."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..engines import engine_class, options_of
from ..methods import DEFAULT, known_methods, method_named
from ..methods.base import Method
from ..methods.prompts import PromptTexts, read_prompts
from ..outside.published_prompts import prompts_path
from ..outside.streamed import Decode, NoLibvips, decode_named
from .values import WrongArgument, as_kind, kinds_of

_RUN = {"method": str, "journal": str, "previews": int, "decode": str}
_FORMS = {"model": "<folder, hub id or served name>", "base_url": "<address of the API, ending in /v1>"}
_LEAST = {"previews": 0, "concurrency": 1, "attempts": 1, "temperature": 0, "timeout_s": 0.001, "retry_delay_s": 0}


@dataclass(frozen=True, slots=True)
class ModelArguments:
    """The arguments of one run, sorted.

    Attributes:
        method: which method is run.
        config: how, in the method's own class.
        engine: options of the engine's class.
        journal: file the samples are kept in, or None.
        previews: of how many samples the two views are kept as small pictures beside the journal.
        decode: how originals are decoded.
    """

    method: Method
    config: Any
    engine: dict[str, Any]
    journal: str | None = None
    previews: int = 200
    decode: Decode = "exact"


def read_arguments(engine_name: str, given: Mapping[str, Any], *, preset: str | None = None) -> ModelArguments:
    """Sort the arguments of a model.

    Args:
        engine_name: a name in `engines.ENGINES`.
        given: as lmms-eval hands them over; ``pretrained`` is taken for ``model``.
        preset: the method that the model is for; None if the arguments choose it.

    Raises:
        WrongArgument: an unknown argument (the message lists the known ones), one that is missing, or a value that is
            not of its kind.
        NoLibvips: ``decode`` needs what is not installed.
        OSError, ValueError: the prompts' file cannot be read, or holds no prompts.
    """
    left = {("model" if name == "pretrained" else name): value for name, value in given.items()}
    if {"model", "pretrained"} <= set(given):
        raise WrongArgument("model and pretrained are the same argument; give one of them")
    if preset is not None and left.setdefault("method", preset) != preset:
        raise WrongArgument(f"{preset}_{engine_name} is for method={preset}; ergo_{engine_name} takes any method=")
    method = _method(left.get("method", DEFAULT))
    own, options = method_options(method), options_of(engine_name)
    known = {*_RUN, *own, *options}
    unknown = sorted(set(left) - known)
    if unknown:
        raise WrongArgument(
            f"ergo_{engine_name} has no argument {', '.join(unknown)}; known are {', '.join(sorted(known))} "
            f"(with method={method.name}, one of {', '.join(known_methods())})"
        )
    missing = [name for name in _required(engine_name) if name not in left]
    if missing:
        raise WrongArgument(f"ergo_{engine_name} needs {missing[0]}={_FORMS.get(missing[0], '')}")

    run = {name: as_kind(name, left[name], kind, least=_LEAST.get(name)) for name, kind in _RUN.items() if name in left}
    method, config = method.variant(_config(method, {name: left[name] for name in own if name in left}))
    return ModelArguments(
        method=method,
        config=config,
        engine={name: _option(name, value, options[name]) for name, value in left.items() if name in options},
        journal=run.get("journal"),
        previews=run.get("previews", 200),
        decode=_decode(run.get("decode", "exact")),
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


def known_arguments(engine_name: str, method: Method) -> set[str]:
    """Names of all arguments that a model takes with a method."""
    return {*_RUN, *method_options(method), *engine_options(engine_name)}


def method_options(method: Method) -> dict[str, Any]:
    """The arguments that a method's configuration takes, and the type of each; prompts are the path of a file."""
    options: dict[str, Any] = {}
    hints = get_type_hints(method.config)
    for one in fields(method.config):
        kind = hints[one.name]
        if _is_group(kind):
            inner = get_type_hints(kind)
            options |= {f.metadata.get("argument", f.name): inner[f.name] for f in fields(kind)}
        else:
            options[one.name] = str if _is_prompts(kind) else kind
    return options


def _is_prompts(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, PromptTexts)


def _is_group(kind: Any) -> bool:
    """Whether a field holds several settings, each an argument of its own."""
    return isinstance(kind, type) and is_dataclass(kind) and not _is_prompts(kind)


def engine_options(engine_name: str) -> set[str]:
    """Names an engine's class takes; for vLLM also those of its own engine arguments."""
    return set(options_of(engine_name))


def _required(engine_name: str) -> list[str]:
    """The options that an engine's class cannot do without."""
    parameters = inspect.signature(engine_class(engine_name)).parameters.values()
    without = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in without]


def _method(name: Any) -> Method:
    try:
        return method_named(as_kind("method", name, str))
    except ValueError as unknown:
        raise WrongArgument(str(unknown)) from unknown


def _decode(name: str) -> Decode:
    try:
        return decode_named(name)
    except NoLibvips:
        raise
    except ValueError as unknown:
        raise WrongArgument(str(unknown)) from unknown


def _config(method: Method, given: Mapping[str, Any]) -> Any:
    """The method's configuration from its arguments."""
    hints = get_type_hints(method.config)
    values: dict[str, Any] = {}
    try:
        for one in fields(method.config):
            kind = hints[one.name]
            if _is_prompts(kind):
                if one.name in given:
                    values[one.name] = read_prompts(prompts_path(as_kind(one.name, given[one.name], str)), kind)
            elif _is_group(kind):
                names = {f.metadata.get("argument", f.name): f.name for f in fields(kind)}
                inner = get_type_hints(kind)
                values[one.name] = kind(
                    **{f: _plain(name, given[name], inner[f]) for name, f in names.items() if name in given}
                )
            elif one.name in given:
                values[one.name] = _plain(one.name, given[one.name], kind)
        return method.config(**values)
    except ValueError as wrong:
        raise WrongArgument(str(wrong)) from wrong


def _plain(name: str, value: Any, kind: Any) -> Any:
    """A value of a configuration; one of several words is checked by the configuration itself."""
    if get_origin(kind) is Literal:
        words = get_args(kind)
        return as_kind(name, _on_or_off(value) if set(words) == {"on", "off"} else value, type(words[0]))
    return as_kind(name, value, kind, least=_LEAST.get(name))


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
