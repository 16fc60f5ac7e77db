"""The ``ergo:`` block of a verl configuration, read once into frozen dataclasses. Defaults live only in those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..core.settings import build, names_of
from ..methods import DEFAULT, OLD_NAME_OF_EPISODE, method_named
from ..methods.base import Method
from ..methods.prompts import configured
from ..outside.judge import JudgeConfig
from ..outside.published_prompts import prompts_path


@dataclass(frozen=True, slots=True)
class ImagesConfig:
    """How originals are kept.

    Attributes:
        max_megapixels: a larger original stops the run; it would take the memory of many others.
        kept_megapixels: decoded originals kept in a process after their last use, 3 bytes a pixel.
        ahead_megapixels: decoded originals that a process holds beside those for rows of the next step, 3 bytes a
            pixel, and the first view of each (1.5 MB at 640 visual tokens). It makes them while the trainer trains,
            with ``trainer_mode=ergo_sync`` and ``ergo_colocate_async``; 0 for none.
        kept_patches_mib: pixel patches of views kept in a process, for the rollouts that share them. A view of 640
            visual tokens has 12 MiB, and those of the prompts that a process plays at once should find room.
    """

    max_megapixels: float = 200.0
    kept_megapixels: float = 200.0
    ahead_megapixels: float = 200.0
    kept_patches_mib: float = 512.0

    def __post_init__(self) -> None:
        if not self.ahead_megapixels >= 0:
            raise ValueError(f"ahead_megapixels is 0 or more, got {self.ahead_megapixels}")
        if not self.kept_patches_mib >= 0:
            raise ValueError(f"kept_patches_mib is 0 or more, got {self.kept_patches_mib}")


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """What the trainer modes ``ergo_sync``, ``ergo_colocate_async`` and ``ergo_separate_async`` do beyond verl's own.

    Attributes:
        poll_s: how often it looks whether the rollouts are done; verl's 2 s is long for small models.
        max_lost: the largest share of a step's prompts that may lose trajectories to failures (verl drops them and goes
            on); beyond it the run stops. verl 0.9.1 fills the batch up with sequences without images, and with
            transformers 5 it cannot train a micro-batch of these alone: micro-batches have to be larger than what may
            be lost. A failed trajectory never counts as a wrong one; in validation, where verl
            would count it so, one is enough to stop.
        efficiency: weight of what a right rollout saves, with ``algorithm.adv_estimator=ergo_efficient_grpo``.
        pictures: so many rollouts of each step are shown as pictures, box and parts drawn, in TensorBoard and W&B where
            ``trainer.logger`` names them. None by default: the trainer decodes an original for each, and with W&B
            pictures of the data set leave the machine, which somebody has to want.
    """

    poll_s: float = 2.0
    max_lost: float = 0.0
    efficiency: float = 0.25
    pictures: int = 0

    def __post_init__(self) -> None:
        if self.pictures < 0:
            raise ValueError(f"pictures is 0 or more, got {self.pictures}")


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole ``ergo:`` block.

    Attributes:
        method: which method is trained, by its name.
        episode: how its episodes are played; ``zoom`` is this key's old name.
        reward: what counts how much.
    """

    method: Method
    episode: Any
    reward: Any
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    images: ImagesConfig = field(default_factory=ImagesConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)

    @classmethod
    def of(cls, config: Any) -> Settings:
        """The settings of a verl trainer configuration.

        Raises:
            ValueError: it has no ``ergo:`` block, or one with a key or a value that does not belong there.
        """
        from omegaconf import OmegaConf

        block = config.get("ergo", None)
        if block is None:
            raise ValueError(
                "the configuration has no 'ergo:' block; add one to the yaml (an empty 'ergo: {}' takes all defaults) "
                "or '+ergo={}' to the command line"
            )
        return cls.read(OmegaConf.to_container(block, resolve=True), "ergo")

    @classmethod
    def read(cls, block: Any, where: str) -> Settings:
        """The settings of a plain mapping.

        Raises:
            ValueError: an unknown key, or a value that does not belong there; the message names the place.
        """
        known = [*names_of(cls), OLD_NAME_OF_EPISODE]
        if not isinstance(block, Mapping):
            raise ValueError(f"{where} holds keys {', '.join(known)}, got {block!r}")  # noqa: TRY004
        unknown = sorted(map(str, set(block) - set(known)))
        if unknown:
            raise ValueError(f"{where} has no key {', '.join(unknown)}; its keys are {', '.join(known)}")
        if {"episode", OLD_NAME_OF_EPISODE} <= set(block):
            raise ValueError(f"{where}.{OLD_NAME_OF_EPISODE} is the old name of {where}.episode; give one of them")
        try:
            method = method_named(block.get("method", DEFAULT))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{where}.method: {error}") from error
        name = OLD_NAME_OF_EPISODE if OLD_NAME_OF_EPISODE in block else "episode"
        asked, episode = method.variant(configured(method.config, block.get(name, {}), f"{where}.{name}", prompts_path))
        reward = build(method.reward, block.get("reward", {}), f"{where}.reward")
        if asked is not method:
            reward = asked.reward(**{f.name: getattr(reward, f.name) for f in fields(asked.reward)})
        return cls(
            method=asked,
            episode=episode,
            reward=reward,
            judge=build(JudgeConfig, block.get("judge", {}), f"{where}.judge"),
            images=build(ImagesConfig, block.get("images", {}), f"{where}.images"),
            trainer=build(TrainerConfig, block.get("trainer", {}), f"{where}.trainer"),
        )
