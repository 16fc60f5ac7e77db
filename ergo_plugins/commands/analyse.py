"""``ergo analyse``: what the boxes of a run are like, and whether its crops hold targets that size alone would not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..report.boxes import box_figures, box_table, occlusion_figures, occlusion_table, with_targets
from ..report.read.rows import Row
from .report import add_inputs, read_run, telling_what_is_unreadable, writing

Figures = Callable[[Sequence[Row]], dict[str, Any]]
Table = Callable[[Mapping[str, Mapping[str, Any]]], str]

KINDS: dict[str, tuple[str, Figures, Table]] = {
    "boxes": ("areas, shapes, places and repairs of boxes, by task", box_figures, box_table),
    "occlusion": ("targets covered, beside what boxes of that size would, by task", occlusion_figures, occlusion_table),
}


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The subcommand's options."""
    parser: argparse.ArgumentParser = subparsers.add_parser("analyse", help="where the boxes of a run are, and why")
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for kind, (said, _, _) in KINDS.items():
        chosen = kinds.add_parser(kind, help=said, description=said.capitalize() + ".")
        add_inputs(chosen)
        chosen.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the figures as JSON, too")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the table.

    Raises:
        CommandError: the run cannot be read, or no target is known where one is needed.
    """
    _, figures, table = KINDS[args.kind]
    rows = read_run(args).rows
    if args.kind == "occlusion":
        with telling_what_is_unreadable():
            rows = with_targets(rows)
    tasks = sorted({row.task for row in rows})
    by_task = {task: figures([row for row in rows if row.task == task]) for task in tasks}
    if len(tasks) > 1:
        by_task = {"all": figures(rows), **by_task}
    print(table(by_task))
    if args.output:
        with writing(args.output) as file:
            file.write(json.dumps(by_task, indent=2) + "\n")
        print(f"wrote {args.output}")
    return 0
