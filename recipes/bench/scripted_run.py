"""A long evaluation without a model: panels played by a script, to see what the files that it leaves weigh.

    python -m recipes.bench.scripted_run --out FOLDER --samples 20000

FOLDER gets ``journal.jsonl`` with its previews and ``lmms_eval/`` with verdicts, as a run of ``--model ergo_vllm`` with
``--log_samples`` leaves them. Called again it goes on, as any run does. The script thinks at the length of ERGO-7B's
replies, and errs as models do: places beside the target, no box at all, replies cut at their cap.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from ergo_plugins.core.geometry import VisionGrid
from ergo_plugins.core.turns import Reply, play
from ergo_plugins.engines.base import Engine, Finished, Job
from ergo_plugins.lmms_plugin.arguments import ModelArguments
from ergo_plugins.lmms_plugin.run import play_samples
from ergo_plugins.lmms_plugin.samples import Sample
from ergo_plugins.methods import method_named
from ergo_plugins.panels.drawing import original
from ergo_plugins.panels.world import CELL_UNITS, LETTERS, UNITS_PER_VIEW_PX, WorldConfig, first_seed, make_scene

TASK = "ergo_panels"
WORLD = WorldConfig(scales=(4,), scale_weights=(1,))
"""896 px a side, which is quickly drawn; views, boxes and words are those of larger originals."""

CELL_PX = CELL_UNITS // UNITS_PER_VIEW_PX
SURE, LOST, CUT = 0.7, 0.04, 0.02
"""Shares of samples whose box is right, that have none, and whose answer is cut."""

THOUGHTS = (
    "The picture shows a few coloured tiles on a pale ground, and what fills them cannot be told at this size.",
    "I have to see the tile that the question names in full detail before I can say anything about its pattern.",
    "Going by its colour it lies there, a little away from the others, and no other tile has the same colour.",
    "Lines that are this fine blur into one shade here, so a guess from this view would be no better than chance.",
)


@dataclass(frozen=True, slots=True)
class Panels:
    """Documents of the task, made when they are asked for.

    Attributes:
        drawn: so many have their picture, the others a blank of its size: a record holds no pixels, and nobody looks.
    """

    drawn: int

    def __getitem__(self, doc_id: int) -> dict[str, Any]:
        scene = make_scene(first_seed("test") + doc_id, WORLD)
        box = [round(corner) for corner in scene.target_source.as_tuple()]
        image = original(scene) if doc_id < self.drawn else Image.new("RGB", (scene.size.width, scene.size.height))
        return {"image": image, "text": scene.text, "target_box": box}


def messages(row: dict[str, Any]) -> list[dict[str, Any]]:
    """As lmms-eval's chat models get them."""
    parts = [{"type": "image", "url": row["image"]}, {"type": "text", "text": row["text"]}]
    return [{"role": "user", "content": parts}]


class Script(Engine):
    """Says what a middling policy would."""

    grid = VisionGrid()

    @property
    def identity(self) -> dict[str, Any]:
        return {"engine": "scripted", "model": "scripted/panels"}

    def play_all(self, jobs: Iterable[Job], finished: Finished) -> None:
        for job in jobs:
            scripted = said(int(job.key.rpartition("/")[2]))
            outcome = play(job.open(), lambda turn, scripted=scripted: scripted[turn.name])  # type: ignore[misc]
            finished(job, replace(outcome, seconds=sum(reply.seconds or 0 for reply in scripted.values())))

    def close(self) -> None:
        """Nothing is open."""


def said(doc_id: int) -> dict[str, Reply]:
    """The replies to a document, by turn."""
    scene, lot = make_scene(first_seed("test") + doc_id, WORLD), random.Random(doc_id)
    column, row = scene.target.cell if lot.random() < SURE else (lot.randrange(4), lot.randrange(4))
    is_there = (column, row) == scene.target.cell
    corners = [column * CELL_PX, row * CELL_PX, (column + 1) * CELL_PX, (row + 1) * CELL_PX]
    thought = " ".join(lot.choices(THOUGHTS, k=5))
    box = "" if lot.random() < LOST else f"<zoom>{corners}</zoom>"
    letter = scene.answer if is_there else lot.choice(LETTERS)
    is_cut = lot.random() < CUT
    answer = f"<think>{' '.join(lot.choices(THOUGHTS, k=3))}</think>" + ("" if is_cut else f"<answer>{letter}</answer>")
    return {
        "look": Reply(f"<think>{thought}</think>{box}", "stop", 150, 0, 130, lot.uniform(0.4, 1.2)),
        "answer": Reply(answer, "length" if is_cut else "stop", 420, 272, 80, lot.uniform(0.2, 0.8)),
    }


def samples_of(count: int, drawn: int) -> list[Sample]:
    """The first so many."""
    docs = Panels(drawn)
    texts = (make_scene(first_seed("test") + doc_id, WORLD).text for doc_id in range(count))
    return [Sample(TASK, "test", doc_id, 0, text, docs, messages) for doc_id, text in enumerate(texts)]


def write(folder: Path, count: int, previews: int = 200) -> None:
    """The run's files; a run that is there goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    method = method_named("ergo")
    config = method.config(coarse_tokens=16, crop_tokens=16, resample="box")
    samples = samples_of(count, previews)
    arguments = ModelArguments(method, config, {}, str(folder / "journal.jsonl"), previews)
    started = time.perf_counter()
    entries = play_samples(Script(), samples, arguments)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} samples in {time.perf_counter() - started:.2f} s, {peak_mb:.0f} MB")
    log = folder / "lmms_eval" / f"20260101_000000_samples_{TASK}.jsonl"
    if log.exists():
        return
    log.parent.mkdir(exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        for sample in samples:
            file.write(json.dumps(_logged(sample, entries[sample.key].returned)) + "\n")


def _logged(sample: Sample, returned: str) -> dict[str, Any]:
    """The line of a samples file: lmms-eval writes each prompt twice."""
    wanted = make_scene(first_seed("test") + sample.doc_id, WORLD).answer
    return {
        "doc_id": sample.doc_id,
        "target": wanted,
        "filtered_resps": [returned],
        "doc_hash": hashlib.sha256(sample.text.encode()).hexdigest(),
        "panels_acc": float(returned == wanted),
        "input": sample.text,
        "arguments": [sample.text],
        "resps": [[returned]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--previews", type=int, default=200, help="of how many pictures are kept (%(default)s)")
    arguments = parser.parse_args()
    write(arguments.out, arguments.samples, arguments.previews)


if __name__ == "__main__":
    main()
