"""Documents in the shape of stock tasks, and the task as lmms-eval's own but for where its documents lie.

    python -m recipes.bench.stock_tasks FOLDER SIZE SAMPLES IMAGE [IMAGE ...]

SIZE is ``hr8k`` for documents of ``hrbench8k``, ``hr4k`` for those of ``mmerealworld_lite``, whose images are base64
text; any other for those of ``vstar_bench``. The task is called ``bench``.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import lmms_eval
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from datasets import Features, Image, Value

from .instant_server import ANSWER
from .reference import CATEGORY, TEXT

TASKS = Path(lmms_eval.__file__).parent / "tasks"
A_GROUP = 10
"""Rows that are written, and read, together."""

OPTIONS = {"A": "red", "B": "green", "C": "blue", "D": "white"}


def vstar_row(number: int, image: bytes) -> dict[str, Any]:
    """A document of ``vstar_bench``."""
    stored = {"bytes": image, "path": f"{number}.jpg"}
    return {"image": stored, "text": TEXT, "label": ANSWER, "question_id": str(number), "category": CATEGORY}


def hrbench_row(number: int, image: bytes) -> dict[str, Any]:
    """A document of ``hrbench8k``."""
    asked = {"index": number, "question": "What is the colour of the small sign?", **OPTIONS, "answer": ANSWER}
    return {**asked, "category": "single", "cycle_category": 0, "image": base64.b64encode(image).decode("ascii")}


def realworld_row(number: int, image: bytes) -> dict[str, Any]:
    """A document of ``mmerealworld_lite``."""
    asked = {"index": str(number), "question": "What is the colour of the small sign?", "answer": ANSWER}
    options = [f"({letter}) {option}" for letter, option in OPTIONS.items()]
    sorts = {"category": "Perception/Remote Sensing", "l2-category": "color"}
    return {**asked, "multi-choice options": options, **sorts, "bytes": base64.b64encode(image).decode("ascii")}


STOCK = {
    "vstar_bench": ("vstar_bench/vstar_bench.yaml", "test", vstar_row),
    "mmerealworld_lite": ("mme_realworld/mme_realworld_lite.yaml", "train", realworld_row),
    "hrbench8k": ("hrbench/hrbench8k.yaml", "hrbench_8k", hrbench_row),
}
"""By task: its yaml, its split and its documents."""

OF_SIZE = {"hr8k": "hrbench8k", "hr4k": "mmerealworld_lite"}
"""Whose documents have images of that size."""


def make(folder: Path, task: str, samples: int, images: list[Path]) -> None:
    """``documents.parquet`` and the task."""
    stock, split, row_of = STOCK[task]
    contents = [image.read_bytes() for image in images]
    features = None
    if task == "vstar_bench":
        words = dict.fromkeys(("text", "label", "question_id", "category"), Value("string"))
        features = Features({"image": Image(), **words})
    schema = features.arrow_schema if features else pa.Table.from_pylist([row_of(0, b"")]).schema
    documents = folder / "documents.parquet"
    with pq.ParquetWriter(documents, schema, use_dictionary=False) as writer:
        for start in range(0, samples, A_GROUP):
            numbers = range(start, min(start + A_GROUP, samples))
            rows = [row_of(number, contents[number % len(contents)]) for number in numbers]
            writer.write_table(pa.Table.from_pylist(rows, schema))
    own = {
        "include": str(TASKS / stock),
        "task": "bench",
        "dataset_path": "parquet",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {split: str(documents)}, "cache_dir": str(folder / "cache")},
    }
    (folder / "bench.yaml").write_text(yaml.safe_dump(own))


def main(folder: str, size: str, samples: str, *images: str) -> None:
    make(Path(folder), OF_SIZE.get(size, "vstar_bench"), int(samples), [Path(image).resolve() for image in images])


if __name__ == "__main__":
    main(*sys.argv[1:])
