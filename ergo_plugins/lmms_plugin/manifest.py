"""What lmms-eval loads through its ``lmms_eval.models`` entry point: names of models, their classes imported lazily.

``ergo_vllm``, ``ergo_hf`` and ``ergo_openai`` take any method by ``method=``; ``<method>_vllm`` and so on are the same
classes with the method preset, for every method that is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..methods import DEFAULT, known_methods
from .ending import ending_the_run

ENGINES = {"vllm": "ErgoVLLM", "hf": "ErgoHF", "openai": "ErgoOpenAI"}
"""Name of each engine, and of the class that any method is run with."""
COMMON = "ergo"
"""How the names begin that leave the choice of the method to ``method=``."""


def models() -> dict[str, tuple[str, str | None]]:
    """Name of a model to ``(engine, preset method)``; None where the arguments choose the method."""
    named = {f"{COMMON}_{engine}": (engine, None) for engine in ENGINES}
    presets = [method for method in known_methods() if method != DEFAULT]
    return {**{f"{method}_{engine}": (engine, method) for method in presets for engine in ENGINES}, **named}


@ending_the_run("ergo_plugins could not register its models with lmms-eval (0.7.3 is the version it is made for)")
def manifests() -> list[Any]:
    """The manifests. lmms-eval is imported here and not above: it is itself half imported when it calls."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return [ModelManifest(model_id=name, chat_class_path=f"{__name__}.{_class(name)}") for name in models()]


def __getattr__(name: str) -> Any:
    """A model's class. lmms-eval looks for it here, so that a failing import of ours also ends the run."""
    known = {_class(model): model for model in models()}
    if name not in known:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    with ending_the_run(f"{name} of ergo_plugins could not be imported"):
        engine, method = models()[known[name]]
        return import_module(".models", __package__).model_class(name, engine, method)


def _class(model: str) -> str:
    """What a model's class is called."""
    engine, preset = models()[model]
    return ENGINES[engine] if preset is None else model
