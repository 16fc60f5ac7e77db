"""``ergo cost``: what several runs over the same samples cost, and how often they were right, in one table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..report.cost import costs_of, table
from ..report.read.journal import read_journal
from ..report.read.rows import Run
from ..report.read.verdicts import join_verdicts
from ..usage import CommandError
from .report import telling_what_is_unreadable, writing


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The subcommand's options."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "cost",
        help="visual tokens, prompt tokens and seconds of several runs over the same samples",
        description="Means a sample: visual tokens computed and found in the prefix cache, prompt tokens computed, "
        "tokens written, and the 50th and 95th percentile of the seconds, beside the accuracy.",
    )
    parser.add_argument(
        "runs", metavar="[NAME=]JOURNAL", nargs="+", help="journals; samples that lmms-eval logged lie beside or below"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the figures as JSON, too")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the table.

    Raises:
        CommandError: a journal cannot be read, or the runs are not over the same samples.
    """
    runs: dict[str, Run] = {}
    for given in args.runs:
        name, found = _named(given)
        if name in runs:
            raise CommandError(f"two runs are called {name}; name them: NAME=JOURNAL")
        runs[name] = found
    first, *others = runs
    keys = {name: {row.key for row in found.rows} for name, found in runs.items()}
    for name in others:
        if different := keys[first] ^ keys[name]:
            raise CommandError(
                f"{first} and {name} are not over the same samples: {len(different)} are in one alone, such as "
                f"{min(different)}; costs of other samples say nothing"
            )
    figures = {name: costs_of(found) for name, found in runs.items()}
    print(table(figures))
    if args.output:
        with writing(args.output) as file:
            file.write(json.dumps(figures, indent=2) + "\n")
        print(f"wrote {args.output}")
    return 0


def _named(given: str) -> tuple[str, Run]:
    name, is_named, path = given.rpartition("=")
    journal = Path(path)
    with telling_what_is_unreadable():
        found = read_journal(journal)
        has_samples = any(journal.parent.rglob("*samples_*.jsonl"))
        return name if is_named else journal.parent.name or journal.stem, (
            join_verdicts(found, journal.parent) if has_samples else found
        )
