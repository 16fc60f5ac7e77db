"""Benchmarks as their authors publish them, as rows of one shape; a file that differs is refused with what was wanted.

A row has ``image`` (a file), ``question`` with its options, ``answer`` (of a choice its letter), ``kind`` (``option``
or ``judge``), ``boxes`` (where the evidence lies, corners in pixels of the original), ``target_box`` (all of them in
one; null without any), ``category``, and ``crop`` where there is one. Columns are those that the sets' own loaders and
cards name.
"""

from __future__ import annotations

import ast
import base64
import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ..core.answers import extract_letter
from ..core.geometry import Box, Size
from ..core.images import size_of, to_rgb
from ..core.questions import split_question

OUTSIDE_PX = 2.0
"""How far a box may reach over the image's edge: annotations are rounded."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Files:
    """Where a benchmark lies.

    Attributes:
        file: what was published: a file, or the folder of all.
        images: folder that its images are relative to.
        unpacked: folder for images that stand inside the file.
    """

    file: Path
    images: Path
    unpacked: Path

    def image(self, value: Any) -> Path:
        """The file of an image given by its path or by its content.

        Raises:
            ValueError, OSError: it is neither, or there is no such file.
        """
        if isinstance(value, Mapping) and value.get("bytes"):
            value = value["bytes"]
        if isinstance(value, bytes):
            path = self.unpacked / f"{hashlib.sha256(value).hexdigest()[:32]}.img"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value)
            return path.resolve()
        if not isinstance(value, str) or not value:
            raise ValueError(f"an image is a path or the content of a file, got {value!r:.80}")
        path = self.images / value
        if not path.is_file():
            raise FileNotFoundError(f"there is no image {path}; --images names the folder that they are relative to")
        return path.resolve()


def treebench(files: Files) -> Iterator[tuple[str, Row]]:
    """TreeBench.tsv (HaochenWang/TreeBench): images as base64, options as columns A to F, boxes as a list in text."""
    csv.field_size_limit(sys.maxsize)
    with files.file.open(encoding="utf-8", newline="") as opened:
        for number, plain in enumerate(csv.DictReader(opened, delimiter="\t"), start=1):
            with _at(f"{files.file}, row {number}"):
                columns = _columns(plain, "image", "question", "answer", "category", "target_instances")
                options = [
                    f"{letter}. {plain[letter].strip()}" for letter in "ABCDEF" if (plain.get(letter) or "").strip()
                ]
                asked = options or [_columns(plain, "multi-choice options")[0]]
                image = files.image(base64.b64decode(columns[0], validate=True))
                question = "\n".join((columns[1].strip(), *asked))
                row = _row(image, question, columns[2], _boxes(_literal(columns[4])), columns[3])
            yield f"row {number}", row


def visualprobe(files: Files) -> Iterator[tuple[str, Row]]:
    """val.json of Mini-o3/VisualProbe_Easy, _Medium, _Hard: paths of images begin with the name of the repository."""
    for number, plain in enumerate(_json_list(files.file), start=1):
        with _at(f"{files.file}, entry {number}"):
            images, problem, solution, name = _columns(plain, "images", "problem", "solution", "doc_id")
            if not isinstance(images, list) or len(images) != 1:
                raise ValueError(f"'images' is a list of one path, got {images!r:.80}")
            inside = images[0] if (files.images / images[0]).is_file() else str(images[0]).partition("/")[2]
            question = str(problem).replace("<image>", "").strip()
            row = _row(files.image(inside), question, str(solution), [], "", kind="judge")
        yield str(name), row


def zoombench(files: Files) -> Iterator[tuple[str, Row]]:
    """test.parquet of inclusionAI/ZoomBench: ``query`` or ``prompt``, ``response`` or ``answer``, ``bbox``, a crop."""
    import pyarrow.parquet as pq

    opened = pq.ParquetFile(files.file)
    number = 0
    for batch in opened.iter_batches(batch_size=16):
        for plain in batch.to_pylist():
            number += 1
            with _at(f"{files.file}, row {number}"):
                image, boxes, kind = _columns(plain, "image", "bbox", "question_type")
                question, answer = _either(plain, "query", "prompt"), str(_either(plain, "response", "answer"))
                options = split_question(str(question)).options
                letter = extract_letter(answer, options) if options else None
                asked = str(question).replace("<image>", "").strip()
                of = "option" if options else "judge"
                row = _row(files.image(image), asked, letter or answer, _boxes(boxes), str(kind), kind=of)
                row["crop"] = str(files.image(plain["crop_image"])) if plain.get("crop_image") else None
            yield f"row {number}", row


def o3_bench(files: Files) -> Iterator[tuple[str, Row]]:
    """test/metadata.jsonl of m-Just/O3-Bench: options as one text, boxes as ``target_layouts``."""
    for number, plain in enumerate(_json_lines(files.file), start=1):
        with _at(f"{files.file}, line {number}"):
            question, options, answer, boxes = _columns(plain, "question", "options", "answer", "target_layouts")
            image = _either(plain, "image", "file_name", "image_path", "path")
            asked = f"{str(question).strip()}\n{str(options).strip()}"
            row = _row(files.image(image), asked, answer, _boxes(boxes), str(plain.get("category", "")))
        yield f"line {number}", row


def vstar(files: Files) -> Iterator[tuple[str, Row]]:
    """The folder craigwu/vstar_bench: test_questions.jsonl, and beside each image its boxes as x, y, width, height.

    The questions of those files are worded otherwise, with the right option always first: only boxes are taken.
    """
    for number, plain in enumerate(_json_lines(files.file / "test_questions.jsonl"), start=1):
        with _at(f"{files.file}/test_questions.jsonl, line {number}"):
            name, text, label, category, known = _columns(plain, "image", "text", "label", "category", "question_id")
            image = files.image(name)
            beside = json.loads(image.with_suffix(".json").read_text(encoding="utf-8"))
            targets, listed = _columns(beside, "target_object", "bbox")
            boxes = [Box(box.x1, box.y1, box.x1 + box.x2, box.y1 + box.y2) for box in _boxes(listed)]
            if boxes and len(boxes) != len(targets):
                raise ValueError(f"{image.stem}.json has {len(targets)} targets and {len(boxes)} boxes")
            row = _row(image, str(text), label, boxes, str(category))
        yield str(known), row


READERS: dict[str, Callable[[Files], Iterator[tuple[str, Row]]]] = {
    "treebench": treebench,
    "visualprobe_easy": visualprobe,
    "visualprobe_medium": visualprobe,
    "visualprobe_hard": visualprobe,
    "zoombench": zoombench,
    "o3_bench": o3_bench,
    "vstar_boxes": vstar,
}


@contextmanager
def _at(place: str) -> Iterator[None]:
    """What is wrong with an entry is told with its place."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ValueError(f"{place}: {type(error).__name__}: {error}") from error


