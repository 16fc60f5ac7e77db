"""Qwen2.5-VL's real tokenizer in the agent loop and in evaluation: what was sampled stays, whatever tokens it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ergo_plugins.core.images import size_of
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Outcome, Reply, Turn, View
from ergo_plugins.engines.chat import ChatTokens
from ergo_plugins.methods import method_named
from ergo_plugins.methods.base import Sample
from ergo_plugins.outside.processors import vision_grid
from ergo_plugins.verl_plugin.agent_loop import ErgoZoomLoop
from tests.contract.verl_parts import ROOT, Bench, ScriptedPolicy, composed, panel_row, tiny

END = "<|im_end|>"
LOOK, ANSWER = "<think>red</think><zoom>[0, 0, 28, 28]</zoom>", "<think>seen</think><answer>B</answer>"
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
LARGEST_ID = 151664
ROOM = (
    "ergo.zoom.zoom_new_tokens=64",
    "ergo.zoom.answer_new_tokens=64",
    "data.max_prompt_length=512",
    "data.max_response_length=512",
)


class Qwen(Bench):
    """The agent loop with Qwen's tokenizer and processor, made once; a policy for each run."""

    def __init__(self, folder: Path, config: Any) -> None:
        super().__init__(config, ErgoZoomLoop, ScriptedPolicy(lambda turn: []), folder=folder)
        self.chat = ChatTokens(self.processor)

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def output(self, row: dict[str, Any], *replies: list[int]) -> Any:
        self.policy = ScriptedPolicy(lambda turn: replies[turn])
        (output,) = self.run(row)
        return output


@pytest.fixture(scope="module")
def loop(qwen_for_verl: Path) -> Qwen:
    return Qwen(qwen_for_verl, tiny(*ROOM))


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return panel_row(tmp_path_factory.mktemp("panel"))


def generated(output: Any) -> list[int]:
    return [token for token, ours in zip(output.response_ids, output.response_mask, strict=True) if ours]


def check_exact(made: Qwen, output: Any, first: list[int], second: list[int]) -> None:
    """The replies stand as they were sampled, closed once each, with their own probabilities."""
    assert generated(output) == first + second
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    assert output.response_mask[: len(first)] == [1] * len(first)
    assert output.response_ids[: len(first)] == first
    said = [-0.01 * (i + 1) for i in range(len(first))] + [-0.01 * (i + 1) - 1 for i in range(len(second))]
    paired = list(zip(output.response_logprobs, output.response_mask, strict=True))
    assert [p for p, ours in paired if ours] == pytest.approx(said)
    assert {p for p, ours in paired if not ours} == {0.0}
    between = [t for t, ours in zip(output.response_ids, output.response_mask, strict=True) if not ours]
    message = made.tokenizer.decode([t for t in between if t != made.chat.image_token_id])
    closing = "" if first and first[-1] == made.chat.end_of_message else END
    head = f"{closing}\n<|im_start|>user\n<|vision_start|><|vision_end|>Which pattern"
    assert message.startswith(head), message[:100]
    assert message.endswith(f"D. vertical{END}\n<|im_start|>assistant\n") or not second


def test_tokens_that_hold_more_than_the_stop_string(loop: Qwen) -> None:
    """What the tests below are about."""
    assert [loop.tokenizer.decode([token]) for token in loop.ids("]</zoom>\n")] == ["]</", "zoom", ">\n"]
    assert loop.tokenizer.decode(loop.ids("</zoom>.")[-1:]) == ">."
    assert len(loop.tokenizer) == LARGEST_ID + 1


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
@pytest.mark.parametrize("tail", ["", "\n", "\n\n", ".", " and on", "\n<answer>A</answer>" + END, END])
def test_a_reply_ends_with_the_token_that_completes_the_stop_string(
    loop: Qwen, row: dict[str, Any], tail: str, engine: str
) -> None:
    sampled = loop.ids(LOOK + tail)
    kept = next(n for n in range(len(sampled) + 1) if "</zoom>" in loop.tokenizer.decode(sampled[:n]))
    loop.config.actor_rollout_ref.rollout.name = engine
    answer = loop.ids(ANSWER + END)
    output = loop.output(row, sampled, answer)
    check_exact(loop, output, sampled[:kept], answer)
    outcome = Outcome.from_json(output.extra_fields["ergo"])
    assert outcome.box_source is not None
    assert outcome.answer == "B"


