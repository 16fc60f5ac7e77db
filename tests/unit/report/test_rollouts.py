"""Rollouts as verl 0.9.1 dumps them become rows, and what is wrong with a dump is told with its place."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ergo_plugins.cli import main
from ergo_plugins.core.geometry import Box
from ergo_plugins.core.outcome import Outcome
from ergo_plugins.report.page import page
from ergo_plugins.report.read.rollouts import is_rollouts, read_rollouts
from ergo_plugins.report.read.rows import UnreadableInput
from ergo_plugins.report.summary import summarise
from tests.unit.report.journals import PageReader, outcome, write_journal

QUESTION = "Which colour has the spot?\nA. red\nB. blue"


def record(image: Path | str, played: Outcome | None = None, **changes: Any) -> str:
    plain = {
        "row": "spot set 7",
        "image_path": str(image),
        "question": QUESTION,
        "target_box_source": [150, 100, 250, 150],
        "outcome": (played or outcome()).to_json(),
    }
    return json.dumps({**plain, **changes})


def rollout(image: Path | str = "/nowhere.png", session: int = 0, **changes: Any) -> dict[str, Any]:
    """A line as `PPOTrainer._write_generations` makes it."""
    line = {
        "input": f"user\n{QUESTION}\nassistant\n",
        "output": "<zoom>[10, 10, 20, 15]</zoom>\nuser\nassistant\n<answer>B</answer>",
        "gts": "B",
        "score": 3.5,
        "step": 8,
        "uid": f"0b6f9c52-0d5e-4c0a-9a51-2f8f1d7a7f10_{session}_0",
        "acc": 1.0,
        "region": 1.0,
        "box": 1.0,
        "accuracy": 1.0,
        "format": 1.0,
        "coverage": 0.5,
        "judge_calls": 0.0,
        "ergo_record": record(image),
    }
    return {**line, **changes}


def write_dump(folder: Path, *lines: dict[str, Any], step: int = 8, tail: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{step}.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines) + tail)
    return path


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """Red on the left of x=100, blue from there on."""
    path = tmp_path / "original.png"
    image = Image.new("RGB", (1000, 500), "blue")
    image.paste("red", (0, 0, 100, 500))
    image.save(path)
    return path


def test_a_rollout_is_a_row_with_its_reward_and_all_its_parts(tmp_path: Path, original: Path) -> None:
    wrong = rollout(original, 1, accuracy=0.0, acc=0.0, score=1.5, coverage=None, gts=None)
    run = read_rollouts(write_dump(tmp_path / "rollouts", rollout(original), wrong))
    first, second = run.rows
    assert (run.name, run.tasks, run.notes) == ("rollouts/8.jsonl", ["spot set"], [])
    assert [row.key for row in run.rows] == ["spot set/step 8/7", "spot set/step 8/7#1"]
    assert (first.question, first.returned, first.target, first.split) == (QUESTION, "B", "B", "step 8")
    assert first.outcome == outcome()
    assert first.metrics == {
        **{"reward": 3.5, "region": 1.0, "box": 1.0, "accuracy": 1.0, "format": 1.0},
        "judge_calls": 0.0,
    }
    assert (first.correct, second.correct) == (True, False)
    assert (first.target_coverage, second.target_coverage) == (0.5, None)
    assert first.target_box_source == Box(150, 100, 250, 150)
    assert second.target is None
    figures = summarise(run.rows)
    assert (figures["accuracy"], figures["judged"], figures["target_coverage"]) == (0.5, 2, 0.5)


def test_a_graded_accuracy_is_no_verdict(tmp_path: Path) -> None:
    run = read_rollouts(write_dump(tmp_path, rollout(accuracy=0.4), rollout(accuracy=None)))
    assert [row.correct for row in run.rows] == [None, None]


def test_pictures_are_made_from_the_original(tmp_path: Path, original: Path) -> None:
    run = read_rollouts(write_dump(tmp_path / "rollouts", rollout(original), rollout(original, 1)))
    read = PageReader(page(run, previews=1))
    files = [base64.b64decode((img["src"] or "").partition(",")[2]) for img in read.all("img")]
    look, crop = (Image.open(io.BytesIO(file)) for file in files)
    assert (look.size, crop.size) == ((112, 56), (56, 56))
    assert look.getpixel((4, 28))[0] > 200 > 60 > look.getpixel((100, 28))[0]
    assert crop.getpixel((1, 28))[2] > 200, "the crop begins where the red ends"
    assert "reward 3.5" in read.text
    assert len(read.all("rect", class_="box")) == 2
    assert len(read.all("rect", class_="target")) == 2


def test_originals_that_are_gone_or_changed_are_told(tmp_path: Path, original: Path) -> None:
    run = read_rollouts(write_dump(tmp_path / "rollouts", rollout(), rollout(original, 1)))
    assert run.notes == ["The originals of 1 of 2 rollouts are not where they were: only outlines are drawn."]
    Image.new("RGB", (10, 10)).save(original)
    read = PageReader(page(run, previews=9))
    assert not read.all("img")
    assert "2 preview pictures named in the input are missing or damaged" in read.text


def test_images_that_a_dump_names_are_told_and_can_be_kept_to_a_folder(
    tmp_path: Path, original: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dump may be another's, and whatever local image it names would stand in a page that is then sent on."""
    inside = tmp_path / "training" / "inside.png"
    inside.parent.mkdir()
    inside.write_bytes(original.read_bytes())
    sly = tmp_path / "training" / ".." / original.name
    link = tmp_path / "training" / "link.png"
    link.symlink_to(original)
    lines = [rollout(path, session) for session, path in enumerate((original, original, inside, sly, link))]
    dump, page_file = str(write_dump(tmp_path / "rollouts", *lines)), tmp_path / "page.html"

    def shown(*options: str) -> tuple[int, str, str]:
        assert main(["report", dump, "-o", str(page_file), *options]) == 0
        read = PageReader(page_file.read_text())
        return len(read.all("img")), read.text, capsys.readouterr().out

    pictures, page_text, said = shown()
    assert pictures == 10
    for text in (page_text, said):
        assert "pictures, at most 640 px a side, of 4 image files of this machine" in text
        assert str(inside.parent) in text
    assert "--images FOLDER" in said
    pictures, page_text, said = shown("--images", str(inside.parent))
    assert pictures == 2
    assert "of 1 image file of this machine" in said
    assert "The originals of 4 of 5 rollouts lie outside the folder given with --images" in page_text
    pictures, page_text, said = shown("--previews", "0")
    assert pictures == 0
    assert "image files of this machine" not in page_text + said


