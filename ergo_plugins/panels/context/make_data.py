"""Write scenes as lines that ``ergo data jsonl`` reads: images, and ``image, question, answer, kind, box``.

python -m ergo_plugins.panels.context.make_data --target hidden --count 480 --out runs/context
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from ..world import SPLITS
from .drawing import original
from .world import Scene, TargetKind, WorldConfig, scenes


def make_data(out: Path, chosen: Iterator[Scene], *, split: str, count: int) -> Path:
    """Write ``images/*.png`` and ``questions.jsonl``. Returns the path of the latter."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for index, scene in enumerate(tqdm(chosen, total=count, unit="image")):
        name = f"{split}_{index:04d}.png"
        original(scene).save(out / "images" / name, compress_level=1)
        box = list(scene.target_source.as_tuple())
        line = {"image": name, "question": scene.question, "answer": scene.answer, "kind": "text", "box": box}
        lines.append(json.dumps(line))
    path = out / "questions.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--count", type=int, default=480)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--stream", type=int, default=0, help="0 to 999: other scenes of the same split")
    parser.add_argument("--target", choices=get_args(TargetKind), default="hidden")
    given = parser.parse_args()
    chosen = scenes(given.split, given.count, stream=given.stream, config=WorldConfig(target=given.target))
    path = make_data(given.out, chosen, split=given.split, count=given.count)
    print(f"{given.count} questions in {path}")


if __name__ == "__main__":
    main()