def _row(image: Path, question: str, answer: Any, boxes: list[Box], category: str, *, kind: str = "option") -> Row:
    with Image.open(image) as opened:
        source = size_of(to_rgb(opened))
    if not isinstance(answer, str) or not answer.strip() or not question.strip():
        raise ValueError(f"a question and an answer are wanted, got {question!r:.60} and {answer!r:.60}")
    letters = split_question(question).letters
    if kind == "option" and answer.strip() not in letters:
        raise ValueError(
            f"the answer is one of the options' letters {', '.join(letters) or '(none found)'}, got {answer!r:.60}"
        )
    inside = [_inside(box, source) for box in boxes]
    united = inside[0] if inside else None
    for box in inside:
        united = box.union(united) if united else box
    return {
        "image": str(image),
        "question": question,
        "answer": answer.strip(),
        "kind": kind,
        "boxes": [list(box.as_tuple()) for box in inside],
        "target_box": list(united.as_tuple()) if united else None,
        "category": category,
    }


def _inside(box: Box, source: Size) -> Box:
    near = -OUTSIDE_PX <= box.x1 < box.x2 <= source.width + OUTSIDE_PX
    if not (near and -OUTSIDE_PX <= box.y1 < box.y2 <= source.height + OUTSIDE_PX):
        raise ValueError(f"a box is corners in pixels inside the {source} image, got {list(box.as_tuple())}")
    return box.clamped(source)


def _columns(plain: Any, *names: str) -> list[Any]:
    missing = [name for name in names if not isinstance(plain, Mapping) or plain.get(name) is None]
    if missing:
        there = ", ".join(map(str, plain)) if isinstance(plain, Mapping) else repr(plain)[:80]
        raise ValueError(f"no column {', '.join(missing)}: wanted are {', '.join(names)}, there are {there}")
    return [plain[name] for name in names]


def _either(plain: Mapping[str, Any], *names: str) -> Any:
    found = next((plain[name] for name in names if plain.get(name) is not None), None)
    if found is None:
        raise ValueError(f"no column {' or '.join(names)}: there are {', '.join(map(str, plain))}")
    return found


def _boxes(value: Any) -> list[Box]:
    """Boxes of a list of four numbers, of several, or of objects with ``bbox``; none of an empty list."""
    listed = list(value) if isinstance(value, list | tuple) else [value]
    listed = [listed] if listed and all(isinstance(one, int | float) for one in listed) else listed
    boxes = []
    for one in listed:
        corners = one.get("bbox") if isinstance(one, Mapping) else one
        if not isinstance(corners, list | tuple) or len(corners) != 4:
            raise ValueError(f"a box is four numbers, or an object with them as 'bbox', got {one!r:.80}")
        boxes.append(Box(*map(float, corners)))
    return boxes


def _literal(text: str) -> Any:
    """A list that stands as text, as JSON or as Python writes it."""
    try:
        return json.loads(text)
    except ValueError:
        return ast.literal_eval(text)


def _json_list(file: Path) -> list[Any]:
    plain = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(plain, list):
        raise ValueError(f"{file} is a list of entries, got {str(plain)[:80]}")  # noqa: TRY004
    return plain


def _json_lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
