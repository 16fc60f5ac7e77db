"""``ergo report``: a run as one page; and what it shares with ``ergo summary``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..usage import CommandError
from .journal import read_journal
from .page import page
from .rollouts import is_rollouts, read_rollouts
from .rows import Run, UnreadableInput
from .samples import join_verdicts

DEFAULT_PREVIEWS = 200


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser("report", help="the samples of a run as one HTML page")
    add_inputs(parser)
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, default=Path("report.html"), help="%(default)s")
    parser.add_argument(
        "--previews",
        metavar="N",
        type=int,
        default=DEFAULT_PREVIEWS,
        help="put the pictures of at most N samples into the page (%(default)s)",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    if args.previews < 0:
        raise CommandError(f"--previews is 0 or more, got {args.previews}")
    html = page(read_run(args), previews=args.previews)
    with writing(args.output) as file:
        file.write(html)
    print(f"wrote {args.output} ({len(html.encode()) / 1e6:.1f} MB)")
    return 0


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The arguments that `read_run` reads."""
    parser.add_argument(
        "run_file",
        metavar="JOURNAL",
        type=Path,
        help="the journal that a run was told to keep; or rollouts that verl dumped, one step or the folder",
    )
    parser.add_argument("--step", metavar="N", type=int, help="of a folder of rollouts, this step and not the newest")
    parser.add_argument(
        "--samples",
        metavar="FILE_OR_FOLDER",
        type=Path,
        help="samples that lmms-eval logged, for targets and verdicts: a file, or a folder to search",
    )


def read_run(args: argparse.Namespace) -> Run:
    """The run that the arguments name.

    Raises:
        CommandError: a file is missing or is not what it should be.
    """
    try:
        if is_rollouts(args.run_file):
            if args.samples:
                raise CommandError("--samples belongs to a journal; rollouts bring their verdicts with them")
            return read_rollouts(args.run_file, args.step)
        if args.step is not None:
            raise CommandError(f"--step belongs to rollouts that verl dumped, and {args.run_file} is none of them")
        found = read_journal(args.run_file)
        return join_verdicts(found, args.samples) if args.samples else found
    except UnreadableInput as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"cannot read {error.filename}: {error.strerror}") from error


@contextmanager
def writing(path: Path) -> Iterator[IO[str]]:
    """An output file, its folder made.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}") from error
