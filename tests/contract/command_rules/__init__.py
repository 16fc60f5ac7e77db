"""What a documented command has to be: each is given to the parser of the program that it starts, and not run.

`files_of` raises `Wrong` for what the program would not take, and otherwise says what the command reads and writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.contract.command_rules import containers, hosts, installers, ours, scripts
from tests.contract.command_rules.files import Files, Wrong
from tests.contract.documents import OPEN_END, Command, command_of

ONLY_BASH_READS = {
    "sleep": "bash",
    "export": "bash",
    "git": "the reference's repository",
}
"""First words of commands that nothing here could try, and whose they are."""


def files_of(command: Command) -> Files:
    """A command's files.

    Raises:
        Wrong: its program would refuse it, or nobody said what program that is.
    """
    if not command.words:
        return Files()
    program, *words = command.words
    rule = PROGRAMS.get(program)
    if rule is None:
        raise Wrong(f"nobody here knows the program {program}; add a rule for it to {__name__}")
    return rule(command, [word for word in words if word != OPEN_END])


def python(command: Command, words: Sequence[str]) -> Files:
    """``python -m MODULE``."""
    if words[:1] != ["-m"]:
        raise Wrong(f"python is started with -m MODULE here, got {' '.join(words)}")
    _, module, *rest = words
    host = {"lmms_eval": hosts.lmms_eval, "verl.trainer.main_ppo": hosts.verl}.get(module)
    return host(rest) if host else ours.module(module, rest, short=command.inline)


def ray(command: Command, words: Sequence[str]) -> Files:
    """``ray …``: ray's own parser; what a job starts is a command like others."""
    import click
    from ray.scripts.scripts import cli

    found: Any = cli
    left = list(words)
    while isinstance(found, click.Group):
        name = left.pop(0)
        if name not in found.commands:
            raise Wrong(f"ray has no command {name}")
        found = found.commands[name]
    try:
        started = found.make_context("ray", left).params.get("entrypoint")
    except click.ClickException as refused:
        raise Wrong(refused.format_message()) from refused
    return files_of(command_of(started, command)) if started else Files()


def docker(command: Command, words: Sequence[str]) -> Files:
    """``docker …``; what a container is given is a command like others."""
    return containers.docker(command, words, files_of)


def pytest(_command: Command, words: Sequence[str]) -> Files:
    """``pytest --pyargs MODULE -k NAME``, which tests of docs/your_own.md run."""
    match words:
        case ["--pyargs", module, "-k", _] if find_spec(module):
            return Files()
    raise Wrong(f"pytest is for --pyargs MODULE -k NAME here, got {' '.join(words)}")


def only_bash(command: Command, words: Sequence[str]) -> Files:
    """Nothing to try; of ``git clone`` the folder is known."""
    is_clone = (command.words[0], *words[:1]) == ("git", "clone")
    return Files(writes=(Path(words[1]).stem,)) if is_clone else Files()


PROGRAMS: dict[str, Callable[[Command, list[str]], Files]] = {
    "ergo": ours.ergo,
    "python": python,
    "bash": scripts.bash,
    "sbatch": scripts.sbatch,
    "ray": ray,
    "docker": docker,
    "pytest": pytest,
    "pip": installers.pip,
    "uv": installers.uv,
    "conda": installers.conda,
    **{name: only_bash for name in ONLY_BASH_READS},
}
"""Rules by a command's first word."""
