"""What the client costs beside the model: opening files, decoding, resizing, encoding and HTTP. Linux; on two cores a
rough twenty minutes with the reference.

    python recipes/bench/host.py [--reference CHECKOUT] [--samples 100] [--sizes vstar hr4k hr8k] [--quick]
                                 [-o runs/bench/host.json]

The server stands on loopback in a process of its own and answers at once, or after a fixed time. Ours and the
reference's ``eval.py`` (see `reference`) play the same files on it in turn, each time in a new process that is held to
the same cores and watched from outside: CPU seconds with those of its children, and the largest resident set. Both read
their questions from a pipe: what they spent before they opened it is start-up and does not count; the third of a second
of imports that the openai package puts off until its first request does. Without ``--reference``, ``other`` is empty in
its rows. How the figures grow with samples, concurrency and cores is measured at the first of the sizes.

Ours is what ``--model ergo_openai`` runs: samples, journal, episodes and engine, without previews, and without
lmms-eval, whose import and data sets would hide the samples. The server's CPU time is nobody's; with no cores to spare,
it slows both down. Not covered: servers that are not on this machine, and images that are not JPEGs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

import reference
from rollout import Figure, table

SIZES = {"vstar": (2246, 1582), "hr4k": (4032, 3024), "hr8k": (7680, 4320), "tiny": (640, 448)}
DISTINCT = 3
"""Images of a size; all others are links to them."""
TOKENS = 640
CONCURRENCY = 16
SLOW_S = 0.5
REPLIES = (
    "<think>The sign stands left of the middle.</think><zoom>[210, 140, 504, 392]</zoom>",
    "<think>It is red.</think><answer>A</answer>",
)
CPU_TARGETS = {"vstar": 1 / 3, "hr8k": 1 / 4}
RATE_TARGETS = {"hr8k": 5.0}
SLOW_TARGET = 0.95
MEMORY_TARGET = 1.1


class AtMost(Figure):
    """A target for the ratio; nothing is met where there is nothing to compare with."""

    @property
    def met(self) -> bool | None:
        return None if None in (self.ratio, self.target) else self.ratio <= self.target


class AtLeast(Figure):
    """Likewise, for what is to be large."""

    @property
    def met(self) -> bool | None:
        return None if None in (self.ratio, self.target) else self.ratio >= self.target


@dataclass(frozen=True, slots=True)
class Setting:
    """What is played, and how.

    Attributes:
        size: a name in `SIZES`.
        delay_s: until the server answers a turn.
    """

    size: str
    samples: int
    concurrency: int = CONCURRENCY
    cores: int = 2
    delay_s: float = 0.0

    def __str__(self) -> str:
        slow = f", {self.delay_s:g} s server" if self.delay_s else ""
        return f"{self.size}, {self.samples} samples, {self.concurrency} at once, {self.cores} cores{slow}"


@dataclass(frozen=True, slots=True)
class Spent:
    """What a sample took; the peak is the process's."""

    seconds: float
    cpu_s: float
    peak_mb: float


@dataclass(slots=True)
class Bench:
    """Clients on one server.

    Attributes:
        root: of the server's URLs.
        folder: for images, which are kept, and for data sets, which are not.
        checkout: of the reference repository.
        known: what was measured already.
    """

    root: str
    folder: Path
    checkout: Path | None
    known: dict[Setting, tuple[Spent, Spent | None]] = field(default_factory=dict)

    def measure(self, setting: Setting, *, rounds: int = 1, alone: bool = False) -> tuple[Spent, Spent | None]:
        """Ours and the reference's, in turn ``rounds`` times; the medians. ``alone`` leaves the reference out."""
        if setting not in self.known:
            clients = (False,) if alone or self.checkout is None else (False, True)
            taken = [[self._run(setting, theirs) for theirs in clients] for _ in range(rounds)]
            ours, *other = (_median(runs) for runs in zip(*taken, strict=True))
            self.known[setting] = ours, other[0] if other else None
        return self.known[setting]

    def _run(self, setting: Setting, theirs: bool) -> Spent:
        """One process.

        Raises:
            SystemExit: it failed, or not every sample came to its end; the reference leaves out those that failed.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            data = reference.make_set(Path(folder), images(self.folder, setting.size), setting.samples)
            url = f"{self.root}/{setting.delay_s}/v1"
            if theirs:
                assert self.checkout is not None
                budget = {"tokens": TOKENS, "concurrency": setting.concurrency}
                command = reference.command(self.checkout, Path(folder), url, **budget)
                environment = reference.environment(self.checkout)
            else:
                command, environment = role("player", folder, url, setting.concurrency), {}
            before = self._answered()
            spent = watched(command, environment, data, setting)
            answered = self._answered() - before
        if answered != setting.samples:
            who = "the reference" if theirs else "our client"
            raise SystemExit(f"{who} brought {answered} of {setting.samples} samples to their answer: {setting}")
        return spent

    def _answered(self) -> int:
        with urlopen(f"{self.root}/answered") as response:
            return int(response.read())


def _median(runs: Sequence[Spent]) -> Spent:
    return Spent(*(median(getattr(run, name) for run in runs) for name in ("seconds", "cpu_s", "peak_mb")))


def watched(command: Sequence[str], environment: dict[str, str], data: reference.DataSet, setting: Setting) -> Spent:
    """Run a command from when it reads its data to its end, on as many cores as the setting says.

    What Linux calls the peak of a process is never less than that of the one that started it: this one stays small.

    Raises:
        SystemExit: it failed.
    """
    allowed = sorted(os.sched_getaffinity(0))[: setting.cores]
    threads = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "NO_PROXY": "127.0.0.1"}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **threads, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        )
        ended = 0
        while not ended and not (pipe := data.reader_came()):
            time.sleep(0.002)
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        started, startup_s = time.perf_counter(), _cpu_s(process.pid)
        if not ended:
            with suppress(BrokenPipeError), pipe:  # it died reading: its status tells
                pipe.write(data.questions)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or ended:
            output.seek(0)
            told = output.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{told}")
    cpu_s = usage.ru_utime + usage.ru_stime - startup_s
    return Spent(seconds / setting.samples, cpu_s / setting.samples, usage.ru_maxrss / 1024)


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, to a hundredth; 0 if it has ended."""
    try:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except FileNotFoundError:
        return 0.0
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def images(folder: Path, size: str) -> list[Path]:
    """Files of a size, painted if there are none yet."""
    files = [folder / "images" / f"{size}-{number}.jpg" for number in range(DISTINCT)]
    if not all(file.exists() for file in files):
        subprocess.run(role("painter", size, *files), check=True)  # apart, for the memory it takes
    return files


