"""Let a CUDA build of torchvision be imported next to a CPU build of torch.

The torchvision wheel of the default package index is linked against CUDA. Next to a CPU torch its compiled operators
cannot load, and ``import torchvision`` then dies with "operator torchvision::nms does not exist", although
transformers and lmms-eval use only its Python half. Declaring the schemas of the two operators it registers
meta-kernels for is enough. With a matching pair of builds nothing is done.

``python -m ergo_plugins.cpu.torchvision`` makes it permanent for an environment: it writes a ``.pth`` file that
calls `make_importable` in every process, the hosts' workers included, which import torchvision before any of our code.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

OPERATORS = ("nms", "qnms")
PTH_NAME = "ergo_torchvision_on_cpu.pth"

_FAILS_WITHOUT_OPERATORS = "torchvision._meta_registrations"
_libraries: list[Any] = []  # torch drops a library's schemas with its last reference


class _BeforeMetaRegistrations(importlib.abc.MetaPathFinder):
    """Finds nothing; declares the operators just before torchvision attaches meta-kernels to them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == _FAILS_WITHOUT_OPERATORS:
            _declare_missing_operators()
        return None


def make_importable() -> None:
    """Have the operators declared when something imports torchvision, if its own cannot load. Imports nothing."""
    if not any(isinstance(finder, _BeforeMetaRegistrations) for finder in sys.meta_path):
        sys.meta_path.insert(0, _BeforeMetaRegistrations())


def _declare_missing_operators() -> None:
    import torch
    from torchvision import extension

    if extension._has_ops() or _libraries:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in OPERATORS:
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _libraries.append(library)


def main() -> None:
    """Write the ``.pth`` file if torch here is a CPU build, and say what was done."""
    import torch

    if torch.version.cuda is not None or torch.version.hip is not None:
        print("torch has an accelerator: nothing to do")
        return
    pth = Path(sysconfig.get_paths()["purelib"]) / PTH_NAME
    pth.write_text("import ergo_plugins.cpu.torchvision as _ergo; _ergo.make_importable()\n")
    print(f"torch is a CPU build: wrote {pth}")


if __name__ == "__main__":
    main()
