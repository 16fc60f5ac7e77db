"""A file of partly hidden objects: one task, and the overlap with what can be seen beside that with all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from ergo_plugins.tasks.make_refcoco import write_tasks
from ergo_plugins.tasks.refcoco.utils import process_results
from ergo_plugins.usage import CommandError


def written(folder: Path, *lines: dict[str, Any]) -> Path:
    Image.new("RGB", (200, 100)).save(folder / "a.png")
    file = folder / "hidden.jsonl"
    shared = {"image": "a.png", "sent": "the cup", "width": 200, "height": 100}
    file.write_text("".join(json.dumps({**shared, **line}) + "\n" for line in lines))
    return file


def test_both_overlaps_of_a_reply(tmp_path: Path) -> None:
    file = written(tmp_path, {"bbox": [0, 0, 100, 100], "modal_bbox": [0, 0, 50, 100]})
    assert write_tasks(file, tmp_path, tmp_path / "out") == {"hidden": 1}
    task = (tmp_path / "out" / "egm_hidden.yaml").read_text()
    metrics = [one["metric"] for one in yaml.safe_load(task.split("doc_to_visual")[0])["metric_list"]]
    assert metrics[-2:] == ["iou_amodal", "iou_modal"]
    assert not (tmp_path / "out" / "egm_refcoco.yaml").exists()
    (doc,) = (json.loads(line) for line in (tmp_path / "out" / "hidden.jsonl").read_text().splitlines())
    modal = process_results(doc, ['{"bbox_2d": [0, 0, 250, 1000]}'])
    assert (modal["iou_amodal"], modal["iou"], modal["iou_modal"]) == (0.5, 0.5, 1.0)
    amodal = process_results(doc, ['{"bbox_2d": [0, 0, 500, 1000]}'])
    assert (amodal["iou_amodal"], amodal["iou"], amodal["iou_modal"]) == (1.0, 1.0, 0.5)
    none = process_results(doc, ["I cannot see it"])
    assert (none["iou_amodal"], none["iou_modal"]) == (0.0, 0.0)


def test_a_file_without_hidden_parts_has_one_overlap(tmp_path: Path) -> None:
    file = written(tmp_path, {"bbox": [0, 0, 100, 100]}, {"modal_bbox": [0, 0, 50, 100]})
    write_tasks(file, tmp_path, tmp_path / "out")
    assert "iou_modal" not in (tmp_path / "out" / "egm_hidden.yaml").read_text()
    docs = [json.loads(line) for line in (tmp_path / "out" / "hidden.jsonl").read_text().splitlines()]
    assert [doc["target_box"] for doc in docs] == [[0, 0, 100, 100], [0, 0, 50, 100]]
    assert "iou_modal" not in process_results(docs[0], ['{"bbox_2d": [0, 0, 250, 1000]}'])


def test_half_a_file_of_hidden_objects_is_refused(tmp_path: Path) -> None:
    both = {"bbox": [0, 0, 100, 100], "modal_bbox": [0, 0, 50, 100]}
    with pytest.raises(CommandError, match="1 of 2 lines have a modal_bbox"):
        write_tasks(written(tmp_path, both, {"bbox": [0, 0, 9, 9]}), tmp_path, tmp_path / "out")
    with pytest.raises(CommandError, match="'modal_bbox' is x1, y1, x2, y2"):
        write_tasks(written(tmp_path, {**both, "modal_bbox": [9, 9, 9, 9]}), tmp_path, tmp_path / "out")
