"""Runs of ``python -m lmms_eval`` that begin when everything is imported, which is half the time of a short one.

This file is run as a program. It imports lmms-eval once and then forks a process for each line that it reads: a command
line, the folder of a run, where its output goes, and its variables. The process is lmms-eval from its first line to its
exit; what it shares with the others is modules and nothing else.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from typing import Any


class WarmStarts:
    """A process that starts others, from the first run to the end of the tests."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def run(self, arguments: list[str], folder: str, log: str, environment: dict[str, str]) -> int:
        """A run to its end; its exit code.

        Args:
            arguments: those of lmms-eval.
            folder: where it runs.
            log: file for what it prints.
            environment: its variables; those that modules read when they are imported are the first run's.
        """
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, __file__],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps([arguments, folder, log, environment]), file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())


def become_a_run(arguments: list[str], folder: str, log: str, environment: dict[str, str]) -> None:
    """Be what ``python -m lmms_eval`` is, in a process that has just been forked."""
    with open(os.devnull) as nothing, open(log, "w") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    more = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [path for path in more if path and path not in sys.path]
    sys.argv = ["lmms_eval", *arguments]
    sys.path[0] = folder  # as Python does for -m
    runpy.run_module("lmms_eval", run_name="__main__", alter_sys=True)


def main() -> None:
    """Start a run for each line of the standard input, one after the other, and print their exit codes."""
    import lmms_eval.evaluator  # noqa: F401  # before the first fork

    import ergo_plugins.engines.hf
    import ergo_plugins.engines.openai
    import ergo_plugins.lmms_plugin.models  # noqa: F401

    for line in sys.stdin:
        given: list[Any] = json.loads(line)
        pid = os.fork()
        if not pid:
            become_a_run(*given)
            return
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