@pytest.mark.parametrize("end", [END, "<|endoftext|>", ""])
def test_a_reply_is_closed_exactly_once(loop: Qwen, row: dict[str, Any], end: str) -> None:
    first, second = loop.ids("I see nothing" + end), loop.ids(ANSWER)
    output = loop.output(row, first, second)
    check_exact(loop, output, first, second)
    text = loop.tokenizer.decode(output.prompt_ids + output.response_ids)
    assert text.count("<|im_start|>") == text.count(END) + 1 == 5, "the last message is the policy's to close"


@pytest.mark.parametrize(
    ("system", "written"), [("", SYSTEM), ("Look closely.", "<|im_start|>system\nLook closely.<|im_end|>\n")]
)
def test_the_templates_own_system_message_stands_where_ours_is_empty(
    qwen_for_verl: Path, row: dict[str, Any], tmp_path: Path, system: str, written: str
) -> None:
    prompts = tmp_path / "prompts.yaml"
    prompts.write_text(f'system: "{system}"\nlook: "{{question}}"\nanswer: "{{question}}"\n')
    made = Qwen(qwen_for_verl, tiny(*ROOM, f"ergo.zoom.prompts={prompts}"))
    output = made.output(row, made.ids(LOOK), made.ids(ANSWER + END))
    text = made.tokenizer.decode(output.prompt_ids + output.response_ids)
    assert text.startswith(f"{written}<|im_start|>user\n")
    assert text.count("<|im_start|>system") == 1
    evaluated = made.chat.prompt([], Turn("look", (View(Image.new("RGB", (56, 56)), None), "Where?"), 8, system=system))
    assert made.tokenizer.decode(evaluated).startswith(f"{written}<|im_start|>user\n")


def test_training_and_evaluation_cut_replies_before_the_same_tokens(loop: Qwen, row: dict[str, Any]) -> None:
    for stray in sorted(loop.chat.strays):
        before = loop.ids("<think>red")
        output = loop.output(row, [*before, stray, *loop.ids(LOOK)], loop.ids(ANSWER + END))
        check_exact(loop, output, before, loop.ids(ANSWER + END))
        (problem,) = (p for p in Outcome.from_json(output.extra_fields["ergo"]).problems if "was cut before" in p)
        (said,) = loop.chat.written(
            [*before, stray, *loop.ids(LOOK)], Turn("look", (View(Image.new("RGB", (8, 8)), None), ""), 9)
        ).problems
        assert problem == f"look: {said}"


odd_ids = st.lists(
    st.one_of(
        st.integers(0, LARGEST_ID),
        st.integers(0, 255),  # single bytes, of which most are no text alone
        st.integers(151643, LARGEST_ID),  # special and added tokens
        st.sampled_from([522, 31918, 397, 29, 198]),  # "</", and what stop strings and new lines are made of
    ),
    max_size=40,
)


@settings(max_examples=40)
@given(data=st.data())
def test_any_tokens_stay_as_they_were_sampled_in_training(loop: Qwen, row: dict[str, Any], data: st.DataObject) -> None:
    never = loop.chat.strays | loop.chat.ends
    first, second = ([t for t in data.draw(odd_ids) if t not in never] or [0] for _ in range(2))
    first = [t for t in first if "</zoom>" not in loop.tokenizer.decode(first)] or [0]
    check_exact(loop, loop.output(row, first, second), first, second)


@settings(max_examples=300)
@given(data=st.data())
def test_any_tokens_stay_as_they_were_sampled_in_evaluation(loop: Qwen, data: st.DataObject) -> None:
    chat, turn = loop.chat, Turn("look", (View(Image.new("RGB", (56, 56)), None), "Where?"), 64, stop=("</zoom>",))
    written = chat.written(data.draw(odd_ids), turn)
    assert not chat.strays & set(written.ids)
    so_far = [*chat.prompt([], turn), *written.ids]
    following = chat.prompt(so_far, Turn("answer", (*turn.views, "What?"), 64))
    assert following[: len(so_far)] == so_far
    closing = "" if written.ids[-1:] == [chat.end_of_message] else END
    message = (
        f"{closing}\n<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What?{END}\n<|im_start|>assistant\n"
    )
    assert loop.tokenizer.decode(following[len(so_far) :]) == message


