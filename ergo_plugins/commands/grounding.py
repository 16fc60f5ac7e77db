"""``ergo grounding``: how far boxes and truths agree in one or several runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..report.grounding import summary, table
from ..report.read.journal import read_journal
from ..report.read.rows import UnreadableInput
from ..usage import CommandError
from .report import writing


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The subcommand's options."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "grounding",
        help="overlap of boxes with the truth, by task and size",
        description="Mean IoU, accuracy at thresholds, what EGM's own evaluation would say, tokens and seconds.",
    )
    parser.add_argument("journals", metavar="JOURNAL", type=Path, nargs="+", help="of runs on tasks with a target_box")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the figures as JSON, too")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the table.

    Raises:
        CommandError: a journal cannot be read, or knows no true box.
    """
    found = []
    for journal in args.journals:
        try:
            found.append({**summary(read_journal(journal)), "run": journal.parent.name or journal.name})
        except (OSError, UnreadableInput) as error:
            raise CommandError(f"{journal}: {error}") from error
    print(table(found))
    if args.output:
        with writing(args.output) as file:
            file.write(json.dumps(found, indent=2) + "\n")
        print(f"wrote {args.output}")
    return 0
