"""The agent loop on verl's own base class, token builder and processor: what verl is handed is exact."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from PIL import Image

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.verl_plugin.agent_loop import ErgoZoomLoop
from ergo_plugins.verl_plugin.rows import RowError
from tests.contract.verl_parts import Bench, ScriptedPolicy, panel_row, tiny

LOOK = "<think>red</think><zoom>[0, 0, 28, 28]</zoom>"
ANSWER = "<think>checkered</think><answer>B</answer>"
END = "<|im_end|>"


def bench(*replies: str, overrides: tuple[str, ...] = (), **policy: Any) -> Bench:
    made = Bench(tiny(*overrides), ErgoZoomLoop, ScriptedPolicy(lambda turn: [], **policy))
    tokens = [made.tokenizer.encode(reply, add_special_tokens=False) for reply in replies]
    made.policy.replies = lambda turn: tokens[turn]
    return made


def recorded(output: Any) -> Outcome:
    return Outcome.from_json(output.extra_fields["ergo"])


def images_in(made: Bench, ids: list[int]) -> int:
    return ids.count(made.processor.image_token_id)


def test_a_trajectory(tmp_path: Path) -> None:
    made = bench(LOOK + END, ANSWER + END)
    (output,) = made.run(panel_row(tmp_path))
    outcome = recorded(output)
    assert outcome.problems == ()
    assert outcome.answer == "B"
    assert outcome.box_source is not None
    assert outcome.box_source.as_tuple() == (0, 0, 112, 112)
    assert [turn.visual_tokens for turn in outcome.turns] == [16, 16]
    assert [image.size for image in output.multi_modal_data["images"]] == [(112, 112), (112, 112)]
    assert output.num_turns == 4
    assert output.extra_fields["min_global_steps"] == output.extra_fields["max_global_steps"] == 3
    assert images_in(made, output.prompt_ids) == images_in(made, output.response_ids) == 16


def test_masks_and_log_probabilities_are_exact(tmp_path: Path) -> None:
    made = bench(LOOK + END, ANSWER + END)
    (output,) = made.run(panel_row(tmp_path))
    first, second = (made.tokenizer.encode(text + END, add_special_tokens=False) for text in (LOOK, ANSWER))
    first = first[:-1]  # everything behind the stop string is cut
    generated = [token for token, mask in zip(output.response_ids, output.response_mask, strict=True) if mask]
    assert generated == first + second
    probabilities = [p for p, mask in zip(output.response_logprobs, output.response_mask, strict=True) if mask]
    assert probabilities == pytest.approx(
        [-0.01 * (i + 1) for i in range(len(first))] + [-0.01 * (i + 1) - 1 for i in range(len(second))]
    )
    others = [p for p, mask in zip(output.response_logprobs, output.response_mask, strict=True) if not mask]
    assert set(others) == {0.0}
    assert output.response_mask[: len(first)] == [1] * len(first)
    assert output.response_mask[-len(second) :] == [1] * len(second)


def test_the_conversation_reads_as_the_chat_template_writes_it(tmp_path: Path) -> None:
    made = bench(LOOK + END, ANSWER + END)
    (output,) = made.run(panel_row(tmp_path))
    question = "Which pattern fills the red tile?"
    options = "\nA. plain\nB. checkered\nC. horizontal\nD. vertical"
    image = {"type": "image"}
    messages = [
        {"role": "user", "content": [image, {"type": "text", "text": question}]},
        {"role": "assistant", "content": LOOK},
        {"role": "user", "content": [image, {"type": "text", "text": question + options}]},
        {"role": "assistant", "content": ANSWER},
    ]
    text = made.processor.apply_chat_template(messages, tokenize=False)
    expected = made.processor(text=[text], images=output.multi_modal_data["images"])["input_ids"][0]
    assert output.prompt_ids + output.response_ids == list(expected)[:-1]  # the template ends with a newline


def test_the_first_view_comes_first_and_then_its_crop(tmp_path: Path) -> None:
    made = bench(LOOK + END, ANSWER + END)
    row = panel_row(tmp_path)
    picture = Image.new("RGB", (448, 448), "red")
    picture.paste("blue", (0, 0, 112, 112))  # what LOOK points at
    picture.save(row["extra_info"]["image_path"])
    (output,) = made.run(row)
    for look, crop in (output.multi_modal_data["images"], made.policy.asked[1]["image_data"]):
        assert (look.getpixel((5, 5)), look.getpixel((100, 100))) == ((0, 0, 255), (255, 0, 0))
        assert {crop.getpixel((x, y)) for x in (5, 100) for y in (5, 100)} == {(0, 0, 255)}


def test_every_row_of_a_process_has_its_own_words_and_as_many_places_as_its_views_take(tmp_path: Path) -> None:
    """The tokens of first messages are shared by the rollouts of a prompt, and by no others."""
    made = bench(LOOK + END, ANSWER + END, overrides=("+ergo.zoom.stage1_question=full",))
    for question, height in itertools.product(("Which?", "Which pattern?"), (448, 224)):
        text = f"{question}\nA. plain\nB. checkered"
        row = panel_row(tmp_path, question=text)
        with Image.open(row["extra_info"]["image_path"]) as image:
            image.crop((0, 0, 448, height)).save(row["extra_info"]["image_path"])
        (output,) = made.run(row)
        look, answer = recorded(output).turns
        assert (look.view.width, look.view.height) == ((112, 112) if height == 448 else (140, 56))
        assert images_in(made, output.prompt_ids) == look.visual_tokens
        assert images_in(made, output.response_ids) == answer.visual_tokens
        assert text in made.tokenizer.decode(output.prompt_ids)
        assert text in made.tokenizer.decode(output.response_ids)


def test_each_turn_has_its_own_cap_and_the_first_its_stop_string(tmp_path: Path) -> None:
    made = bench(LOOK, ANSWER, overrides=("ergo.zoom.zoom_new_tokens=20", "ergo.zoom.answer_new_tokens=13"))
    made.run(panel_row(tmp_path))
    look, answer = (asked["sampling_params"] for asked in made.policy.asked)
    assert (look["max_tokens"], answer["max_tokens"]) == (20, 13)
    assert look["stop"] == ["</zoom>"]
    assert look["include_stop_str_in_output"] is True
    assert "stop" not in answer
    assert made.policy.asked[0]["request_id"] == made.policy.asked[1]["request_id"]
    assert len(made.policy.asked[1]["image_data"]) == 2


SAMPLED_BY_VERL = {"temperature", "max_tokens"}
"""What the worker of this bench hands over, and the cap."""

TOLD = {
    ("vllm",): {"stop": ["</zoom>"], "include_stop_str_in_output": True},
    ("ergo_hf",): {"stop": ["</zoom>"], "include_stop_str_in_output": True},
    ("sglang",): {},
    ("sglang", "actor_rollout_ref.rollout.skip_tokenizer_init=False"): {"stop": ["</zoom>"], "no_stop_trim": True},
    ("trtllm",): {},
}
"""By rollout, how it is told to end a reply. SGLang 0.5.12 refuses names it does not know, and its scheduler dies of
stop strings without a tokenizer (`sglang/srt/sampling/sampling_params.py`, `managers/schedule_batch.py`)."""


@pytest.mark.parametrize("rollout", TOLD, ids=" ".join)
def test_a_reply_ends_at_its_stop_string_whatever_the_rollout(tmp_path: Path, rollout: tuple[str, ...]) -> None:
    name, *settings = rollout
    overrides = (f"actor_rollout_ref.rollout.name={name}", *settings)
    made = bench(LOOK + " and on and on" + END, ANSWER + END, overrides=overrides)
    (output,) = made.run(panel_row(tmp_path))
    look, answer = (dict(asked["sampling_params"]) for asked in made.policy.asked)
    assert {key: value for key, value in look.items() if key not in SAMPLED_BY_VERL} == TOLD[rollout]
    assert set(answer) == SAMPLED_BY_VERL, "the last turn ends with its message"
    assert recorded(output).turns[0].reply == LOOK
    (expected,) = bench(LOOK, ANSWER + END).run(panel_row(tmp_path))
    for part in ("response_ids", "response_mask", "response_logprobs"):
        assert getattr(output, part) == getattr(expected, part)


def test_a_reply_beyond_its_cap_is_cut_here(tmp_path: Path) -> None:
    """verl's TensorRT-LLM server puts a cap of its own over ours."""
    short = ("ergo.zoom.zoom_new_tokens=5", "ergo.zoom.answer_new_tokens=6")
    (heeded,) = bench(LOOK + END, ANSWER + END, overrides=short).run(panel_row(tmp_path))
    (output,) = bench(LOOK + END, ANSWER + END, overrides=short, heeds_cap=False).run(panel_row(tmp_path))
    assert [turn.new_tokens for turn in recorded(output).turns] == [5, 6]
    assert [turn.finish for turn in recorded(output).turns] == ["length", "length"]
    for part in ("response_ids", "response_mask", "response_logprobs"):
        assert getattr(output, part) == getattr(heeded, part)