FITS = 335
"""Tokens of the longest question for which both replies of the 7B recipe have all their tokens."""


@pytest.mark.parametrize("tokens", [20, 310, FITS, FITS + 1, 400])
def test_the_7b_recipes_response_length_holds_a_question_of_300_tokens(
    qwen_for_verl: Path, tmp_path: Path, tokens: int
) -> None:
    config = composed("train_ergo_7b", "data.train_files=a", "data.val_files=b", folder=ROOT / "recipes")
    rollout, zoom = config.actor_rollout_ref.rollout, config.ergo.zoom
    assert (rollout.response_length, zoom.zoom_new_tokens, zoom.answer_new_tokens) == (3072, 1024, 1024)
    made = Qwen(qwen_for_verl, config)
    question = "Which" + " pattern" * (tokens - 2) + "?"
    assert len(made.ids(question)) == tokens
    Image.effect_noise((1600, 1000), 50).save(tmp_path / "large.png")
    asked = panel_row(tmp_path, image_path=str(tmp_path / "large.png"), question=question, answer_kind="text")
    endless = made.ids(" red") * 2000
    output = made.output(asked, endless, endless)
    look, answer = (request["sampling_params"]["max_tokens"] for request in made.policy.asked)
    for ids in (output.prompt_ids, output.response_ids):
        assert ids.count(made.chat.image_token_id) == zoom.coarse_tokens == zoom.crop_tokens, "as large as may be"
    assert len(output.prompt_ids) <= rollout.prompt_length
    assert len(output.prompt_ids) + len(output.response_ids) <= rollout.max_model_len
    assert look == 1024
    assert output.response_mask.count(0) == 640 + 49 + tokens
    assert answer == 1024 - max(0, tokens - FITS)


ASKS = '<think>small</think>\n<tool_call>\n{"name": "resize_image", "arguments": {"action": "resize"}}\n</tool_call>'
ASKS_WRONGLY = ASKS.replace('"resize"', '"crop"')
ASKING = (
    *("+ergo.method=visionthink", "~ergo.zoom", "~ergo.reward", "+ergo.episode.full_tokens=64"),
    *("+ergo.episode.ask_new_tokens=64", "+ergo.episode.answer_new_tokens=64"),
    *("data.max_prompt_length=1024", "data.max_response_length=512"),
)


@pytest.mark.parametrize("first", [ASKS, ASKS_WRONGLY])
@pytest.mark.parametrize("end", [END, ""])
@pytest.mark.parametrize("newline", ["template", "reference"])
def test_the_second_message_begins_as_the_checkpoint_knows_it(
    qwen_for_verl: Path, row: dict[str, Any], newline: str, end: str, first: str
) -> None:
    """The authors' next message follows the end of a reply without the template's newline: one token, and no other."""
    made = Qwen(qwen_for_verl, tiny(*ASKING, f"+ergo.episode.newline={newline}"))
    said, answer = made.ids(first + end), made.ids(ANSWER + END)
    output = made.output(row, said, answer)
    trained = output.prompt_ids + output.response_ids
    text = made.tokenizer.decode(trained)
    between = {"template": "\n", "reference": ""}[newline]
    assert f"</tool_call>{END}{between}<|im_start|>user\n<tool_response>" in text
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    assert generated(output) == said + answer

    config = method_named("visionthink").config(
        full_tokens=64, ask_new_tokens=64, answer_new_tokens=64, newline=newline
    )
    with Image.open(row["extra_info"]["image_path"]) as picture:
        sample = Sample(picture.convert("RGB"), split_question(row["extra_info"]["question"]))
    grid = vision_grid(made.processor)
    episode = method_named("visionthink").episode(sample, config, grid)
    turn = next(episode)
    so_far = [*made.chat.prompt([], turn), *said]
    tokens = [grid.tokens(size_of(image)) for image in turn.images]
    turn = episode.send(Reply(first))
    tokens += [grid.tokens(size_of(image)) for image in turn.images]
    evaluated = made.chat.expanded([*made.chat.prompt(so_far, turn), *answer], tokens)
    assert evaluated == trained, "training and evaluation, token for token"