# The processes: this file again, under another role.


def role(name: str, *arguments: Any) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), "--as", name, *map(str, arguments)]


def be_player(root: str, base_url: str, concurrency: str) -> None:
    """Our client: a data set played to its end."""
    from ergo_plugins.engines import open_engine
    from ergo_plugins.lmms_plugin.arguments import read_arguments
    from ergo_plugins.lmms_plugin.run import play_samples
    from ergo_plugins.lmms_plugin.samples import Sample

    def messages(row: dict[str, Any]) -> list[dict[str, Any]]:
        parts = [{"type": "image", "url": row["image"]}, {"type": "text", "text": row["text"]}]
        return [{"role": "user", "content": parts}]

    arguments = read_arguments(
        "openai",
        {
            **{"model": "ergo", "base_url": base_url, "concurrency": int(concurrency)},
            **{"coarse_tokens": TOKENS, "crop_tokens": TOKENS},
            **{"journal": str(Path(root) / "journal.jsonl"), "previews": 0},
        },
    )
    engine = open_engine("openai", **arguments.engine)
    rows = reference.read_set(Path(root))  # last, since the clock starts here
    samples = [Sample("bench", "test", number, 0, row["text"], rows, messages) for number, row in enumerate(rows)]
    entries = play_samples(engine, samples, arguments)
    engine.close()
    wrong = [key for key, entry in entries.items() if entry.returned != "A" or entry.outcome.box_source is None]
    if wrong:
        raise SystemExit(f"{len(wrong)} samples without the box and the answer that the server gave, {wrong[0]} first")


def be_server() -> None:
    """Chat completions after the time that the URL says; prints where it stands."""
    import asyncio

    from aiohttp import web

    completions = [
        json.dumps(
            {
                **{"id": "bench", "object": "chat.completion", "created": 0, "model": "ergo"},
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}],
                "usage": {"prompt_tokens": 800, "completion_tokens": 20, "total_tokens": 820},
            }
        )
        for reply in REPLIES
    ]
    answered = 0

    async def complete(request: web.Request) -> web.Response:
        nonlocal answered
        images_sent = (await request.read()).count(b'"data:image/')  # parsing megabytes of JSON would be our cost too
        await asyncio.sleep(float(request.match_info["delay"]))
        answered += images_sent == 2
        return web.Response(text=completions[images_sent - 1], content_type="application/json")

    async def count(_request: web.Request) -> web.Response:
        return web.Response(text=str(answered))

    async def serve() -> None:
        served = web.Application(client_max_size=2**28)
        served.router.add_post("/{delay}/v1/chat/completions", complete)
        served.router.add_get("/answered", count)
        runner = web.AppRunner(served, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


def be_painter(size: str, *files: str) -> None:
    """JPEGs that compress as photographs do: smooth colours at all scales, edges, and the noise of a sensor."""
    import numpy as np
    from PIL import Image, ImageDraw

    width, height = SIZES[size]
    for number, file in enumerate(files):
        random = np.random.default_rng(number)
        picture = Image.new("RGB", (width, height), "gray")
        for cell in (1024, 256, 64, 16):
            small = random.integers(0, 256, (height // cell + 2, width // cell + 2, 3), np.uint8)
            picture = Image.blend(picture, Image.fromarray(small).resize(picture.size, Image.Resampling.BICUBIC), 0.4)
        draw = ImageDraw.Draw(picture)
        for _ in range(width * height // 40_000):
            x, y = random.integers(0, (width, height))
            corners = [(int(x + dx), int(y + dy)) for dx, dy in random.integers(-90, 90, (4, 2))]
            draw.polygon(corners, fill=tuple(random.integers(0, 256, 3).tolist()))
        noise = random.normal(0, 3, (512, 512, 3)).astype(np.int16)
        pixels = np.asarray(picture).astype(np.int16)
        pixels += np.tile(noise, (height // 512 + 1, width // 512 + 1, 1))[:height, :width]
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        partial = Path(f"{file}.part")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(partial, "JPEG", quality=90)
        partial.rename(file)


@contextmanager
def serving() -> Iterator[str]:
    """The root of a server's URLs while the context lasts."""
    with subprocess.Popen(role("server"), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


# The table.


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
    with serving() as root:
        bench = Bench(root, args.out.parent, args.reference and args.reference.resolve())
        figures += sizes_compared(bench, settings, args.rounds)
        figures += growth(bench, settings[0], counts, at_once)
    print(table(figures))
    print("other: the reference, where no other is named; *: what the server alone allows")
    args.out.write_text(json.dumps([figure.to_json() for figure in figures], indent=2) + "\n")


ROLES = {"player": be_player, "server": be_server, "painter": be_painter}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--as"]:
        ROLES[sys.argv[2]](*sys.argv[3:])
    else:
        main()