def test_without_log_probabilities(tmp_path: Path) -> None:
    (output,) = bench(LOOK + END, ANSWER + END, with_log_probs=False).run(panel_row(tmp_path))
    assert output.response_logprobs is None
    assert len(output.response_ids) == len(output.response_mask)


def test_the_client_of_asynchronous_modes_has_an_empty_list_instead(tmp_path: Path) -> None:
    made = bench(LOOK + END, ANSWER + END, with_log_probs=False)
    asked = made.policy.generate

    async def generate(request_id: str, **request: Any) -> Any:
        generated = await asked(request_id, **request)
        generated.log_probs = []  # what `FullyAsyncLLMServerClient` begins with and nothing is added to
        return generated

    made.policy.generate = generate  # type: ignore[method-assign]
    (output,) = made.run(panel_row(tmp_path))
    assert output.response_logprobs is None
    assert recorded(output).answer == "B"


@pytest.mark.parametrize("length", [10, 20, 21, 40, 60, 70, 75, 80])
def test_an_over_long_trajectory_ends_inside_the_response_length(tmp_path: Path, length: int) -> None:
    made = bench(LOOK + END, ANSWER + END, overrides=(f"data.max_response_length={length}",))
    (output,) = made.run(panel_row(tmp_path))
    assert 0 < len(output.response_ids) <= length
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)
    problems = recorded(output).problems
    assert any(problem.startswith("truncated") for problem in problems) == (length < 75), problems
    shown = len(output.multi_modal_data["images"])
    assert images_in(made, output.prompt_ids + output.response_ids) == 16 * shown


