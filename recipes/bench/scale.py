"""What a long evaluation costs after it was played: going on with its journal, its figures, its page. Linux.

    python -m recipes.bench.scale [--samples 1000 10000 100000] [-o runs/bench/scale.json]

The journal is that of `long_journal`. Each step is a process of its own from its start to its end, with imports:
``resume`` opens the journal as a run does that goes on, ``summary`` and ``report`` are the commands with verdicts. What
a sample costs is the difference between two lengths, so that imports and pictures are no part of it. Not covered: what
lmms-eval itself does with so many documents.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from .figures import AtMost, Figure, table, write
from .process import Spent, whole

# Nothing that takes memory is imported here or by these: this process watches (see `process.watched`).

MAKER = ("-m", "recipes.bench.long_journal")
ERGO = ("-m", "ergo_plugins.cli")
STEPS = ("resume", "summary", "report")
CORES = 1
PEAK_MB = 500
CPU_S = {"resume": 5.0}
GROWTH = 1.2
"""A sample of the longer journal may take so many times what one of the shorter takes."""


def measure(folder: Path, samples: int) -> dict[str, Spent]:
    """What each step takes for a journal of so many samples, which is left in the folder beside its page."""
    print(f"{samples:,} samples", file=sys.stderr, flush=True)
    whole([sys.executable, *MAKER, str(folder), str(samples)], CORES)
    read = (str(folder / "journal.jsonl"), "--samples", str(folder / "lmms_eval"))
    commands = {
        "resume": (*MAKER, str(folder), "--open"),
        "summary": (*ERGO, "summary", *read),
        "report": (*ERGO, "report", *read, "-o", str(folder / "report.html")),
    }
    return {step: whole([sys.executable, *commands[step]], CORES) for step in STEPS}


def figures_of(samples: int, spent: Mapping[str, Spent], *, is_longest: bool) -> Iterator[Figure]:
    """Rows of one length; the targets are those of the longest."""
    for step in STEPS:
        name = f"{step}, {samples:,} samples"
        yield Figure(f"{name}: s", spent[step].seconds)
        yield Figure(f"{name}: CPU-s", spent[step].cpu_s, target=CPU_S.get(step) if is_longest else None)
        yield Figure(f"{name}: peak MB", spent[step].peak_mb, target=PEAK_MB if is_longest else None)


def growth(taken: Mapping[int, Mapping[str, Spent]]) -> Iterator[Figure]:
    """Whether a sample costs the same however many there are; wants three lengths."""
    lengths = sorted(taken)
    for step in STEPS:
        for name, unit, factor in (("cpu_s", "CPU-ms", 1000), ("peak_mb", "peak KB", 1024)):
            spent = [getattr(taken[count][step], name) * factor for count in lengths]
            each = [(b - a) / (m - n) for (a, b), (n, m) in zip(pairwise(spent), pairwise(lengths), strict=True)]
            for (before, after), (start, end) in zip(pairwise(each), pairwise(lengths[1:]), strict=True):
                label = f"{step}: {unit} a sample, {start:,} to {end:,} (other: up to {start:,})"
                yield AtMost(label, after, before if before > 0 else None, GROWTH)


def bench(folder: Path, lengths: Sequence[int]) -> list[Figure]:
    """All rows. The folder gets a journal and a page for each length."""
    taken: dict[int, dict[str, Spent]] = {}
    figures: list[Figure] = []
    for samples in lengths:
        place = folder / str(samples)
        place.mkdir()
        taken[samples] = measure(place, samples)
        figures += figures_of(samples, taken[samples], is_longest=samples == max(lengths))
        for name in ("journal.jsonl", "report.html"):
            figures.append(Figure(f"{samples:,} samples: MB of {name}", (place / name).stat().st_size / 1e6))
    return [*figures, *growth(taken)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--samples", type=int, nargs="+", default=[1000, 10_000, 100_000], help="lengths of the journal"
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/bench/scale.json"), help="%(default)s")
    args = parser.parse_args()
    if min(args.samples) < 1 or len(set(args.samples)) < len(args.samples):
        parser.error(f"--samples are different numbers from 1 on, got {args.samples}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.out.parent) as folder:
        figures = bench(Path(folder), sorted(args.samples))
    print(table(figures))
    write(figures, args.out)


if __name__ == "__main__":
    main()
