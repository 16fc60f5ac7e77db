"""EGM's eight evaluation files as tasks of lmms-eval, each with the paper's own split; or one file of one's own.

    python -m ergo_plugins.tasks.make_refcoco FOLDER --images IMAGES --out runs/refcoco
    python -m ergo_plugins.tasks.make_refcoco hidden.jsonl --images IMAGES --out runs/hidden     # the task egm_hidden

``FOLDER`` holds ``refcoco_val.jsonl`` and so on, one sentence a line: ``image``, ``sent``, ``bbox`` (pixels of the
original, corners), ``height``, ``width``. Lines that lack a column are mended as the authors' code does: ``sent`` from
``<ref>…</ref>``, ``bbox`` from ``modal_bbox`` or from ``<box>…</box>`` (thousandths). The folder is named
by ``--include_path``; its tasks are ``egm_refcoco_val`` and so on, and the group ``egm_refcoco`` is all of them.

A file whose lines have ``modal_bbox`` beside ``bbox`` is one of partly hidden objects: ``bbox`` is the box of all of an
object and ``modal_bbox`` that of what can be seen. Its task reports the overlap with both, ``iou_amodal`` and
``iou_modal``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..core.geometry import RELATIVE_EXTENT, Box, Size, whole
from ..core.grounding import parse_located
from ..usage import CommandError

SPLITS = (
    *("refcoco_val", "refcoco_testA", "refcoco_testB"),
    *("refcoco+_val", "refcoco+_testA", "refcoco+_testB"),
    *("refcocog_val", "refcocog_test"),
)
GROUP = "egm_refcoco"
METRICS = ("iou", "acc@0.3", "acc@0.5", "acc@0.7", "acc@0.9", "iou_reference", "acc@0.5_reference")
HIDDEN_METRICS = ("iou_amodal", "iou_modal")
"""Of a file of partly hidden objects, beside the others, which are those of the whole object."""
UTILS = Path(__file__).parent / "refcoco" / "utils.py"


def read_line(line: str, images: Path) -> dict[str, Any]:
    """A line of an evaluation file as a row.

    Raises:
        ValueError: something is missing, or the box is none or lies outside the image.
        FileNotFoundError: there is no such image.
    """
    plain = json.loads(line)
    if not isinstance(plain, dict):
        raise ValueError(f"a line is an object, got {line!r:.80}")  # noqa: TRY004
    said = "\n".join(_words(plain.get("conversations") or ()))
    source = _source(plain)
    sentence = plain.get("sent") or said.partition("<ref>")[2].partition("</ref>")[0]
    if not isinstance(sentence, str) or not sentence.strip():
        raise ValueError("no 'sent', and no <ref> to take it from")
    image = images / str(plain["image"])
    if not image.is_file():
        raise FileNotFoundError(f"there is no image {image}; --images names the folder that they are relative to")
    box = _box(plain, said, source)
    return {
        "image": str(image.resolve()),
        "sent": sentence.strip(),
        "target_box": list(box.as_tuple()),
        "width": source.width,
        "height": source.height,
        "modal_box": list(_corners("modal_bbox", plain["modal_bbox"], source).as_tuple())
        if {"bbox", "modal_bbox"} <= plain.keys()
        else None,
    }


def write_tasks(folder: Path, images: Path, out: Path) -> dict[str, int]:
    """Write the tasks. Returns the rows of each.

    Args:
        folder: of the eight files; or one file.

    Raises:
        CommandError: a file or an image is missing, or a line cannot be used; it is named.
    """
    files = {folder.stem: folder} if folder.is_file() else {name: folder / f"{name}.jsonl" for name in SPLITS}
    missing = [file.name for file in files.values() if not file.is_file()]
    if missing:
        raise CommandError(f"{folder} has no {', '.join(missing)}")
    out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, int] = {}
    for name, file in files.items():
        read = []
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if line.strip():
                try:
                    read.append(read_line(line, images))
                except (KeyError, TypeError, ValueError, OSError) as error:
                    raise CommandError(f"{file}, line {number}: {type(error).__name__}: {error}") from error
        hidden = sum(row["modal_box"] is not None for row in read)
        if hidden not in (0, len(read)):
            raise CommandError(
                f"{file}: {hidden} of {len(read)} lines have a modal_bbox beside their bbox; all or none do"
            )
        _write_rows(out / f"{name}.jsonl", read)
        task = _task(name, METRICS + HIDDEN_METRICS if hidden else METRICS)
        (out / f"{task['task']}.yaml").write_text(_yaml(task), encoding="utf-8")
        rows[name] = len(read)
    if len(files) > 1:
        group = {"group": GROUP, "task": [_task(name, METRICS)["task"] for name in files]}
        (out / f"{GROUP}.yaml").write_text(yaml.safe_dump(group, sort_keys=False), encoding="utf-8")
    shutil.copy(UTILS, out / "utils.py")
    return rows


def _task(name: str, metrics: Sequence[str]) -> dict[str, Any]:
    return {
        "task": f"egm_{name}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"{name}.jsonl"}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_target": "sent",
        "generation_kwargs": {"max_new_tokens": 4096, "temperature": 0, "do_sample": False},
        "metric_list": [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in metrics],
        "metadata": [{"version": 1.0}],
    }


def _yaml(task: Mapping[str, Any]) -> str:
    """The task with the functions beside it, which plain yaml cannot name."""
    functions = "".join(
        f"{name}: !function utils.{name}\n" for name in ("doc_to_visual", "doc_to_text", "process_results")
    )
    return yaml.safe_dump(task, sort_keys=False) + functions


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _words(conversations: Sequence[Any]) -> list[str]:
    return [str(said.get("value", "")) for said in conversations if isinstance(said, Mapping)]


def _source(plain: Mapping[str, Any]) -> Size:
    sides = [plain.get("width"), plain.get("height")]
    if not all(isinstance(side, int) and not isinstance(side, bool) for side in sides):
        raise ValueError(f"'width' and 'height' are the sides of the image, got {sides}")
    return Size(*sides)  # type: ignore[arg-type]  # checked in the line above


def _box(plain: Mapping[str, Any], said: str, source: Size) -> Box:
    """The box in pixels: ``bbox``, ``modal_bbox``, or the thousandths of a ``<box>``."""
    corners = plain.get("bbox", plain.get("modal_bbox"))
    if corners is None:
        found = parse_located(said[said.index("<box>") :] if "<box>" in said else "").box_frame
        if found is None:
            raise ValueError("no 'bbox', no 'modal_bbox', and no <box> to take it from")
        corners = found.scaled(source.width / RELATIVE_EXTENT, source.height / RELATIVE_EXTENT).as_tuple()
    return _corners("bbox", corners, source)


def _corners(name: str, corners: Any, source: Size) -> Box:
    x1, y1, x2, y2 = (float(corner) for corner in corners)
    box = Box(x1, y1, x2, y2)
    if not (x1 < x2 and y1 < y2) or box.coverage_by(whole(source)) == 0:
        raise ValueError(f"{name!r} is x1, y1, x2, y2 in pixels with an area inside the {source} image, got {corners}")
    return box


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the eight files, or one file")
    parser.add_argument("--images", type=Path, required=True, help="folder that their images are relative to")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    given = parser.parse_args()
    try:
        rows = write_tasks(given.folder, given.images, given.out)
    except CommandError as error:
        sys.exit(f"make_refcoco: {error}")
    print("\n".join(f"{count:6,} sentences in {name}" for name, count in rows.items()))


if __name__ == "__main__":
    main()