def test_a_second_turn_begins_if_there_is_room_for_one_token_of_its_reply(tmp_path: Path) -> None:
    (whole,) = bench(LOOK + END, ANSWER + END).run(panel_row(tmp_path))
    before_the_answer = len(whole.response_mask) - whole.response_mask[::-1].index(0)

    def with_room(tokens: int) -> Any:
        length = f"data.max_response_length={before_the_answer + tokens}"
        (output,) = bench(LOOK + END, ANSWER + END, overrides=(length,)).run(panel_row(tmp_path))
        return output

    none, one = with_room(0), with_room(1)
    assert recorded(none).problems[-1] == "truncated: no room for the answer turn within the response length"
    assert len(none.multi_modal_data["images"]) == 1
    assert "truncated: the answer reply reached its token cap" in recorded(one).problems
    assert one.response_ids == whole.response_ids[: before_the_answer + 1]


def test_a_reply_cut_at_its_cap_is_recorded(tmp_path: Path) -> None:
    (output,) = bench(LOOK, ANSWER, overrides=("ergo.zoom.zoom_new_tokens=5",)).run(panel_row(tmp_path))
    assert "truncated: the look reply reached its token cap" in recorded(output).problems
    assert recorded(output).turns[0].finish == "length"


@pytest.mark.parametrize("placeholder", ["<|image_pad|>", "<|video_pad|>"])
@pytest.mark.parametrize("where", ["", "<think>a"])
def test_a_sampled_placeholder_is_cut_off(tmp_path: Path, placeholder: str, where: str) -> None:
    made = bench(where + placeholder + LOOK, where + placeholder)
    (output,) = made.run(panel_row(tmp_path))
    outcome = recorded(output)
    assert sum(f"the reply was cut before {placeholder}" in problem for problem in outcome.problems) == 2
    ids = output.prompt_ids + output.response_ids
    assert images_in(made, ids) == 32
    assert made.processor.video_token_id not in ids
    assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)