def test_the_folder_of_images_belongs_to_rollouts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = write_journal(tmp_path)
    assert main(["report", str(journal), "--images", str(tmp_path)]) == 2
    assert "--images belongs to rollouts" in capsys.readouterr().err


def test_what_verl_pads_a_batch_with_is_no_rollout(tmp_path: Path) -> None:
    lines = rollout(), rollout(uid="pad0b6f_0_0"), rollout(session=1, ergo_record=None)
    run = read_rollouts(write_dump(tmp_path, *lines))
    assert len(run.rows) == 1
    assert run.notes[0] == "1 of 2 rollouts have no record and are not shown."


def test_a_folder_means_its_newest_step(tmp_path: Path) -> None:
    for step in (2, 10, 9):
        write_dump(tmp_path, rollout(step=step), step=step)
    (tmp_path / "notes.jsonl").write_text("{}\n")
    assert read_rollouts(tmp_path).rows[0].split == "step 10"
    assert read_rollouts(tmp_path, 2).rows[0].split == "step 2"
    with pytest.raises(UnreadableInput, match="holds no step 3, only 2, 9, 10"):
        read_rollouts(tmp_path, 3)
    with pytest.raises(UnreadableInput, match="--step chooses from a folder"):
        read_rollouts(tmp_path / "9.jsonl", 2)


def test_a_torn_last_line_is_left_out_and_noted(tmp_path: Path) -> None:
    run = read_rollouts(write_dump(tmp_path, rollout(), tail=json.dumps(rollout())[:50]))
    assert len(run.rows) == 1
    assert "incomplete" in run.notes[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"ergo_record": "{"}, "line 2, is not a rollout with a record"),
        ({"ergo_record": record("/a", outcome={"turns": []})}, "line 2, is not a rollout with a record"),
        ({"score": "high"}, "line 2, is not a rollout with a record"),
    ],
)
def test_a_damaged_line_is_an_error_with_its_number(tmp_path: Path, line: dict[str, Any], words: str) -> None:
    with pytest.raises(UnreadableInput, match=words):
        read_rollouts(write_dump(tmp_path, rollout(), rollout(**line)))


def test_a_dump_without_records_says_what_to_set(tmp_path: Path) -> None:
    stock = {name: value for name, value in rollout().items() if name in ("input", "output", "gts", "score", "step")}
    path = write_dump(tmp_path, stock)
    assert is_rollouts(path)
    with pytest.raises(UnreadableInput, match="trainer_mode=ergo_sync"):
        read_rollouts(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableInput, match=r"holds no <step>\.jsonl"):
        read_rollouts(tmp_path / "empty")
