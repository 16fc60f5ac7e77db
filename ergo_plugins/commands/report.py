"""``ergo report``: a run as one page; and what it shares with ``ergo summary``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..report.page import pieces
from ..report.pictures import local_images
from ..report.read.journal import read_journal
from ..report.read.rollouts import is_rollouts, read_rollouts
from ..report.read.rows import Run, UnreadableInput
from ..report.read.verdicts import join_verdicts
from ..usage import CommandError

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
    parser.add_argument(
        "--images",
        metavar="FOLDER",
        type=Path,
        help="of rollouts, show only originals that lie in this folder or below, and not whatever the dump names",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    if args.previews < 0:
        raise CommandError(f"--previews is 0 or more, got {args.previews}")
    run = read_run(args, args.images)
    with writing(args.output) as file:
        for piece in pieces(run, previews=args.previews):
            file.write(piece)
    print(f"wrote {args.output} ({args.output.stat().st_size / 1e6:.1f} MB)")
    if named := local_images(run.rows, args.previews):
        print(f"{named} --images FOLDER shows none from elsewhere, --previews 0 none at all.")
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


def read_run(args: argparse.Namespace, images: Path | None = None) -> Run:
    """The run that the arguments name; ``images`` as in `open_run`.

    Raises:
        CommandError: a file is missing or is not what it should be.
    """
    with telling_what_is_unreadable():
        return open_run(args.run_file, args.samples, args.step, images)


def open_run(path: Path, samples: Path | None, step: int | None = None, images: Path | None = None) -> Run:
    """A journal with its verdicts, or rollouts that verl dumped.

    Args:
        path: the journal; or a dump, or the folder of dumps.
        samples: where lmms-eval logged samples, for a journal.
        step: which dump of a folder; the newest if None.
        images: of rollouts, the folder whose originals are shown; None for anywhere.

    Raises:
        OSError: a file cannot be read.
        UnreadableInput: it is not what it should be.
        CommandError: an argument does not belong to what the path is.
    """
    if is_rollouts(path):
        if samples:
            raise CommandError("--samples belongs to a journal; rollouts bring their verdicts with them")
        return read_rollouts(path, step, images)
    if step is not None:
        raise CommandError(f"--step belongs to rollouts that verl dumped, and {path} is none of them")
    if images is not None:
        raise CommandError(f"--images belongs to rollouts; a journal's pictures lie beside it, and {path} is one")
    found = read_journal(path)
    return join_verdicts(found, samples) if samples else found


@contextmanager
def telling_what_is_unreadable() -> Iterator[None]:
    """Errors of reading become sentences for the user.

    Raises:
        CommandError: instead of OSError and UnreadableInput.
    """
    try:
        yield
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
