"""Sets for grounding: an expression is the question, and its box is the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.geometry import RELATIVE_EXTENT, Box
from ..core.grounding import parse_located
from ..outside.image_values import brief
from .fields import boxes_of, question_text
from .samples import BadSample, Sample, size_of_file
from .sources import Reader, Record, Source


def egm(source: Source, name: str, record: Record) -> Sample:
    """EGM's own files: raw training lines, rows of its parquet, and lines of its evaluation files.

    Raw lines have ``image`` and ``conversations`` with ``<ref>…</ref>`` and ``<box>[…]</box>`` in thousandths of the
    sides; rows have ``images``, ``extra_info.question`` and four such numbers as ``reward_model.ground_truth``;
    evaluation lines have ``sent`` and ``bbox``, corners in pixels. Confirmed against the authors' code (zgq1879/EGM),
    not against the sets.
    """
    extra, style = (_mapping(record.get(column)) for column in ("extra_info", "reward_model"))
    turns = [turn for turn in record.get("conversations") or () if isinstance(turn, Mapping)]
    said = "\n".join(str(turn.get("value", "")) for turn in turns)
    image = source.image(name, source.get(record, "image", "images"))
    asked = record.get(source.columns.get("sent", "sent"))
    asked = asked or said.partition("<ref>")[2].partition("</ref>")[0] or extra.get("question")
    pixels = record.get(source.columns.get("box", "bbox"), record.get("modal_bbox"))
    if pixels is not None:
        boxes = boxes_of(name, pixels)
    else:
        written = style.get("ground_truth")
        text = said[said.index("<box>") :] if "<box>" in said else "" if written is None else str(list(written))
        found = parse_located(text).box_frame
        if found is None:
            raise BadSample(name, "no box", "it has neither bbox, nor <box>, nor four numbers as ground_truth")
        size = size_of_file(name, image)
        boxes = (found.scaled(size.width / RELATIVE_EXTENT, size.height / RELATIVE_EXTENT),)
    return _located(name, image, asked, boxes)


def coco(source: Source, name: str, record: Record) -> Sample:
    """Annotations as COCO writes them: ``image`` or ``file_name``, ``sent`` or ``caption``, ``bbox``.

    A box is x, y, width and height, and a line is one expression. ``--columns box=amodal_bbox`` takes the boxes of
    complete objects, where a set has them.
    """
    boxes = boxes_of(name, source.get(record, "box", "bbox"))
    corners = tuple(Box(box.x1, box.y1, box.x1 + box.x2, box.y1 + box.y2) for box in boxes)
    asked = source.get(record, "sent", "caption", "expression")
    return _located(name, source.image(name, source.get(record, "image", "file_name")), asked, corners)


GROUNDING: dict[str, Reader] = {"egm": egm, "coco": coco}


def _located(name: str, image: Any, asked: Any, boxes: tuple[Box, ...]) -> Sample:
    if isinstance(asked, list | tuple):
        if len(asked) != 1:
            raise BadSample(name, "several expressions", f"one line an expression, got {brief(asked)}")
        asked = asked[0]
    if len(boxes) != 1:
        reason = "several boxes" if boxes else "no box"
        raise BadSample(name, reason, f"an expression has one box, got {len(boxes)}")
    corners = [round(corner, 3) for corner in boxes[0].as_tuple()]
    return Sample(name, image, question_text(name, asked), str(corners), boxes=boxes, kind="box")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
