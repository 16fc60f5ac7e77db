"""The trainer modes ``ergo_sync``, ``ergo_colocate_async`` and ``ergo_separate_async``.

Each is verl's of that name, with the parts of the reward in the training log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np
import transfer_queue as tq
from omegaconf import open_dict
from verl.trainer.ppo.v1.trainer_base import PPOTrainer, register_trainer
from verl.trainer.ppo.v1.trainer_colocate_async import PPOTrainerColocateAsync
from verl.trainer.ppo.v1.trainer_separate_async import PPOTrainerSeparateAsync
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.profiler import simple_timer

from . import shuffled  # noqa: F401  (registers the control)
from .collapse import Watch, refuse_nothing_to_learn
from .coming import announce, rows_of
from .efficient import EFFICIENT, knowing
from .group_step import GROUP_STEP, shapes, take_group_step
from .next_rows import NextRows
from .pictures import chosen, rollouts, show, tell_if_nothing_shows
from .reward_manager import refuse
from .settings import Settings


class ErgoTrainer(PPOTrainer):
    """Refuses misconfigurations at start, logs every part, and does not go on over lost trajectories.

    Stock verl logs ``reward_extra_info`` in validation only, drops trajectories that failed with a line in the log
    (its asynchronous modes replace their prompts, without end), and counts a failed validation sample as wrong.

    Attributes:
        host_mode: verl's own mode, which says how rollouts and training take turns.
    """

    host_mode: ClassVar[str]

    def __init__(self, config: Any) -> None:
        self.ergo = Settings.of(config)
        refuse(config, self.ergo)
        if config.trainer.v1.sampler.get("sync_refill_failed_groups"):
            raise ValueError(
                "trainer.v1.sampler.sync_refill_failed_groups replaces prompts whose trajectories failed, without end "
                "and before anybody can count them; set it to False, and ergo.trainer.max_lost to the share that may "
                "be lost"
            )
        self._lost_prompts = 0
        self._watch = Watch(self.ergo.method)
        tell_if_nothing_shows(self.ergo.trainer.pictures, config.trainer.logger)
        with open_dict(config):
            config.trainer.v1.trainer_mode = self.host_mode  # verl chooses buffer and settings by this very name
            config.trainer.v1[GROUP_STEP] = True  # reward workers, which see verl's, need not tell that nobody takes it
        super().__init__(config)
        buffer: Any = self.replay_buffer
        buffer.poll_interval = self.ergo.trainer.poll_s
        self._complete, buffer.sample = buffer.sample, self._sample
        self._replace, buffer._evict_terminal_groups = buffer._evict_terminal_groups, self._evict

    def _sample(self, global_steps: int, partition_id: str, batch_size: int) -> Any:
        """The buffer's batch, in the order of its prompts, unless too many of them lost trajectories.

        Raises:
            RuntimeError: more than ``ergo.trainer.max_lost`` did, or, in validation, any: verl would count it as wrong.
        """
        sampled = self._complete(global_steps=global_steps, partition_id=partition_id, batch_size=batch_size)
        failed = len(self.replay_buffer.failure_keys[partition_id])
        self._refuse_lost(failed, batch_size, global_steps, partition_id)
        if partition_id != "val":
            self._lost_prompts += failed
        batch, _metrics = sampled
        in_order(batch, self.replay_buffer.prompt_global_steps[partition_id])
        return sampled

    def _evict(self, global_steps: int, partition_id: str, eviction_reasons: Any) -> Any:
        """verl's, where asynchronous modes drop prompts that failed and ask for others: here they are counted first.

        verl has no public place for it, and would replace the prompts of a judge that is down for ever;
        `tests/contract/test_verl_symbols.py` watches this one.

        Raises:
            RuntimeError: since the last step more failed than ``ergo.trainer.max_lost`` allows.
        """
        _stale, _alike, failed, _counts = eviction_reasons
        self._lost_prompts += len(failed)
        if failed:
            self._refuse_lost(self._lost_prompts, self.config.data.train_batch_size, global_steps, partition_id)
        return self._replace(global_steps, partition_id, eviction_reasons)

    def _refuse_lost(self, failed: int, prompts: int, global_steps: int, partition_id: str) -> None:
        if failed > (0 if partition_id == "val" else self.ergo.trainer.max_lost * prompts):
            raise RuntimeError(
                f"{failed} of {prompts} prompts lost trajectories in step {global_steps} ({partition_id}). The "
                "reason of each stands above, under 'Error in _run_prompt'; nothing was scored for them. Mend it and "
                "start again to resume from the last checkpoint, or allow a share in ergo.trainer.max_lost (of the "
                "prompts of a training step; a validation allows none, for verl would count each as a wrong answer)"
            )

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """verl's, after the rewards of each prompt's rollouts were weighed against each other, where the method does.

        verl has no public place between rewards and advantages; `tests/contract/test_verl_symbols.py` watches this one.
        """
        keys = [key for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding", False)]
        if shapes(self.ergo.method):
            figures = take_group_step(batch.partition_id, keys, self.ergo.method, self.ergo.reward)
            metrics.update({f"{self.ergo.method.name}/{name}": value for name, value in figures.items()})
        stored = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
        refuse_nothing_to_learn(reported(stored))
        compute: Callable[..., Any] = super()._compute_advantage
        if self.config.algorithm.adv_estimator != EFFICIENT:
            return compute(batch, metrics)
        stored = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
        with knowing([bool(parts.get("acc")) for parts in reported(stored)], self.ergo.trainer.efficiency):
            return compute(batch, metrics)

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> Any:
        """verl's step, with the mean of each part of the reward among its metrics."""
        batch = super().step(metrics, timing_raw)
        keys = [key for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding", False)]
        stored = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
        prefix = self.ergo.method.name
        means = mean_parts(reported(stored), prefix)
        metrics.update(means)
        metrics[f"{prefix}/collapse"] = self._watch.notice(means)
        metrics[f"{prefix}/lost_prompts"], self._lost_prompts = self._lost_prompts, 0
        if self.ergo.trainer.pictures:
            with simple_timer("pictures", timing_raw):
                self._show_pictures(chosen(keys, self.ergo.trainer.pictures), batch.partition_id)
        return batch

    def _show_pictures(self, keys: list[str], partition_id: str) -> None:
        """Pictures of these trajectories, in the trackers that show some."""
        stored = tq.kv_batch_get(keys=keys, partition_id=partition_id, select_fields=["rm_scores", "extra_fields"])
        rewards = [float(rewards.sum()) for rewards in stored["rm_scores"]]
        shown = rollouts(rewards, reported(stored))
        show(self.logger.logger, f"{self.ergo.method.name}/rollouts", shown, self.global_steps)

    def _dump_generations(
        self, inputs: Any, outputs: Any, gts: Any, scores: Any, reward_extra_infos_dict: Any, dump_path: Any
    ) -> None:
        """verl dumps the parts of the reward in validation only; here the dump of a training step has them, too.

        verl has no public place to say what a dump holds; `tests/contract/test_verl_symbols.py` watches this one.
        """
        if list(reward_extra_infos_dict) == ["uid"]:
            keys = reward_extra_infos_dict["uid"]
            stored = tq.kv_batch_get(keys=keys, partition_id="train", select_fields=["extra_fields"])
            reward_extra_infos_dict = {"uid": keys, **columns(reported(stored))}
        dump: Callable[..., None] = super()._dump_generations
        dump(inputs, outputs, gts, scores, reward_extra_infos_dict, dump_path)


class LooksAhead(ErgoTrainer):
    """Of modes that begin each step with a whole batch and pause generation while they train.

    Rollouts of a batch are complete, or paused, when verl calls ``on_sample_end``. From then until the next step begins
    agent loop workers have nothing to do, and decode what they will be handed.
    """

    _next_rows: NextRows | None = None

    def on_train_begin(self) -> None:
        """verl's; no row has been taken yet, and a checkpoint's state is in the loader."""
        if self.ergo.images.ahead_megapixels:
            self.train_dataloader = self._next_rows = NextRows(self.train_dataloader)
        begin: Callable[[], None] = super().on_train_begin
        begin()

    def on_sample_end(self) -> None:
        """verl's; then the workers are told of the rows of the next step, if there is one."""
        end: Callable[[], None] = super().on_sample_end
        end()
        if self._next_rows is None or self.global_steps >= self.total_training_steps:
            return
        with simple_timer("look_ahead", self.timing_raw):
            prompts = self.config.data.train_batch_size
            batches = self._next_rows.see(prompts // (self.config.data.get("gen_batch_size") or prompts))
            # a manager of the user's own need not have workers
            workers = getattr(self.agent_loop_manager, "agent_loop_workers", ())
            announce(workers, [row for batch in batches for row in rows_of(batch)])


@register_trainer("ergo_sync")
class ErgoSyncTrainer(LooksAhead, PPOTrainerSync):
    """Rollouts of a step, then training on them."""

    host_mode = "sync"


@register_trainer("ergo_colocate_async")
class ErgoColocateAsyncTrainer(LooksAhead, PPOTrainerColocateAsync):
    """On the same GPUs; rollouts that are slow are trained on in a later step."""

    host_mode = "colocate_async"


@register_trainer("ergo_separate_async")
class ErgoSeparateAsyncTrainer(ErgoTrainer, PPOTrainerSeparateAsync):
    """Rollouts on GPUs of their own, all the time."""

    host_mode = "separate_async"


def in_order(batch: Any, prompts: Iterable[str]) -> None:
    """Put trajectories in the order of their prompts, whichever ended first: verl cuts mini-batches from it.

    Args:
        batch: verl's ``KVBatchMeta``; keys are ``uid_session_turn``.
        prompts: uids in the order in which they were handed out.
    """
    place = {uid: number for number, uid in enumerate(prompts)}

    def order(row: int) -> tuple[int, int, int]:
        uid, session, turn = batch.keys[row].rsplit("_", 2)
        return place.get(uid, len(place)), int(session), int(turn)

    batch.reorder(sorted(range(len(batch.keys)), key=order))


def reported(stored: Any) -> list[dict[str, Any]]:
    """What the reward manager reported of each trajectory, from ``extra_fields`` of the transfer queue."""
    fields = [getattr(fields, "data", fields) for fields in list(stored["extra_fields"])]
    return [field.get("reward_extra_info") or {} for field in fields]


def columns(parts: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The same by name; None where a trajectory, such as one that only pads the batch, has no such part."""
    return {name: [part.get(name) for part in parts] for name in {name: None for part in parts for name in part}}


def mean_parts(parts: list[dict[str, Any]], prefix: str) -> dict[str, float]:
    """Means over trajectories, as ``<prefix>/<part>``; absent values and text do not count."""
    means: dict[str, float] = {}
    for name, values in columns(parts).items():
        numbers = [float(value) for value in values if isinstance(value, int | float | np.number)]
        if numbers:
            means[f"{prefix}/{name}"] = float(np.mean(numbers))
    return means
