"""n-turn zoom: transcripts of each profile, well formed and not, to the right boxes, messages and ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from ergo_plugins.core.geometry import Box, CropRules, VisionGrid
from ergo_plugins.core.outcome import CROP, Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Reply, Turn, play
from ergo_plugins.methods.base import Sample, Target
from ergo_plugins.methods.prompts import read_prompts
from ergo_plugins.methods.tool_calls import PROFILES, read_calls
from ergo_plugins.methods.tool_zoom import TOOL_ZOOM, ToolZoomConfig, ToolZoomPrompts, ToolZoomReward, parts_shown

WIDTH, HEIGHT = 2000, 1000
QUESTION = "What colour?\nA. red\nB. blue"
ANSWER = "<think>red</think><answer>B</answer>"


def qwen(box: object, **more: object) -> str:
    call = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": box, "label": "it", **more}}
    return f"<think>closer</think>\n<tool_call>\n{json.dumps(call)}\n</tool_call>"


def gemini(box: object, index: int = 0) -> str:
    call = {"name": "image_zoom_in_tool", "arguments": {"box_2d": box, "label": "it", "img_idx": index}}
    return f"<think>closer</think>\n<tool_call>\n{json.dumps(call)}\n</tool_call>"


def mini(box: object, source: object = "original_image") -> str:
    return f"<think>closer</think><grounding>{json.dumps({'bbox_2d': box, 'source': source})}</grounding>"


def conversation(
    *replies: str, size: tuple[int, int] = (WIDTH, HEIGHT), grid: VisionGrid | None = None, **config: object
) -> tuple[Outcome, list[Turn]]:
    turns: list[Turn] = []
    left = list(replies)

    def answer(turn: Turn) -> Reply:
        turns.append(turn)
        return Reply(left.pop(0))

    sample = Sample(Image.new("RGB", size), split_question(QUESTION))
    outcome = play(TOOL_ZOOM.episode(sample, ToolZoomConfig(**config), grid or VisionGrid()), answer)  # type: ignore[arg-type]
    assert not left, "the conversation ended before its transcript"
    return outcome, turns


def kinds(turn: Turn) -> list[str]:
    return ["text" if isinstance(part, str) else "image" for part in turn.parts]


QUARTER = Box(0, 0, 1000, 500)
LEFT, FIRST = Box(200, 100, 1000, 500), [100, 100, 500, 500]
BARE = qwen(FIRST).partition("</think>")[2]
UNKNOWN = '<tool_call>{"name": "rotate", "arguments": {}}</tool_call>'
QUOTED = "<tool_call>{'name': 'image_zoom_in_tool', 'arguments': {'bbox_2d': [100, 100, 500, 500]}}</tool_call>"
BROKEN = "<tool_call>x</tool_call>"

TRANSCRIPTS = [
    # profile, replies, parts of the original that were shown, problems begin with
    ("qwen3_vl", [ANSWER], [], []),
    ("qwen3_vl", [qwen(FIRST), ANSWER], [LEFT], []),
    ("qwen3_vl", [qwen(FIRST, img_idx=0), ANSWER], [LEFT], []),
    ("qwen3_vl", [qwen(FIRST, img_idx="0"), ANSWER], [LEFT], []),
    ("qwen3_vl", [qwen(FIRST), qwen([0, 0, 500, 500], img_idx=1), ANSWER], [LEFT, Box(200, 100, 600, 300)], []),
    ("qwen3_vl", [qwen(FIRST) + qwen([500, 500, 900, 900]), ANSWER], [LEFT, Box(1000, 500, 1800, 900)], []),
    ("qwen3_vl", [qwen(FIRST, img_idx=3), ANSWER], [], ["call: there is no image 3"]),
    ("qwen3_vl", [qwen([500, 100, 100, 500]), ANSWER], [], ["call: a box is"]),
    ("qwen3_vl", [qwen([1, 2, 3]), ANSWER], [], ['call: "bbox_2d" is four numbers']),
    ("qwen3_vl", [qwen([1100, 1100, 1200, 1200]), ANSWER], [], ["call: the box"]),
    ("qwen3_vl", ["<think>x</think><tool_call>not json</tool_call>", ANSWER], [], ["call: the call is no JSON"]),
    ("qwen3_vl", [UNKNOWN, ANSWER], [], ["call: there is no tool"]),
    ("qwen3_vl", [f"<think>maybe {BARE}</think><answer>B</answer>"], [], []),
    (
        "qwen3_vl",
        [
            "<tool_call>\n<function=image_zoom_in_tool>\n<parameter=bbox_2d>\n[100, 100, 500, 500]\n</parameter>\n"
            "<parameter=label>\nit\n</parameter>\n</function>\n</tool_call>",
            ANSWER,
        ],
        [LEFT],
        [],
    ),
    (
        "qwen3_vl",
        [QUOTED, ANSWER],
        [LEFT],
        [],
    ),
    ("deepeyes", [qwen([0, 0, 70, 56]), ANSWER], [Box(0, 0, 625, 500)], []),
    ("deepeyes", [qwen([0, 0, 9, 9]) + qwen([0, 0, 70, 56]), ANSWER], [Box(0, 0, 625, 500)], []),
    ("deepeyes", [qwen([0, 0, 70, 56]) + "<answer>B</answer>"], [], []),
    ("deepeyes", [qwen([0, 0, 70, 56]).replace("</tool_call>", "")], [], []),
    ("gemini", [gemini([100, 100, 500, 500]), ANSWER], [LEFT], []),
    ("gemini", [gemini([100, 0, 500, 1000]), ANSWER], [Box(0, 100, 2000, 500)], []),
    (
        "gemini",
        [gemini([0, 0, 500, 500], 0), gemini([0, 500, 500, 1000], 1), ANSWER],
        [QUARTER, Box(500, 0, 1000, 250)],
        [],
    ),
    ("gemini", [qwen(FIRST), ANSWER], [], ['call: "box_2d" is four numbers']),
    ("gemini", [gemini([500, 0, 100, 9]), ANSWER], [], ["call: a box is"]),
    ("claude", [qwen([0, 0, 70, 56]), ANSWER], [Box(0, 0, 625, 500)], []),
    (  # the part of 625x500 is shown as 196x140
        "claude",
        [qwen([0, 0, 70, 56]), qwen([0, 0, 70, 56], img_idx=1), ANSWER],
        [Box(0, 0, 625, 500), Box(0, 0, 224, 200)],
        [],
    ),
    ("mini_o3", [mini([0.1, 0.1, 0.5, 0.5]), ANSWER], [LEFT], []),
    (
        "mini_o3",
        [mini([0.1, 0.1, 0.5, 0.5]), mini([0.5, 0.5, 1, 1], "observation_1"), ANSWER],
        [LEFT, Box(600, 300, 1000, 500)],
        [],
    ),
    ("mini_o3", [mini([0.1, 0.1, 0.5, 0.5], "observation_2"), ANSWER], [], ["call: there is no image 2"]),
    ("mini_o3", [mini([0.1, 0.1, 0.5, 0.5], "elsewhere"), ANSWER], [], ["call: there is no image 'elsewhere'"]),
]


@pytest.mark.parametrize(("profile", "replies", "crops", "problems"), TRANSCRIPTS)
def test_a_transcript(profile: str, replies: list[str], crops: list[Box], problems: list[str]) -> None:
    outcome, turns = conversation(*replies, profile=profile, view_tokens=40, crop_tokens=40)
    assert parts_shown(outcome) == crops
    assert outcome.boxes[CROP] == (crops[-1] if crops else None)
    calls = [problem for problem in outcome.problems if problem.startswith("call:")]
    assert len(calls) == len(problems)
    assert all(got.startswith(wanted) for got, wanted in zip(calls, problems, strict=True))
    assert len(turns) == len(replies)
    for turn in turns[1:]:
        if calls:
            assert kinds(turn) == ["text"]
            assert "ERROR: " in turn.text
            assert calls[0].removeprefix("call: ")[:12] in turn.text
    if replies[-1] == ANSWER:
        assert outcome.answer == "B"
    shown = [image.region_source for turn in outcome.turns[1:] for image in turn.shown]
    assert shown == crops, "the record says what each turn showed"
    assert all(PROFILES[profile].stop == turn.stop for turn in turns)


def test_two_calls_are_answered_in_one_message() -> None:
    _, (_, second) = conversation(qwen(FIRST) + qwen([500, 500, 900, 900]), ANSWER)
    assert kinds(second) == ["text", "image", "text", "image", "text"]
    assert "observation_2" in second.text


def test_the_last_turn_has_to_answer() -> None:
    outcome, turns = conversation(qwen(FIRST), qwen(FIRST), turns=2)
    assert len(turns) == 2
    assert "last part" in turns[-1].text
    assert outcome.values == {"calls": 2, "malformed": 0, "delivered": 1, "over_turns": True}
    assert outcome.problems == ("turns: the last reply asked for another part",)
    assert outcome.answer == ""


def test_the_whole_conversation_keeps_its_budget() -> None:
    outcome, turns = conversation(*[qwen(FIRST)] * 4, ANSWER, view_tokens=40, crop_tokens=40, all_tokens=90, turns=6)
    assert outcome.visual_tokens <= 90
    assert outcome.values["delivered"] == 3, "32 + 32 + 21 + 4 visual tokens"
    assert any("no more images fit" in turn.text for turn in turns)


def test_a_zoom_into_a_zoom_of_a_strip_of_20000_px_stays_within_a_pixel() -> None:
    """Ten times into the middle third: what is shown is where it should be on the original."""
    rules = CropRules(min_side_px=1, max_aspect=1000)
    third, low, high = 1 / 3, 0.0, 20000.0
    replies = []
    for depth in range(6):
        replies.append(mini([third, 0, 2 * third, 1], f"observation_{depth}" if depth else "original_image"))
    outcome, _ = conversation(
        *replies, ANSWER, size=(20000, 50), profile="mini_o3", turns=8, crop=rules, view_tokens=40, crop_tokens=40
    )
    for box in parts_shown(outcome):
        low, high = low + (high - low) / 3, high - (high - low) / 3
        assert abs(box.x1 - low) <= 1.5
        assert abs(box.x2 - high) <= 1.5
        low, high = box.x1, box.x2


def test_control_tokens_in_a_call_do_not_reach_the_error_as_commands() -> None:
    _, (_, second) = conversation('<tool_call>{"name": "<|im_end|>", "arguments": {}}</tool_call>', ANSWER)
    assert "<|im_end|>" not in second.text


TARGET = Target("B", "option", split_question(QUESTION).options, Box(250, 150, 300, 200))


@pytest.mark.parametrize(
    ("replies", "total", "tool"),
    [
        ([ANSWER], 0.8 + 0.2, 0.0),
        ([qwen(FIRST), ANSWER], 0.8 + 0.2 + 1.2, 1.0),
        ([qwen(FIRST), "<think>x</think><answer>A</answer>"], 0.2, 0.0),
        (["<tool_call>nothing</tool_call>", ANSWER], 0.8, 0.0),
        ([qwen([1100, 1100, 1200, 1200]), ANSWER], 0.8, 0.0),
    ],
)
def test_the_bonus_hangs_on_a_part_that_was_shown_and_an_answer_that_is_right(
    replies: list[str], total: float, tool: float
) -> None:
    outcome, _ = conversation(*replies)
    score = TOOL_ZOOM.score(outcome, TARGET, {}, ToolZoomReward())
    assert (score.total, score.parts["tool"]) == (pytest.approx(total), tool)


def test_the_best_part_is_asked_about() -> None:
    outcome, _ = conversation(qwen(FIRST), qwen([900, 900, 1000, 1000]), ANSWER)
    reward = ToolZoomReward(region=1.0)
    (asked,) = TOOL_ZOOM.inquiries(outcome, TARGET, reward)
    assert (asked.name, asked.region_source, asked.by_rule) == ("region", LEFT, True)  # type: ignore[union-attr]
    score = TOOL_ZOOM.score(outcome, TARGET, {"region": True}, reward)
    assert score.total == pytest.approx(0.8 + 0.2 + 1.2 + 1.0)
    assert score.parts["coverage"] == 1.0


def test_figures_over_many() -> None:
    outcomes = [conversation(*replies)[0] for replies in ([ANSWER], [qwen(FIRST), ANSWER], [BROKEN, ANSWER])]
    assert TOOL_ZOOM.figures(outcomes) == {"calls": 2 / 3, "malformed_share": 0.5, "over_turns": 0.0}


@pytest.mark.parametrize(
    "text", [f"{unit}{more * 99_999}" for unit in ("<tool_call>", "<grounding>") for more in "[({<"]
)
def test_garbage_is_read_in_no_time_and_raises_nothing(text: str) -> None:
    for profile in PROFILES.values():
        read_calls(text + profile.closing, profile)


@pytest.mark.parametrize("wrong", [{"turns": 0}, {"turns": 13}, {"profile": "x"}, {"view_tokens": 9000}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)) if "view" not in str(wrong) else "all_tokens"):
        ToolZoomConfig(**wrong)  # type: ignore[arg-type]


def test_deepeyes_words_are_read_from_its_authors_class_and_never_run(tmp_path: Path) -> None:
    file = tmp_path / "prompt.py"
    file.write_text(
        'raise SystemExit("executed")\n'
        "class PROMPT:\n"
        '    SYSTEM_PROMPT_V2 = """You have {"name": "zoom"}."""\n'
        '    USER_PROMPT_V2 = "\\nThink, call or answer."\n'
    )
    prompts = read_prompts(file, ToolZoomPrompts)
    assert (prompts.system, prompts.ask) == ('You have {"name": "zoom"}.', "{question}\nThink, call or answer.")
    assert prompts.more == prompts.last == "\nThink, call or answer."
    file.write_text("class PROMPT:\n    SYSTEM_PROMPT_V2 = 'a'\n")
    with pytest.raises(ValueError, match=r"no text constant PROMPT\.USER_PROMPT_V2"):
        read_prompts(file, ToolZoomPrompts)
