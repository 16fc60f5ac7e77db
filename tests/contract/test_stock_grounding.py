"""What EGM hands over, through the scorers of stock grounding tasks: the overlap that paper gives, however written.

Each row is a reply in one of the conventions that models write; the truth is the same box in all of them.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import lmms_eval.tasks
import pytest
from PIL import Image

from ergo_plugins.core.geometry import VisionGrid
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Reply, play
from ergo_plugins.methods.base import Sample
from ergo_plugins.methods.egm import EGM, EgmConfig

WIDTH, HEIGHT = 400, 200
TRUTH_PX = (40.0, 40.0, 200.0, 120.0)
RELATIVE, ABSOLUTE = VisionGrid(32, "relative"), VisionGrid(28, "absolute")
VIEW_TOKENS = 32  # 224x112 with a factor of 28: pixels of the view are .56 of the original's

REPLIES = [
    # grid, reply, overlap with the truth
    (RELATIVE, '```json\n[{"bbox_2d": [100, 200, 500, 600], "label": "mug"}]\n```', 1.0),
    (RELATIVE, '<think>left, [1, 1, 9, 9]</think>\n```json\n[{"bbox_2d": [100, 200, 500, 600]}]\n```', 1.0),
    (RELATIVE, "thoughts\n</think>\n\n[100, 200, 300, 600]", 0.5),
    (RELATIVE, "<box>[100, 200, 500, 400]</box>", 0.5),
    (RELATIVE, "[500, 600, 100, 200]", 1.0),
    (RELATIVE, "[500, 200, 100, 600]", 1.0),
    (RELATIVE, '{"bbox_2d": [-100, 200, 500, 600]}', 0.8),
    (RELATIVE, '[{"bbox_2d": [500, 600, 900, 1000]}]', 0.0),
    (RELATIVE, '[{"bbox_2d": [300, 400, 300, 400]}]', 1 / (160 * 80)),
    (RELATIVE, "[100, 200, 500, 600] and [0, 0, 1000, 1000]", 1.0),
    (RELATIVE, "(100, 200), (500, 600)", 1.0),
    (RELATIVE, "I do not see it", 0.0),
    (ABSOLUTE, '[{"bbox_2d": [22.4, 22.4, 112, 67.2]}]', 1.0),
    (ABSOLUTE, "<think>left</think>[22.4, 22.4, 67.2, 67.2]", 0.5),
    (ABSOLUTE, "[112, 67.2, 22.4, 22.4]", 1.0),
]


@cache
def stock(path: str) -> ModuleType:
    """The module of a stock task, which is a folder of scripts."""
    file = Path(lmms_eval.tasks.__file__).parent / path
    spec = importlib.util.spec_from_file_location(path.replace("/", "_").removesuffix(".py"), file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def handed(grid: VisionGrid, reply: str, request: str) -> str:
    """What EGM hands to the scorer of a task that asks so."""
    image, question = Image.new("RGB", (WIDTH, HEIGHT)), split_question(request)
    outcome = play(EGM.episode(Sample(image, question), EgmConfig(VIEW_TOKENS), grid), lambda _: Reply(reply))
    return EGM.returned(outcome, question)


def bbox_rec(grid: VisionGrid, reply: str, folder: str) -> dict[str, float]:
    task = stock(f"{folder}/utils_rec.py")
    doc = {
        "question_id": 1,
        "answer": "the red mug",
        "bbox": [TRUTH_PX[0] / WIDTH, TRUTH_PX[1] / HEIGHT, TRUTH_PX[2] / WIDTH, TRUTH_PX[3] / HEIGHT],
    }
    text = handed(grid, reply, task.refcoco_bbox_rec_doc_to_text(doc))
    result = next(iter(task.refcoco_bbox_rec_process_result(doc, [text]).values()))
    return {
        "iou": task.compute_iou(result["bbox"], result["pred"]),
        "center": float(task.compute_center_accuracy(result["bbox"], result["pred"])),
    }


@pytest.mark.parametrize("folder", ["refcoco", "refcoco+", "refcocog"])
@pytest.mark.parametrize(("grid", "reply", "overlap"), REPLIES)
def test_refcoco_bbox_rec_wants_shares(folder: str, grid: VisionGrid, reply: str, overlap: float) -> None:
    assert bbox_rec(grid, reply, folder)["iou"] == pytest.approx(overlap, abs=1e-6)


@pytest.mark.parametrize(("grid", "reply", "overlap"), REPLIES)
def test_refcoco_grounding_wants_json(grid: VisionGrid, reply: str, overlap: float) -> None:
    task = stock("refcoco_grounding/utils.py")
    x1, y1, x2, y2 = TRUTH_PX
    doc: dict[str, Any] = {
        "answer": ["the red mug", "a mug"],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "image": Image.new("RGB", (WIDTH, HEIGHT)),
    }
    text = handed(grid, reply, task.refcoco_grounding_doc_to_text(doc))
    result = next(iter(task.refcoco_grounding_process_result(doc, [text]).values()))
    assert task._compute_iou(result["pred"], result["bbox"]) == pytest.approx(overlap, abs=1e-6)


@pytest.mark.parametrize(("grid", "reply", "overlap"), REPLIES)
def test_groundingme_wants_json_or_null(grid: VisionGrid, reply: str, overlap: float) -> None:
    task = stock("groundingme/utils.py")
    doc = {
        "id": 1,
        "description": "the red mug",
        "bbox": list(TRUTH_PX),
        "subtask_l1": "Spatial",
        "subtask_l2": "Relationship",
        "width": WIDTH,
        "height": HEIGHT,
    }
    text = handed(grid, reply, task.groundingme_doc_to_text(doc))
    result = next(iter(task.groundingme_process_result(doc, [text]).values()))
    assert overlap - 1e-6 <= result["iou"] <= overlap + 1e-3  # it also reads thousandths, keeps the best


def test_groundingme_takes_a_refusal() -> None:
    task = stock("groundingme/utils.py")
    doc = {
        "id": 1,
        "description": "a unicorn",
        "bbox": None,
        "subtask_l1": "Rejection",
        "subtask_l2": "Text",
        "width": WIDTH,
        "height": HEIGHT,
    }
    for reply, right in (('<think>none</think>{"bbox_2d": null}', 1), ("[100, 200, 500, 600]", 0)):
        text = handed(RELATIVE, reply, task.groundingme_doc_to_text(doc))
        assert next(iter(task.groundingme_process_result(doc, [text]).values()))["iou"] == right


def test_without_us_the_same_reply_is_worth_nothing_or_ends_the_run() -> None:
    """Why the convention is read off the request: what a plain model writes, straight to the scorer."""
    task = stock("refcoco/utils_rec.py")
    truth = [0.1, 0.2, 0.5, 0.6]
    written = task.parse_float_sequence_within('[{"bbox_2d": [100, 200, 500, 600]}]')
    assert task.compute_iou(truth, written) == 0
    with pytest.raises(ZeroDivisionError):
        task.compute_iou(truth, [0.5, 0.2, 0.1, 0.6])
