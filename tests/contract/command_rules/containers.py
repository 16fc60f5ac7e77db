"""docker: its options that the pages use, images that a Dockerfile here makes, and what is run inside."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence

from tests.contract.command_rules.files import Files, Wrong, refusals
from tests.contract.documents import ROOT, Command, command_of

IMAGES = {f"ergo-plugins:{path.name.partition('.')[0]}": path for path in ROOT.glob("docker/*.Dockerfile")}
"""Images by the names under which they are built, and their files."""
REPLACED = re.compile(r"\$\{([A-Z]+)")


def docker(command: Command, words: Sequence[str], inside: Callable[[Command], Files]) -> Files:
    """``docker build``, ``run`` and ``compose``.

    Args:
        inside: the rule of the command that a container is given.
    """
    match words:
        case ["build", *options]:
            return _built(options)
        case ["run", *options]:
            return _run(command, options, inside)
        case ["compose", *options]:
            return _composed(command, options)
    raise Wrong(f"docker is for build, run and compose here, got {' '.join(words)}")


def _built(options: Sequence[str]) -> Files:
    parser = argparse.ArgumentParser("docker build", allow_abbrev=False)
    parser.add_argument("-f", dest="file", required=True)
    parser.add_argument("-t", dest="tag", required=True)
    parser.add_argument("context", choices=["."])
    with refusals():
        given = parser.parse_args(options)
    if IMAGES.get(given.tag) != ROOT / given.file:
        raise Wrong(f"{given.file} is not the file of {given.tag}")
    return Files()


def _run(command: Command, options: Sequence[str], inside: Callable[[Command], Files]) -> Files:
    parser = argparse.ArgumentParser("docker run", allow_abbrev=False)
    parser.add_argument("--rm", action="store_true")
    parser.add_argument("-it", action="store_true")
    for name in ("-p", "-v", "--gpus", "--shm-size"):
        parser.add_argument(name)
    parser.add_argument("image", choices=list(IMAGES))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    with refusals():
        given = parser.parse_args(options)
    port = given.p
    if port and not re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port):
        raise Wrong(f"-p {port} opens the port to whoever reaches this machine; 127.0.0.1:PORT:PORT is wanted")
    return inside(command_of(given.command, command)) if given.command else Files()


def _composed(command: Command, options: Sequence[str]) -> Files:
    match options:
        case ["-f", file, "up"] if (ROOT / file).is_file():
            read = set(REPLACED.findall((ROOT / file).read_text()))
        case _:
            raise Wrong(f"docker compose is for -f FILE up, with a file that is there, got {' '.join(options)}")
    if (said := {name for name, _ in command.environment}) != read:
        raise Wrong(f"{file} reads {', '.join(sorted(read))}, not {', '.join(sorted(said)) or 'nothing'}")
    return Files()
