"""The name ``ergo_hf`` for verl's two rollout registries; the classes are imported when verl asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verl.workers.rollout.base import _ROLLOUT_REGISTRY  # verl has no public way to add a trainer-side adapter
from verl.workers.rollout.replica import RolloutReplicaRegistry

from . import ROLLOUT

if TYPE_CHECKING:
    from verl.workers.rollout.replica import RolloutReplica


def _replica() -> type[RolloutReplica]:
    from .rollout import HFReplica

    return HFReplica


RolloutReplicaRegistry.register(ROLLOUT, _replica)
_ROLLOUT_REGISTRY[(ROLLOUT, "async")] = f"{__package__}.rollout.HFServerAdapter"
