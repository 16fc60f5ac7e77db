"""What users would pick instead: lmms-eval's own clients of a server beside ours, through stock tasks. Linux.

    python -m recipes.bench.stock [--sizes vstar hr8k] [--samples 100 1000] [--ours] [-o runs/bench/stock.json]

``openai`` and ``async_openai`` of lmms-eval, ours with the single pass (which like them shows the whole image once),
and ours with the zoom, originals decoded in full or late, answer the same documents (`stock_tasks`) on one server that
answers at once. Each is a process of its own, ``python -m lmms_eval`` from its start to its results, on the same cores
and watched from outside. What a sample takes is the difference from a run of a few samples: starting takes lmms-eval
longer than a hundred of them. Of several numbers of samples lmms-eval's clients, which take seconds a sample, play the
smallest, and ours all of them. lmms-eval's clients send the original's pixels as PNG whatever the model's budget; ours
sends no more than 16,384 visual tokens of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .figures import AtLeast, AtMost, Figure, table, write
from .host import CONCURRENCY, TOKENS
from .instant_server import InstantServer, serving
from .photos import SIZES, images
from .process import Spent, whole

# Nothing that takes memory is imported here or by these: this process watches (see `process.watched`).

MAKER = ("-m", "recipes.bench.stock_tasks")
STARTED = 2
"""Samples of a run that is hardly more than its start."""

RATE_TARGETS = {"vstar": 3.0, "hr8k": 2.0}
MEMORY_TARGET = 1.1
LATE_TARGETS = {"hr8k": 0.5}
"""CPU seconds of the zoom with ``decode=fast``, of those with all originals decoded in full."""


@dataclass(frozen=True, slots=True)
class Client:
    """A model of lmms-eval.

    Attributes:
        arguments: beside the server's address.
        turns: of a sample.
    """

    name: str
    model: str
    arguments: str
    turns: int = 1


OURS = f"model=ergo,grid=qwen2.5-vl,previews=0,concurrency={CONCURRENCY}"
STOCK = Client("openai", "openai", f"model=m,api_key=none,timeout=600,max_retries=1,num_concurrent={CONCURRENCY}")
ASYNC = Client("async_openai", "async_openai", f"model=m,api_key=none,max_retries=1,num_cpus={CONCURRENCY}")
SINGLE = Client("single pass", "single_pass_openai", OURS)
ZOOM = Client("zoom", "ergo_openai", f"{OURS},coarse_tokens={TOKENS},crop_tokens={TOKENS}", turns=2)
LATE = Client("zoom, decode=fast", ZOOM.model, f"{ZOOM.arguments},decode=fast", turns=2)
HOSTS, OWN = (STOCK, ASYNC), (SINGLE, ZOOM, LATE)
CLIENTS = (*HOSTS, *OWN)


def command(client: Client, arguments: str, folder: Path, out: str, samples: int) -> list[str]:
    """lmms-eval's, of a model with all its arguments, over the task in the folder; what it writes goes to ``out``."""
    return [
        *(sys.executable, "-m", "lmms_eval", "--model", client.model, "--model_args", arguments),
        *("--tasks", "bench", "--include_path", str(folder), "--output_path", out, "--log_samples"),
        *("--limit", str(samples)),
    ]


