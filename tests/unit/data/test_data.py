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
from PIL import ExifTags, Image, ImageColor

from ergo_plugins.commands import data as command
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
    "box in shares": {"box": [0.1, 0.2, 0.5, 0.6]},
    "several answers": {"answer": ["blue", "red"]},
    "unreadable answer": {"answer": {"a": "blue"}},
    "several images": {"image": ["a.png", "b.png"]},
    "unreadable question": {"question": ["Which", "colour?"]},
    "unreadable options": {"options": "red or blue"},
    "unknown kind": {"kind": "letters"},
    "no options": {"kind": "option", "options": None},
}
MORE_BAD = [
    {"image": None},
    {"image": []},
    {"image": ""},
    {"image": {"bytes": None, "path": None}},
    {"image": 3},
    {"image": "https://example.org/a.png"},
    {"image": "data:image/png;base64,!!!!"},
    {"image": "A" * 500_000},
    {"question": None},
    {"question": "<image><image> Which differs?"},
    {"answer": None},
    {"answer": []},
    {"answer": float("nan")},
    {"options": ["red", None]},
    {"options": [["red"], ["blue"]]},
    {"options": 3},
    {"options": {"first": "red", "second": "blue"}},
    {"box": "none"},
    {"box": {"left": 3}},
    {"box": [1, 2, 30, None]},
    {"box": [1, 2, 30, float("inf")]},
    {"box": [True, True, True, True]},
    {"box": 7},
    {"box": [30, 40, 1, 2]},
    {"options": None, "kind": "number", "answer": "three"},
    {"kind": "text"},
]


@pytest.mark.parametrize("reason", BAD)
def test_bad_samples_stop_it_and_are_named(images: Path, reason: str) -> None:
    with pytest.raises(CommandError, match=r"set\.jsonl 1: .*--bad drop"):
        convert(images, "jsonl", [GOOD, {**GOOD, **BAD[reason]}])


@pytest.mark.parametrize("change", MORE_BAD, ids=lambda change: f"{change!r:.60}")
def test_bad_values_are_shown_briefly_and_can_be_dropped(images: Path, change: dict[str, Any]) -> None:
    with pytest.raises(CommandError, match=r"set\.jsonl 1: ") as refused:
        convert(images, "jsonl", [GOOD, {**GOOD, **change}])
    assert len(str(refused.value)) < 400
    assert len(convert(images, "jsonl", [GOOD, {**GOOD, **change}], "--bad", "drop")) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"A": "red", "B": "blue"},
        {"b": "blue", "a": "red", "c": None},
        {"label": ["A", "B"], "text": ["red", "blue"]},
        '["red", "blue"]',
        '{"A": "red", "B": "blue"}',
        "A. red\nB. blue",
        ["A. red", "B. blue"],
        ["(A) red", "(B) blue"],
        [{"text": "red"}, {"text": "blue"}],
        [" red", "blue "],
    ],
    ids=repr,
)
def test_options_of_any_shape(images: Path, options: Any) -> None:
    (row,) = convert(images, "jsonl", [{**GOOD, "options": options}], "--keep-order")
    assert row["prompt"][0]["content"] == "<image>Which colour?\nA. red\nB. blue"
    assert row["reward_model"]["ground_truth"] == "B"


@pytest.mark.parametrize(
    ("answer", "truth", "kind"),
    [
        (0, "0", "number"),
        (2.5, "2.5", "number"),
        (True, "yes", "text"),
        (["blue"], "blue", "text"),
        (3.0, "3", "number"),
    ],
)
def test_answers_of_any_shape(images: Path, answer: Any, truth: str, kind: str) -> None:
    (row,) = convert(images, "jsonl", [{**GOOD, "options": None, "answer": answer}])
    assert row["reward_model"]["ground_truth"] == truth
    assert row["extra_info"]["answer_kind"] == kind


