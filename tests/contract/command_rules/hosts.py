"""Commands of lmms-eval, verl and vLLM: by their own parsers, tasks and configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from hydra._internal.utils import get_args_parser

from ergo_plugins.lmms_plugin.arguments import read_arguments
from ergo_plugins.lmms_plugin.manifest import models
from ergo_plugins.outside.published_prompts import PUBLISHED
from ergo_plugins.plan.compose import BASE, base_of, opened
from ergo_plugins.tasks.make_benchmark import TASKS as MADE_BY_US
from ergo_plugins.usage import CommandError
from ergo_plugins.verl_plugin.settings import Settings
from tests.contract.command_rules.files import Files, Wrong, argv, is_path, refusals
from tests.contract.documents import OPEN_END, PLACEHOLDER, ROOT


def lmms_eval(words: Sequence[str]) -> Files:
    """``python -m lmms_eval``: its own parser, its tasks, our models and their arguments."""
    from lmms_eval.__main__ import parse_eval_args
    from lmms_eval.utils import simple_parse_args_string

    with argv(["lmms_eval", *words]), refusals():
        _, given = parse_eval_args()
    known = models()
    if given.model not in known:
        raise Wrong(f"there is no model {given.model} of ours; there are {', '.join(known)}")
    engine, preset = known[given.model]
    arguments = simple_parse_args_string(given.model_args)
    named = [str(arguments[name]) for name in ("model", "prompts") if name in arguments]
    reads = [name for name in named if name not in PUBLISHED and is_path(name)]
    writes = [str(path) for path in (given.output_path, arguments.get("journal")) if path]
    if not str(arguments.get("prompts", "")).startswith("recipes/"):
        arguments.pop("prompts", None)  # fetched from its authors, or the reader's own
    try:
        read_arguments(engine, arguments, preset=preset)
    except (ValueError, OSError) as refused:
        raise Wrong(str(refused)) from refused
    tasks = set(given.tasks.split(","))
    if given.include_path:
        reads.append(given.include_path)
        tasks -= {task for made in MADE_BY_US.values() for task in made} | {
            "ergo_panels",
            Path(given.include_path).name,
        }
    if missing := tasks - stock_tasks():
        raise Wrong(f"lmms-eval has no task {', '.join(sorted(missing))}")
    return Files(tuple(reads), tuple(writes))


@cache
def stock_tasks() -> frozenset[str]:
    """All tasks of lmms-eval; it reads some seconds for them."""
    from lmms_eval.tasks import TaskManager

    return frozenset(TaskManager().all_tasks)


def verl(words: Sequence[str]) -> Files:
    """``python -m verl.trainer.main_ppo``: hydra's own parser, and the recipe composed with what stands behind it."""
    with refusals():
        given = get_args_parser().parse_args(words)
    if given.config_dir is None or given.config_name is None:
        raise Wrong("a run of ours has --config-dir and --config-name")
    return composes(given.config_name, ROOT / given.config_dir, given.overrides)


def composes(recipe: str, folder: Path, overrides: Sequence[str]) -> Files:
    """A recipe with settings behind it, strictly on verl's configuration, and read by us."""
    file = next((one for one in (folder / f"{recipe}.yaml", folder / f"tiny/{recipe}.yaml") if one.is_file()), None)
    if file is None:
        raise Wrong(f"there is no recipe {recipe} in {folder.relative_to(ROOT)}")
    settings = [one.replace(OPEN_END, "yours") for one in overrides if not PLACEHOLDER.match(one)]
    filled = [f"{key}=yours" for key in ("data.train_files", "data.val_files") if key not in " ".join(settings)]
    try:
        _, config = opened(str(file), [*settings, *filled])
        if base_of(file) == BASE:
            Settings.of(config)
    except (CommandError, ValueError) as refused:
        raise Wrong(str(refused)) from refused
    paths = [one.partition("=")[::2] for one in settings]
    return Files(
        reads=tuple(value for key, value in paths if key.endswith("_files") and value != "yours"),
        writes=tuple(value for key, value in paths if key.endswith("_dir")),
    )


def vllm_serve(words: Sequence[str]) -> Files:
    """Options of ``vllm serve``: fields of its arguments, wherever a version keeps them."""
    spec = find_spec("vllm")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    text = "".join(path.read_text() for path in (*folder.rglob("cli_args.py"), folder / "engine" / "arg_utils.py"))
    for word in words:
        field = word.removeprefix("--").replace("-", "_")
        if word.startswith("--") and not re.search(rf"^ +{field}: ", text, re.MULTILINE):
            raise Wrong(f"vllm serve has no option {word}")
    return Files()