def run(client: Client, server: InstantServer, folder: Path, samples: int, cores: int) -> Spent:
    """One client over the task in the folder.

    Raises:
        SystemExit: it failed, or not every sample came to its answer.
    """
    print(f"{client.name}: {samples} samples", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        given = f"base_url={server.base_url(0.0, turns=client.turns)},{client.arguments}"
        journal = f",journal={out}/journal.jsonl" if client in OWN else ""
        before = server.answered()
        spent = whole(command(client, given + journal, folder, out, samples), cores)
        answered = server.answered() - before
    if answered != samples:
        raise SystemExit(f"{client.name} brought {answered} of {samples} samples to their answer")
    return spent


@dataclass(frozen=True, slots=True)
class Played:
    """Runs of so many samples.

    Attributes:
        spent: by client.
        starts: of each client, a run that is hardly more than its start; what a sample takes is beyond it.
    """

    samples: int
    spent: dict[Client, Spent]
    starts: dict[Client, Spent]

    def pace(self, client: Client) -> float:
        """Samples a second."""
        return (self.samples - STARTED) / (self.spent[client].seconds - self.starts[client].seconds)

    def cpu_s(self, client: Client) -> float:
        """CPU seconds a sample."""
        return (self.spent[client].cpu_s - self.starts[client].cpu_s) / (self.samples - STARTED)


def size_compared(
    server: InstantServer, place: Path, size: str, counts: Sequence[int], cores: int, *, ours: bool
) -> Iterator[Figure]:
    """Rows of one size of image; ``ours`` alone have those of their memory."""
    with tempfile.TemporaryDirectory(dir=place.resolve()) as name:
        folder = Path(name)
        files = [str(file) for file in images(place.resolve(), size)]
        whole([sys.executable, *MAKER, name, size, str(max(counts)), *files], cores)
        starts = {} if ours else {client: run(client, server, folder, STARTED, cores) for client in CLIENTS}

        def played(samples: int, clients: Sequence[Client]) -> Played:
            return Played(samples, {client: run(client, server, folder, samples, cores) for client in clients}, starts)

        fewest = played(counts[0], OWN if ours else CLIENTS)
        if not ours:
            yield from compared(size, fewest)
        for count in counts[1:]:
            more = played(count, OWN)
            if not ours:
                yield from longer(size, more, fewest)
            yield from memory(size, more, fewest)


def compared(size: str, played: Played) -> Iterator[Figure]:
    """Each of ours against each of lmms-eval's; only the single pass, which does the same, has targets. Then the zoom
    with originals decoded late against the same decoded in full."""
    spent, setting = played.spent, f"{size}, {played.samples} samples"
    for client in OWN:
        for other in HOSTS:
            name, beside = f"{setting}: {client.name}", f"(other: {other.name})"
            target = RATE_TARGETS.get(size) if client is SINGLE else None
            yield AtLeast(f"{name}, samples/s {beside}", played.pace(client), played.pace(other), target)
            yield AtMost(f"{name}, CPU-s a sample {beside}", played.cpu_s(client), played.cpu_s(other))
            yield AtMost(f"{name}, s to results {beside}", spent[client].seconds, spent[other].seconds)
            yield AtMost(f"{name}, peak MB {beside}", spent[client].peak_mb, spent[other].peak_mb)
    name, beside = f"{setting}: {LATE.name}", f"(other: {ZOOM.name})"
    yield AtMost(f"{name}, CPU-s a sample {beside}", played.cpu_s(LATE), played.cpu_s(ZOOM), LATE_TARGETS.get(size))
    yield AtMost(f"{name}, peak MB {beside}", spent[LATE].peak_mb, spent[ZOOM].peak_mb)


def longer(size: str, played: Played, fewest: Played) -> Iterator[Figure]:
    """Ours with more samples, against lmms-eval's clients with the fewest."""
    for client in OWN:
        name = f"{size}, {played.samples} samples: {client.name}"
        for other in HOSTS:
            target = RATE_TARGETS.get(size) if client is SINGLE else None
            beside = f"(other: {other.name}, {fewest.samples})"
            yield AtLeast(f"{name}, samples/s {beside}", played.pace(client), fewest.pace(other), target)
            yield AtMost(f"{name}, CPU-s a sample {beside}", played.cpu_s(client), fewest.cpu_s(other))
    name, beside = f"{size}, {played.samples} samples: {LATE.name}", f"(other: {ZOOM.name})"
    yield AtMost(f"{name}, CPU-s a sample {beside}", played.cpu_s(LATE), played.cpu_s(ZOOM), LATE_TARGETS.get(size))


def memory(size: str, played: Played, fewest: Played) -> Iterator[Figure]:
    """What ours hold with more samples, against the fewest."""
    for client in OWN:
        now, before = played.spent[client], fewest.spent[client]
        name, beside = f"{size}, {played.samples} samples: {client.name}", f"(other: {fewest.samples})"
        yield AtMost(f"{name}, peak MB {beside}", now.peak_mb, before.peak_mb)
        yield AtMost(f"{name}, MB but for mapped files {beside}", now.own_mb, before.own_mb, MEMORY_TARGET)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=["vstar", "hr8k"], help="of the images")
    parser.add_argument(
        "--samples",
        type=int,
        nargs="+",
        default=[100, 1000],
        help="all clients play the fewest, ours all (%(default)s)",
    )
    parser.add_argument("--ours", action="store_true", help="nothing but the memory of ours, by numbers of samples")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/bench/stock.json"), help="%(default)s")
    args = parser.parse_args()
    if min(args.samples) <= STARTED:
        parser.error(f"--samples are more than {STARTED}, got {args.samples}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cores = min(2, len(os.sched_getaffinity(0)))
    figures: list[Figure] = []
    with serving() as server:
        for size in args.sizes:
            figures += size_compared(server, args.out.parent, size, sorted(args.samples), cores, ours=args.ours)
    print(table(figures))
    print(f"what a sample takes is beyond a run of {STARTED}")
    write(figures, args.out)


if __name__ == "__main__":
    main()