@pytest.mark.parametrize(
    "box",
    [
        [[1, 2, 30, 40]],
        [[1, 2], [30, 40]],
        ["1", "2", "30", "40"],
        "[1, 2, 30, 40]",
        {"x1": 1, "y1": 2, "x2": 30, "y2": 40},
        {"bbox": [1, 2, 30, 40]},
        [{"bbox_2d": [1, 2, 30, 40], "label": "door"}],
        {"x": 1, "y": 2, "width": 29, "height": 38},
        [[1, 2, 20, 30], [10, 20, 30, 40]],
    ],
    ids=repr,
)
def test_boxes_of_any_shape(images: Path, box: Any) -> None:
    (row,) = convert(images, "jsonl", [{**GOOD, "box": box}])
    assert row["extra_info"]["target_box"] == [1, 2, 30, 40]


@pytest.mark.parametrize("box", [None, "", [], {}])
def test_no_box_of_any_shape(images: Path, box: Any) -> None:
    (row,) = convert(images, "jsonl", [{**GOOD, "box": box}])
    assert row["extra_info"]["target_box"] is None


def test_the_place_of_the_image_is_not_part_of_a_question(images: Path) -> None:
    (row,) = convert(images, "jsonl", [{**GOOD, "question": "<image>\nWhich colour?", "options": None}])
    assert row["prompt"][0]["content"] == "<image>Which colour?"


def test_unpacked_images_are_named_by_their_content(images: Path) -> None:
    """Two files of one name, and one that was corrected, each keep their own pixels."""
    for colour in ("red", "blue", "green"):
        content = io.BytesIO()
        Image.new("RGB", (10, 10), colour).save(content, "PNG")
        file = images / ("set.parquet" if colour != "blue" else "other/set.parquet")
        file.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist([{**GOOD, "box": None, "image": {"bytes": content.getvalue()}}]), file)
        (row,) = convert(images, "jsonl", file)
        with Image.open(row["images"][0]["image"]) as image:
            assert image.convert("RGB").getpixel((0, 0)) == ImageColor.getrgb(colour)
    assert len(list((images / "out" / "images").iterdir())) == 3


@pytest.mark.parametrize("orientation", [6, 8])
def test_boxes_are_in_the_frame_in_which_people_and_policies_see_the_image(images: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (400, 300)).save(images / "turned.jpg", exif=exif)
    (row,) = convert(images, "jsonl", [{**GOOD, "image": "turned.jpg", "box": [50, 320, 250, 390]}])
    assert row["extra_info"]["target_box"] == [50, 320, 250, 390]
    with pytest.raises(CommandError, match="outside the 300x400 image"):
        convert(images, "jsonl", [{**GOOD, "image": "turned.jpg", "box": [320, 50, 390, 250]}])


def test_our_limit_of_pixels_decides(images: Path) -> None:
    Image.new("1", (14_000, 14_000)).save(images / "large.png")  # more than Pillow allows
    large = {**GOOD, "image": "large.png"}
    assert len(convert(images, "jsonl", [large], "--max-megapixels", "200")) == 1
    convert(images, "jsonl", [GOOD, large], "--max-megapixels", "100", "--bad", "drop")
    assert counts(images)["dropped"] == {"too large image": 1}


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


def test_what_took_all_samples_is_told(images: Path) -> None:
    with pytest.raises(CommandError, match=r"--validation 1 .* took all 2 good samples; hold out fewer, .* bad: none"):
        convert(images, "jsonl", [GOOD, {**GOOD, "question": "Other?"}], "--validation", "1")
    with pytest.raises(CommandError, match=r"no sample is good .* bad: 2 of 'missing image'"):
        convert(images, "jsonl", [{**GOOD, "image": "x"}] * 2, "--bad", "drop")


