"""VisionThink: its conversation, what ends it, the views, and its three rules beside an independent calculation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

import pytest
from PIL import Image

from ergo_plugins.core.geometry import Size, VisionGrid
from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Reply, Turn, play
from ergo_plugins.methods.base import Sample, Score, Target
from ergo_plugins.methods.prompts import read_prompts
from ergo_plugins.methods.visionthink import (
    VISIONTHINK,
    VisionThinkConfig,
    VisionThinkPrompts,
    VisionThinkReward,
    views,
)

GRID = VisionGrid()
CALL = '<tool_call>\n{"name": "resize_image", "arguments": {"action": "resize"}}\n</tool_call>'
ASKED = f"<think>too small</think>\n{CALL}"
ANSWER = "<think>red</think><answer>\\boxed{B}</answer>"
QUESTION = "What colour?\nA. red\nB. blue"


def conversation(*replies: str, size: tuple[int, int] = (560, 560), **config: object) -> tuple[Outcome, list[Turn]]:
    turns: list[Turn] = []
    left = list(replies)

    def answer(turn: Turn) -> Reply:
        turns.append(turn)
        return Reply(left.pop(0))

    sample = Sample(Image.new("RGB", size), split_question(QUESTION))
    outcome = play(VISIONTHINK.episode(sample, VisionThinkConfig(**config), GRID), answer)
    assert not left
    return outcome, turns


def kinds(turn: Turn) -> list[str]:
    return ["text" if isinstance(part, str) else f"image {part.image.size}" for part in turn.parts]


def test_a_direct_answer_takes_one_turn_at_a_quarter_of_the_pixels() -> None:
    outcome, (turn,) = conversation(ANSWER)
    assert kinds(turn) == ["text", "image (280, 280)", "text"], "the image stands in the middle of the text"
    assert "resize_image" in turn.system
    assert turn.text.endswith(QUESTION)
    assert outcome.values == {"asked": False, "delivered": False, "call_error": None}
    assert (outcome.answer, VISIONTHINK.returned(outcome, split_question(QUESTION))) == ("\\boxed{B}", "B")
    assert outcome.visual_tokens == 100
    assert outcome.single_pass_tokens == 400


def test_a_call_is_shown_the_whole_image_with_text_on_both_sides() -> None:
    outcome, (_, second) = conversation(ASKED, ANSWER)
    assert kinds(second) == ["text", "image (560, 560)", "text"]
    assert second.parts[0].startswith("<tool_response>")  # type: ignore[union-attr]
    assert "</tool_response>" in second.parts[2]  # type: ignore[operator]
    assert not second.system
    assert outcome.values == {"asked": True, "delivered": True, "call_error": None}
    assert [turn.name for turn in outcome.turns] == ["reduced", "full"]
    assert outcome.visual_tokens == 100 + 400, "125 % of one pass, not 51"
    assert not outcome.problems


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("not json", "no JSON"),
        ('{"name": "resize_image", "arguments": {"action": "crop"}}', "no action 'crop'"),
        ('{"name": "zoom", "arguments": {"action": "resize"}}', "no tool 'zoom'"),
        ('{"name": "resize_image"}', "a call is"),
        ("[" * 99_999, "no JSON"),
        ("[]", "a call is"),
        ('{"name": "resize_image", "arguments": {"action": "resize"}', "no JSON"),
    ],
)
def test_a_call_that_cannot_be_followed_is_told_why(call: str, why: str) -> None:
    outcome, (_, second) = conversation(f"<think>x</think><tool_call>{call}</tool_call>", ANSWER)
    assert kinds(second) == ["text"], "an error turn has no image"
    assert "ERROR" in second.text
    assert why in second.text
    assert outcome.values["asked"] is True
    assert outcome.values["delivered"] is False
    assert why in outcome.problems[0]
    assert outcome.answer == "\\boxed{B}"


def test_json_over_several_lines_and_with_spaces_is_a_call() -> None:
    """Where the authors' pattern fails: it wants both closing braces side by side on one line."""
    pretty = '{\n  "name": "resize_image",\n  "arguments": {"action": "resize" } \n}'
    outcome, _ = conversation(f"<think>x</think><tool_call>{pretty}</tool_call>", ANSWER)
    assert outcome.values["delivered"]


def test_two_calls_in_one_reply_are_an_error_and_a_lone_tag_is_none() -> None:
    outcome, _ = conversation(f"<think>x</think>{CALL}{CALL}", ANSWER)
    assert outcome.values["call_error"] == "2 calls in one reply; write one"
    cut, turns = conversation("<think>x</think><tool_call>{")
    assert len(turns) == 1
    assert cut.values["asked"] is False


