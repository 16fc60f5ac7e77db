"""Files in the exact columns that the benchmarks' authors publish, of a few rows each."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIZE = (400, 300)


def picture(seed: int = 0, size: tuple[int, int] = SIZE) -> bytes:
    """A PNG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


TREEBENCH = {
    "index": 0,
    "image": base64.b64encode(picture()).decode(),
    "question": "What is on the table?",
    "A": "a cup",
    "B": "a fork",
    "C": "a knife",
    "D": "a plate",
    "E": "",
    "F": "",
    "multi-choice options": "A. a cup\nB. a fork\nC. a knife\nD. a plate",
    "answer": "B",
    "category": "Perception/Attributes",
    "target_instances": "[[40, 30, 80, 60], [200, 150, 300, 250]]",
}
VISUALPROBE = {
    "images": ["VisualProbe_Hard/data/1.png"],
    "problem": "<image>\nWhat number is on the tram?",
    "solution": "17",
    "doc_id": "hard_1",
}
ZOOMBENCH = {
    "image": {"bytes": picture(1), "path": None},
    "crop_image": {"bytes": picture(2, (100, 80)), "path": None},
    "query": "<image>What colour is the kite?\nA. red\nB. blue",
    "response": "A",
    "question_type": "mcq",
    "bbox": [40.0, 30.0, 80.0, 60.0],
}
ZOOMBENCH_OPEN = {**ZOOMBENCH, "query": "<image>Whose name is on the sign?", "response": "Ada", "crop_image": None}
O3 = {
    "file_name": "images/map/1.png",
    "question": "Which station is next?",
    "options": "A. North\nB. South\nC. East\nD. West\nE. Centre\nF. No right choice",
    "answer": "F",
    "explanation": "none",
    "target_layouts": [[10, 10, 50, 50], [100, 100, 200, 200]],
}
VSTAR = {
    "image": "direct_attributes/sa_1.jpg",
    "text": "What colour is the glove?\n(A) red\n(B) blue\nAnswer with the letter of the option alone.",
    "category": "direct_attributes",
    "label": "B",
    "question_id": "0",
}
VSTAR_BESIDE = {
    "target_object": ["glove"],
    "bbox": [[40, 30, 20, 10]],
    "question": "What colour is the glove?",
    "options": ["The glove is blue.", "The glove is red."],
}


def write_treebench(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "TreeBench.tsv"
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, fieldnames=list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    return file


def write_visualprobe(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "1.png").write_bytes(picture())
    (folder / "val.json").write_text(json.dumps(list(rows)))
    return folder / "val.json"


def write_zoombench(folder: Path, *rows: dict[str, Any]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), folder / "test.parquet")
    return folder / "test.parquet"


def write_o3(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "images" / "map").mkdir(parents=True, exist_ok=True)
    (folder / "images" / "map" / "1.png").write_bytes(picture())
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "metadata.jsonl"


def write_vstar(folder: Path, *rows: dict[str, Any], beside: dict[str, Any] | None = None) -> Path:
    (folder / "direct_attributes").mkdir(exist_ok=True)
    (folder / "direct_attributes" / "sa_1.jpg").write_bytes(picture())
    (folder / "direct_attributes" / "sa_1.json").write_text(json.dumps(beside or VSTAR_BESIDE))
    (folder / "test_questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