def test_boxes_of_own_data_are_read_by_either_name(images: Path) -> None:
    several = {**{name: value for name, value in GOOD.items() if name != "box"}, "boxes": [GOOD["box"]]}
    convert(images, "jsonl", [GOOD, several])
    assert counts(images)["with_box"] == 2


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
    """Records as the released file has them, and with the image inside the file."""
    (images / "images").mkdir()
    (images / "b.png").rename(images / "images" / "0.png")
    encoded = io.BytesIO()
    Image.new("RGB", (60, 50)).save(encoded, "PNG")
    hat, cup = (
        {"bbox": box, "label": None, "name": name} for box, name in (([1, 2, 10, 20], "hat"), ([30, 2, 40, 9], "cup"))
    )
    asked = "<image>\nCount the motors seen here. Options:\n(A) 5\n(B) 7\n(C) 9"
    open_question = "<image>\nWhat is the colour of the hat?"
    records = [
        {"images": ["images/0.png"], "problem": asked, "answer": "B", "target_instances": [hat, cup]},
        {"images": ["images/0.png"], "problem": open_question, "answer": "red", "target_instances": [hat]},
    ]
    pq.write_table(pa.Table.from_pylist(records), images / "rl.parquet")
    counted, named = convert(images, "treevgr", images / "rl.parquet", "--keep-order")
    assert counted["reward_model"]["ground_truth"] == "B"
    assert counted["extra_info"]["question"] == "Count the motors seen here.\nA. 5\nB. 7\nC. 9"
    assert counted["extra_info"]["target_box"] == [1, 2, 40, 20]
    assert counted["extra_info"]["image_path"] == str((images / "images" / "0.png").resolve())
    assert named["reward_model"]["ground_truth"] == "red"
    assert named["extra_info"]["target_box"] == [1, 2, 10, 20]

    inside = [{**records[1], "images": [{"bytes": encoded.getvalue(), "path": None}], "answer": "<answer>red</answer>"}]
    pq.write_table(pa.Table.from_pylist(inside), images / "inside.parquet")
    (row,) = convert(images, "treevgr", images / "inside.parquet")
    assert row["reward_model"]["ground_truth"] == "red"
    unpacked = Path(row["extra_info"]["image_path"])
    assert unpacked.parent == (images / "out" / "images").resolve()
    assert Image.open(unpacked).size == (60, 50)


@pytest.mark.parametrize(("dataset", "folder"), [("gqa", "gqa"), ("textcap", "textvqa"), ("visual7w", "v7w")])
def test_viscot(images: Path, dataset: str, folder: str) -> None:
    (images / folder).mkdir()
    (images / "c.png").rename(images / folder / "c.png")
    record = {
        "question": "What is on the table?",
        "answer": "cup",
        "image": "c.png",
        "width": 100,
        "height": 80,
        "bboxs": [[5, 6, 50, 60]],
        "dataset": dataset,
        "split": "train",
    }
    (row,) = convert(images, "viscot", [record])
    assert row["extra_info"]["target_box"] == [5, 6, 50, 60]
    assert row["extra_info"]["answer_kind"] == "text"


VSTAR = {
    "image": "a.png",
    "search": True,
    "target_instances": [{"name": "dog", "bbox": [10, 20, 30, 40]}],
    "conversations": [
        {
            "from": "human",
            "value": "<image>\nAdditional visual information to focus on: <object>; <object>.\nWhat colour is the dog?",
        },
        {"from": "gpt", "value": "The colour of the dog is brown, as one can see."},
    ],
}


def test_vstar_boxes_are_corner_and_size(images: Path) -> None:
    (row,) = convert(images, "vstar", [VSTAR])
    assert row["extra_info"]["target_box"] == [10, 20, 40, 60]
    assert row["extra_info"]["answer_kind"] == "judge"
    assert row["extra_info"]["question"] == "What colour is the dog?"


def test_vstar_prefers_the_short_question_and_answer(images: Path) -> None:
    (row,) = convert(images, "vstar", [{**VSTAR, "question": "Which colour has it?", "answer": "brown"}])
    assert row["extra_info"]["question"] == "Which colour has it?"
    assert row["reward_model"]["ground_truth"] == "brown"


def test_vstar_refusals_are_no_answers(images: Path) -> None:
    refusal = "Sorry, I can not answer the question. Some visual information is missing or unclear: dog."
    said = [{"from": "human", "value": "<image>\nWhat colour is it?"}, {"from": "gpt", "value": refusal}]
    convert(images, "vstar", [VSTAR, {**VSTAR, "conversations": said}], "--bad", "drop")
    assert counts(images)["dropped"] == {"no answer": 1}


