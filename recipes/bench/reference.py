"""The evaluation script of the reference repository (github.com/nota-github/ERGO) as a process of its own, unmodified.

It needs no installation: its ``src`` folder on ``PYTHONPATH``, and openai, pandas, Pillow and tqdm, which lmms-eval
brings. Its data are V*'s files in V*'s layout, whatever the images' size; its loader of HR-Bench would hold all images
of both sets in memory as base64 text.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

QUESTIONS = "test_questions.jsonl"
TEXT = (
    "What is the colour of the small sign?\n"
    "(A) red\n(B) green\n(C) blue\n(D) white\n"
    "Answer with the option's letter from the given choices directly."
)
CATEGORY = "direct_attributes"


@dataclass(frozen=True, slots=True)
class DataSet:
    """Images that lie in their folder, and questions still to be written into a pipe where their file would be."""

    pipe: Path
    questions: str

    def reader_came(self) -> IO[str] | None:
        """The pipe's end for writing once somebody has opened it to read; None until then."""
        try:
            end = os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return None
            raise
        os.set_blocking(end, True)
        return os.fdopen(end, "w")


def make_set(root: Path, files: Sequence[Path], samples: int) -> DataSet:
    """A data set under ``root``; its images are hard links to ``files`` in turn."""
    folder = root / "vstar_bench"
    (folder / CATEGORY).mkdir(parents=True)
    rows = []
    for number in range(samples):
        image = f"{CATEGORY}/{number}.jpg"
        (folder / image).hardlink_to(files[number % len(files)])
        rows.append({"text": TEXT, "image": image, "label": "A", "question_id": number, "category": CATEGORY})
    os.mkfifo(folder / QUESTIONS)
    return DataSet(folder / QUESTIONS, "".join(json.dumps(row) + "\n" for row in rows))


def read_set(root: Path) -> list[dict[str, Any]]:
    """Rows of a data set as they come through its pipe, the images' paths absolute."""
    folder = root / "vstar_bench"
    rows = [json.loads(line) for line in (folder / QUESTIONS).read_text().splitlines()]
    return [{**row, "image": str(folder / row["image"])} for row in rows]


def script(checkout: Path) -> Path:
    """The evaluation script of a checkout.

    Raises:
        FileNotFoundError: this is no checkout of the reference repository.
    """
    found = checkout / "src" / "ergo" / "eval.py"
    if not found.is_file():
        raise FileNotFoundError(
            f"{checkout} has no src/ergo/eval.py; clone github.com/nota-github/ERGO and name its folder"
        )
    return found


def command(checkout: Path, root: Path, base_url: str, *, tokens: int, concurrency: int) -> list[str]:
    """Its command line for a data set of `make_set`."""
    options = {
        "dataset": "vstar",
        "data_root": root,
        "api_url": base_url,
        "max_vision_token_num": tokens,
        "max_concurrency": concurrency,
    }
    return [sys.executable, str(script(checkout)), *(f"--{name}={value}" for name, value in options.items())]


def environment(checkout: Path) -> dict[str, str]:
    """What it needs beside its command line; nothing is written into the checkout."""
    path = os.pathsep.join(filter(None, (str(checkout / "src"), os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
