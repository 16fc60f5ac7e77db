"""Sets for several looks in their published columns; pictures of evaluation sets, under whatever name, are refused."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from ergo_plugins.commands import data
from ergo_plugins.usage import CommandError


def photo(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def file_of(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


DEEPEYES = {
    "data_source": "vstar",
    "prompt": [
        {"role": "system", "content": "tools"},
        {
            "role": "user",
            "content": "<image>\nWhat does the sign say?\nThink first, call **image_zoom_in_tool** if needed",
        },
    ],
    "images": [{"bytes": file_of(photo(0)), "path": None}],
    "ability": "vqa",
    "env_name": "visual_toolbox_v2",
    "reward_model": {"ground_truth": "The sign says stop.", "style": "model"},
    "extra_info": {
        "answer": "The sign says stop.",
        "index": "0",
        "question": "What does the sign say?",
        "split": "train",
    },
}
PROBE = {
    "images": ["VisualProbe_train/data/1.png"],
    "problem": "<image>What is it?",
    "solution": "a kite",
    "doc_id": "1",
}
ZWZ = {
    "images": ["images/1.png"],
    "problem": "<image>What colour?\nA. red\nB. blue",
    "answer": "B",
    "bbox": [10.0, 20.0, 50.0, 60.0],
    "status": "ok",
}
THYME = {
    "images": [{"bytes": file_of(photo(3)), "path": None}],
    "question": "How many birds are there?",
    "solution": "<answer>7</answer>",
    "messages": [{"role": "user", "content": "<image>How many birds are there?"}],
}
WITHOUT_EXTRA = {**DEEPEYES, "extra_info": {"index": "0"}}
LETTERED = {**DEEPEYES, "extra_info": {"question": "<image>What?\nA. cat\nB. dog", "answer": "A"}}
MATHS = {**DEEPEYES, "extra_info": {"question": "What is x?", "answer": "42"}, "env_name": ""}
SMALL = {**DEEPEYES, "images": [{"bytes": file_of(photo(1, (20, 300))), "path": None}]}


def converted(
    folder: Path, source: str, *records: dict[str, Any], options: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    for tree in ("data", "original_images"):
        (folder / tree).mkdir(exist_ok=True)
        photo(7).save(folder / tree / "1.png")
    file = folder / "set.parquet"
    pq.write_table(pa.Table.from_pylist(list(records)), file)
    parser = argparse.ArgumentParser()
    data.add_parser(parser.add_subparsers())
    given = ["data", source, str(file), "--out", str(folder / "out"), "--keep-order", *options]
    assert data.run(parser.parse_args(given)) == 0
    return pq.read_table(folder / "out" / "train.parquet").to_pylist()


@pytest.mark.parametrize(
    ("source", "record", "question", "answer", "kind"),
    [
        ("deepeyes47k", DEEPEYES, "What does the sign say?", "The sign says stop.", "judge"),
        ("deepeyes47k", WITHOUT_EXTRA, "What does the sign say?", "The sign says stop.", "judge"),
        ("deepeyes47k", LETTERED, "What?\nA. cat\nB. dog", "A", "option"),
        ("deepeyes47k", MATHS, "What is x?", "42", "number"),
        ("visualprobe", PROBE, "What is it?", "a kite", "judge"),
        ("zwz", ZWZ, "What colour?\nA. red\nB. blue", "B", "option"),
        ("thyme", THYME, "How many birds are there?", "7", "number"),
        ("thyme", {**THYME, "question": None, "solution": "a gull"}, "How many birds are there?", "a gull", "text"),
    ],
)
def test_a_row(folder: Path, source: str, record: dict[str, Any], question: str, answer: str, kind: str) -> None:
    (row,) = converted(folder, source, record)
    assert row["prompt"] == [{"role": "user", "content": f"<image>{question}"}]
    assert row["reward_model"]["ground_truth"] == answer
    assert row["extra_info"]["answer_kind"] == kind
    assert row["extra_info"]["target_box"] == (record["bbox"] if source == "zwz" else None)
    with Image.open(row["extra_info"]["image_path"]) as image:
        assert image.size == (400, 300)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize(
    ("source", "record", "words"),
    [
        ("deepeyes47k", SMALL, "no side is under 28"),
        ("deepeyes47k", {**DEEPEYES, "images": []}, "names no image"),
        ("deepeyes47k", {"images": DEEPEYES["images"], "text": "x"}, "no column 'prompt'"),
        ("visualprobe", {**PROBE, "solution": None}, "the answer is empty"),
        ("visualprobe", {"images": ["a/data/1.png"], "question": "x"}, "no column 'problem'"),
        ("zwz", {**ZWZ, "images": ["images/2.png"]}, "shows where to look"),
        ("zwz", {**ZWZ, "bbox": [10, 20, 900, 60]}, "outside the 400x300"),
        ("thyme", {**THYME, "solution": ["a", "b"]}, "one answer is compared"),
    ],
)
def test_what_cannot_be_learnt_is_named(folder: Path, source: str, record: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        converted(folder, source, record)


COPIES = {
    "its content": lambda: file_of(photo(0)),
    "what it shows": lambda: file_of(photo(0), "JPEG", quality=60),
    "what it shows, smaller": lambda: file_of(photo(0).resize((200, 150)), "JPEG"),
    "what it shows, mirrored": lambda: file_of(ImageOps.mirror(photo(0)), "JPEG"),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_picture_of_an_evaluation_set_is_refused_under_any_name(folder: Path, how: str) -> None:
    evaluation = folder / "evaluation.parquet"
    others = [{"image": {"bytes": file_of(photo(seed)), "path": None}} for seed in range(20, 40)]
    pq.write_table(pa.Table.from_pylist([*others, {"image": {"bytes": COPIES[how](), "path": None}}]), evaluation)
    with pytest.raises(CommandError, match=f"evaluation.parquet, by {how.partition(',')[0]}"):
        converted(folder, "deepeyes47k", DEEPEYES, options=("--not-in", str(evaluation)))


def test_other_pictures_are_not_taken_for_it(folder: Path) -> None:
    """Photos of other things, and flat ones, which look alike to any such mark."""
    evaluation = folder / "evaluation.jsonl"
    (folder / "flat.png").write_bytes(file_of(Image.new("RGB", (90, 90), "grey")))
    lines = [{"image": "flat.png"}, {"image": "gone/elsewhere.png"}]
    for seed in range(100, 160):
        photo(seed).save(folder / f"{seed}.png")
        lines.append({"image": f"{seed}.png"})
    evaluation.write_text("".join(json.dumps(line) + "\n" for line in lines))
    flat = {**DEEPEYES, "images": [{"bytes": file_of(Image.new("RGB", (90, 90), "black")), "path": None}]}
    rows = converted(folder, "deepeyes47k", DEEPEYES, flat, options=("--not-in", str(evaluation)))
    assert len(rows) == 2
    assert json.loads((folder / "out" / "counts.json").read_text())["by_name_alone"] == 1