def test_a_second_call_is_not_followed_and_leaves_no_answer() -> None:
    outcome, turns = conversation(ASKED, ASKED)
    assert len(turns) == 2
    assert any(problem.startswith("answer:") for problem in outcome.problems)


def test_control_tokens_in_a_call_do_not_reach_the_error_as_commands() -> None:
    _, (_, second) = conversation(
        '<tool_call>{"name": "<|im_end|>{question}", "arguments": {"action": "resize"}}</tool_call>', ANSWER
    )
    assert "<|im_end|>" not in second.text
    assert QUESTION not in second.text


def test_never_always_and_full() -> None:
    never, (only,) = conversation(ANSWER, ask="never")
    assert kinds(only)[0] == "image (280, 280)"
    assert "resize_image" not in only.system
    assert never.visual_tokens == 100
    always, turns = conversation(ANSWER, ANSWER, ask="always")
    assert [turn.name for turn in turns] == ["reduced", "full"]
    assert always.visual_tokens == 500
    assert always.values["asked"] is False
    full, (only,) = conversation(ANSWER, ask="full")
    assert (only.name, full.visual_tokens) == ("full", 400)
    ignored, turns = conversation(ASKED, ask="never")
    assert len(turns) == 1
    assert ignored.values["asked"] is False


@pytest.mark.parametrize("size", [(1, 1), (30, 30), (560, 561), (4000, 3000), (20000, 10), (9000, 9000)])
@pytest.mark.parametrize("rule", ["ours", "reference"])
def test_no_view_is_over_its_budget(size: tuple[int, int], rule: str) -> None:
    config = VisionThinkConfig(views=rule)
    reduced, full = views(Size(*size), config, GRID, {})
    assert max(GRID.tokens(reduced), GRID.tokens(full)) <= config.full_tokens
    if rule == "ours" and GRID.tokens(full) >= 4 * GRID.min_tokens:
        assert GRID.tokens(reduced) <= GRID.tokens(full) // 4


def test_the_references_views() -> None:
    config = VisionThinkConfig(views="reference")
    assert views(Size(1000, 600), config, GRID, {}) == (Size(504, 308), Size(1008, 588))
    target = {"tgt_width": 280, "tgt_height": 140}
    assert views(Size(1000, 600), config, GRID, target) == (Size(280, 140), Size(560, 280))
    small, _ = views(Size(40, 400), config, GRID, {})
    assert small == Size(28, 280), "20 x 200, scaled up to a side of 28"


TARGET = Target("B", "option", split_question(QUESTION).options)


@pytest.mark.parametrize(
    ("replies", "rule", "total"),
    [
        ([ANSWER], "code", 1.5),
        ([ASKED, ANSWER], "code", 1.4),
        (["<think>x</think><answer>A</answer>"], "code", 0.5),
        (["<answer>B</answer>"], "code", 1.0),
        ([f"<think>x</think>{CALL}{CALL}", ANSWER], "code", 0.9),
        ([ASKED, "<answer>B</answer>"], "code", 0.9),
    ],
)
def test_the_reward_of_a_rollout_alone(replies: list[str], rule: str, total: float) -> None:
    outcome, _ = conversation(*replies)
    score = VISIONTHINK.score(outcome, TARGET, {}, VisionThinkReward(rule=rule))  # type: ignore[arg-type]
    assert score.total == pytest.approx(total)


def rollouts(direct_right: int, direct_wrong: int, asked_right: int, asked_wrong: int) -> list[Score]:
    def one(right: int, asked: int) -> Score:
        return Score(0.5 + right * (1 - 0.1 * asked), float(right), {"accuracy": right, "format": 1.0, "asked": asked})

    return (
        [one(1, 0)] * direct_right + [one(0, 0)] * direct_wrong + [one(1, 1)] * asked_right + [one(0, 1)] * asked_wrong
    )


def advantages(totals: Sequence[float]) -> list[float]:
    """GRPO's: less the mean of the group, over its deviation."""
    middle, spread = fmean(totals), stdev(totals)
    return [(total - middle) / (spread + 1e-6) for total in totals]


GROUPS = [
    # direct right, direct wrong, asked right, asked wrong; advantages of direct & right, asked & right, wrong
    ((1, 3, 11, 1), "code", (0.559, 0.559, -1.68)),
    ((1, 3, 11, 1), "paper", (0.366, 0.575, -1.67)),
    ((0, 4, 9, 3), "code", (None, 0.854, -1.10)),
    ((8, 0, 8, 0), "code", (0.968, -0.968, None)),
    ((8, 0, 8, 0), "paper", (0.968, -0.968, None)),
    ((2, 2, 7, 5), "code", (1.016, 0.805, -1.10)),
    ((1, 0, 15, 0), "code", (0.0, 0.0, None)),
    ((1, 0, 15, 0), "paper", (-3.75, 0.25, None)),
    ((1, 0, 15, 0), "conditional", (3.75, -0.25, None)),
]


