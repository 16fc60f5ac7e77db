"""``ergo data from-rollouts`` and ``ergo data egm-sft``: rows of verl's own SFT trainer, for a cold start."""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from ..core.images import to_rgb
from ..core.questions import split_question
from ..data import cold_start, reader_named
from ..data.cold_start import Rollout
from ..data.conversations import Conversation, Template
from ..data.samples import BadSample
from ..data.sources import Source
from ..methods import DEFAULT, OLD_NAME_OF_EPISODE, method_named
from ..methods.base import Method, Sample
from ..methods.prompts import configured
from ..outside.image_files import open_image
from ..outside.processors import load_processor
from ..outside.published_prompts import prompts_path
from ..report.read.rows import Run
from ..usage import CommandError
from .report import open_run, telling_what_is_unreadable

SOURCES = ("from-rollouts", "egm-sft")
"""What stands for the source's name."""

_ROWS_A_WRITE = 32

Made = tuple[str, str, Callable[[], Conversation] | BadSample]
"""``(name, image, how to make the row, or why there is none)``."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that only these rows have."""
    group = parser.add_argument_group("rows for supervised fine-tuning (from-rollouts, egm-sft)")
    group.add_argument("--model", help="folder or hub id of the model that will learn them: its processor checks each")
    group.add_argument("--max-length", type=int, default=16384, help="most tokens of a row, data.max_length")
    group.add_argument(
        "--episode",
        type=Path,
        metavar="YAML",
        help="the method and its settings: a recipe with an ergo: block, or that block; of a journal its own are known",
    )
    group.add_argument("--chat-template", type=Path, help="of the model, if not the processor's own")
    group.add_argument(
        "--samples", type=Path, help="samples that lmms-eval logged: which answers of a journal are right"
    )
    group.add_argument("--per-question", type=int, default=1, help="most rollouts of a question")
    group.add_argument("--without-crop", type=float, default=0.2, help="largest share of rows without a closer look")


def run(args: argparse.Namespace) -> int:
    """Write ``train.parquet``, ``validation.parquet``, ``refused.jsonl`` and ``counts.json``, and print the counts.

    Raises:
        CommandError: something given cannot be used, or no row is left.
    """
    if not args.model:
        raise CommandError(f"{args.source} needs --model: every row is checked with its processor")
    if args.per_question < 1 or not 0 <= args.without_crop <= 1:
        raise CommandError("--per-question is at least 1, and --without-crop a share, 0 to 1")
    try:
        processor = load_processor(args.model)
        if args.chat_template:
            processor.chat_template = args.chat_template.read_text(encoding="utf-8")
        template = Template(processor, args.max_length)
        made = list((_from_rollouts if args.source == "from-rollouts" else _from_boxes)(args, template))
        report = _write(args, made, template)
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    print(json.dumps(report, indent=2))
    if not report["training"]:
        raise CommandError(f"no row is left to train on; {args.out / 'refused.jsonl'} says why of each")
    return 0


