"""``ergo compare``: two runs over the same samples, and the training between them, as one page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..report.compare import comparison
from ..report.figures import read_figures
from ..report.pairs import join
from ..report.read.metrics import read_training
from ..usage import CommandError
from .report import open_run, telling_what_is_unreadable, writing

DEFAULT_PREVIEWS = 24


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "compare", help="two runs over the same samples, and the training between them, as one HTML page"
    )
    for name in ("before", "after"):
        parser.add_argument(
            name,
            metavar=f"{name.upper()}_JOURNAL",
            type=Path,
            help=f"journal of the run {name}, or rollouts of verl",
        )
    for name in ("before", "after"):
        parser.add_argument(
            f"--samples-{name}",
            metavar="FILE_OR_FOLDER",
            type=Path,
            help=f"samples that lmms-eval logged of the run {name}, for targets and verdicts",
        )
    parser.add_argument(
        "--metrics",
        metavar="FILE",
        type=Path,
        nargs="+",
        default=[],
        help="what verl's file logger wrote of the training in between; of several files the later count",
    )
    parser.add_argument(
        "--figures", metavar="FILE", type=Path, help="figures of many scenes as JSON: before, after and maybe control"
    )
    parser.add_argument(
        "--previews", metavar="N", type=int, default=DEFAULT_PREVIEWS, help="show at most N samples (%(default)s)"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, default=Path("compare.html"), help="%(default)s")
    return parser


def run(args: argparse.Namespace) -> int:
    if args.previews < 0:
        raise CommandError(f"--previews is 0 or more, got {args.previews}")
    with telling_what_is_unreadable():
        before = open_run(args.before, args.samples_before)
        after = open_run(args.after, args.samples_after)
        figures = read_figures(args.figures) if args.figures else None
        steps = read_training(args.metrics) if args.metrics else None
    joined = join(before.rows, after.rows)
    if not joined.pairs:
        raise CommandError(f"{args.before} and {args.after} share no sample: compare two runs over the same tasks")
    html = comparison(before, after, joined, steps=steps, figures=figures, previews=args.previews)
    with writing(args.output) as file:
        file.write(html)
    print(f"wrote {args.output} ({len(html.encode()) / 1e6:.1f} MB)")
    return 0
