"""A recipe merged over verl's own configuration, without importing verl."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..usage import CommandError
from .runs import Run, run_of, supervised_run_of

OPEN = ("actor_rollout_ref.model.override_config", "actor_rollout_ref.actor.fsdp_config", "ray_kwargs.ray_init")
"""Mappings whose keys verl's yaml does not all list: transformers', Ray's, and those of a dataclass of verl's."""

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


def read_run(given: str, settings: Sequence[str] = ()) -> Run:
    """A recipe with settings of verl behind it, as the numbers of its run.

    Args:
        given: the recipe's path, or its bare name.

    Raises:
        CommandError: it cannot be used; the message says why.
    """
    recipe = recipe_file(given)
    strange = strange_keys(recipe)
    if strange:
        raise CommandError(f"{recipe.name} has keys that verl does not know, and would ignore: {', '.join(strange)}")
    config = composed(recipe.stem, *settings, folder=recipe.parent)
    from omegaconf.errors import OmegaConfBaseException

    try:
        return (supervised_run_of if is_supervised(recipe) else run_of)(config, recipe.stem)
    except (ValueError, OmegaConfBaseException) as wrong:
        raise CommandError(f"{recipe.name}: {' '.join(str(wrong).split())}") from wrong


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
    base = composed(SUPERVISED if is_supervised(recipe) else BASE, folder=_verl_config())
    bases = {one for one in own.pop("defaults", []) if isinstance(one, str)} - {"_self_", BASE, SUPERVISED}
    own.pop("ergo", None)
    found = _strange(OmegaConf.to_container(own), OmegaConf.to_container(base))
    for name in sorted(bases):
        found += strange_keys(recipe.with_name(f"{name}.yaml"))
    return found


def is_supervised(recipe: Path) -> bool:
    """Whether a recipe, or one that it builds on, is of supervised fine-tuning."""
    from omegaconf import OmegaConf

    own: Any = OmegaConf.load(recipe)
    bases = [one for one in own.get("defaults", []) if isinstance(one, str)]
    files = [recipe.with_name(f"{one}.yaml") for one in bases]
    return SUPERVISED in bases or any(file.is_file() and is_supervised(file) for file in files)


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