def _write(args: argparse.Namespace, made: list[Made], template: Template) -> dict[str, Any]:
    args.out.mkdir(parents=True, exist_ok=True)
    held_out = _held_out(made, args.validation, args.seed)
    refused: Counter[str] = Counter()
    lengths: list[int] = []
    writers = {name: _Writer(args.out / f"{name}.parquet") for name in ("train", "validation")}
    with (args.out / "refused.jsonl").open("w", encoding="utf-8") as reasons:
        for name, image, make in made:
            try:
                if isinstance(make, BadSample):
                    raise make
                conversation = make()
                lengths.append(template.tokens(conversation))
            except BadSample as bad:
                refused[bad.reason] += 1
                reasons.write(json.dumps({"name": name, "reason": bad.reason, "detail": str(bad)}) + "\n")
                continue
            writers["validation" if image in held_out else "train"].add(conversation.row(args.source))
    rows = {name: writer.close() for name, writer in writers.items()}
    report = {
        "source": args.source,
        "training": rows["train"],
        "validation": rows["validation"],
        "refused": dict(refused),
        "longest_tokens": max(lengths, default=0),
    }
    (args.out / "counts.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def _held_out(made: list[Made], validation: int, seed: int) -> set[str]:
    """Images whose rows are for validation, enough for as many rows as asked."""
    counted = Counter(image for _, image, make in made if not isinstance(make, BadSample))
    images = sorted(counted)
    random.Random(seed).shuffle(images)
    chosen: set[str] = set()
    while images and sum(counted[image] for image in chosen) < validation:
        chosen.add(images.pop())
    return chosen


def _from_rollouts(args: argparse.Namespace, template: Template) -> Iterator[Made]:
    for file in _files(args.file):
        with telling_what_is_unreadable():
            run = open_run(file, args.samples)
        method, config = _episode(args, run)
        rollouts = [
            Rollout(row.key, row.question, row.image_path, row.outcome, row.correct) for row in run.rows[: args.limit]
        ]
        for rollout, bad in cold_start.chosen(
            rollouts, per_question=args.per_question, without=args.without_crop, seed=args.seed
        ):
            yield rollout.name, str(rollout.image_path), bad or _again(rollout, method, config, template)


def _again(rollout: Rollout, method: Method, config: Any, template: Template) -> Callable[[], Conversation]:
    def make() -> Conversation:
        with _opened(rollout.name, str(rollout.image_path)) as image:
            sample = cold_start.rollout_sample(rollout, to_rgb(image))
        return cold_start.of_rollout(rollout, sample, method, config, template.grid)

    return make


def _from_boxes(args: argparse.Namespace, template: Template) -> Iterator[Made]:
    name_of_set = args.source.removesuffix("-sft")
    read = reader_named(name_of_set)
    method, config = _episode(args, None, default=name_of_set)
    columns = dict(pair.split("=", 1) for pair in args.columns.split(",") if pair)
    for file in args.file:
        source = Source(file, args.images or file.parent, args.out / "images", columns)
        for number, (name, record) in enumerate(source.records()):
            if number == args.limit:
                break
            try:
                found = source.sample(read, name, record)
                said = cold_start.said_by_the_model(name, record)
            except BadSample as bad:
                yield name, "", bad
                continue

            def make(name: str = name, found: Any = found, said: str = said) -> Conversation:
                with _opened(name, str(found.image)) as image:
                    sample = Sample(to_rgb(image), split_question(found.question))
                return cold_start.of_box(name, sample, found.boxes[0], said, method, config, template.grid)

            yield name, str(found.image), make


def _opened(name: str, path: str) -> Any:
    try:
        return open_image(path)
    except OSError as error:
        raise BadSample(name, "unreadable image", str(error)) from error


def _files(given: list[Path]) -> Iterator[Path]:
    """Journals and dumps; of a folder of dumps every step, in order."""
    for path in given:
        if not path.is_dir():
            yield path
            continue
        steps = {int(file.stem): file for file in path.glob("*.jsonl") if re.fullmatch(r"\d+", file.stem)}
        if not steps:
            raise CommandError(f"{path} holds no <step>.jsonl, as verl dumps rollouts")
        yield from (steps[step] for step in sorted(steps))


def _episode(args: argparse.Namespace, run: Run | None, default: str = DEFAULT) -> tuple[Method, Any]:
    """The method that is played and its settings: those of a file, or those that a journal was made with."""
    if args.episode:
        block = yaml.safe_load(args.episode.read_text(encoding="utf-8"))
        block = block.get("ergo", block) if isinstance(block, Mapping) else None
        if not isinstance(block, Mapping):
            raise CommandError(f"{args.episode} has no ergo: block with 'method' and 'episode'")
        method = method_named(block.get("method", default))
        settings = block.get("episode", block.get(OLD_NAME_OF_EPISODE)) or {}
        return method.variant(configured(method.config, settings, f"{args.episode}: episode", prompts_path))
    if run is None:
        method = method_named(default)
        return method.variant(method.config())
    known = run.settings
    if "method" not in known:
        raise CommandError(f"{run.name} does not say how it was played; give --episode with the recipe of the run")
    method = method_named(str(known["method"]))
    names = [one.name for one in fields(method.config)]
    return method.variant(configured(method.config, {n: known[n] for n in names if n in known}, run.name, prompts_path))


class _Writer:
    """A parquet that is written a few rows at a time: their images would not fit into memory together."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows, self.count = path, list[dict[str, Any]](), 0
        self._file: Any = None

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self.count += 1
        if len(self.rows) == _ROWS_A_WRITE:
            self._flush()

    def close(self) -> int:
        """The number of rows; no file is left where there are none."""
        self._flush()
        if self._file is not None:
            self._file.close()
        else:
            self.path.unlink(missing_ok=True)
        return self.count

    def _flush(self) -> None:
        if not self.rows:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pylist(self.rows)
        if self._file is None:
            self._file = pq.ParquetWriter(self.path, table.schema)
        self._file.write_table(table)
        self.rows = []