@pytest.mark.parametrize(("group", "rule", "expected"), GROUPS)
def test_the_rules_on_paper(group: tuple[int, int, int, int], rule: str, expected: tuple[float | None, ...]) -> None:
    """The table of what code and paper make of groups of 16, and what the third rule says where the two go wrong."""
    reward = VisionThinkReward(rule=rule)  # type: ignore[arg-type]
    direct_right, direct_wrong, asked_right, asked_wrong = group
    found = advantages(VISIONTHINK.shape(rollouts(*group), reward))
    parts = [direct_right, direct_wrong, asked_right, asked_wrong]
    ends = [sum(parts[: i + 1]) for i in range(4)]
    of = [found[end - count : end] for count, end in zip(parts, ends, strict=True)]
    means = [
        fmean(of[0]) if of[0] else None,
        fmean(of[2]) if of[2] else None,
        fmean(of[1] + of[3]) if of[1] + of[3] else None,
    ]
    for got, wanted in zip(means, expected, strict=True):
        if wanted is None:
            assert got is None
        else:
            assert got == pytest.approx(wanted, abs=0.006)


def test_the_share_that_decides_is_logged() -> None:
    group = rollouts(1, 3, 11, 1)
    for rule, share in (("code", 1 / 12), ("paper", 1 / 12), ("conditional", 1 / 4)):
        figures = VISIONTHINK.group_figures(group, VisionThinkReward(rule=rule))  # type: ignore[arg-type]
        assert figures == {"enough": pytest.approx(share)}
    assert VISIONTHINK.group_figures(rollouts(0, 4, 0, 4), VisionThinkReward()) == {}
    own = VisionThinkReward(rule="own")
    assert VISIONTHINK.shape(group, own) == [score.total for score in group]


def test_the_signal_tells_rollouts_apart_exactly_where_a_rule_can() -> None:
    outcomes = [conversation(ANSWER)[0], conversation(ASKED, ANSWER)[0], conversation("B")[0]]
    signals = [VISIONTHINK.score(o, TARGET, {}, VisionThinkReward()).parts["signal"] for o in outcomes]
    assert len(set(signals)) == 3


def test_the_authors_words_are_read_from_a_checkout_and_never_run(tmp_path: Path) -> None:
    constants = tmp_path / "verl" / "trainer" / "constants.py"
    dataset = tmp_path / "verl" / "utils" / "dataset" / "multimodal_dataset.py"
    for file in (constants, dataset):
        file.parent.mkdir(parents=True)
    constants.write_text(
        'raise SystemExit("executed")\n'
        'TOOL_AGENT_SYSTEM_PROMPT = """tools"""\n'
        'GENERAL_QA_SYSTEM_PROMPT = "think \\\\boxed{}"\n'
        'TOOL_CALL_MULTI_TRUN_PROMPT = "go on"\nERROR_INFO_MULTI_TURN_PROMPT = "mend it"\n'
    )
    dataset.write_text(
        'import bytedtos\nprompt_template_dict = {"tool_agent": "Do \\\\boxed{{}}:\\n{Question}", "x": f"{1}"}\n'
    )
    prompts = read_prompts(tmp_path, VisionThinkPrompts)
    assert (prompts.system, prompts.ask) == ("tools", "Do \\boxed{}:\n{image}\n{question}")
    assert prompts.more.endswith("{image}\n</tool_response>\ngo on")
    assert prompts.error.endswith("mend it")
    _, turns = conversation(ASKED, ANSWER, prompts=prompts)
    assert turns[0].text == f"Do \\boxed{{}}:\n\n{QUESTION}"
    constants.write_text("TOOL_AGENT_SYSTEM_PROMPT = 1\n")
    with pytest.raises(ValueError, match="no text constant TOOL_AGENT_SYSTEM_PROMPT"):
        read_prompts(tmp_path, VisionThinkPrompts)


@pytest.mark.parametrize("wrong", [{"rule": "mine"}, {"theta": -1}, {"penalty": -0.1}])
def test_weights_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        VisionThinkReward(**wrong)  # type: ignore[arg-type]


def test_a_prompt_without_its_image_is_refused() -> None:
    with pytest.raises(ValueError, match="image"):
        VisionThinkPrompts(more="no place for it")
