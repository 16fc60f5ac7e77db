"""From published sets to verl's rows: files shaped like theirs, and every kind of sample that must not slip through."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ergo_plugins.data import command
from ergo_plugins.usage import CommandError
from ergo_plugins.verl_plugin.rows import Row

GOOD = {
    "image": "a.png",
    "question": "Which colour?",
    "answer": "blue",
    "options": ["red", "blue"],
    "box": [1, 2, 30, 40],
}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with pictures of 100 x 80 pixels."""
    for name in "abc":
        Image.new("RGB", (100, 80)).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG, or not")
    return tmp_path


def convert(images: Path, source: str, records: list[dict[str, Any]] | Path, *options: str) -> list[dict[str, Any]]:
    """Convert, and read the training rows back."""
    file = records if isinstance(records, Path) else images / "set.jsonl"
    if not isinstance(records, Path):
        file.write_text("\n".join(json.dumps(record) for record in records))
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    arguments = ["data", source, str(file), "--images", str(images), "--out", str(images / "out"), *options]
    assert command.run(parser.parse_args(arguments)) == 0
    return pq.read_table(images / "out" / "train.parquet").to_pylist()


def counts(images: Path) -> dict[str, Any]:
    return json.loads((images / "out" / "counts.json").read_text())


def test_a_row_is_what_the_agent_loop_and_the_reward_read(images: Path) -> None:
    (row,) = convert(images, "jsonl", [GOOD])
    read = Row.read({**row, "raw_prompt": row["prompt"]})
    assert read.question.stem == "Which colour?"
    assert {option.text for option in read.question.options} == {"red", "blue"}
    right = next(option for option in read.question.options if option.letter == read.target.answer)
    assert right.text == "blue"
    assert read.target.box_source is not None
    assert read.target.box_source.as_tuple() == (1, 2, 30, 40)
    assert Path(read.image_path).is_absolute()
    assert row["agent_name"] == "ergo_zoom"
    assert row["images"] == [{"image": str((images / "a.png").resolve())}]


def test_options_are_shuffled_by_the_seed(images: Path) -> None:
    records = [{**GOOD, "options": ["red", "blue", "green", "pink"]} for _ in range(40)]
    letters = [row["reward_model"]["ground_truth"] for row in convert(images, "jsonl", records, "--seed", "3")]
    assert set(letters) == set("ABCD")
    assert letters == [row["reward_model"]["ground_truth"] for row in convert(images, "jsonl", records, "--seed", "3")]
    assert letters != [row["reward_model"]["ground_truth"] for row in convert(images, "jsonl", records, "--seed", "4")]
    kept = convert(images, "jsonl", records, "--keep-order")
    assert {row["reward_model"]["ground_truth"] for row in kept} == {"B"}


BAD = {
    "missing image": {"image": "nowhere.png"},
    "damaged image": {"image": "broken.png"},
    "no question": {"question": " "},
    "no answer": {"answer": ""},
    "answer not among options": {"answer": "green"},
    "unusable options": {"options": ["blue", "blue"]},
    "box outside": {"box": [1, 2, 130, 40]},
    "unreadable box": {"box": [1, 2, 3]},
}


@pytest.mark.parametrize("reason", BAD)
def test_bad_samples_stop_it_and_are_named(images: Path, reason: str) -> None:
    with pytest.raises(CommandError, match=r"set\.jsonl 1: .*--bad drop"):
        convert(images, "jsonl", [GOOD, {**GOOD, **BAD[reason]}])


def test_bad_samples_are_dropped_and_counted_when_asked(images: Path) -> None:
    records = [GOOD, *({**GOOD, **change} for change in BAD.values()), GOOD]
    assert len(convert(images, "jsonl", records, "--bad", "drop")) == 2
    report = counts(images)
    assert report["kept"] == 2
    assert report["dropped"] == dict.fromkeys(BAD, 1)
    assert report["with_box"] == 2


def test_limits(images: Path) -> None:
    with pytest.raises(CommandError, match="megapixels"):
        convert(images, "jsonl", [GOOD], "--max-megapixels", "0.001")
    with pytest.raises(CommandError, match="it has no box"):
        convert(images, "jsonl", [{**GOOD, "box": None}], "--need-box")
    with pytest.raises(CommandError, match="nothing is left"):
        convert(images, "jsonl", [{**GOOD, "image": "x"}], "--bad", "drop")
    assert len(convert(images, "jsonl", [GOOD] * 5, "--limit", "3")) == 3


