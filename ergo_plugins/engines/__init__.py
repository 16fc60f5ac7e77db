"""Ways to have a model reply: in-process vLLM, transformers, or any OpenAI-compatible server.

Engines know turns and replies and nothing of benchmarks, so the evaluation and the command line share them. Each file
imports its host only when an engine is opened.
"""

from __future__ import annotations

import inspect
from dataclasses import fields
from importlib import import_module
from typing import Any

from .base import Engine, EngineFault, Job

ENGINES = {"vllm": "VLLMEngine", "hf": "HFEngine", "openai": "OpenAIEngine"}
"""Engine names and the class that stands in the module of that name."""

__all__ = ["ENGINES", "Engine", "EngineFault", "Job", "engine_class", "open_engine", "options_for_images", "options_of"]


def engine_class(name: str) -> type[Engine]:
    """The class of an engine, its host not yet imported.

    Raises:
        ValueError: no such engine.
    """
    if name not in ENGINES:
        raise ValueError(f"an engine is one of {', '.join(ENGINES)}, got {name!r}")
    found: type[Engine] = getattr(import_module(f".{name}", __package__), ENGINES[name])
    return found


def open_engine(name: str, **options: Any) -> Engine:
    """Open an engine by name with the options of its class.

    Raises:
        ValueError: no such engine.
        TypeError: an option it does not have, or one it needs is missing.
    """
    chosen = engine_class(name)
    inspect.signature(chosen).bind(**options)
    return chosen(**options)


def options_of(name: str) -> dict[str, Any]:
    """The options of an engine and what each is annotated with; for vLLM also those of its own engine arguments.

    Raises:
        ValueError: no such engine.
        ImportError: vLLM is not here to be asked.
    """
    parameters = inspect.signature(engine_class(name)).parameters.values()
    own = {one.name: one.annotation for one in parameters if one.kind is not one.VAR_KEYWORD}
    if len(own) == len(parameters):
        return own
    from vllm.engine.arg_utils import AsyncEngineArgs

    return {**{field.name: field.type for field in fields(AsyncEngineArgs)}, **own}


def options_for_images(name: str, images: int) -> dict[str, Any]:
    """What an engine has to be told so that a conversation may have so many images; vLLM allows one without it."""
    return {"limit_mm_per_prompt": {"image": images, "video": 0}} if name == "vllm" else {}
