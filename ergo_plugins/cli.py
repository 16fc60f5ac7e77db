"""The ``ergo`` command. Each subcommand is a module with ``add_parser(subparsers)``, which returns its parser, and
``run(args)``, which returns the exit code; add a module by adding its name to `COMMANDS`.

Exit codes: 0 done, 1 something does not work, 2 something given was unusable (one sentence says what).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__
from .usage import CommandError

COMMANDS = (
    *("doctor", "plan", "infer", "demo", "report", "summary", "compare"),
    *("pareto", "grounding", "analyse", "judge", "cost", "data"),
)
"""Modules in `commands`, in the order of the help. None imports a host or torch when it is imported."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all subcommands; ``args.run`` is the chosen one's ``run``."""
    parser = argparse.ArgumentParser(prog="ergo", description="Coarse-to-fine visual zoom for verl and lmms-eval.")
    parser.add_argument("--version", action="version", version=f"ergo-plugins {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        command = import_module(f"{__package__}.commands.{name}")
        command.add_parser(subparsers).set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``ergo`` with arguments, by default those of the process, and return its exit code."""
    args = build_parser().parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except CommandError as error:
        print(f"ergo {args.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output has seen enough, as in `ergo summary … | head -3`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit does not fail too
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
