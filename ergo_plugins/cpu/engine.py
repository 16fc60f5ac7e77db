"""verl's own FSDP engine on a CPU (``strategy: fsdp2``)."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CpuFSDPEngineWithLMHead(FSDPEngineWithLMHead):
    """The engine of actor and reference policy."""

    def _build_fsdp_module(self, module: torch.nn.Module) -> Any:
        build: Callable[[torch.nn.Module], Any] = super()._build_fsdp_module
        # A reference policy would be off-loaded to pinned memory, which only an accelerator has.
        config = self.engine_config
        self.engine_config = copy.copy(config)
        object.__setattr__(self.engine_config, "forward_only", False)  # frozen, and wrapped as verl wraps an actor
        try:
            return build(module)
        finally:
            self.engine_config = config


def mend_position_ids(data: TensorDict) -> None:
    """Have position ids of shape (samples, rope rows, tokens) ragged over their tokens.

    Where all samples of a batch are equally long, torch takes the rope rows for the ragged axis, and verl 0.9.1, which
    only re-labels that axis, fails in ``split_with_sizes``. Real batches are never that even; tiny policies' are.
    """
    positions = data.get("position_ids", None)
    if positions is None or not positions.is_nested or positions.dim() != 3:
        return
    values, offsets = positions.values(), positions.offsets()
    if int(offsets[-1]) != values.shape[0]:
        positions._ragged_idx = 2
        return
    samples = values.reshape(len(offsets) - 1, -1, values.shape[-1]).unbind(0)
    data["position_ids"] = tensordict_utils.nested_tensor_from_tensor_list(list(samples), ragged_idx=2)


def _mend_in_this_process() -> None:
    """Only processes with a CPU engine come here; on GPUs verl stays as it is."""
    for name in ("verl.utils.tensordict_utils", "verl.workers.engine.base", "verl.workers.engine_workers"):
        module: Any = sys.modules.get(name)
        if module is not None:
            module.maybe_fix_3d_position_ids = mend_position_ids


_mend_in_this_process()
