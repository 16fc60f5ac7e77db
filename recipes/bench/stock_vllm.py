"""What users of vLLM would pick instead: lmms-eval's own ``vllm`` beside ours, through a stock task. Linux.

    python -m recipes.bench.stock_vllm [--sizes vstar] [--samples 60] [-o runs/bench/stock_vllm.json]

The shipped policy on vLLM's CPU build answers the documents of `stock_tasks`, whole images of at most 1,024 visual
tokens: the processor sees to that, for lmms-eval's client, ours with the single pass, which does the same, and ours
with the zoom, whose two budgets are 640. Each is ``python -m lmms_eval`` from its start to its results, on the same
cores and watched from outside, with as many requests at once; a reply has at most 16 tokens, as the task says. What a
sample takes is the difference from a run of a few samples; ours play ten times as many as lmms-eval's, since a start
takes as long as hundreds of ours. The model is small, so that what the clients do beside it shows; its engine takes CPU
time of its own, which is in all the figures. Not covered: a model of full size, and replies, which mean nothing here:
that they are the same where no image has to shrink is for a test. Documents of ``hr8k`` take 9 MB of
disk each, and as much again in the data set's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .figures import AtLeast, AtMost, Figure, table, write
from .host import CONCURRENCY, TOKENS
from .photos import SIZES, images
from .process import Spent, whole
from .stock import MAKER, RATE_TARGETS, STARTED, Client, command

# Nothing that takes memory is imported here or by these: this process watches (see `process.watched`).

POLICY = Path(__file__).resolve().parents[1] / "tiny" / "policy"
IMAGE_TOKENS = 1024
TOKEN_PX = 28
"""Side of the square of pixels that a visual token stands for."""
REPLY_TOKENS = 16
LONGER = 10
"""So many times the samples are played by ours."""

ENGINE = f"dtype=float32,enforce_eager=True,max_model_len=4096,block_size=32,max_num_seqs={CONCURRENCY}"
OURS = f"{ENGINE},previews=0,concurrency={CONCURRENCY}"
STOCK = Client("vllm", "vllm", f"{ENGINE},max_new_tokens={REPLY_TOKENS}")
SINGLE = Client("single pass", "single_pass_vllm", f"{OURS},answer_new_tokens={REPLY_TOKENS}")
ZOOM = Client(
    "zoom",
    "ergo_vllm",
    f"{OURS},coarse_tokens={TOKENS},crop_tokens={TOKENS},zoom_new_tokens={REPLY_TOKENS},answer_new_tokens={REPLY_TOKENS}",
)
CLIENTS = (STOCK, SINGLE, ZOOM)


@dataclass(frozen=True, slots=True)
class Run:
    """A client's run.

    Attributes:
        replies: the last of each document.
    """

    spent: Spent
    replies: Mapping[int, str]


def policy(folder: Path) -> Path:
    """The shipped policy, by whose processor an image has no more than `IMAGE_TOKENS`."""
    shutil.copytree(POLICY, folder)
    settings = folder / "processor_config.json"
    told = json.loads(settings.read_text())
    told["image_processor"]["size"]["longest_edge"] = IMAGE_TOKENS * TOKEN_PX**2
    settings.write_text(json.dumps(told))
    return folder


def run(client: Client, model: Path, folder: Path, samples: int, cores: int) -> Run:
    """One client over the task in the folder.

    Raises:
        SystemExit: it failed, or a sample has no reply.
    """
    print(f"{client.name}: {samples} samples", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        journal = "" if client is STOCK else f",journal={out}/journal.jsonl"
        arguments = f"model={model},{client.arguments}{journal}"
        batches = ("--batch_size", str(CONCURRENCY))
        spent = whole([*command(client, arguments, folder, out, samples), *batches], cores)
        rows = [json.loads(line) for file in Path(out).rglob("*samples*.jsonl") for line in file.open()]
        # ours hand lmms-eval an answer, for a cut reply one that is wrong; the reply itself stands in the journal
        kept = [] if client is STOCK else (Path(out) / "journal.jsonl").read_text().splitlines()[1:]
    # lmms-eval writes what it filtered, and the replies beside it only where they differ
    replies = {row["doc_id"]: _first(row.get("resps", row["filtered_resps"])) for row in rows}
    replies |= {row["doc_id"]: row["outcome"]["turns"][-1]["reply"] for row in map(json.loads, kept)}
    if len(replies) != samples:
        raise SystemExit(f"{client.name} has replies to {len(replies)} of {samples} samples")
    return Run(spent, replies)


def _first(replies: Any) -> str:
    """A sample's only reply, in as many lists as lmms-eval puts around it."""
    while isinstance(replies, list):
        replies = replies[0]
    return str(replies)


def size_compared(model: Path, place: Path, size: str, samples: int, cores: int) -> Iterator[Figure]:
    """Rows of one size of image."""
    counts = {STOCK: samples, SINGLE: LONGER * samples, ZOOM: LONGER * samples}
    with tempfile.TemporaryDirectory(dir=place.resolve()) as name:
        files = [str(file) for file in images(place.resolve(), size)]
        whole([sys.executable, *MAKER, name, size, str(max(counts.values())), *files], cores)
        starts = {client: run(client, model, Path(name), STARTED, cores).spent for client in CLIENTS}
        runs = {client: run(client, model, Path(name), counts[client], cores).spent for client in CLIENTS}
    yield from compared(size, counts, starts, runs)


def compared(
    size: str, counts: Mapping[Client, int], starts: Mapping[Client, Spent], runs: Mapping[Client, Spent]
) -> Iterator[Figure]:
    """Each of ours against lmms-eval's; only the single pass, which does the same, has a target."""
    more = {client: counts[client] - STARTED for client in CLIENTS}
    rate = {client: more[client] / (runs[client].seconds - starts[client].seconds) for client in CLIENTS}
    cpu_s = {client: (runs[client].cpu_s - starts[client].cpu_s) / more[client] for client in CLIENTS}
    beside = f"(other: {STOCK.name}, {counts[STOCK]})"
    for client in (SINGLE, ZOOM):
        name, target = f"{size}, {counts[client]} samples: {client.name}", None
        if client is SINGLE:
            target = RATE_TARGETS.get(size)
        yield AtLeast(f"{name}, samples/s {beside}", rate[client], rate[STOCK], target)
        yield AtMost(f"{name}, CPU-s a sample {beside}", cpu_s[client], cpu_s[STOCK])
        yield AtMost(f"{name}, peak MB {beside}", runs[client].peak_mb, runs[STOCK].peak_mb)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=["vstar"], help="of the images")
    parser.add_argument("--samples", type=int, default=60, help="of lmms-eval's (%(default)s)")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/bench/stock_vllm.json"), help="%(default)s")
    args = parser.parse_args()
    if args.samples <= STARTED:
        parser.error(f"--samples are more than {STARTED}, got {args.samples}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cores = min(2, len(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as folder:
        model = policy(Path(folder) / "policy")
        figures = [
            figure for size in args.sizes for figure in size_compared(model, args.out.parent, size, args.samples, cores)
        ]
    print(table(figures))
    print(f"what a sample takes is beyond a run of {STARTED}")
    write(figures, args.out)


if __name__ == "__main__":
    main()
