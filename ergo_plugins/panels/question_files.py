"""Questions as lines that ``ergo data jsonl`` reads, and their images: what the worlds of questions have in common."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from .world import SPLITS

Asked = tuple[Image.Image, dict[str, str]]
"""An original, and the keys of its line beside ``image``."""


def write_questions(out: Path, asked: Iterable[Asked], *, split: str, count: int) -> Path:
    """Write ``images/*.png`` and ``questions.jsonl``. Returns the path of the latter."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for index, (image, line) in enumerate(tqdm(asked, total=count, unit="image")):
        name = f"{split}_{index:04d}.png"
        image.save(out / "images" / name, compress_level=1)  # flat colours: higher levels take long and save little
        lines.append(json.dumps({"image": name, **line}))
    path = out / "questions.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def main(said: str, asked: Callable[[str, int, int], Iterable[Asked]]) -> None:
    """The command of a world.

    Args:
        said: what it says of itself.
        asked: questions of a split: so many, of a stream.
    """
    parser = argparse.ArgumentParser(description=said, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--count", type=int, default=480)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--stream", type=int, default=0, help="0 to 999: other questions of the same split")
    given = parser.parse_args()
    made = asked(given.split, given.count, given.stream)
    path = write_questions(given.out, made, split=given.split, count=given.count)
    print(f"{given.count} questions in {path}")