def test_a_missing_column_is_named_with_those_there_are(images: Path) -> None:
    with pytest.raises(CommandError, match=r"no column 'question' among image, q"):
        convert(images, "jsonl", [{"image": "a.png", "q": "Which?", "answer": "x"}])
    (row,) = convert(images, "jsonl", [{"image": "a.png", "q": "Which?", "answer": "x"}], "--columns", "question=q")
    assert row["extra_info"]["question"] == "Which?"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("12", "number"), ("3.5%", "number"), ("blue door", "text"), ("it is a very long story", "judge")],
)
def test_kinds_of_open_answers(images: Path, answer: str, kind: str) -> None:
    (row,) = convert(images, "jsonl", [{**GOOD, "options": None, "answer": answer}])
    assert row["extra_info"]["answer_kind"] == kind


def test_validation_holds_out_whole_images(images: Path) -> None:
    records = [{**GOOD, "image": f"{name}.png", "question": f"{i}?"} for i in range(4) for name in "abc"]
    training = convert(images, "jsonl", records, "--validation", "2")
    held_out = pq.read_table(images / "out" / "validation.parquet").to_pylist()
    assert len(held_out) == 4
    assert len(training) == 8
    seen = {row["extra_info"]["image_path"] for row in training}
    assert not seen & {row["extra_info"]["image_path"] for row in held_out}


def test_rows_for_verls_own_tool_loop(images: Path) -> None:
    (row,) = convert(images, "jsonl", [GOOD], "--coarse-tokens", "10", "--agent", "tool_agent")
    assert row["agent_name"] == "tool_agent"
    assert row["images"][0]["max_pixels"] == 10 * 28**2
    system, user = row["prompt"]
    assert system["role"] == "system"
    assert user["content"].startswith("<image>Which colour?")
    assert "<zoom>" in user["content"]
    assert "A. " not in user["content"], "options are for the second turn"
    full = row["extra_info"]["tools_kwargs"]["zoom"]["create_kwargs"]["question"]
    assert full == row["extra_info"]["question"]
    assert "A. " in full


def test_treevgr(images: Path) -> None:
    text = "<image>What is the colour?\nA. red\nB. blue"
    encoded = io.BytesIO()
    Image.new("RGB", (60, 50)).save(encoded, "PNG")
    table = pa.Table.from_pylist(
        [
            {
                "images": [{"bytes": encoded.getvalue(), "path": None}],
                "problem": text,
                "answer": "<answer>B</answer>",
                "target_instances": [{"name": "hat", "bbox": [1, 2, 10, 20]}, {"name": "cup", "bbox": [30, 2, 40, 9]}],
            }
        ]
    )
    pq.write_table(table, images / "rl.parquet")
    (row,) = convert(images, "treevgr", images / "rl.parquet", "--keep-order")
    assert row["reward_model"]["ground_truth"] == "B"
    assert row["extra_info"]["target_box"] == [1, 2, 40, 20]
    unpacked = Path(row["extra_info"]["image_path"])
    assert unpacked.parent == (images / "out" / "images").resolve()
    assert Image.open(unpacked).size == (60, 50)


def test_viscot(images: Path) -> None:
    (images / "gqa").mkdir()
    (images / "c.png").rename(images / "gqa" / "c.png")
    record = {
        "question": "What is on the table?",
        "answer": "cup",
        "possible_answers": ["cup"],
        "image": "c.png",
        "width": 100,
        "height": 80,
        "bboxs": [[5, 6, 50, 60]],
        "dataset": "gqa",
        "split": "train",
    }
    (row,) = convert(images, "viscot", [record])
    assert row["extra_info"]["target_box"] == [5, 6, 50, 60]
    assert row["extra_info"]["answer_kind"] == "text"


def test_vstar_boxes_are_corner_and_size(images: Path) -> None:
    record = {
        "id": 1,
        "image": "a.png",
        "target_instances": [{"name": "dog", "bbox": [10, 20, 30, 40]}],
        "conversations": [
            {"from": "human", "value": "<image>\nWhat is the colour of the dog?"},
            {"from": "gpt", "value": "The colour of the dog is brown, as one can see."},
        ],
    }
    (row,) = convert(images, "vstar", [record])
    assert row["extra_info"]["target_box"] == [10, 20, 40, 60]
    assert row["extra_info"]["answer_kind"] == "judge"
    assert row["extra_info"]["question"] == "What is the colour of the dog?"


def test_vgr_regions_are_shares_of_the_sides(images: Path) -> None:
    reasoning = "<think>see <sot>[0.1, 0.25, 0.5, 0.75]<eot> there</think><answer>cup</answer>"
    record = {
        "image": "a.png",
        "conversations": [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": reasoning}],
    }
    (row,) = convert(images, "vgr", [record])
    assert row["extra_info"]["target_box"] == [10, 20, 50, 60]
    assert row["reward_model"]["ground_truth"] == "cup"
