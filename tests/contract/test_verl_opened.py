"""A chat template that opens ``<think>`` itself, in verl's agent loops: recorded, and counted to the reply's form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import Qwen2_5_VLConfig
from verl.experimental.agent_loop.tool_agent_loop import ToolAgentLoop
from verl.utils import hf_processor, hf_tokenizer

from ergo_plugins.core.turns import Outcome
from ergo_plugins.methods.ergo import r_format
from ergo_plugins.verl_plugin.agent_loop import ErgoZoomLoop
from ergo_plugins.verl_plugin.crop_tool import ErgoCropTool
from ergo_plugins.verl_plugin.records import recorded
from tests.contract.qwen_tokenizer import HEADER, TEMPLATE, THINKING_TEMPLATE, write_processor
from tests.contract.verl_parts import Bench, ScriptedPolicy, panel_row, tiny

LOOK, ANSWER = "I look</think><zoom>[0,0,28,28]</zoom>", "seen</think><answer>B</answer>"
QUESTION = "Which pattern fills the red tile?\nA. plain\nB. checkered\nC. horizontal\nD. vertical"
SIZES = (
    "ergo.zoom.coarse_tokens=16",
    "data.max_prompt_length=512",
    "data.max_response_length=512",
    "ergo.zoom.zoom_new_tokens=64",
    "ergo.zoom.answer_new_tokens=64",
)
TOOL_LOOP = (
    "actor_rollout_ref.rollout.agent.default_agent_loop=tool_agent",
    "actor_rollout_ref.rollout.multi_turn.enable=true",
    "actor_rollout_ref.rollout.multi_turn.format=ergo_zoom",
    "actor_rollout_ref.rollout.multi_turn.max_tool_response_length=8192",
)


@pytest.fixture(scope="module", params=["<think>\n", ""], ids=["opens", "leaves it to the policy"])
def opening(request: pytest.FixtureRequest) -> str:
    """What the template writes behind the header of a reply."""
    return str(request.param)


@pytest.fixture(scope="module")
def folder(opening: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen2.5-VL's processor with such a template, and the configuration that verl wants beside it."""
    template = TEMPLATE.replace(HEADER, HEADER + opening.replace("\n", "\\n"))
    assert (template != TEMPLATE) == bool(opening)
    made = write_processor(tmp_path_factory.mktemp("opening"), template)
    Qwen2_5_VLConfig(architectures=["Qwen2_5_VLForConditionalGeneration"]).save_pretrained(made)
    return made


def played(folder: Path, row: dict[str, Any], loop: type, *overrides: str, tools: Any = ()) -> tuple[Any, str]:
    """verl's output of a trajectory, and its text as the reward manager has it."""
    made = Bench(tiny(*SIZES, *overrides), loop, ScriptedPolicy(lambda turn: []), list(tools))
    made.processor, made.tokenizer = hf_processor(str(folder)), hf_tokenizer(str(folder))
    said = [made.tokenizer.encode(reply + "<|im_end|>", add_special_tokens=False) for reply in (LOOK, ANSWER)]
    made.policy.replies = lambda turn: said[turn]
    (output,) = made.run(row)
    return output, made.tokenizer.decode(output.response_ids, skip_special_tokens=True)


def check(outcome: Outcome, opening: str) -> None:
    assert [(turn.opened, turn.reply) for turn in outcome.turns] == [(opening, LOOK), (opening, ANSWER)]
    assert outcome.answer == "B"
    assert outcome.box_source is not None
    assert r_format(outcome) == (1.0 if opening else 0.0)


def test_in_the_loop_ergo_zoom(folder: Path, opening: str, tmp_path: Path) -> None:
    output, text = played(folder, panel_row(tmp_path), ErgoZoomLoop)
    check(recorded(output.extra_fields, text, "ergo", may_lack=False), opening)


def test_in_verls_own_tool_loop(folder: Path, opening: str, tmp_path: Path) -> None:
    row = panel_row(tmp_path)
    row["raw_prompt"][0]["content"][0] |= {"max_pixels": 16 * 28**2, "min_pixels": 4 * 28**2}
    row["tools_kwargs"] = {"zoom": {"create_kwargs": {"question": QUESTION}}}
    tool = ErgoCropTool({"type": "native", "zoom": {"coarse_tokens": 16, "crop_tokens": 16, "resample": "box"}}, None)
    output, text = played(folder, row, ToolAgentLoop, *TOOL_LOOP, tools=[tool])
    check(recorded(output.extra_fields, text, "ergo", may_lack=True), opening)


WITHOUT_THOUGHTS = "<zoom>[0,0,28,28]</zoom>"


@pytest.mark.parametrize(
    ("thinking", "begun", "look", "answer"),
    [
        (True, "<think>\n", LOOK, ANSWER),
        (False, "<think>\n\n</think>\n\n", WITHOUT_THOUGHTS, "<answer>B</answer>"),
        (False, "<think>\n\n</think>\n\n", "<think>" + LOOK, "<think>" + ANSWER),  # as words that ask for a thought get
    ],
)
def test_the_options_of_a_template_reach_both_turns(
    thinking: bool, begun: str, look: str, answer: str, tmp_path: Path
) -> None:
    """What `recipes/train_ergo_qwen35_4b.yaml` sets."""
    made = write_processor(tmp_path, THINKING_TEMPLATE)
    Qwen2_5_VLConfig(architectures=["Qwen2_5_VLForConditionalGeneration"]).save_pretrained(made)
    option = f"+data.apply_chat_template_kwargs.enable_thinking={thinking}"
    played_by = Bench(tiny(*SIZES, option), ErgoZoomLoop, ScriptedPolicy(lambda turn: []))
    played_by.processor, played_by.tokenizer = hf_processor(str(made)), hf_tokenizer(str(made))
    said = [played_by.tokenizer.encode(reply + "<|im_end|>", add_special_tokens=False) for reply in (look, answer)]
    played_by.policy.replies = lambda turn: said[turn]
    (output,) = played_by.run(panel_row(tmp_path))
    outcome = Outcome.from_json(output.extra_fields["ergo"])
    assert [(turn.opened, turn.reply) for turn in outcome.turns] == [(begun, look), (begun, answer)]
    assert outcome.box_source is not None
    assert outcome.answer == "B"
    assert r_format(outcome) == (0.0 if not thinking and look.startswith("<think>") else 1.0)
