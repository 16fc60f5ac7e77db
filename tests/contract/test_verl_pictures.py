"""Pictures of rollouts in verl's own trackers, read back from the files that those leave."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageColor, ImageFile
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from verl.utils.tracking import Tracking

from ergo_plugins.core.geometry import Box, Size, whole
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord
from ergo_plugins.core.outlines import POINTED_COLOR, TARGET_COLOR
from ergo_plugins.core.record import ROLLOUT_RECORD, Entry
from ergo_plugins.verl_plugin.pictures import GAP_PX, SIDE_PX, chosen, picture, rollouts, show
from ergo_plugins.verl_plugin.settings import Settings, TrainerConfig
from tests.contract.test_verl_trainer import trainer

SOURCE, CROP, TARGET = Size(896, 448), Box(448, 0, 672, 224), Box(500, 60, 600, 160)


def entry(path: Path | None, *, source: Size = SOURCE, crop: Box | None = CROP) -> Entry:
    """A rollout on an image that is blue where the crop is and grey elsewhere."""
    look = TurnRecord("look", (Shown(whole(source), Size(112, 56), 8),), "<zoom>[56, 0, 84, 28]</zoom>", "stop")
    again = TurnRecord("answer", (Shown(crop or whole(source), Size(56, 56), 4),), "<answer>B</answer>", "stop")
    outcome = Outcome(
        "ergo", source, (look, again), "B", boxes={"crop": crop}, problems=() if crop else ("look: none",)
    )
    named = None if path is None else str(path)
    return Entry("panels", "", 7, 0, "Which?", "B", outcome, image_path=named, target_box_source=TARGET)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    image = Image.new("RGB", (SOURCE.width, SOURCE.height), "grey")
    image.paste("blue", tuple(map(round, CROP.as_tuple())))
    image.save(tmp_path / "original.png")
    return tmp_path / "original.png"


@pytest.fixture
def trackers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tracking]:
    for name, value in {"TENSORBOARD_DIR": tmp_path / "tb", "WANDB_DIR": tmp_path, "WANDB_MODE": "offline"}.items():
        monkeypatch.setenv(name, str(value))
    tracking = Tracking("ergo", "tiny", ["tensorboard", "wandb"])
    yield tracking
    tracking.finish()


def reported(path: Path | None, **changes: Any) -> dict[str, Any]:
    """What a reward manager leaves of a trajectory."""
    return {"acc": 1.0, "region": 1, "words": "text", ROLLOUT_RECORD: json.dumps(entry(path, **changes).to_json())}


def test_what_was_shown_is_in_the_files_of_both_trackers(original: Path, tmp_path: Path, trackers: Tracking) -> None:
    shown = rollouts([2.5, 1.0], [reported(original), reported(original, crop=None)])
    for step in (3, 4):
        show(trackers.logger, "ergo/rollouts", shown, step)
        trackers.log({"ergo/region": 0.5}, step)
    trackers.finish()

    events = EventAccumulator(str(tmp_path / "tb"), size_guidance={"images": 0}).Reload()
    assert events.Tags()["images"] == ["ergo/rollouts/1", "ergo/rollouts/2"]
    assert [image.step for image in events.Images("ergo/rollouts/1")] == [3, 4]
    read = Image.open(io.BytesIO(events.Images("ergo/rollouts/1")[0].encoded_image_string))
    assert read.tobytes() == picture(entry(original)).tobytes()
    (said, _) = (
        tensor.tensor_proto.string_val[0].decode() for tensor in events.Tensors("ergo/rollouts/1/text_summary")
    )
    for word in ("panels//7", "reward 2.5  acc 1  region 1", "Which?", "<zoom>[56, 0, 84, 28]</zoom>"):
        assert word in said

    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    files = sorted((run / "files/media/images").rglob("*.png"))
    assert len(files) == 4
    assert {Image.open(file).size for file in files} == {picture(entry(original)).size, (SIDE_PX, SIDE_PX // 2)}
    rows = logged_by_wandb(next(run.glob("*.wandb")))
    assert [row["_step"] for row in rows] == [3, 4], "pictures and figures of a step are one row"
    assert all(row["ergo/region"] == 0.5 and row["ergo/rollouts"]["count"] == 2 for row in rows)
    assert "<answer>B</answer>" in rows[0]["ergo/rollouts"]["captions"][0]


def logged_by_wandb(file: Path) -> list[dict[str, Any]]:
    """The rows of an offline run."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    rows: list[dict[str, Any]] = []
    store = DataStore()
    store.open_for_scan(str(file))
    while (data := store.scan_data()) is not None:
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            items = record.history.item
            row: dict[str, Any] = {}
            for item in items:
                at = row
                *outer, last = item.nested_key or [item.key]
                for name in outer:
                    at = at.setdefault(name, {})
                at[last] = json.loads(item.value_json)
            rows.append(row)
    return rows


