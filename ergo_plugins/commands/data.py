"""``ergo data``: a published set to the parquet that verl reads."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, get_args, get_type_hints

from PIL import Image

from ..core.geometry import Coordinates, VisionGrid
from ..core.questions import Question
from ..data import known_sources, reader_named, samples
from ..data.evaluated import Evaluated
from ..data.rows import FirstTurn, Row, row, schema, tool_row
from ..data.samples import BadSample, Checked, Counts, check, split_by_image
from ..data.sources import Reader, Source
from ..methods import tool_method
from ..methods.base import Sample
from ..methods.prompts import read_prompts
from ..outside.published_prompts import prompts_path
from ..usage import CommandError
from . import sft


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The subcommand's options."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "data",
        help="turn a training set into verl's parquet",
        description="Write train.parquet, validation.parquet and counts.json. Images stay where they are.",
    )
    parser.add_argument("source", help=f"which set: {', '.join((*known_sources(), *sft.SOURCES))}")
    parser.add_argument("file", type=Path, nargs="+", help=".json, .jsonl or .parquet")
    parser.add_argument("--images", type=Path, help="folder of the images; by default the file's own")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--validation", type=int, default=0, help="samples to hold out, whole images at a time")
    parser.add_argument("--limit", type=int, help="read no more samples than this")
    parser.add_argument("--seed", type=int, default=0, help="for the split and the order of options")
    parser.add_argument("--keep-order", action="store_true", help="do not shuffle options")
    parser.add_argument("--max-megapixels", type=float, default=200.0, help="larger images are bad")
    parser.add_argument("--bad", choices=("stop", "drop"), default="stop", help="what to do with bad samples")
    parser.add_argument("--not-in", type=Path, nargs="+", default=(), help="evaluation files whose images are refused")
    parser.add_argument("--not-in-images", type=Path, help="folder of those images; by default each file's own")
    parser.add_argument("--need-box", action="store_true", help="samples without a box are bad: rules need one")
    parser.add_argument("--agent", choices=("ergo_zoom", "tool_agent"), default="ergo_zoom", help="who plays the rows")
    parser.add_argument("--coarse-tokens", type=int, default=640, help="for tool_agent: budget of the first view")
    parser.add_argument("--factor", type=int, default=28, help="for tool_agent: pixels a visual token and side")
    parser.add_argument(
        "--coordinates",
        choices=get_args(Coordinates),
        help="for tool_agent: how the model writes boxes; by default relative with --factor 32, as Qwen3-VL does",
    )
    parser.add_argument("--prompts", type=Path, help="for tool_agent: words of the first turn, as in ergo.zoom.prompts")
    sft.add_options(parser)
    parser.add_argument("--columns", default="", help="names that differ in this release: question=problem,box=bbox")
    return parser


def run(args: argparse.Namespace) -> int:
    """Convert, and print what was kept and what was left out and why.

    Raises:
        CommandError: a source, a sample, a file or a column that stops it.
    """
    if args.source in sft.SOURCES:
        return sft.run(args)
    counts = Counts()
    try:
        training, held_out = split_by_image(_checked(args, counts), args.validation, args.seed)
    except BadSample as bad:
        raise CommandError(f"{bad}. Mend it, or leave such samples out with --bad drop") from bad
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    if not training:
        raise CommandError(_nothing_left(counts, args.validation))
    import pyarrow as pa
    import pyarrow.parquet as pq

    args.out.mkdir(parents=True, exist_ok=True)
    to_row: Callable[[int, Checked], Row] = partial(row, args.source)
    if args.agent == "tool_agent":
        to_row = partial(tool_row, args.source, _first_turn(args), args.coarse_tokens * args.factor**2)
    for name, kept in (("train", training), ("validation", held_out)):
        if kept:
            columns = schema(tool=args.agent == "tool_agent", hints=kept[0].hints)
            table = pa.Table.from_pylist([to_row(index, sample) for index, sample in enumerate(kept)], columns)
            pq.write_table(table, args.out / f"{name}.parquet")
    report = {"source": args.source, "training": len(training), "validation": len(held_out), **asdict(counts)}
    (args.out / "counts.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    return 0


def _nothing_left(counts: Counts, validation: int) -> str:
    """Why no sample is left to train on, and what to change."""
    dropped = ", ".join(f"{number} of {reason!r}" for reason, number in counts.dropped.items()) or "none"
    if counts.kept:
        return (
            f"nothing is left to train on: --validation {validation} holds out whole images, and took all "
            f"{counts.kept} good samples; hold out fewer, or add images (left out as bad: {dropped})"
        )
    return f"nothing is left to train on: no sample is good (left out as bad: {dropped})"


def _first_turn(args: argparse.Namespace) -> FirstTurn:
    """What the tool's method says first: its episode is started on an image of nothing, for the words."""
    method = tool_method()[0]
    kind = get_type_hints(method.config)["prompts"]
    given = {"prompts": read_prompts(prompts_path(args.prompts), kind)} if args.prompts else {}
    coordinates: Coordinates = args.coordinates or ("relative" if args.factor == 32 else "absolute")
    grid = VisionGrid(factor=args.factor, coordinates=coordinates)

    def first_turn(question: Question) -> tuple[str, str]:
        nothing = Image.new("RGB", (args.factor, args.factor))
        turn = next(method.episode(Sample(nothing, question), method.config(**given), grid))
        return turn.system, turn.text

    return first_turn


def _checked(args: argparse.Namespace, counts: Counts) -> Iterator[Checked]:
    columns = dict(pair.split("=", 1) for pair in args.columns.split(",") if pair)
    rng = None if args.keep_order else random.Random(args.seed)
    read = reader_named(args.source)
    evaluated = Evaluated.read(args.not_in, args.not_in_images)
    counts.by_name_alone = evaluated.by_name_alone
    for source, name, record in islice(_records(args, columns), args.limit):
        try:
            sample = _sample(source, read, name, record)
            checked = check(sample, rng=rng, max_megapixels=args.max_megapixels)
            if found := evaluated.holds(checked.image):
                file, by = found
                raise BadSample(name, "in an evaluation set", f"{checked.image.name} is also in {file}, by {by}")
            if args.need_box and checked.target_box is None:
                raise BadSample(name, "no box", "it has no box")
        except BadSample as bad:
            if args.bad == "stop":
                raise
            counts.drop(bad)
        else:
            counts.keep(checked)
            yield checked


def _sample(source: Source, read: Reader, name: str, record: Any) -> samples.Sample:
    """An entry as the source's function reads it; what nobody foresaw there is named by the entry.

    Raises:
        BadSample: the entry cannot be learnt from.
        CommandError: the function failed.
    """
    try:
        return source.sample(read, name, record)
    except (BadSample, OSError):
        raise
    except Exception as error:
        where = f"{read.__module__}.{read.__name__}"
        raise CommandError(f"{name}: {where} failed on it ({type(error).__name__}: {error})") from error


def _records(args: argparse.Namespace, columns: dict[str, str]) -> Iterator[tuple[Source, str, Any]]:
    for file in args.file:
        source = Source(file, args.images or file.parent, args.out / "images", columns)
        for name, record in source.records():
            yield source, name, record
