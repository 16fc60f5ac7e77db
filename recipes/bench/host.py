"""What the client costs beside the model: opening files, decoding, resizing, encoding and HTTP. Linux; on two cores a
rough twenty minutes with the reference.

    python -m recipes.bench.host [--reference CHECKOUT] [--samples 100] [--sizes vstar hr4k hr8k] [--decode stream fast]
                                 [--growth | --no-growth] [--quick] [-o runs/bench/host.json]

The server stands on loopback in a process of its own and answers at once, or after a fixed time. Ours and the
reference's ``eval.py`` (see `reference`) play the same files on it in turn, each time in a new process that is held to
the same cores and watched from outside: CPU seconds with those of its children, and the largest resident set. Both read
their questions from a pipe: what they spent before they opened it is start-up and does not count; the third of a second
of imports that the openai package puts off until its first request does. Without ``--reference``, ``other`` is empty in
its rows. How the figures grow with samples, concurrency and cores is measured at the first of the sizes. Each way of
``--decode`` plays every size once more, and is held against the reference and against decoding in full.

Ours is what ``--model ergo_openai`` runs: samples, journal, episodes and engine, without previews, and without
lmms-eval, whose import and data sets would hide the samples. The server's CPU time is nobody's; with no cores to spare,
it slows both down. Not covered: servers that are not on this machine, and images that are not JPEGs.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import reference
from .figures import AtLeast, AtMost, Figure, table, write
from .instant_server import REPLIES, InstantServer, serving
from .photos import SIZES, images
from .process import Spent, median_of, watched

# Nothing that takes memory is imported here or by these: this process watches (see `process.watched`).

PLAYER = ("-m", "recipes.bench.player")
TOKENS = 640
CONCURRENCY = 16
SLOW_S = 0.5
CPU_TARGETS = {"vstar": 1 / 3, "hr8k": 1 / 4}
RATE_TARGETS = {"hr8k": 5.0}
SLOW_TARGET = 0.95
MEMORY_TARGET = 1.1
LATE_CPU_TARGETS = {"hr8k": 0.4}
LATE_MEMORY_TARGETS = {"hr8k": 0.3}
"""Of the reference, where originals stay encoded."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is played, and how.

    Attributes:
        size: a name in `SIZES`.
        delay_s: until the server answers a turn.
        spread_s: by which that time varies, up and down.
        decode: ours, as in the model's arguments; the reference has one way.
    """

    size: str
    samples: int
    concurrency: int = CONCURRENCY
    cores: int = 2
    delay_s: float = 0.0
    spread_s: float = 0.0
    decode: str = "exact"

    def __str__(self) -> str:
        times = (
            f"{self.delay_s - self.spread_s:g} to {self.delay_s + self.spread_s:g}"
            if self.spread_s
            else f"{self.delay_s:g}"
        )
        slow = f", {times} s server" if self.delay_s else ""
        late = f", decode={self.decode}" if self.decode != "exact" else ""
        return f"{self.size}, {self.samples} samples, {self.concurrency} at once, {self.cores} cores{slow}{late}"


@dataclass(slots=True)
class Bench:
    """Clients on one server.

    Attributes:
        server: that both play against.
        folder: for images, which are kept, and for data sets, which are not.
        checkout: of the reference repository.
        known: what was measured already.
    """

    server: InstantServer
    folder: Path
    checkout: Path | None
    known: dict[Setting, tuple[Spent, Spent | None]] = field(default_factory=dict)

    def measure(self, setting: Setting, *, rounds: int = 1, alone: bool = False) -> tuple[Spent, Spent | None]:
        """Ours and the reference's, in turn ``rounds`` times; the medians. ``alone`` leaves the reference out."""
        if setting not in self.known:
            clients = (False,) if alone or self.checkout is None else (False, True)
            taken = [[self._run(setting, theirs) for theirs in clients] for _ in range(rounds)]
            ours, *other = (median_of(runs) for runs in zip(*taken, strict=True))
            self.known[setting] = ours, other[0] if other else None
        return self.known[setting]

    def _run(self, setting: Setting, theirs: bool) -> Spent:
        """One process.

        Raises:
            SystemExit: it failed, or not every sample came to its end; the reference leaves out those that failed.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            data = reference.make_set(Path(folder), images(self.folder, setting.size), setting.samples)
            url, at_once = self.server.base_url(setting.delay_s, setting.spread_s), setting.concurrency
            if theirs:
                assert self.checkout is not None
                command = reference.command(self.checkout, Path(folder), url, tokens=TOKENS, concurrency=at_once)
                environment = reference.environment(self.checkout)
            else:
                command, environment = our_command(Path(folder), url, at_once, setting.decode), {}
            print(f"{'the reference' if theirs else 'ours'}: {setting}", file=sys.stderr, flush=True)
            before = self.server.answered()
            spent = watched(command, environment, data, setting.cores)
            answered = self.server.answered() - before
        if answered != setting.samples:
            who = "the reference" if theirs else "our client"
            raise SystemExit(f"{who} brought {answered} of {setting.samples} samples to their answer: {setting}")
        return spent.for_each(setting.samples)


def our_command(folder: Path, url: str, concurrency: int, decode: str = "exact") -> list[str]:
    """The command line of our client for a data set."""
    options = [f"--tokens={TOKENS}", f"--concurrency={concurrency}"]
    if decode != "exact":  # an older checkout, which `latency` may start, has no other way
        options.append(f"--decode={decode}")
    return [sys.executable, *PLAYER, str(folder), url, *options]


def compared(setting: Setting, ours: Spent, other: Spent | None, *, is_main: bool = False) -> list[Figure]:
    """Rows of one setting, the reference in the column of the other."""
    cpu_target, rate_target = (
        targets.get(setting.size) if is_main else None for targets in (CPU_TARGETS, RATE_TARGETS)
    )
    rate, cpu, peak = (None, None, None) if other is None else (1 / other.seconds, other.cpu_s, other.peak_mb)
    return [
        AtMost(f"{setting}: CPU-s", ours.cpu_s, cpu, cpu_target),
        AtLeast(f"{setting}: samples/s", 1 / ours.seconds, rate, rate_target),
        AtMost(f"{setting}: peak MB", ours.peak_mb, peak),
    ]


def sizes_compared(bench: Bench, settings: Sequence[Setting], rounds: int) -> Iterator[Figure]:
    """Each size against the reference, and on a server that takes its time."""
    for setting in settings:
        yield from compared(setting, *bench.measure(setting, rounds=rounds), is_main=True)
    for setting in settings:
        full = math.ceil(setting.samples / setting.concurrency) * setting.concurrency
        slow = Setting(setting.size, full, setting.concurrency, setting.cores, SLOW_S)
        ours, _ = bench.measure(slow, alone=True)
        allowed = setting.concurrency / (len(REPLIES) * SLOW_S)
        yield AtLeast(f"{slow}: samples/s*", 1 / ours.seconds, allowed, SLOW_TARGET)
        yield AtMost(f"{slow}: peak MB", ours.peak_mb)


def decoded_late(bench: Bench, setting: Setting, ways: Sequence[str], rounds: int) -> Iterator[Figure]:
    """One size with originals that stay encoded, against the reference and against ours that decodes in full."""
    full, other = bench.measure(setting, rounds=rounds)
    for way in ways:
        late = replace(setting, decode=way)
        ours, _ = bench.measure(late, rounds=rounds, alone=True)
        rows = compared(late, ours, other)
        targets = (LATE_CPU_TARGETS.get(setting.size), None, LATE_MEMORY_TARGETS.get(setting.size))
        yield from (replace(row, target=target) for row, target in zip(rows, targets, strict=True))
        yield AtMost(f"{late}: CPU-s (other: decode=exact)", ours.cpu_s, full.cpu_s)
        yield AtMost(f"{late}: peak MB (other: decode=exact)", ours.peak_mb, full.peak_mb)


def growth(bench: Bench, main: Setting, counts: Sequence[int], at_once: Sequence[int]) -> Iterator[Figure]:
    """One size with other numbers of samples, of samples at once, and of cores."""
    available = len(os.sched_getaffinity(0))
    cores = [count for count in (1, available) if count < main.cores or count > main.cores]
    settings = [
        *(Setting(main.size, count, main.concurrency, main.cores) for count in counts),
        *(Setting(main.size, main.samples, count, main.cores) for count in at_once),
        *(Setting(main.size, main.samples, main.concurrency, count) for count in cores),
    ]
    peak_mb = bench.measure(main)[0].peak_mb
    for setting in settings:
        ours, other = bench.measure(setting)
        yield from compared(setting, ours, other)
        if setting.samples > main.samples:
            name = f"{main.size}: peak MB, {setting.samples} samples (other: {main.samples})"
            yield AtMost(name, ours.peak_mb, peak_mb, MEMORY_TARGET)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--reference", type=Path, metavar="CHECKOUT", help="of github.com/nota-github/ERGO")
    parser.add_argument("--samples", type=int, default=100, help="of each size (%(default)s)")
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=["vstar", "hr4k", "hr8k"])
    parser.add_argument("--cores", type=int, default=2, help="that a client may use (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="in turn with the reference; medians count (%(default)s)")
    parser.add_argument("--decode", nargs="*", choices=("stream", "fast"), default=[], help="beside decoding in full")
    parser.add_argument("--growth", action=argparse.BooleanOptionalAction, default=True, help="with more of everything")
    parser.add_argument("--quick", action="store_true", help="four tiny samples, one round: does it run at all?")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/bench/host.json"), help="%(default)s")
    args = parser.parse_args()
    if args.quick:
        args.sizes, args.samples, args.rounds = ["tiny"], 4, 1
    if args.reference is not None:
        try:
            reference.script(args.reference)
        except FileNotFoundError as error:
            parser.error(str(error))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cores = min(args.cores, len(os.sched_getaffinity(0)))
    settings = [Setting(size, args.samples, cores=cores) for size in args.sizes]
    counts = [max(1, args.samples // 10), args.samples * (2 if args.quick else 10)]
    at_once = [1] if args.quick else [1, 4, 64]
    figures: list[Figure] = []
    with serving() as server:
        bench = Bench(server, args.out.parent, args.reference and args.reference.resolve())
        figures += sizes_compared(bench, settings, args.rounds)
        for setting in settings:
            figures += decoded_late(bench, setting, args.decode, args.rounds)
        if args.growth:
            figures += growth(bench, settings[0], counts, at_once)
    print(table(figures))
    print("other: the reference, where no other is named; *: what the server alone allows")
    write(figures, args.out)


if __name__ == "__main__":
    main()
