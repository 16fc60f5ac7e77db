"""``ergo summary``: the figures of a run on the terminal and as JSON."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..report.summary import by_task, summarise, table
from .report import add_inputs, read_run, writing


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser("summary", help="the figures of a run")
    add_inputs(parser)
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the figures as JSON, too")
    return parser


def run(args: argparse.Namespace) -> int:
    run = read_run(args)
    total, tasks = summarise(run.rows), by_task(run.rows)
    print(table({"all": total} if len(tasks) < 2 else {"all": total, **tasks}))
    for note in run.notes:
        print(f"note: {note}")
    if args.output:
        settings = json.loads(json.dumps(dict(run.settings)), parse_constant=str)  # NaN, which is no JSON, as a word
        plain = {**total, "by_task": tasks, "settings": settings, "notes": list(run.notes)}
        with writing(args.output) as file:
            file.write(json.dumps(plain, indent=2, allow_nan=False) + "\n")
        print(f"wrote {args.output}")
    return 0