def test_no_box_shows_the_whole_image_in_the_second_turn(tmp_path: Path) -> None:
    (output,) = bench("I do not know" + END, ANSWER + END).run(panel_row(tmp_path))
    outcome = recorded(output)
    assert outcome.box_source is None
    assert outcome.problems == ("look: no <zoom>",)
    assert outcome.answer == "B"


def test_the_rollouts_of_a_prompt_share_one_decode_and_one_prompt(tmp_path: Path) -> None:
    made = bench(LOOK + END, ANSWER + END)
    outputs = made.run(panel_row(tmp_path), count=8)
    assert {output.extra_fields["ergo_decodes"] for output in outputs} == {1}
    assert len({tuple(output.prompt_ids) for output in outputs}) == 1


def test_verl_makes_the_tokens_of_each_message_once_for_all_rollouts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench(LOOK + END, ANSWER + END)
    asked: list[str] = []

    def counted(name: str) -> Any:
        stock = getattr(ErgoZoomLoop, name)

        def count(loop: Any, *given: Any, **more: Any) -> Any:
            asked.append(name)
            return stock(loop, *given, **more)

        return count

    for name in ("ct_build_initial_tokens", "ct_merge_context_msg"):
        monkeypatch.setattr(ErgoZoomLoop, name, counted(name))
    outputs = made.run(panel_row(tmp_path), count=8)
    assert asked == ["ct_build_initial_tokens", "ct_merge_context_msg"]
    for output in outputs:
        assert output.response_ids == outputs[0].response_ids
        assert output.response_mask == outputs[0].response_mask
        assert len(output.response_ids) == len(output.response_mask) == len(output.response_logprobs)


def test_a_builder_that_changes_what_was_sampled_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stock = ErgoZoomLoop.ct_merge_context_msg

    async def trims(loop: Any, *given: Any) -> Any:
        merged, *rest = await stock(loop, *given)
        return replace(merged, token_ids=merged.token_ids[1:]), *rest

    monkeypatch.setattr(ErgoZoomLoop, "ct_merge_context_msg", trims)
    with pytest.raises(ValueError, match=r"panels 7: verl's token builder for .* changes sampled tokens"):
        bench(LOOK + END, ANSWER + END).run(panel_row(tmp_path))


def test_little_travels_beyond_tokens(tmp_path: Path) -> None:
    (output,) = bench(LOOK + END, ANSWER + END).run(panel_row(tmp_path))
    assert len(pickle.dumps(output.extra_fields)) < 5_000


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"image_path": "/nowhere.png"}, FileNotFoundError, "panels 7.*nowhere"),
        ({"question": " ", "answer_kind": "option"}, RowError, "panels 7.*empty"),
        ({"target_box": [3, 3, 1, 1]}, RowError, "panels 7.*no area"),
        ({"question": "Which?\nA. red\nC. blue"}, RowError, "panels 7.*not among"),
        ({"answer_kind": "essay"}, RowError, "panels 7.*essay"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, change: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        bench(LOOK, ANSWER).run(panel_row(tmp_path, **change))


def test_an_image_past_the_limit_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"panels 7.*max_megapixels"):
        bench(LOOK, ANSWER, overrides=("+ergo.images.max_megapixels=0.1",)).run(panel_row(tmp_path))


def test_a_missing_block_says_how_to_add_it(tmp_path: Path) -> None:
    made = bench(LOOK, ANSWER)
    made.config = made.config.copy()
    OmegaConf.set_struct(made.config, False)
    del made.config["ergo"]
    with pytest.raises(ValueError, match=r"no 'ergo:' block"):
        made.run(panel_row(tmp_path))
