"""``ergo plan``: what a training recipe needs, before a GPU hour is spent."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..plan.cards import CARDS
from ..plan.compose import read_run
from ..plan.reckoned import plan_of
from ..plan.text import text
from ..plan.work import WRITTEN_SHARE
from ..usage import CommandError


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The subcommand's options."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "plan",
        help="what a training recipe needs: memory, disk, time, and the setting to change",
        description="Composes a recipe on verl's own configuration and works out what fits: token budgets, divisions, "
        "memory of a GPU and of a machine, disk, operations and time of a step. Nothing is measured, and the formulas "
        "are printed. Exit code 2, and the setting to change, if it cannot fit.",
    )
    parser.add_argument("recipe", metavar="RECIPE", help="its file, or its name in recipes/")
    parser.add_argument("settings", metavar="KEY=VALUE", nargs="*", help="settings of verl, as behind the recipe")
    parser.add_argument("--card", choices=CARDS, default="h100", help="the GPU (default: %(default)s)")
    parser.add_argument(
        "--written",
        metavar="SHARE",
        type=float,
        default=WRITTEN_SHARE,
        help="of the longest reply, written on average (default: %(default)s, assumed)",
    )
    parser.add_argument(
        "--visual", metavar="TOKENS", type=int, help="visual tokens of an average sequence (default: all budgets full)"
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the plan.

    Raises:
        CommandError: the recipe cannot be read, or cannot fit; the message names the setting to change.
    """
    if not 0 < args.written <= 1:
        raise CommandError(f"--written is a share above 0 and at most 1, got {args.written:g}")
    if args.visual is not None and args.visual < 0:
        raise CommandError(f"--visual is a number of tokens, got {args.visual}")
    plan = plan_of(read_run(args.recipe, args.settings), CARDS[args.card], args.written, args.visual)
    print(json.dumps(plan.plain(), indent=2) if args.json else text(plan))
    if plan.problems:
        raise CommandError(f"{plan.run.name} cannot fit: {plan.problems[0]}")
    return 0