@pytest.mark.parametrize(
    ("reasoning", "answer"),
    [
        ("<think>see <SOT>[0.1, 0.25, 0.5, 0.75]<EOT><image>, a cup.</think> Final answer: cup", "cup"),
        ("Not the final answer: <SOT>[0.1, 0.25, 0.5, 0.75]<EOT><image>.\n\nFinal answer: cup", "cup"),
        ("<think>see <sot>[0.1, 0.25, 0.5, 0.75]<eot> there</think><answer>cup</answer>", "cup"),
        ("<think>see <sot>[0.1, 0.25, 0.5, 0.75]<eot> there</think>\ncup", "cup"),
    ],
)
def test_vgr_regions_are_shares_of_the_sides(images: Path, reasoning: str, answer: str) -> None:
    (row,) = convert(images, "vgr", [vgr_record(reasoning)])
    assert row["extra_info"]["target_box"] == [10, 20, 50, 60]
    assert row["reward_model"]["ground_truth"] == answer
    assert row["extra_info"]["question"] == "What is it?"


@pytest.mark.parametrize(
    ("region", "reason"),
    [("[10, 20, 50, 60]", "box outside"), ("[0.1, 0.2, 0.3]", "unreadable box"), ("[a, b, c, d]", "unreadable box")],
)
def test_vgr_regions_that_are_no_shares_are_refused(images: Path, region: str, reason: str) -> None:
    good = vgr_record("a cup. Final answer: cup")
    bad = vgr_record(f"<SOT>{region}<EOT><image> Final answer: cup")
    convert(images, "vgr", [good, bad], "--bad", "drop")
    assert counts(images)["dropped"] == {reason: 1}


def vgr_record(reasoning: str) -> dict[str, Any]:
    asked = "<image>\nWhat is it?\nAnswer the question using a single word or phrase."
    return {
        "image": "a.png",
        "conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": reasoning}],
    }


@pytest.mark.parametrize(
    ("options", "frame"),
    [
        ((), "pixels of this image"),
        (("--factor", "32"), "thousandths of its width"),
        (("--coordinates", "relative"), "thousandths of its width"),
        (("--factor", "32", "--coordinates", "absolute"), "pixels of this image"),
    ],
)
def test_a_tools_prompt_names_the_frame_in_which_the_model_writes(
    images: Path, options: tuple[str, ...], frame: str
) -> None:
    (row,) = convert(images, "jsonl", [GOOD], "--agent", "tool_agent", *options)
    assert frame in row["prompt"][-1]["content"]


def test_visionthink_keeps_its_sizes_as_parquet_and_as_arrow(tmp_path: Path) -> None:
    content = io.BytesIO()
    Image.new("RGB", (80, 60), "red").save(content, "PNG")
    record = {
        "problem": "<image>\nWhat colour?\nA. red\nB. blue",
        "images": [{"bytes": content.getvalue(), "path": None}],
        "original_answer": "A",
        "info": {"tgt_width": 28, "tgt_height": 56, "use_tool": True},
    }
    table = pa.Table.from_pylist([record, {**record, "info": {**record["info"], "use_tool": False}}])
    pq.write_table(table, tmp_path / "set.parquet")
    folder = tmp_path / "set"
    folder.mkdir()
    file = folder / "data-00000-of-00001.arrow"
    with pa.OSFile(str(file), "wb") as opened, pa.ipc.new_stream(opened, table.schema) as stream:
        stream.write_table(table)
    for file in (tmp_path / "set.parquet", folder):
        made = convert(tmp_path, "visionthink", file, "--keep-order")
        first, second = (row["extra_info"] for row in made)
        assert (first["tgt_width"], first["tgt_height"], first["use_tool"]) == (28, 56, 1)
        assert second["use_tool"] == 0
        read = Row.read({**made[0], "raw_prompt": made[0]["prompt"]})
        assert (read.hints["tgt_width"], read.target.answer) == (28, "A")
        assert read.question.stem == "What colour?"
    with pytest.raises(CommandError, match=r"holds no \*\.arrow"):
        convert(tmp_path, "visionthink", tmp_path / "out")
