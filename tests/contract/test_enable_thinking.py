"""``enable_thinking``: a chat template that asks whether to think is told, in every turn and by every engine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from transformers import AutoProcessor

from ergo_plugins import open_model
from ergo_plugins.core.turns import Turn
from ergo_plugins.engines.base import EngineFault
from ergo_plugins.engines.chat import ChatTokens
from ergo_plugins.panels.policy import CHAT_TEMPLATE
from tests.contract.qwen_tokenizer import THINKING_TEMPLATE, write_processor
from tests.e2e.scripted_server import serving

POLICY = Path(__file__).resolve().parents[2] / "recipes" / "tiny" / "policy"
BEGUN = {None: "<think>\n\n</think>\n\n", False: "<think>\n\n</think>\n\n", True: "<think>\n"}
"""How a reply begins by what the template is told; told nothing, this one writes an empty thought."""
TURNS = ("<zoom>[0, 0, 28, 28]</zoom>", "<answer>B</answer>")
PICTURE = Image.new("RGB", (64, 64))


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A processor whose template asks."""
    return AutoProcessor.from_pretrained(write_processor(tmp_path_factory.mktemp("asking"), THINKING_TEMPLATE))


@pytest.mark.parametrize("told", BEGUN)
def test_both_turns_of_a_conversation_begin_as_the_template_was_told(asking: Any, told: bool | None) -> None:
    chat = ChatTokens(asking, enable_thinking=told)
    assert chat.opened == BEGUN[told]
    assert chat.identity == ({} if told is None else {"enable_thinking": told})
    first = chat.prompt([], Turn("look", ("What?",), max_new_tokens=8))
    reply = asking.tokenizer.encode(f"{TURNS[0]}<|im_end|>")
    second = chat.prompt([*first, *reply], Turn("answer", ("Now?",), max_new_tokens=8))
    for ids in (first, second):
        assert asking.tokenizer.decode(ids).endswith(f"<|im_start|>assistant\n{BEGUN[told]}")
    assert second[: len(first)] == first


def test_a_template_that_does_not_ask_is_not_told_in_vain(qwen_processor: Path) -> None:
    processor = AutoProcessor.from_pretrained(qwen_processor)
    for told in (True, False):
        with pytest.raises(ValueError, match=f"enable_thinking={told} changes nothing: .* leave it out"):
            ChatTokens(processor, enable_thinking=told)


@pytest.mark.parametrize("told", [True, False])
def test_transformers_is_asked_so_and_the_record_says_it(told: bool, tmp_path: Path) -> None:
    folder = shutil.copytree(POLICY, tmp_path / "asking")
    header = "{{- '<|im_start|>assistant\\n' -}}"
    assert header in CHAT_TEMPLATE
    asks = "{% if enable_thinking %}{{ '<think>' }}{% else %}{{ '<think></think>' }}{% endif %}"
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE.replace(header, header + asks))
    options = {"device": "cpu", "coarse_tokens": 16, "crop_tokens": 16, "enable_thinking": told}
    with open_model(str(folder), engine="hf", **options) as model:
        outcome = model.ask(PICTURE, "Which pattern fills the red tile?").outcome
        assert model.engine.identity["enable_thinking"] is told
    assert {turn.opened for turn in outcome.turns} == {"<think>" if told else "<think></think>"}


@pytest.mark.parametrize("told", [True, False])
def test_a_server_is_told_in_every_turn(told: bool) -> None:
    with serving(lambda _body, number: (200, TURNS[number % 2])) as server:
        options = {"base_url": server.base_url, "grid": "qwen3-vl", "enable_thinking": told}
        with open_model("m", engine="openai", **options) as model:
            model.ask(PICTURE, "What?")
            assert model.engine.identity["enable_thinking"] is told
    assert [body["chat_template_kwargs"] for body in server.requests] == [{"enable_thinking": told}] * 2


def test_a_server_is_told_nothing_unless_asked_for() -> None:
    with (
        serving(lambda _body, number: (200, TURNS[number % 2])) as server,
        open_model("m", engine="openai", base_url=server.base_url, grid="qwen3-vl") as model,
    ):
        model.ask(PICTURE, "What?")
        assert "enable_thinking" not in model.engine.identity
    assert not any("chat_template_kwargs" in body for body in server.requests)


def test_a_server_that_does_not_take_it_is_not_asked_without_it() -> None:
    refusal = {"error": {"message": "Unrecognized request argument supplied: chat_template_kwargs"}}
    with serving(lambda _body, _number: (400, refusal)) as server:
        options = {"base_url": server.base_url, "grid": "qwen3-vl", "attempts": 1}
        with (
            open_model("m", engine="openai", enable_thinking=False, **options) as model,
            pytest.raises(EngineFault, match="chat_template_kwargs"),
        ):
            model.ask(PICTURE, "What?")
    assert all("chat_template_kwargs" in body for body in server.requests)
