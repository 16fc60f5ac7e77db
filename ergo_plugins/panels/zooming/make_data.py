"""Write questions as lines that ``ergo data jsonl`` reads: images, and ``image, question, answer, kind``.

python -m ergo_plugins.panels.zooming.make_data --count 480 --out runs/zooming
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tqdm import tqdm

from ..world import SPLITS
from .drawing import original
from .world import questions


def make_data(out: Path, *, split: str, count: int, stream: int = 0) -> Path:
    """Write ``images/*.png`` and ``questions.jsonl``. Returns the path of the latter."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for index, question in enumerate(tqdm(questions(split, count, stream=stream), total=count, unit="image")):
        name = f"{split}_{index:04d}.png"
        original(question.scene).save(out / "images" / name, compress_level=1)
        lines.append(json.dumps({"image": name, "question": question.stem, "answer": question.answer, "kind": "text"}))
    path = out / "questions.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--count", type=int, default=480)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--stream", type=int, default=0, help="0 to 999: other questions of the same split")
    arguments = parser.parse_args()
    path = make_data(arguments.out, split=arguments.split, count=arguments.count, stream=arguments.stream)
    print(f"{arguments.count} questions in {path}")


if __name__ == "__main__":
    main()
