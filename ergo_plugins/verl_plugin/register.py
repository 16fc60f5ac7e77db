"""What verl loads through its ``verl.plugins`` entry point, in every one of its processes.

Loading this module registers nothing yet: each of our modules is imported right after the host module that holds its
registry. So a process pays only for the hosts it uses, and a failure surfaces where the host is used. It would not
surface here: verl logs the failures of plugins at DEBUG and goes on.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import logging
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from ..cpu import VERL_PLATFORM

AFTER = {
    "verl.experimental.reward_loop.reward_manager": ".reward_manager",
    "verl.experimental.agent_loop.agent_loop": ".agent_loop",
    "verl.experimental.agent_loop.tool_parser": ".tool_parser",
    "verl.trainer.ppo.v1.trainer_sync": ".trainer",
}
"""Host modules, and which of ours registers itself with them."""

AFTER_ON_CPU = {
    "verl.plugin.platform.platform_manager": "..cpu.platform",
    "verl.workers.engine.fsdp.transformer_impl": "..cpu.engine",
    "verl.workers.rollout.base": "..cpu.rollout_names",
    "verl.workers.rollout.replica": "..cpu.rollout_names",
}
"""The same for the CPU backend, and only if it was asked for."""

_logger = logging.getLogger(__name__)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the host modules of a table as usual, and has ours imported after them."""

    def __init__(self, after: dict[str, str]) -> None:
        self.after = after

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self.after:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self.after[fullname])
        return spec


class _Loader(importlib.abc.Loader):
    """The host's own loader, and one import more."""

    def __init__(self, host: importlib.abc.Loader, ours: str) -> None:
        self.host, self.ours = host, ours

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.host.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.host
        if module.__spec__ is not None:
            module.__spec__.loader = self.host
        self.host.exec_module(module)
        _import(self.ours)


def _import(ours: str) -> None:
    """Import a module of ours, which registers itself.

    Nothing is taken from it: when a process began with importing that very module, it is only half loaded here.
    """
    try:
        importlib.import_module(ours, __package__)
    except Exception as error:
        from importlib.metadata import version

        message = (
            f"ergo_plugins could not register {ours.lstrip('.')} with verl {version('verl')}: {error}. "
            "Run: pip install 'ergo-plugins[verl]'"
        )
        _logger.error(message)
        raise RuntimeError(message) from error


def register() -> None:
    """Register now with the host modules that are loaded, and later with those that are not."""
    on_cpu = os.environ.get("VERL_PLATFORM", "").strip().lower() == VERL_PLATFORM
    after = AFTER | AFTER_ON_CPU if on_cpu else AFTER
    sys.meta_path.insert(0, _Finder(after))
    for host, ours in after.items():
        if host in sys.modules:
            _import(ours)


register()
