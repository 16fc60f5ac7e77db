"""What can be asked on the page: models, each with a method and the single pass that stands beside it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from ..engines import Engine, open_engine, options_for_images
from ..methods import method_named
from ..python_api import Model, configured
from ..usage import CommandError

BASELINE = "single_pass"
"""The method that is asked beside the chosen one."""


@dataclass(frozen=True, slots=True)
class Example:
    """A picture of the gallery and what to ask of it."""

    image: Path
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One way of asking.

    Attributes:
        name: on the page.
        model: folder, hub id, or the name a server knows.
        method: its name.
        engine: its name.
        options: fields of the method's configuration, and of the engine.
        baseline: the same of the single pass that is asked beside it; None for no single pass.
        examples: of the gallery.
    """

    name: str
    model: str
    method: str
    engine: str = "hf"
    options: Mapping[str, Any] = field(default_factory=dict)
    baseline: Mapping[str, Any] | None = field(default_factory=dict)
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """A choice whose model is not there yet.

    Attributes:
        made_by: the command that makes it.
    """

    name: str
    made_by: str


def read_choices(path: Path) -> tuple[list[Choice], list[Missing]]:
    """The choices of a yaml: a list with the fields of `Choice`; paths in it are meant from its own folder.

    ``examples`` names a file with ``image, question, answer`` a line, its images beside it or in ``images/``;
    ``made_by`` the command that makes a model which need not be there.

    Raises:
        CommandError: the file cannot be read, or says what nobody knows.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise CommandError(f"cannot read the choices of {path}: {error}") from error
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise CommandError(f"{path} is no list of choices, each with name, model and method")
    choices, missing = [], []
    for entry in entries:
        made_by = entry.pop("made_by", None)
        known = {one.name for one in fields(Choice)}
        if unknown := sorted(set(entry) - known):
            raise CommandError(f"{path} says {unknown[0]!r} of a choice; known are {', '.join(sorted(known))}, made_by")
        if lacking := [name for name in ("name", "model", "method") if not entry.get(name)]:
            raise CommandError(f"a choice of {path} has no {lacking[0]}")
        folder = path.parent / str(entry["model"])
        if folder.is_dir():
            entry["model"] = str(folder)
        elif made_by:
            missing.append(Missing(entry["name"], made_by))
            continue
        for name in ("options", "baseline"):
            if entry.get(name):
                entry[name] = _with_paths(entry[name], path.parent)
        if entry.get("examples"):
            entry["examples"] = read_examples(path.parent / entry["examples"])
        choices.append(Choice(**entry))
    return choices, missing


def read_examples(path: Path) -> tuple[Example, ...]:
    """The pictures of a gallery.

    Raises:
        CommandError: the file cannot be read, or a picture is not there.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        examples = tuple(
            Example(_picture(path.parent, line["image"]), line["question"], str(line.get("answer", "")))
            for line in lines
        )
    except (OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise CommandError(
            f"cannot read the examples of {path}, lines of JSON with image, question, answer: {error}"
        ) from error
    if not examples:
        raise CommandError(f"{path} holds no examples")
    return examples


def _picture(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / "images" / name):
        if path.is_file():
            return path
    raise FileNotFoundError(f"there is no picture {name} beside it or in images/")


def _with_paths(options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Options in which a prompts file is meant from a folder."""
    prompts = options.get("prompts")
    is_beside = isinstance(prompts, str) and (folder / prompts).is_file()
    return {**options, "prompts": str(folder / str(prompts))} if is_beside else dict(options)


class Models:
    """The models of the page, each opened when it is first asked and then kept; choices share what they can.

    Args:
        choices: all that may be asked.
        opened: makes an engine from its name and options.
    """

    def __init__(self, choices: Iterable[Choice], opened: Callable[..., Engine] = open_engine) -> None:
        self._opened = opened
        # the same for all, so that no engine is opened twice for a limit
        self._images = max(method_named(choice.method).images for choice in choices)
        self._engines: dict[str, Engine] = {}
        self._lock = threading.Lock()

    def of(self, choice: Choice) -> Model:
        """The model of a choice.

        Raises:
            OSError, ValueError, TypeError: it cannot be opened, or an option is refused.
        """
        return self._model(choice, choice.method, choice.options)

    def baseline_of(self, choice: Choice) -> Model | None:
        """The same model in a single pass; None if the choice wants none."""
        if choice.baseline is None:
            return None
        _, engine_options = configured(method_named(choice.method), choice.options)
        return self._model(choice, BASELINE, {**engine_options, **choice.baseline})

    def close(self) -> None:
        """Give back what the engines hold."""
        for engine in self._engines.values():
            engine.close()

    def _model(self, choice: Choice, name: str, options: Mapping[str, Any]) -> Model:
        method = method_named(name)
        config, engine_options = configured(method, options)
        given = {"model": choice.model, **options_for_images(choice.engine, self._images), **engine_options}
        key = json.dumps([choice.engine, given], sort_keys=True, default=str)
        with self._lock:
            if key not in self._engines:
                self._engines[key] = self._opened(choice.engine, **given)
        return Model(self._engines[key], method, config)


def choices_for(
    model: str, engine: str, methods: Sequence[str], options: Mapping[str, Any], baseline_tokens: int
) -> list[Choice]:
    """One model asked in each of several ways.

    Args:
        options: of the engine.
        baseline_tokens: budget of visual tokens for the single pass.
    """
    return [
        Choice(name, model, name, engine, options, None if name == BASELINE else {"coarse_tokens": baseline_tokens})
        for name in methods
    ]
