"""What lmms-eval loads through its ``lmms_eval.models`` entry point: three names, their classes imported lazily."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .ending import ending_the_run

MODELS = {"ergo_vllm": "ErgoVLLM", "ergo_hf": "ErgoHF", "ergo_openai": "ErgoOpenAI"}


@ending_the_run("ergo_plugins could not register its models with lmms-eval (0.7.3 is the version it is made for)")
def manifests() -> list[Any]:
    """The manifests. lmms-eval is imported here and not above: it is itself half imported when it calls."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return [ModelManifest(model_id=name, chat_class_path=f"{__name__}.{cls}") for name, cls in MODELS.items()]


def __getattr__(name: str) -> Any:
    """A model's class. lmms-eval looks for it here, so that a failing import of ours also ends the run."""
    if name not in MODELS.values():
        raise AttributeError(f"module {__name__} has no attribute {name}")
    with ending_the_run(f"{name} of ergo_plugins could not be imported"):
        return getattr(import_module(".models", __package__), name)
