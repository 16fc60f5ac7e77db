"""Rows for a cold start through verl's own data set: what it reads, what it trains on, and what it would refuse."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf
from PIL import Image
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

from ergo_plugins.cli import build_parser
from ergo_plugins.core.geometry import VisionGrid
from ergo_plugins.core.images import to_rgb
from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.record import JOURNAL_FORMAT, ROLLOUT_RECORD, Entry
from ergo_plugins.core.turns import Reply, play
from ergo_plugins.methods.base import Sample
from ergo_plugins.methods.tool_zoom import TOOL_ZOOM, ToolZoomConfig
from ergo_plugins.usage import CommandError
from tests.contract.verl_parts import tokenizer_and_processor

QUESTION = "What colour?\nA. red\nB. blue"
ANSWER = "<think>red</think>\n<answer>B</answer>"
CONFIG = {"view_tokens": 16, "crop_tokens": 16, "profile": "qwen3_vl"}
THINKING = """{%- for message in messages -%}<|im_start|>{{ message.role }}
{% for part in message.content -%}
{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif message.role == 'assistant' and not (loop.last and messages|length > 1 and messages[-1] == message) -%}
{{- part.text.split('</think>')[-1] -}}
{%- else -%}{{- part.text -}}{%- endif -%}{%- endfor -%}<|im_end|>
{% endfor -%}{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""
"""Drops the thoughts of all replies but the last, as templates of thinking models do."""


def call(*box: int) -> str:
    arguments = {"bbox_2d": box, "label": "it", "img_idx": 0}
    named = json.dumps({"name": "image_zoom_in_tool", "arguments": arguments})
    return f"<think>closer</think>\n<tool_call>\n{named}\n</tool_call>"


PLAYED = {
    "right": ([call(100, 100, 500, 500), call(600, 600, 900, 900), ANSWER], 1.0),
    "right again": ([call(100, 100, 600, 600), ANSWER], 1.0),
    "wrong": ([call(100, 100, 500, 500), ANSWER], 0.0),
    "malformed": ([call(500, 100, 100, 500), ANSWER], 1.0),
    "twice": ([call(100, 100, 500, 500), call(100, 100, 500, 500), ANSWER], 1.0),
    "at once": ([ANSWER], 1.0),
    "mark": ([call(100, 100, 500, 500), "<think>the <image></think><answer>B</answer>"], 1.0),
    "cut": ([call(100, 100, 500, 500), "<think>so"], 1.0),
}


def played(image: Path, replies: list[str], **config: Any) -> Outcome:
    left = list(replies)

    def reply(_turn: Any) -> Reply:
        text = left.pop(0)
        return Reply(text, finish="length" if text == "<think>so" else "stop")

    with Image.open(image) as opened:
        sample = Sample(to_rgb(opened), split_question(QUESTION))
    return play(TOOL_ZOOM.episode(sample, ToolZoomConfig(**{**CONFIG, **config}), VisionGrid()), reply)


@pytest.fixture
def dumps(tmp_path: Path) -> Path:
    """A folder of rollouts, as verl dumps them."""
    folder = tmp_path / "rollouts"
    folder.mkdir()
    lines = []
    for number, (name, (replies, accuracy)) in enumerate(PLAYED.items()):
        image = tmp_path / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 255, (400, 700, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(image)
        entry = Entry("set", "", name, 0, QUESTION, "B", played(image, replies), image_path=str(image))
        line = {"input": "", "output": "", "gts": "B", "score": accuracy, "step": 3, "uid": f"x_{0}_{0}"}
        lines.append({**line, "accuracy": accuracy, ROLLOUT_RECORD: json.dumps(entry.to_json())})
    (folder / "3.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "recipe.yaml").write_text(json.dumps({"ergo": {"method": "tool_zoom", "episode": CONFIG}}))
    return folder


def made(source: str, file: Path, out: Path, model: Path, *options: str) -> tuple[int, dict[str, Any]]:
    args = build_parser().parse_args(["data", source, str(file), "--out", str(out), "--model", str(model), *options])
    code = args.run(args)
    return code, json.loads((out / "counts.json").read_text())


def refused(out: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in (out / "refused.jsonl").read_text().splitlines()]
    return {line["name"]: line["reason"] for line in lines}


def data_set(file: Path, model: Path, **config: Any) -> MultiTurnSFTDataset:
    tokenizer, processor = tokenizer_and_processor(model)
    settings = {"pad_mode": "no_padding", "max_length": 4096, "truncation": "error", **config}
    return MultiTurnSFTDataset([str(file)], tokenizer, OmegaConf.create(settings), processor)


def learnt(item: dict[str, Any], tokenizer: Any) -> list[str]:
    """The stretches of a row that its loss mask covers, as text."""
    ids, mask = item["input_ids"].tolist(), item["loss_mask"].tolist()
    stretches: list[list[int]] = []
    for at, (token, counts) in enumerate(zip(ids, mask, strict=True)):
        if counts and (at == 0 or not mask[at - 1]):
            stretches.append([])
        if counts:
            stretches[-1].append(token)
    return [tokenizer.decode(stretch) for stretch in stretches]


def test_right_rollouts_are_read_and_every_reply_is_learnt(dumps: Path, tmp_path: Path, qwen_for_verl: Path) -> None:
    out = tmp_path / "out"
    recipe = ("--episode", str(tmp_path / "recipe.yaml"), "--max-length", "1024")
    code, counts = made("from-rollouts", dumps, out, qwen_for_verl, *recipe, "--without-crop", "0.34")
    assert code == 0
    assert refused(out) == {
        "set/step 3/wrong": "wrong answer",
        "set/step 3/malformed": "malformed",
        "set/step 3/twice": "the same part twice",
        "set/step 3/mark": "a mark of images in a text",
        "set/step 3/cut": "truncated",
    }
    assert (counts["training"], sum(counts["refused"].values())) == (3, 5)
    read = data_set(out / "train.parquet", qwen_for_verl)
    tokenizer, _ = tokenizer_and_processor(qwen_for_verl)
    names = pq.read_table(out / "train.parquet")["name"].to_pylist()
    lengths = []
    for at, name in enumerate(names):
        item = read[at]
        replies, _ = PLAYED[name.rpartition("/")[2]]
        assert learnt(item, tokenizer) == [f"{reply}<|im_end|>\n" for reply in replies]
        assert len(item["multi_modal_inputs"]["image_grid_thw"]) == len(replies)
        lengths.append(len(item["input_ids"]))
    assert max(lengths) == counts["longest_tokens"], "the length that was checked is the length that verl sees"


def test_views_are_stored_as_they_were_shown(dumps: Path, tmp_path: Path, qwen_for_verl: Path) -> None:
    out = tmp_path / "out"
    made("from-rollouts", dumps, out, qwen_for_verl, "--episode", str(tmp_path / "recipe.yaml"))
    read = data_set(out / "train.parquet", qwen_for_verl)
    shown = played(tmp_path / "0.png", PLAYED["right"][0]).turns
    grids = read[0]["multi_modal_inputs"]["image_grid_thw"].tolist()
    assert [(width * 14, height * 14) for _, height, width in grids] == [
        (turn.shown[0].view.width, turn.shown[0].view.height) for turn in shown
    ]


def test_a_journal_knows_its_settings_and_takes_its_verdicts_from_lmms_eval(
    dumps: Path, tmp_path: Path, qwen_for_verl: Path
) -> None:
    settings = {"model": "m", "method": "tool_zoom", **asdict(ToolZoomConfig(**CONFIG))}  # type: ignore[arg-type]
    lines: list[Any] = [{"journal": JOURNAL_FORMAT, "settings": settings, "tasks": ["t"]}]
    for number, name in enumerate(("right", "right again")):
        outcome, image = played(tmp_path / f"{number}.png", PLAYED[name][0]), str(tmp_path / f"{number}.png")
        lines.append(Entry("t", "s", number, 0, QUESTION, "B", outcome, image_path=image).to_json())
    journal, samples = tmp_path / "journal.jsonl", tmp_path / "samples_t.jsonl"
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    samples.write_text("".join(json.dumps({"doc_id": n, "target": "B", "acc": 1 - n}) + "\n" for n in range(2)))
    _, counts = made("from-rollouts", journal, tmp_path / "out", qwen_for_verl, "--samples", str(samples))
    assert (counts["training"], counts["refused"]) == (1, {"wrong answer": 1})
    with pytest.raises(CommandError, match="no row is left"):
        made("from-rollouts", journal, tmp_path / "unjudged", qwen_for_verl)
    assert set(refused(tmp_path / "unjudged").values()) == {"not judged"}


def test_other_settings_than_the_runs_are_found_out(dumps: Path, tmp_path: Path, qwen_for_verl: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(json.dumps({"method": "tool_zoom", "episode": {**CONFIG, "crop_tokens": 9}}))
    with pytest.raises(CommandError, match="no row is left"):
        made("from-rollouts", dumps, tmp_path / "out", qwen_for_verl, "--episode", str(other))
    assert refused(tmp_path / "out")["set/step 3/right"] == "other views"


def test_too_long_rows_and_those_a_template_would_change_are_refused(
    dumps: Path, tmp_path: Path, qwen_for_verl: Path
) -> None:
    recipe = ("--episode", str(tmp_path / "recipe.yaml"))
    with pytest.raises(CommandError, match="no row is left"):
        made("from-rollouts", dumps, tmp_path / "short", qwen_for_verl, *recipe, "--max-length", "100")
    assert refused(tmp_path / "short")["set/step 3/right"] == "too long"
    (tmp_path / "thinking.jinja").write_text(THINKING)
    template = ("--chat-template", str(tmp_path / "thinking.jinja"))
    with pytest.raises(CommandError, match="no row is left"):
        made("from-rollouts", dumps, tmp_path / "thinking", qwen_for_verl, *recipe, *template)
    assert refused(tmp_path / "thinking")["set/step 3/right"] == "the template changes it"


def test_verl_itself_stops_at_what_the_template_changes(dumps: Path, tmp_path: Path, qwen_for_verl: Path) -> None:
    """What we refuse for it is not our invention."""
    made("from-rollouts", dumps, tmp_path / "out", qwen_for_verl, "--episode", str(tmp_path / "recipe.yaml"))
    read = data_set(tmp_path / "out" / "train.parquet", qwen_for_verl)
    kept = read.processor.chat_template
    try:
        read.processor.chat_template = read.tokenizer.chat_template = THINKING
        with pytest.raises(AssertionError, match="apply_chat_template"):
            read[0]
    finally:
        read.processor.chat_template = read.tokenizer.chat_template = kept


@pytest.mark.parametrize(("without", "kept"), [("0", 2), ("0.34", 3), ("1", 3)])
def test_a_share_may_do_without_a_closer_look(
    dumps: Path, tmp_path: Path, qwen_for_verl: Path, without: str, kept: int
) -> None:
    recipe = ("--episode", str(tmp_path / "recipe.yaml"), "--without-crop", without)
    _, counts = made("from-rollouts", dumps, tmp_path / "out", qwen_for_verl, *recipe)
    assert counts["training"] == kept
    assert counts["refused"].get("no closer look", 0) == 3 - kept


def said(text: str, **more: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": "<image>Find <ref>the red mug</ref>"}, {"from": "gpt", "value": text}]
    return {"image": "a.jpg", "height": 200, "width": 400, "conversations": turns, **more}


def test_written_thoughts_and_known_boxes_become_rows(tmp_path: Path, qwen_for_verl: Path) -> None:
    Image.new("RGB", (400, 200), "red").save(tmp_path / "a.jpg")
    lines = [
        said("It stands left of the plate. <box>[100, 200, 500, 600]</box>"),
        said('<think>\nLeft.\n</think>\n\n```json\n[{"bbox_2d": [100, 200, 500, 600]}]\n```', bbox=[40, 40, 200, 120]),
        said("<box>[100, 200, 500, 600]</box>"),
        said("It is gone."),
        said("No picture. <box>[100, 200, 500, 600]</box>", image="b.jpg", bbox=[1, 1, 9, 9]),
        said("Tiny. <box>[100, 200, 101, 201]</box>", bbox=[40.2, 40.2, 40.6, 40.6]),
    ]
    (tmp_path / "sft.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "e.yaml").write_text("ergo: {method: egm, episode: {view_tokens: 16}}")
    out = tmp_path / "out"
    _, counts = made("egm-sft", tmp_path / "sft.jsonl", out, qwen_for_verl, "--episode", str(tmp_path / "e.yaml"))
    assert counts["refused"] == {"no thought": 1, "no box": 1, "unreadable image": 1, "box not found again": 1}
    assert counts["training"] == 2
    first, second = pq.read_table(out / "train.parquet").to_pylist()
    # Qwen2.5-VL writes pixels of the view: 400x200 shown as 140x56
    located = '[{"bbox_2d": [14, 11, 70, 34], "label": "the red mug"}]'
    assert (
        first["messages"][-1]["content"]
        == f"<think>\nIt stands left of the plate.\n</think>\n\n```json\n{located}\n```"
    )
    assert second["messages"][-1]["content"].startswith("<think>\nLeft.\n</think>")
    assert first["messages"][0]["content"].startswith("<image>Where in the image is this: the red mug?")
    read = data_set(out / "train.parquet", qwen_for_verl)
    tokenizer, _ = tokenizer_and_processor(qwen_for_verl)
    assert learnt(read[0], tokenizer) == [first["messages"][-1]["content"] + "<|im_end|>\n"]