def test_the_boxes_lie_where_they_were_and_what_is_inside_them_is_seen(original: Path) -> None:
    drawn = picture(entry(original))
    scale = SIDE_PX / SOURCE.width
    assert drawn.size == (SIDE_PX + GAP_PX + SIDE_PX, SIDE_PX)
    crop, target = CROP.scaled(scale, scale), TARGET.scaled(scale, scale)
    middle = round((crop.y1 + crop.y2) / 2)
    assert drawn.getpixel((round(crop.x1) - 1, middle)) == ImageColor.getrgb(POINTED_COLOR)
    assert drawn.getpixel((round(crop.x1), middle)) != ImageColor.getrgb(POINTED_COLOR)
    assert drawn.getpixel((round(target.x1) - 1, round(target.y1) + 9)) == ImageColor.getrgb(TARGET_COLOR)
    part = drawn.crop((SIDE_PX + GAP_PX, 0, *drawn.size))
    assert part.getcolors() == [(SIDE_PX**2, ImageColor.getrgb("blue"))], "the part as it is, nothing drawn on it"


def test_without_a_box_there_is_the_original_alone(original: Path) -> None:
    assert picture(entry(original, crop=None)).size == (SIDE_PX, SIDE_PX // 2)


def test_what_has_no_picture_is_told_and_ends_nothing(
    original: Path,
    tmp_path: Path,
    trackers: Tracking,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)  # lmms-eval sets it for the whole process
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(original.read_bytes()[:200])
    lines = [reported(path) for path in (None, tmp_path / "gone.png", damaged)]
    lines += [reported(original, source=Size(10, 10)), reported(original)]
    with caplog.at_level(logging.WARNING):
        show(trackers.logger, "ergo/rollouts", rollouts([0.0] * 5, lines), 1)
    told = [record.getMessage() for record in caplog.records if "no picture of panels//7" in record.getMessage()]
    assert len(told) == 4
    for why, line in zip(("not as a file", "gone.png", "damaged.png: ", "another size"), told, strict=True):
        assert why in line
    trackers.finish()
    events = EventAccumulator(str(tmp_path / "tb")).Reload()
    assert events.Tags()["images"] == ["ergo/rollouts/1"]


def test_where_nothing_shows_no_original_is_opened_and_the_start_says_so(caplog: pytest.LogCaptureFixture) -> None:
    show({"console": object(), "file": object()}, "ergo/rollouts", rollouts([1.0], [reported(Path("gone.png"))]), 1)
    assert not caplog.records
    trainer("ergo.trainer.pictures=3", "trainer.logger=[console,file]")
    assert "ergo.trainer.pictures=3 shows nothing: pictures go to tensorboard and wandb" in caplog.text
    caplog.clear()
    trainer("ergo.trainer.pictures=3", "trainer.logger=[console,tensorboard]")
    assert "pictures" not in caplog.text


def test_each_prompt_is_shown_before_any_is_shown_twice() -> None:
    keys = ["b_1_0", "b_0_0", "a_0_0", "a_0_1", "c_x_0_0", "a_1_0"]
    assert chosen(keys, 4) == ["a_0_1", "b_0_0", "c_x_0_0", "a_1_0"]
    assert chosen(keys, 99) == ["a_0_1", "b_0_0", "c_x_0_0", "a_1_0", "b_1_0"]


def test_rollouts_without_a_record_are_left_out() -> None:
    assert rollouts([1.0], [{"acc": 1.0}]) == []


def test_nobody_asks_for_less_than_no_pictures() -> None:
    assert TrainerConfig().pictures == 0
    with pytest.raises(ValueError, match=r"ergo\.trainer: pictures is 0 or more, got -1"):
        Settings.read({"trainer": {"pictures": -1}}, "ergo")
