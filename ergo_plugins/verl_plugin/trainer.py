"""The trainer mode ``ergo_sync``: verl's ``sync``, with the parts of the reward in the training log."""

from __future__ import annotations

from typing import Any

import numpy as np
import transfer_queue as tq
from omegaconf import open_dict
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from .reward_manager import refuse
from .settings import Settings


@register_trainer("ergo_sync")
class ErgoSyncTrainer(PPOTrainerSync):
    """Refuses misconfigurations at start, logs every part, and does not go on over lost trajectories.

    Stock verl logs ``reward_extra_info`` in validation only, drops trajectories that failed with a line in the log,
    and counts a failed validation sample as wrong.
    """

    def __init__(self, config: Any) -> None:
        self.ergo = Settings.of(config)
        refuse(config, self.ergo)
        with open_dict(config):
            config.trainer.v1.trainer_mode = "sync"  # verl chooses the replay buffer by this very name
        super().__init__(config)

    def _build_replay_buffer(self) -> ReplayBuffer:
        buffer = super()._build_replay_buffer()
        buffer.poll_interval = self.ergo.trainer.poll_s
        self._complete = buffer.sample
        buffer.sample = self._sample
        return buffer

    def _sample(self, global_steps: int, partition_id: str, batch_size: int) -> Any:
        """The buffer's batch, unless too many of its prompts lost trajectories.

        Raises:
            RuntimeError: more than ``ergo.trainer.max_lost`` did.
        """
        sampled = self._complete(global_steps=global_steps, partition_id=partition_id, batch_size=batch_size)
        failed = len(self.replay_buffer.failure_keys[partition_id])
        if failed > self.ergo.trainer.max_lost * batch_size:
            raise RuntimeError(
                f"{failed} of {batch_size} prompts lost trajectories in step {global_steps} ({partition_id}). The "
                "reason of each stands above, under 'Error in _run_prompt'; nothing was scored for them. Mend it and "
                "start again to resume from the last checkpoint, or allow a share in ergo.trainer.max_lost"
            )
        return sampled

    def _compute_metrics(self, batch: Any, metrics: Any, timing_raw: Any, global_steps: Any, epoch: Any) -> None:
        super()._compute_metrics(batch, metrics, timing_raw, global_steps, epoch)
        keys = [key for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding", False)]
        stored = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
        metrics.update(mean_parts([getattr(fields, "data", fields) for fields in list(stored["extra_fields"])]))
        metrics["ergo/lost_prompts"] = len(self.replay_buffer.failure_keys["train"])


def mean_parts(extra_fields: list[dict[str, Any]]) -> dict[str, float]:
    """Means over trajectories of what the reward manager reported, as ``ergo/<part>``; absent values do not count."""
    reported = [fields.get("reward_extra_info") or {} for fields in extra_fields]
    means: dict[str, float] = {}
    for name in {name: None for info in reported for name in info}:
        values = [float(info[name]) for info in reported if isinstance(info.get(name), int | float | np.number)]
        if values:
            means[f"ergo/{name}"] = float(np.mean(values))
    return means
