"""What lmms-eval loads through its ``lmms_eval.models`` entry point: three names, their classes imported lazily."""

from __future__ import annotations

from typing import Any

MODELS = {"ergo_vllm": "ErgoVLLM", "ergo_hf": "ErgoHF", "ergo_openai": "ErgoOpenAI"}


def manifests() -> list[Any]:
    """The manifests. lmms-eval is imported here and not above: it is itself half imported when it calls."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return [
        ModelManifest(model_id=name, chat_class_path=f"ergo_plugins.lmms_plugin.models.{cls}")
        for name, cls in MODELS.items()
    ]
