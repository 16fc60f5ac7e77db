"""Benchmarks in their authors' columns: what becomes of a row, what it scores, and what is refused."""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ergo_plugins.core.geometry import Box, Size
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord
from ergo_plugins.tasks.make_benchmark import TASKS, UTILS, write_tasks
from ergo_plugins.tasks.scores import grounded_results, mixed_results, open_results, option_results
from ergo_plugins.usage import CommandError
from tests.unit.tasks import published as p

WRITERS = {
    "treebench": (p.write_treebench, [p.TREEBENCH]),
    "visualprobe_hard": (p.write_visualprobe, [p.VISUALPROBE]),
    "zoombench": (p.write_zoombench, [p.ZOOMBENCH, p.ZOOMBENCH_OPEN]),
    "o3_bench": (p.write_o3, [p.O3]),
    "vstar_boxes": (p.write_vstar, [p.VSTAR]),
}


class Said(str):
    """A reply of one of our models, as lmms-eval's scorer is handed it."""

    outcome: Outcome


def ours(text: str, *parts: Box, replies: tuple[str, ...] = ()) -> Said:
    """A reply after looking at parts of the original, which the first view shows at half its size."""
    source = Size(*p.SIZE)
    views = [Shown(Box(0, 0, *p.SIZE), Size(p.SIZE[0] // 2, p.SIZE[1] // 2), 1)]
    views += [Shown(part, Size(28, 28), 1) for part in parts]
    said = (*replies, *[""] * len(views))
    turns = tuple(TurnRecord(str(n), (view,), said[n], "stop") for n, view in enumerate(views))
    reply = Said(text)
    reply.outcome = Outcome("any", source, turns, text)
    return reply


def rows(folder: Path, name: str, *, task: str | None = None) -> list[dict[str, Any]]:
    write, published = WRITERS[name]
    write_tasks(name, write(folder, *published), None, folder / "out")
    return [json.loads(line) for line in (folder / "out" / f"{task or name}.jsonl").read_text().splitlines()]


def test_every_benchmark_is_tried_here() -> None:
    assert {name.replace("_easy", "_hard").replace("_medium", "_hard") for name in TASKS} == set(WRITERS)


def test_treebench(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, "treebench")
    assert row["question"] == "What is on the table?\nA. a cup\nB. a fork\nC. a knife\nD. a plate"
    assert (row["answer"], row["kind"], row["target_box"]) == ("B", "option", [40, 30, 300, 250])
    with Image.open(row["image"]) as image:
        assert image.size == p.SIZE
    exact, half = Box(40, 30, 80, 60), Box(200, 150, 300, 200)
    # by hand: overlaps 1 and .5 of the two true boxes; of the three given ones 1, .5 and 0
    looked = grounded_results(row, [ours("B", exact, half, Box(0, 0, 10, 10))])
    assert looked["accuracy"] == 1
    assert looked["miou"] == pytest.approx(0.75)
    assert looked["box_precision"] == pytest.approx(0.5)
    assert looked["miou_official"] == 0
    assert looked["target_coverage"] == pytest.approx(0.75)
    assert looked["target_centre"] == 1  # the second one's centre lies on the edge of the half
    wrong = grounded_results(row, ["A"])
    assert wrong == {"accuracy": 0, "miou": 0, "box_precision": 0, "miou_official": 0}
    assert grounded_results(row, ["it might be any"])["accuracy"] == 0
    assert grounded_results(row, [""])["accuracy"] == 0
    assert grounded_results(row, ["<answer>b</answer>"])["accuracy"] == 1


def test_treebenchs_own_overlap_stands_apart(tmp_path: Path) -> None:
    """Its script takes what is written as pixels of the original, whole numbers alone, and never asks how many."""
    (row,) = rows(tmp_path, "treebench")
    written = "<box>[20,15,40,30]</box> <box>[100, 75, 150, 125]</box>"  # both true boxes, on a view of half the size
    mapped = grounded_results(row, [ours("B", replies=(written,))])
    assert (mapped["miou"], mapped["box_precision"]) == (1, 1)
    assert mapped["miou_official"] == 0
    plain = grounded_results(row, ["<box>[40,30,80,60]</box><box>[0,0,9,9]</box> B"])
    assert (plain["miou"], plain["box_precision"], plain["miou_official"]) == (0.5, 0.5, 0.5)


def test_visualprobe(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, "visualprobe_hard")
    assert (row["question"], row["answer"], row["kind"]) == ("What number is on the tram?", "17", "judge")
    assert [open_results(row, [said])["exact_match"] for said in ("17", "17.0", "seventeen", "71", "")] == [
        1,
        1,
        0,
        0,
        0,
    ]
    assert "target_coverage" not in open_results(row, [ours("17", Box(0, 0, 9, 9))])


def test_zoombench_and_its_crop(tmp_path: Path) -> None:
    choice, opened = rows(tmp_path, "zoombench")
    assert (choice["kind"], choice["answer"], opened["kind"], opened["answer"]) == ("option", "A", "judge", "Ada")
    assert mixed_results(choice, ["red"]) == {"accuracy": 1, "accuracy_option": 1}
    assert mixed_results(opened, ["ada."]) == {"accuracy": 1, "accuracy_open": 1}
    assert mixed_results(opened, ["Ida"]) == {"accuracy": 0, "accuracy_open": 0}
    assert mixed_results(choice, [ours("B", Box(40, 30, 80, 45))])["target_coverage"] == 0.5
    (crop,) = rows(tmp_path, "zoombench", task="zoombench_crop")
    assert mixed_results(crop, [ours("A", Box(0, 0, 9, 9))]) == {"accuracy": 1, "accuracy_option": 1}
    (shown,) = utils().doc_to_crop(crop)
    assert shown.size == (100, 80)


def test_o3_bench(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, "o3_bench")
    assert row["question"].endswith("F. No right choice")
    assert [option_results(row, [said])["accuracy"] for said in ("F", "No right choice", "A", "?", "")] == [
        1,
        1,
        0,
        0,
        0,
    ]


def test_vstar_with_its_authors_boxes(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, "vstar_boxes")
    assert (row["boxes"], row["answer"]) == ([[40, 30, 60, 40]], "B")
    seen = option_results(row, [ours("B", Box(0, 0, 400, 300), Box(50, 0, 100, 100))])
    assert seen == {"accuracy": 1, "target_coverage": 0.5, "target_centre": 1}
    assert option_results(row, [ours("A")]) == {"accuracy": 0, "target_coverage": 0, "target_centre": 0}
    assert option_results(row, ["B"]) == {"accuracy": 1}


def test_what_is_occluded_is_the_target_and_next_to_nothing_else(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, "vstar_boxes", task="vstar_boxes_occluded")
    with Image.open(row["image"]) as opened:
        opened.paste((255, 255, 255), (40, 30, 60, 40))
        opened.save(row["image"], "PNG")
    (whole,), (painted,) = utils().doc_to_visual(row), utils().doc_to_occluded(row)
    target = painted.crop((40, 30, 60, 40))
    assert target.getextrema() == tuple((value, value) for value in target.getpixel((0, 0)))
    changed = [a != b for a, b in zip(whole.get_flattened_data(), painted.get_flattened_data(), strict=True)]
    assert 200 <= sum(changed) <= 26 * 16
    assert abs(target.getpixel((0, 0))[0] - 127) < 30, "the mean of the noise round it"


def utils() -> Any:
    spec = spec_from_file_location("benchmark_utils", UTILS)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "write", "row", "words"),
    [
        (
            "treebench",
            p.write_treebench,
            {"image": "x", "text": "y"},
            "no column question, answer, category, target_in",
        ),
        (
            "treebench",
            p.write_treebench,
            {**p.TREEBENCH, "answer": "G"},
            "one of the options' letters A, B, C, D, got 'G'",
        ),
        ("treebench", p.write_treebench, {**p.TREEBENCH, "target_instances": "[[1, 2]]"}, "a box is four numbers"),
        ("treebench", p.write_treebench, {**p.TREEBENCH, "target_instances": "[[0, 0, 900, 9]]"}, "inside the 400x300"),
        ("treebench", p.write_treebench, {**p.TREEBENCH, "image": "bm90IGFuIGltYWdl"}, "cannot identify image"),
        ("visualprobe_easy", p.write_visualprobe, {"image": "a"}, "no column images, problem, solution, doc_id"),
        ("visualprobe_easy", p.write_visualprobe, {**p.VISUALPROBE, "images": ["x/data/2.png"]}, "there is no image"),
        ("zoombench", p.write_zoombench, {**p.ZOOMBENCH, "query": None}, "no column query or prompt"),
        ("zoombench", p.write_zoombench, {**p.ZOOMBENCH, "bbox": None}, "no column bbox"),
        ("o3_bench", p.write_o3, {**p.O3, "answer": ""}, "a question and an answer are wanted"),
        ("o3_bench", p.write_o3, {**p.O3, "target_layouts": [{"layout": 1}]}, "an object with them as 'bbox'"),
        ("vstar_boxes", p.write_vstar, {**p.VSTAR, "label": "C"}, "letters A, B, got 'C'"),
        ("vstar_boxes", p.write_vstar, {"image": "a.jpg"}, "no column text, label, category, question_id"),
    ],
)
def test_a_file_that_differs_is_refused(name: str, write: Any, row: dict[str, Any], words: str, tmp_path: Path) -> None:
    file = write(tmp_path, row)
    with pytest.raises(CommandError, match=words.replace("[", r"\[")) as refused:
        write_tasks(name, file, None, tmp_path / "out")
    assert any(place in str(refused.value) for place in ("row 1", "entry 1", "line 1"))


def test_targets_and_boxes_of_vstar_have_to_be_as_many(tmp_path: Path) -> None:
    more = {**p.VSTAR_BESIDE, "target_object": ["glove", "hat"]}
    with pytest.raises(CommandError, match="2 targets and 1 boxes"):
        write_tasks("vstar_boxes", p.write_vstar(tmp_path, p.VSTAR, beside=more), None, tmp_path / "out")
    none = p.write_vstar(tmp_path, p.VSTAR, beside={**p.VSTAR_BESIDE, "bbox": []})
    counts = write_tasks("vstar_boxes", none, None, tmp_path / "none")
    assert counts == {"without boxes": 1, "vstar_boxes": 1}, "kept and counted, but there is nothing to occlude"
