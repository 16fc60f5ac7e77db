"""Write a set of panel images, and the lmms-eval task that reads them.

    python -m ergo_plugins.panels.make_data --samples 40 --out runs/panels

The folder holds ``images/*.png`` for people and for rows that name files, one ``<split>.parquet`` shaped like V* with
the same files' bytes inside, so that it can be moved and still be read, a copy of the task ``ergo_panels``, so
that ``--include_path <out>`` evaluates on this data and several sets can lie side by side, and ``questions.jsonl``
with ``image, question, answer`` a line for whatever reads lines.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image, Sequence, Value
from tqdm import tqdm

from .drawing import original
from .world import SPLITS, Scene, WorldConfig, scenes

TASK = Path(__file__).parent / "tasks"
FEATURES = Features(
    {
        "image": Image(),
        "text": Value("string"),
        "label": Value("string"),
        "category": Value("string"),
        "question_id": Value("string"),
        "target_box": Sequence(Value("int32"), length=4),  # x1, y1, x2, y2 in pixels of the original
        "detail_px": Value("int32"),  # pixels of the original along the finest detail that has to be seen
    }
)


def write_samples(chosen: Iterator[Scene], total: int, name: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Write each scene's image as ``<folder>/<name>_<index>.png`` and give its row."""
    for index, scene in enumerate(tqdm(chosen, total=total, unit="image", desc=f"{name} images")):
        question_id = f"{name}_{index:04d}"
        path = folder / f"{question_id}.png"
        original(scene).save(path, compress_level=1)  # flat colours: higher levels take long and save little
        yield {
            "image": {"path": path.name, "bytes": path.read_bytes()},
            "text": scene.text,
            "label": scene.answer,
            "category": scene.target.pattern,
            "question_id": question_id,
            "target_box": [round(corner) for corner in scene.target_source.as_tuple()],
            "detail_px": scene.scale,
        }


def make_data(out: Path, *, split: str, samples: int, seed: int, config: WorldConfig) -> Path:
    """Write the folder. Returns the path of the parquet file."""
    images = out / "images"
    images.mkdir(parents=True, exist_ok=True)
    chosen = scenes(split, samples, stream=seed, config=config)
    rows = list(write_samples(chosen, samples, f"{split}_{seed}", images))
    parquet = out / f"{split}.parquet"
    Dataset.from_list(rows, features=FEATURES).to_parquet(parquet)
    lines = [{"image": row["image"]["path"], "question": row["text"], "answer": row["label"]} for row in rows]
    (out / "questions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    for name in ("ergo_panels.yaml", "utils.py"):
        shutil.copy(TASK / name, out / name)
    return parquet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--split", choices=SPLITS, default="test", help="which scenes; the task reads test")
    parser.add_argument("--seed", type=int, default=0, help="0 to 999: another seed, other scenes of the same split")
    parser.add_argument("--panels", type=int, default=WorldConfig().panels, help="tiles in an image")
    parser.add_argument("--scale", type=int, help="pixels a unit, 224 units a side; default: 10 to 32, drawn by lot")
    arguments = parser.parse_args()
    config = WorldConfig(panels=arguments.panels)
    if arguments.scale:
        config = replace(config, scales=(arguments.scale,), scale_weights=(1,))
    parquet = make_data(
        arguments.out,
        split=arguments.split,
        samples=arguments.samples,
        seed=arguments.seed,
        config=config,
    )
    print(f"{arguments.samples} samples in {parquet}")


if __name__ == "__main__":
    main()
