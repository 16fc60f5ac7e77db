"""What share of a slow server's pace our client reaches, where the server takes the same time for each turn or not.

    python -m recipes.bench.latency [--beside CHECKOUT] [--size vstar] [--samples 400] [-o runs/bench/latency.json]

The server allows as many samples a second as requests may be under way, over the time of a sample's two turns. With
``--beside`` the client of another checkout of this repository takes turns with this one, and stands in rows of its own.
A third pace is that of an instant server: what the cores allow. Linux.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from . import reference
from .figures import AtLeast, Figure, table, write
from .host import CONCURRENCY, SLOW_S, Setting, our_command
from .instant_server import REPLIES, InstantServer, serving
from .photos import SIZES, images
from .process import watched

# Nothing that takes memory is imported here or by these: this process watches (see `process.watched`).

ROOT = Path(__file__).resolve().parents[2]
SPREADS_S = {0.0: 0.85, 0.2: 0.95}
"""By how much a turn's time varies, and the share that is wanted then."""


def pace(server: InstantServer, folder: Path, setting: Setting, checkout: Path) -> float:
    """Samples a second of the client in a checkout of this repository."""
    print(f"{checkout.name}: {setting}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=folder.resolve()) as place:
        data = reference.make_set(Path(place), images(folder, setting.size), setting.samples)
        command = our_command(Path(place), server.base_url(setting.delay_s, setting.spread_s), setting.concurrency)
        spent = watched(command, {"PYTHONPATH": str(checkout)}, data, setting.cores, checkout)
    return setting.samples / spent.seconds


def figures_of(
    server: InstantServer, folder: Path, setting: Setting, target: float | None, checkouts: list[Path], rounds: int
) -> Iterator[Figure]:
    """Rows of one setting, a row a checkout, this one first; then their ratio."""
    taken = [[pace(server, folder, setting, checkout) for checkout in checkouts] for _ in range(rounds)]
    paces = [median(runs) for runs in zip(*taken, strict=True)]
    allowed = setting.concurrency / (len(REPLIES) * setting.delay_s) if setting.delay_s else None
    for name, found in zip(("samples/s", "samples/s of the other checkout"), paces, strict=False):
        yield AtLeast(f"{setting}: {name}", found, allowed, target)
    if len(paces) == 2:
        yield AtLeast(f"{setting}: samples/s (other: its checkout)", *paces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="of this repository, to be compared with")
    parser.add_argument("--size", choices=tuple(SIZES), default="vstar", help="%(default)s")
    parser.add_argument("--samples", type=int, default=400, help="%(default)s")
    parser.add_argument("--concurrency", type=int, default=CONCURRENCY, help="requests under way (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="in turn; medians count (%(default)s)")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/bench/latency.json"), help="%(default)s")
    args = parser.parse_args()
    checkouts = [ROOT, *([args.beside.resolve()] if args.beside else [])]
    if not all((checkout / "recipes/bench/player.py").is_file() for checkout in checkouts):
        parser.error(f"--beside is a checkout of this repository, and {args.beside} has no recipes/bench/player.py")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cores = min(2, len(os.sched_getaffinity(0)))
    paces = [(SLOW_S, spread_s, target) for spread_s, target in SPREADS_S.items()]
    figures: list[Figure] = []
    with serving() as server:
        for delay_s, spread_s, target in (*paces, (0.0, 0.0, None)):
            setting = Setting(args.size, args.samples, args.concurrency, cores, delay_s, spread_s)
            figures += figures_of(server, args.out.parent, setting, target, checkouts, args.rounds)
    print(table(figures))
    print("other: what the server alone allows, where no other is named")
    write(figures, args.out)


if __name__ == "__main__":
    main()
