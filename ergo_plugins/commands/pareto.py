"""``ergo pareto``: what accuracy costs, in several runs over the same samples."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..report.pareto import drawing, plain, points, table
from ..usage import CommandError
from .report import open_run, telling_what_is_unreadable, writing


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The subcommand's options."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "pareto",
        help="accuracy against tokens and seconds, in several runs over the same samples",
        description="Each run is a folder with journal.jsonl and lmms_eval/, as recipes/pareto.sh makes them. The "
        "first is what the others are compared with, sample by sample. Intervals are of 95 %.",
    )
    parser.add_argument("runs", metavar="FOLDER", type=Path, nargs="+", help="of a run; its name is the folder's")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="draw it as an SVG")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures, too")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the table.

    Raises:
        CommandError: a run cannot be read, or they share no sample with a verdict.
    """
    if len({folder.resolve().name for folder in args.runs}) != len(args.runs):
        raise CommandError("two folders have one name; the runs are told apart by it")
    with telling_what_is_unreadable():
        opened = [
            replace(open_run(folder / "journal.jsonl", folder / "lmms_eval"), name=folder.resolve().name)
            for folder in args.runs
        ]
        found = points(opened)
    print(table(found))
    for path, text in ((args.output, drawing(found)), (args.json, json.dumps(plain(found), indent=2) + "\n")):
        if path:
            with writing(path) as file:
                file.write(text)
            print(f"wrote {path}")
    return 0
