"""Sets for grounding: the three shapes of EGM's files and COCO's, and what must not be learnt from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ergo_plugins.commands import data
from ergo_plugins.core.geometry import Box
from ergo_plugins.usage import CommandError
from ergo_plugins.verl_plugin.rows import Row, RowError

RAW = {
    "image": "a.jpg",
    "height": 200,
    "width": 400,
    "conversations": [
        {"from": "human", "value": "<image>Where is <ref>the red mug</ref>?"},
        {"from": "gpt", "value": "Here. <box>[100, 200, 500, 600]</box>"},
    ],
}
EVALUATION = {"image": "a.jpg", "sent": "the red mug", "bbox": [40, 40, 200.5, 120], "height": 200, "width": 400}
PARQUET = {
    "data_source": "grounding",
    "prompt": [{"role": "user", "content": "<image>Locate it"}],
    "images": ["a.jpg"],
    "reward_model": {"style": "rule", "ground_truth": [100, 200, 500, 600]},
    "extra_info": {"index": 3, "height": 200, "width": 400, "question": "the red mug"},
}
COCO = {"file_name": "a.jpg", "caption": "the red mug", "bbox": [40, 40, 160, 80]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        Image.new("RGB", (400, 200), "red").save(tmp_path / f"{name}.jpg")
    return tmp_path


def converted(
    folder: Path, source: str, *records: dict[str, Any], options: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    file = folder / ("set.parquet" if "reward_model" in records[0] else "set.jsonl")
    if file.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(records)), file)
    else:
        file.write_text("".join(json.dumps(record) + "\n" for record in records))
    parser = argparse.ArgumentParser()
    data.add_parser(parser.add_subparsers())
    given = parser.parse_args(["data", source, str(file), "--out", str(folder / "out"), *options])
    assert data.run(given) == 0
    return pq.read_table(folder / "out" / "train.parquet").to_pylist()


@pytest.mark.parametrize(
    ("source", "record", "box"),
    [
        ("egm", RAW, Box(40, 40, 200, 120)),
        ("egm", EVALUATION, Box(40, 40, 200.5, 120)),
        ("egm", PARQUET, Box(40, 40, 200, 120)),
        ("coco", COCO, Box(40, 40, 200, 120)),
    ],
)
def test_every_shape_becomes_the_same_row(folder: Path, source: str, record: dict[str, Any], box: Box) -> None:
    (made,) = converted(folder, source, record)
    row = Row.read({**made, "raw_prompt": [{"role": "user", "content": made["prompt"][0]["content"]}]})
    assert row.question.full == "the red mug"
    assert (row.target.kind, row.target.box_source) == ("box", box)


def test_the_authors_own_parquet_is_trained_on_as_it_is(folder: Path) -> None:
    shown = [{"type": "image", "image": str(folder / "a.jpg")}, {"type": "text", "text": "Locate it"}]
    row = Row.read({**PARQUET, "raw_prompt": [{"role": "user", "content": shown}]})
    assert row.question.full == "the red mug"
    assert (row.target.kind, row.target.box_source) == ("box", Box(40, 40, 200, 120))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_source": "mine"}, "box_frame is 'pixels'"),
        ({"extra_info": {"question": "x", "height": 200}}, "needs extra_info.width and height"),
        ({"reward_model": {"ground_truth": [500, 200, 100, 600]}}, "has no area"),
    ],
)
def test_a_box_whose_frame_is_not_known_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(RowError, match=words):
        Row.read({**PARQUET, **change})


def test_the_frame_can_be_named() -> None:
    extra = {"question": "x", "box_frame": "pixels"}
    row = Row.read({**PARQUET, "data_source": "mine", "extra_info": extra})
    assert row.target.box_source == Box(100, 200, 500, 600)


def test_images_of_an_evaluation_set_are_refused_by_name_mirrored_or_not(folder: Path) -> None:
    (folder / "flip").mkdir()
    Image.new("RGB", (400, 200)).save(folder / "flip" / "a.png")
    evaluation = folder / "refcoco_val.jsonl"
    evaluation.write_text(json.dumps({**EVALUATION, "image": "train2014/a.jpg"}) + "\n")
    refusing = ("--not-in", str(evaluation))
    with pytest.raises(CommandError, match=r"a\.png is also in .*refcoco_val\.jsonl"):
        converted(folder, "egm", {**RAW, "image": "flip/a.png"}, options=refusing)
    kept = converted(folder, "egm", RAW, {**RAW, "image": "b.jpg"}, options=(*refusing, "--bad", "drop"))
    assert [Path(row["extra_info"]["image_path"]).name for row in kept] == ["b.jpg"]
    assert json.loads((folder / "out" / "counts.json").read_text())["dropped"] == {"in an evaluation set": 1}


@pytest.mark.parametrize(
    ("source", "record", "words"),
    [
        ("egm", {"image": "a.jpg", "sent": "x"}, "neither bbox"),
        ("egm", {**EVALUATION, "bbox": [300, 40, 200, 120]}, "empty or outside"),
        ("egm", {**EVALUATION, "sent": ["one", "two"]}, "one line an expression"),
        ("coco", {**COCO, "bbox": [[40, 40, 160, 80], [1, 1, 9, 9]]}, "one box, got 2"),
        ("coco", {**COCO, "bbox": [390, 40, 160, 80]}, "outside"),
    ],
)
def test_what_is_no_expression_with_a_box_is_named(
    folder: Path, source: str, record: dict[str, Any], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        converted(folder, source, record)
