"""Coarse-to-fine visual zoom and other ways to look, as a plugin for verl and lmms-eval; and from Python.

``from ergo_plugins import open_model``. Nothing is imported before it is used, no host above all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .core.outcome import Outcome as Outcome
    from .engines.base import EngineFault as EngineFault
    from .python_api import Answer as Answer
    from .python_api import Model as Model
    from .python_api import open_model as open_model

_PUBLIC = {
    "Answer": "python_api",
    "EngineFault": "engines.base",
    "Model": "python_api",
    "Outcome": "core.outcome",
    "open_model": "python_api",
}
"""Public names and the module that each stands in."""


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
