"""Write places as EGM's evaluation files hold them: images, and a line of JSON with ``image, sent, bbox, height,
width``. ``questions.jsonl`` has the same as ``image, question, answer``.

    python -m ergo_plugins.panels.locate.make_data --kind colour --count 480 --out runs/places

Of the kind ``covered`` the box is that of the whole tile; ``modal_bbox`` beside it is what can be seen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tqdm import tqdm

from ...core.geometry import Box
from ..world import SPLITS
from .drawing import original
from .world import KINDS, SCALE, Kind, places


def make_data(out: Path, *, split: str, kind: Kind, count: int, stream: int = 0) -> Path:
    """Write ``images/*.png`` and ``<kind>.jsonl``. Returns the path of the latter."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for index, place in enumerate(tqdm(places(split, kind, count, stream=stream), total=count, unit="image")):
        name = f"{kind}_{split}_{index:04d}.png"
        image = original(place)
        image.save(out / "images" / name, compress_level=1)
        line = {
            "image": name,
            "sent": place.expression,
            "bbox": _pixels(place.whole),
            "height": image.height,
            "width": image.width,
        }
        if kind == "covered":
            line["modal_bbox"] = _pixels(place.seen)
        lines.append(json.dumps(line))
    path = out / f"{kind}.jsonl"
    path.write_text("\n".join(lines) + "\n")
    asked = [json.loads(line) for line in lines]
    asked = [{"image": one["image"], "question": one["sent"], "answer": str(one["bbox"])} for one in asked]
    (out / "questions.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in asked))
    return path


def _pixels(box: Box) -> list[float]:
    return list(box.scaled(SCALE, SCALE).as_tuple())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--kind", choices=KINDS, default="colour")
    parser.add_argument("--count", type=int, default=480)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--stream", type=int, default=0, help="0 to 999: other places of the same split")
    arguments = parser.parse_args()
    path = make_data(
        arguments.out, split=arguments.split, kind=arguments.kind, count=arguments.count, stream=arguments.stream
    )
    print(f"{arguments.count} places in {path}")


if __name__ == "__main__":
    main()
