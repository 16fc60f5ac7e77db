"""Rows of other projects, from parquet through verl's own data set, worker, agent loop and reward managers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pytest
from omegaconf import DictConfig
from PIL import Image, ImageOps
from verl.utils.dataset.rl_dataset import RLHFDataset

from ergo_plugins.core.record import ROLLOUT_RECORD
from ergo_plugins.methods import tool_method
from ergo_plugins.outside.image_files import open_image
from ergo_plugins.verl_plugin.agent_loop import ErgoZoomLoop
from ergo_plugins.verl_plugin.rows import Row, RowError
from tests.contract.verl_parts import POLICY, Bench, ScriptedPolicy, rolled_out, tiny, tokenizer_and_processor
from tests.e2e.judge_server import JudgeServer

END = "<|im_end|>"
LOOK, ANSWER = "<think>there</think><zoom>[28, 56, 84, 112]</zoom>", "<think>seen</think><answer>B</answer>"
BOX = (56, 112, 168, 224)
"""What `LOOK` points at in the original, which is twice as large as the first view."""

STOCK = (
    "reward.reward_manager.name=naive",
    "reward.custom_reward_function.path=pkg://ergo_plugins.verl_plugin.compute_score",
)


@pytest.fixture(autouse=True)
def _nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ``datasets`` library keeps what it has read."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG of 448x448 that is stored upside down, as its EXIF says."""
    pixels = np.random.default_rng(0).integers(0, 255, (14, 14, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((448, 448), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 3
    image.save(tmp_path / "a photo.jpg", exif=exif, quality=95)
    return tmp_path / "a photo.jpg"


def upright(path: Path) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def settings(*overrides: str) -> DictConfig:
    return tiny(
        "ergo.zoom.coarse_tokens=64",
        "ergo.zoom.zoom_new_tokens=64",
        "ergo.zoom.answer_new_tokens=64",
        "data.max_prompt_length=512",
        "data.max_response_length=512",
        *overrides,
    )


def judged(judge: JudgeServer, *, stock: bool = False) -> tuple[str, ...]:
    """Overrides with which a judge is asked, by our reward manager or by verl's own."""
    if not stock:
        return ("ergo.judge.source=endpoints", f"+ergo.judge.urls=[{judge.url}]", "+ergo.judge.model=judge")
    given = "+reward.custom_reward_function.reward_kwargs"
    return (
        *STOCK,
        f"{given}.judge.source=endpoints",
        f"{given}.judge.urls=[{judge.url}]",
        f"{given}.judge.model=judge",
        f"{given}.zoom.resample=box",
    )


def through_verl(
    place: Path, rows: list[dict[str, Any]], *, image: Any = None, folder: Path = POLICY
) -> list[dict[str, Any]]:
    """Rows as verl's data set hands them on, written to parquet first; ``image`` is the type of the column's images."""
    table = datasets.Dataset.from_list(rows)
    if image is not None:
        table = table.cast_column("images", datasets.Sequence(image))
    file = place / f"{len(list(place.iterdir()))}.parquet"
    table.to_parquet(file)
    tokenizer, processor = tokenizer_and_processor(folder)
    read = RLHFDataset([str(file)], tokenizer, settings().data, processor)
    return [read[i] for i in range(len(read))]


def row(images: list[Any], content: str = "<image>What colour is it?", answer: Any = "red", **extra: Any) -> Any:
    """The least that verl wants of a row."""
    return {
        "data_source": "own",
        "prompt": [{"role": "user", "content": content}],
        "images": images,
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {"index": 3, **extra},
    }


def reports(batch: Any) -> list[dict[str, Any]]:
    """What the agent loop and the reward manager wrote down of each trajectory."""
    return [json.loads(record) for record in batch.non_tensor_batch[ROLLOUT_RECORD]]


def totals(batch: Any) -> list[float]:
    rewards: list[float] = batch.batch["rm_scores"].sum(dim=1).tolist()
    return rewards


FORMS: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda path: {"bytes": path.read_bytes()},
    "bytes and no path": lambda path: {"bytes": path.read_bytes(), "path": None},
    "bytes and a path elsewhere": lambda path: {"bytes": path.read_bytes(), "path": "images/0.jpg"},
    "path": str,
    "image": lambda path: {"image": str(path)},
    "a path alone": lambda path: {"path": str(path)},
    "file URL": lambda path: {"image": path.as_uri()},
    "data URL": lambda path: {"image": f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"},
    "pixels": lambda path: str(path),
    "pixels and a folder": lambda path: {"bytes": path.read_bytes(), "path": str(path)},
}
"""One image in all forms that verl's data set takes; the last two are decoded by the ``datasets`` library."""

LIE_IN_A_FILE = ("path", "image", "a path alone", "file URL")


def in_all_forms(place: Path, photo: Path, content: str, answer: str) -> list[dict[str, Any]]:
    rows = []
    for form, make in FORMS.items():
        image = datasets.Image() if form.startswith("pixels") else None
        rows += through_verl(place, [row([make(photo)], content, answer)], image=image)
    return rows


QUESTION = "What colour is the kite\nA. red\nB. blue\nC. green"
IN_THE_MIDDLE = "What colour is the kite\n<image>\nA. red\nB. blue\nC. green"


def test_every_form_of_an_image_is_the_same_row(photo: Path, tmp_path: Path) -> None:
    for form, given in zip(FORMS, in_all_forms(tmp_path, photo, IN_THE_MIDDLE, "B"), strict=True):
        read = Row.read(given)
        assert read.question.full == QUESTION, form
        assert [option.text for option in read.question.options] == ["red", "blue", "green"], form
        assert (read.target.kind, read.target.answer) == ("option", "B"), form
        assert read.image_path == (str(photo) if form in LIE_IN_A_FILE else None), form
        assert read.image is not None
        with open_image(read.image) as image:
            assert ImageOps.exif_transpose(image).convert("RGB").tobytes() == upright(photo).tobytes(), form


@pytest.mark.parametrize("stock", [False, True])
def test_policy_and_judge_see_the_pixels_of_the_row_in_every_form(photo: Path, tmp_path: Path, stock: bool) -> None:
    rows = in_all_forms(tmp_path, photo, IN_THE_MIDDLE, "B")
    with JudgeServer(lambda *_: "<answer>B</answer>") as judge:
        batch, policy = rolled_out(settings(*judged(judge, stock=stock)), rows, [LOOK + END, ANSWER + END])
        asked = judge.asked
    assert len(totals(batch)) == len(FORMS)
    assert set(totals(batch)) == {3.5}
    crop = upright(photo).crop(BOX)
    assert {request.images[0].tobytes() for request in asked} == {crop.tobytes()}
    assert len(asked) == 1, "the same crop and question are judged once, whatever form the image came in"
    seen = {tuple(image.tobytes() for image in request["image_data"]) for request in policy.asked}
    assert [pixels[1:] for pixels in seen] == [(crop.tobytes(),)]
    for form, report in zip(FORMS, reports(batch), strict=True):
        assert report["question"] == QUESTION, form
        assert report["image_path"] == (str(photo) if form in LIE_IN_A_FILE else None), form
        assert report["outcome"]["boxes"]["crop"] == list(BOX), form


TOOLS = "You are a helpful assistant.\n\n# Tools\nYou may call the function image_zoom_in_tool with bbox_2d."
FORMAT = "\nThink first, call **image_zoom_in_tool** if needed, then answer in <answer> </answer>."


def deepeyes(photo: Path) -> tuple[dict[str, Any], Any]:
    """DeepEyes-Datasets-47k: a system message with tools, its format behind the question, answers for a judge."""
    question = "Is the backpack on the left or on the right side of the bench?"
    answer = "The backpack is on the left side of the bench."
    made = {
        "data_source": "vstar",
        "prompt": [
            {"role": "system", "content": TOOLS},
            {"role": "user", "content": f"<image>\n{question}{FORMAT}"},
        ],
        "images": [{"bytes": photo.read_bytes(), "path": None}],
        "ability": "vl_chat",
        "env_name": "visual_toolbox_v2",
        "reward_model": {"ground_truth": answer, "style": "model"},
        "extra_info": {"answer": answer, "index": "2381", "question": question, "split": "train"},
    }
    return made, ("vstar 2381", question, [], "judge", answer)


def geo3k(photo: Path) -> tuple[dict[str, Any], Any]:
    """verl's own example: the problem again in ``extra_info``, its ``<image>`` included, and an answer in LaTeX."""
    problem = "<image>Find the length of AC in the isosceles triangle ABC."
    made = {
        "data_source": "hiyouga/geometry3k",
        "prompt": [{"role": "user", "content": f"{problem} Reason in <think> </think>, then answer in \\boxed{{}}."}],
        "images": [{"bytes": photo.read_bytes(), "path": None}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "2 \\sqrt { 221 }"},
        "extra_info": {"split": "train", "index": 17, "answer": "2 \\sqrt { 221 }", "question": problem},
    }
    question = "Find the length of AC in the isosceles triangle ABC."
    return made, ("hiyouga/geometry3k 17", question, [], "text", "2 \\sqrt { 221 }")


def visionthink(photo: Path) -> tuple[dict[str, Any], Any]:
    """VisionThink: the image inside the text, no ``extra_info``, columns of its own."""
    problem = (
        "Reason in <think> first; at most one call of resize_image.\n<image>\nWhich bar is tallest?\n"
        "(A) 2019\n(B) 2020\n(C) 2021"
    )
    made = {
        "data_source": "open_source_require_high",
        "prompt": [{"role": "user", "content": problem}],
        "images": [{"bytes": photo.read_bytes(), "path": None}],
        "reward_model": {"style": "model", "ground_truth": "B"},
        "original_answer": "B",
        "solution": None,
        "info": {"tgt_width": 224, "tgt_height": 224, "use_tool": True},
        "doc_id": 5,
    }
    return made, (
        "open_source_require_high 0",
        problem.replace("<image>\n", ""),
        ["2019", "2020", "2021"],
        "option",
        "B",
    )


@pytest.mark.parametrize("stock", [False, True])
def test_rows_in_the_shape_of_known_sets(
    qwen_for_verl: Path, photo: Path, tmp_path: Path, stock: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rows, read, answers = [], [], {}
    for shape in (deepeyes, geo3k, visionthink):
        made, (name, question, options, kind, answer) = shape(photo)
        (given,) = through_verl(tmp_path, [made], folder=qwen_for_verl)
        read.append(Row.read(given))
        assert (read[-1].name, read[-1].question.full) == (name, question)
        assert [option.text for option in read[-1].question.options] == options
        assert (read[-1].target.kind, read[-1].target.answer) == (kind, answer)
        rows.append(given)
        answers[question] = answer

    def judge_says(_: int, text: str, images: list[Image.Image]) -> str:
        (answer,) = (answer for question, answer in answers.items() if question in text)
        return f"<answer>{answer}</answer>" if images else "yes" if answer in text else "no"

    shared = ("data_source", "raw_prompt", "reward_model", "extra_info", "index", "dummy_tensor")  # by all three sets
    rows = [{name: row[name] for name in shared} for row in rows]
    with JudgeServer(judge_says) as judge:
        config = settings(f"actor_rollout_ref.model.path={qwen_for_verl}", *judged(judge, stock=stock))
        batch, policy = rolled_out(config, rows, [LOOK + END, ANSWER + END])
        crops = {request.images[0].tobytes() for request in judge.asked if request.images}
    assert totals(batch) == [3.5, 2.5, 3.5], "the judge is told each set's own answer; no rule takes B for a length"
    assert crops == {upright(photo).crop(BOX).tobytes()}
    prompts = [tokenizer_and_processor(qwen_for_verl)[0].decode(asked["prompt_ids"]) for asked in policy.asked]
    assert not any(TOOLS in prompt or FORMAT in prompt for prompt in prompts)
    for given, report in zip(read, reports(batch), strict=True):
        assert report["question"] == given.question.full
        assert report["task"] == given.data_source
        assert any(prompt.count("<|im_start|>user") == 2 and given.question.full in prompt for prompt in prompts)
    told = [record.getMessage() for record in caplog.records if "system message is not used" in record.getMessage()]
    assert [words.partition(":")[0] for words in told] == ["vstar 2381"]


LETTERED = "<image>What?\nA. red\nB. blue"

FIELD_CASES = [
    ("<image>What colour?\nA. red\nB. blue", "A", {}, "What colour?\nA. red\nB. blue", "AB", "option", "A"),
    (
        "What colour is it?\n<image>\nA. red\nB. blue",
        "A",
        {},
        "What colour is it?\nA. red\nB. blue",
        "AB",
        "option",
        "A",
    ),
    ("What is in <image> here? One word.", "red", {}, "What is in here? One word.", "", "text", "red"),
    ("What colour is it?\nA. red\nB. blue<image>", "A", {}, "What colour is it?\nA. red\nB. blue", "AB", "option", "A"),
    ("<image>How many cars?", 0, {"answer_kind": "number"}, "How many cars?", "", "number", "0"),
    ("<image>How many cars?", 3, {"answer_kind": "number"}, "How many cars?", "", "number", "3"),
    ("<image>How many cars?", 0, {}, "How many cars?", "", "number", "0"),
    ("<image>How many cars?", "0", {}, "How many cars?", "", "number", "0"),
    ("<image>How many cars?", [3], {}, "How many cars?", "", "number", "3"),
    ("<image>How many cars?", 2.5, {}, "How many cars?", "", "number", "2.5"),
    ("<image>What share?", "12.5%", {}, "What share?", "", "number", "12.5%"),
    ("<image>What colour?", ["red"], {}, "What colour?", "", "text", "red"),
    ("<image>What colour?", {"answer": "red"}, {}, "What colour?", "", "text", "red"),
    (LETTERED, "(A)", {}, "What?\nA. red\nB. blue", "AB", "option", "A"),
    (LETTERED, "A. red", {}, "What?\nA. red\nB. blue", "AB", "option", "A"),
    (LETTERED, "red", {}, "What?\nA. red\nB. blue", "AB", "option", "A"),
    (LETTERED, "<answer>A</answer>", {}, "What?\nA. red\nB. blue", "AB", "option", "A"),
    ("<image>Who?", "Ann", {"question": "<image>\nWho is it?"}, "Who is it?", "", "text", "Ann"),
]


def test_the_whole_message_and_every_plain_answer_is_kept(photo: Path, tmp_path: Path) -> None:
    def of_a_kind(case: Any) -> str:
        return f"{pyarrow.scalar(case[1]).type} {sorted(case[2])}"  # a column of parquet holds one type

    for _, cases in groupby(sorted(FIELD_CASES, key=of_a_kind), of_a_kind):
        told = list(cases)
        made = [row([{"image": str(photo)}], content, answer, **extra) for content, answer, extra, *_ in told]
        for (content, answer, _, *expected), given in zip(told, through_verl(tmp_path, made), strict=True):
            read = Row.read(given)
            letters = "".join(option.letter for option in read.question.options)
            assert [read.question.full, letters, read.target.kind, read.target.answer] == expected, (content, answer)
            assert read.image_path == str(photo)


@pytest.mark.parametrize(
    ("answer", "kind", "kept"),
    [
        (np.int64(0), "number", "0"),
        (np.array(3), "number", "3"),
        (np.array([3]), "number", "3"),
        (np.array(["red"], dtype=object), "text", "red"),
        (np.float64(2.5), "number", "2.5"),
        (np.str_("red"), "text", "red"),
    ],
)
def test_answers_of_numpy_are_kept(photo: Path, answer: Any, kind: str, kept: str) -> None:
    """Data sets read with pandas hand them over."""
    read = Row.read({**row([], answer=answer), "raw_prompt": shown(photo)})
    assert (read.target.kind, read.target.answer) == (kind, kept)


def shown(*photos: Path) -> list[dict[str, Any]]:
    parts = [{"type": "image", "image": str(photo)} for photo in photos]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": "What colour is it?"}]}]


UNREADABLE = [None, "", "  ", [], ["red", "blue"], {"a": "red", "b": "blue"}, True, float("nan"), [["red", "blue"]]]


@pytest.mark.parametrize("answer", UNREADABLE, ids=repr)
def test_answers_that_a_reply_cannot_be_compared_with_are_refused(photo: Path, tmp_path: Path, answer: Any) -> None:
    (given,) = through_verl(tmp_path, [row([{"bytes": photo.read_bytes()}], answer=answer)])
    with pytest.raises(RowError, match=r"^own 3: .*ground_truth"):
        Row.read(given)
    with pytest.raises(RowError, match=r"^own 3: .*ground_truth"):
        Bench(tiny(), ErgoZoomLoop, ScriptedPolicy(lambda turn: [])).run(given)


@pytest.mark.parametrize(
    ("images", "content", "words"),
    [
        (2, "<image>First. <image>Second. In which is it red?", "the prompt shows 2 images, and the zoom looks at one"),
        (0, "What colour is the sky?", "no image, neither in extra_info.image_path nor in the prompt"),
    ],
)
def test_rows_without_exactly_one_image_are_refused(
    photo: Path, tmp_path: Path, images: int, content: str, words: str
) -> None:
    (given,) = through_verl(tmp_path, [row([{"bytes": photo.read_bytes()}] * images, content)])
    with pytest.raises(RowError, match=f"^own 3: {words}"):
        Row.read(given)
    with pytest.raises(RowError, match=f"^own 3: {words}"):
        Bench(tiny(), ErgoZoomLoop, ScriptedPolicy(lambda turn: [])).run(given)


def test_bytes_that_are_no_image_are_named_with_their_row(photo: Path) -> None:
    given = {**row([]), "raw_prompt": [{"role": "user", "content": [{"type": "image", "bytes": b"no"}, "What?"]}]}
    with pytest.raises(OSError, match=r"^own 3: damaged image: 2 bytes"):
        Bench(tiny(), ErgoZoomLoop, ScriptedPolicy(lambda turn: [])).run(given)


def test_the_crop_tool_takes_every_form(photo: Path, tmp_path: Path) -> None:
    """verl's own tool loop, with the stock reward manager: the image travels to the judge with the record."""
    tool = tmp_path / "tool.yaml"
    zoom = {"coarse_tokens": 64, "crop_tokens": 16, "resample": "box", "prompts": settings().ergo.zoom.prompts}
    config = {"type": "native", "zoom": zoom}
    named = "ergo_plugins.verl_plugin.crop_tool.ErgoCropTool"
    tool.write_text(json.dumps({"tools": [{"class_name": named, "config": config}]}))
    small = tmp_path / "small.png"
    upright(photo).resize((224, 224), Image.Resampling.BOX).save(small)
    rows = []
    forms = ("bytes", "bytes and no path", "pixels", "path", "image", "file URL")
    for form in forms:
        asked_again = {tool_method()[1].name: {"create_kwargs": {"question": QUESTION}}}
        made = row([FORMS[form](small)], "<image>What colour is the kite", "B", tools_kwargs=asked_again)
        rows += through_verl(tmp_path, [made], image=datasets.Image() if form == "pixels" else None)
    loop = "actor_rollout_ref.rollout"
    with JudgeServer(lambda *_: "<answer>B</answer>") as judge:
        tool_loop = (
            f"{loop}.agent.default_agent_loop=tool_agent",
            f"{loop}.multi_turn.enable=True",
            f"{loop}.multi_turn.format=ergo_zoom",
            f"{loop}.multi_turn.max_assistant_turns=2",
            f"{loop}.multi_turn.tool_config_path={tool}",
        )
        batch, _ = rolled_out(settings(*judged(judge, stock=True), *tool_loop), rows, [LOOK + END, ANSWER + END])
        asked = judge.asked
    assert totals(batch) == [3.5] * len(forms)
    with Image.open(small) as image:
        crop = image.crop((28, 56, 84, 112))
    assert [request.images[0].tobytes() for request in asked] == [crop.tobytes()]
    for form, report in zip(forms, reports(batch), strict=True):
        assert report["question"] == QUESTION, form
        assert report["image_path"] == (str(small) if form in LIE_IN_A_FILE else None), form
