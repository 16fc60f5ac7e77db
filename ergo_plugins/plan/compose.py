"""A recipe merged over verl's own configuration, without importing verl."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..usage import CommandError
from ..verl_plugin.settings import Settings
from .runs import Run, run_of, supervised_run_of

OPEN = (
    "actor_rollout_ref.model.override_config",
    "actor_rollout_ref.actor.fsdp_config",
    "actor_rollout_ref.ref.fsdp_config",
    "data.apply_chat_template_kwargs",
    "ray_kwargs.ray_init",
)
"""Mappings whose keys verl's yaml does not all list: transformers', a chat template's, Ray's, and those of a dataclass
of verl's own."""

SUPERVISED = "sft_trainer_engine"
"""The base of verl's recipes for supervised fine-tuning; all others have `BASE`."""
BASE = "ppo_trainer"


def recipe_file(given: str, folder: Path = Path("recipes")) -> Path:
    """The yaml of a recipe, given by its path or by its bare name.

    Raises:
        CommandError: there is none.
    """
    tried = [Path(given), folder / f"{given}.yaml", folder / "tiny" / f"{given}.yaml"]
    for path in tried:
        if path.is_file():
            return path.resolve()
    there = ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "none here"
    raise CommandError(f"there is no recipe {given}; recipes in {folder}: {there}")


def opened(given: str, settings: Sequence[str] = ()) -> tuple[Path, Any]:
    """A recipe's file, and its configuration with settings of verl behind it.

    Args:
        given: the recipe's path, or its bare name.

    Raises:
        CommandError: it cannot be used; the message says why.
    """
    recipe = recipe_file(given)
    if base_of(recipe) is None:
        raise CommandError(f"{recipe.name} builds on none of verl's configurations: its defaults name {BASE}")
    strange = strange_keys(recipe)
    if strange:
        raise CommandError(f"{recipe.name} has keys that verl does not know, and would ignore: {', '.join(strange)}")
    return recipe, composed(recipe.stem, *settings, folder=recipe.parent)


def read_run(given: str, settings: Sequence[str] = (), *, counts: bool = True) -> Run:
    """`opened`, as the numbers of its run.

    Args:
        counts: whether the first message is counted with the checkpoint's tokenizer, which loads transformers.

    Raises:
        CommandError: it cannot be used; the message says why.
    """
    return run_in(*opened(given, settings), counts=counts)


def run_in(recipe: Path, config: Any, *, counts: bool) -> Run:
    """The numbers of an `opened` recipe; see `read_run`."""
    from omegaconf.errors import OmegaConfBaseException

    try:
        if base_of(recipe) == SUPERVISED:
            return supervised_run_of(config, recipe.stem)
        run = run_of(config, recipe.stem)
        return replace(run, words=_words(config, run.model)) if counts else run
    except (ValueError, OmegaConfBaseException) as wrong:
        raise CommandError(f"{recipe.name}: {' '.join(str(wrong).split())}") from wrong


def _words(config: Any, model: str) -> int | None:
    from .prompts import count

    try:
        return count(Settings.of(config), model).words
    except OSError:  # transformers' word for a model that is neither here nor to be had
        return None


def composed(name: str, *overrides: str, folder: Path) -> Any:
    """A recipe merged over verl's configuration, as ``verl.trainer.main_ppo --config-dir`` does.

    Args:
        overrides: settings of verl, ``key=value``.

    Returns:
        An OmegaConf mapping.

    Raises:
        CommandError: verl is not installed, or hydra refuses the recipe or a setting.
    """
    base = _verl_config()
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        with initialize_config_dir(config_dir=str(folder.resolve()), version_base=None):
            return compose(name, overrides=[f"hydra.searchpath=[file://{base}]", *overrides])
    except (HydraException, OmegaConfBaseException) as refused:
        said = " ".join(str(refused).split())
        raise CommandError(f"verl's configuration does not take {name}: {said}") from refused


def strange_keys(recipe: Path) -> list[str]:
    """Keys of a recipe that verl's configuration does not have: hydra takes them from a yaml file without a word."""
    from omegaconf import OmegaConf

    own: Any = OmegaConf.load(recipe)
    bases = {one for one in own.pop("defaults", []) if isinstance(one, str)} - {"_self_", BASE, SUPERVISED}
    own.pop("ergo", None)
    found = _strange(OmegaConf.to_container(own), _base(base_of(recipe) or BASE))
    for name in sorted(bases):
        found += strange_keys(recipe.with_name(f"{name}.yaml"))
    return found


@cache
def _base(name: str) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.to_container(composed(name, folder=_verl_config()))


def base_of(recipe: Path) -> str | None:
    """`BASE` or `SUPERVISED`, the configuration of verl that a recipe builds on, also through others; else None."""
    from omegaconf import OmegaConf

    own = OmegaConf.to_container(OmegaConf.load(recipe))
    for name in own.get("defaults", []) if isinstance(own, dict) else []:
        if name in (BASE, SUPERVISED):
            return str(name)
        file = recipe.with_name(f"{name}.yaml")
        found = base_of(file) if file.is_file() else None
        if found:
            return found
    return None


def _strange(own: Any, base: Any, before: str = "") -> list[str]:
    found: list[str] = []
    for key, value in own.items():
        name = f"{before}{key}"
        if name in OPEN:
            continue
        if key not in base:
            found.append(name)
        elif isinstance(value, dict) and isinstance(base[key], dict):
            found += _strange(value, base[key], f"{name}.")
    return found


def _verl_config() -> Path:
    spec = find_spec("verl")
    if spec is None or not spec.submodule_search_locations:
        raise CommandError(
            "verl is not installed, and its configuration is what a recipe builds on; pip install 'ergo-plugins[verl]'"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "trainer" / "config"
