"""The ``ergo:`` block of a verl configuration, read once into frozen dataclasses. Defaults live only in those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from ..judge import JudgeConfig
from ..methods.ergo import Prompts, ZoomConfig
from ..methods.ergo_prompts import read_prompts
from ..methods.ergo_reward import RewardConfig


@dataclass(frozen=True, slots=True)
class ImagesConfig:
    """How originals are kept.

    Attributes:
        max_megapixels: a larger original stops the run; it would take the memory of many others.
        kept_megapixels: decoded originals kept in a process after their last use, 3 bytes a pixel.
    """

    max_megapixels: float = 200.0
    kept_megapixels: float = 200.0


@dataclass(frozen=True, slots=True)
class TrainerConfig:
    """What the trainer mode ``ergo_sync`` does beyond verl's ``sync``.

    Attributes:
        poll_s: how often it looks whether the rollouts are done; verl's 2 s is long for small models.
        max_lost: the largest share of a step's prompts that may lose trajectories to failures (verl drops them and goes
            on); beyond it the run stops. A failed trajectory never counts as a wrong one; in validation, where verl
            would count it so, one is enough to stop.
    """

    poll_s: float = 2.0
    max_lost: float = 0.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole ``ergo:`` block."""

    zoom: ZoomConfig = field(default_factory=ZoomConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
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
        return build(cls, OmegaConf.to_container(block, resolve=True), "ergo")


def build(kind: Any, given: Any, where: str) -> Any:
    """A dataclass, and those inside it, from plain mappings.

    Raises:
        ValueError: an unknown or missing key, or a value its dataclass refuses; the message names the place.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"{where} holds keys {', '.join(_names(kind))}, got {given!r}")  # noqa: TRY004
    unknown = sorted(map(str, set(given) - set(_names(kind))))
    if unknown:
        raise ValueError(f"{where} has no key {', '.join(unknown)}; its keys are {', '.join(_names(kind))}")
    missing = [f.name for f in fields(kind) if f.default is f.default_factory is MISSING and f.name not in given]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    hints = get_type_hints(kind)
    values = {name: _value(hints[name], value, f"{where}.{name}") for name, value in given.items()}
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{where}: {error}") from error


def _names(kind: Any) -> list[str]:
    return [f.name for f in fields(kind)]


def _value(hint: Any, value: Any, where: str) -> Any:
    if hint is Prompts and isinstance(value, str):
        return read_prompts(Path(value))
    if is_dataclass(hint):
        return build(hint, value, where)
    if isinstance(value, list):
        return tuple(value)
    wanted = {int: (int,), float: (int, float), str: (str,)}.get(hint)
    if wanted and (not isinstance(value, wanted) or isinstance(value, bool)):
        raise ValueError(f"{where} is of type {hint.__name__}, got {value!r}")
    return value
