"""APIs of model providers: servers that refuse what each refuses, and conversations that go through all the same."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from ergo_plugins import open_model
from ergo_plugins.core.geometry import Size
from ergo_plugins.engines import EngineFault
from ergo_plugins.engines.providers import PROVIDERS
from tests.e2e.scripted_server import ScriptedServer, completion, serving

KEY = "a key of the tests"
ANSWER = "<think>seen</think><answer>red</answer>"
ALWAYS = {"model", "messages"}


def refusal(message: str) -> tuple[int, dict[str, Any]]:
    return 400, {"error": {"message": message, "type": "invalid_request_error"}}


def openai_refuses(body: dict[str, Any]) -> str | None:
    if "max_tokens" in body:
        return (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
    if "stop" in body:
        return "Unsupported parameter: 'stop' is not supported with this model."
    if body.get("temperature", 1) != 1 or body.get("top_p", 1) != 1:
        return "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported."
    unknown = set(body) - ALWAYS - {"max_completion_tokens", "temperature", "top_p"}
    return f"Unrecognized request arguments: {sorted(unknown)}" if unknown else None


def gemini_refuses(body: dict[str, Any]) -> str | None:
    unknown = set(body) - ALWAYS - {"max_tokens", "max_completion_tokens", "temperature", "top_p"}
    return (
        f'Invalid JSON payload received. Unknown name "{sorted(unknown)[0]}": Cannot find field.' if unknown else None
    )


def anthropic_refuses(body: dict[str, Any]) -> str | None:
    for name in ("temperature", "top_p", "top_k"):
        if name in body:
            return f"{name}: not supported by this model"
    if any(not word.strip() for word in body.get("stop", [])):
        return "stop: strings must not be blank"
    for message in body["messages"]:
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part["type"] == "image_url":
                width, height = picture(part).size
                if max(width, height) > 1568 or width * height > 1.15e6:
                    return f"the picture of {width}x{height} would be shrunk"  # it would, without a word
                if len(part["image_url"]["url"]) > 5_000_000:
                    return "image exceeds 5 MB maximum"
    return None


REFUSES: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "openai": openai_refuses,
    "gemini": gemini_refuses,
    "anthropic": anthropic_refuses,
}
CALLS = {  # the left half, as each provider's models write boxes
    "openai": ("qwen3_vl", '"bbox_2d": [0, 0, 500, 1000]'),
    "gemini": ("gemini", '"box_2d": [0, 0, 1000, 500]'),
    "anthropic": ("claude", '"bbox_2d": [0, 0, {half}, {height}]'),
}


def picture(part: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2])))


def asked(
    api: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    preset: str | None = None,
    size: tuple[int, int] = (3000, 1000),
    **options: Any,
) -> tuple[Any, ScriptedServer]:
    """One question through a server that refuses what the provider refuses; the model looks at the left half first."""
    monkeypatch.setenv(PROVIDERS[api].key_variable, KEY)
    profile, box = CALLS[api]

    def reply(body: dict[str, Any], _number: int) -> tuple[int, Any]:
        refused = REFUSES[api](body)
        if refused:
            return refusal(refused)
        if any(message["role"] == "assistant" for message in body["messages"]):
            return 200, ANSWER
        (part,) = [part for part in body["messages"][-1]["content"] if part["type"] == "image_url"]
        width, height = picture(part).size
        arguments = box.format(half=width // 2, height=height)
        call = '{"name": "image_zoom_in_tool", "arguments": {' + arguments + "}}"
        return 200, f"<think>closer</think>\n<tool_call>\n{call}\n</tool_call>\nand on it goes <answer>blue</answer>"

    with serving(reply) as server:
        given = {"api": preset or api, "base_url": server.base_url, "profile": profile, "attempts": 1, **options}
        given |= {"grid": "qwen2.5-vl"} if preset else {}
        with open_model("m", engine="openai", method="tool_zoom", **given) as model:
            return model.ask(Image.effect_noise(size, 60).convert("RGB"), "What colour is it?"), server


@pytest.mark.parametrize("api", PROVIDERS)
def test_a_zoom_goes_through(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, server = asked(api, monkeypatch)
    assert found.answer == "red"
    assert not found.outcome.problems
    assert found.boxes["crop 1"].as_tuple() == (0, 0, 1500, 1000)
    assert server.keys == [f"Bearer {KEY}"] * 2
    sent = server.requests[1]
    assert set(sent) == ALWAYS | {PROVIDERS[api].cap}
    first_reply = sent["messages"][2]["content"]
    if api != "openai":  # its profile has no stop string, so the reply stands as it is
        assert first_reply.endswith("</tool_call>"), "cut here: no stop string is sent"


@pytest.mark.parametrize("api", PROVIDERS)
def test_the_server_does_refuse_what_any_other_server_is_sent(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the preset the same conversation fails, so the test above can."""
    with pytest.raises(EngineFault, match="answered 400"):
        asked(api, monkeypatch, preset="server", temperature=0.5, top_k=5)


@pytest.mark.parametrize("size", [(8000, 6000), (6000, 300), (300, 6000), (1568, 1568), (40, 40)])
def test_no_view_is_shrunk_behind_our_back(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    grid = PROVIDERS["anthropic"].grid
    view = grid.fit(Size(*size), 16384)
    assert max(view.width, view.height) <= 1568
    assert view.width * view.height <= 1.15e6
    assert view.width % 28 == view.height % 28 == 0
    larger = Size(view.width + 28, view.height + 28)
    if size == (8000, 6000):
        assert larger.width * larger.height > 1.15e6, "nor is more given away than has to be"


def test_the_key_comes_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ValueError, match="no environment variable OPENAI_API_KEY"):
        open_model("m", engine="openai", api="openai", base_url="http://127.0.0.1:9/v1")
    monkeypatch.setenv("MINE", KEY)
    with serving(lambda body, _: (200, ANSWER)) as server:
        options = {"api": "openai", "base_url": server.base_url, "api_key_env": "MINE"}
        with open_model("m", engine="openai", method="single_pass", **options) as model:
            model.ask(Image.new("RGB", (64, 64)), "What?")
            assert KEY not in str(model.engine.identity)
    assert server.keys == [f"Bearer {KEY}"]


@pytest.mark.parametrize(
    "option",
    [{"temperature": 0.7}, {"top_p": 0.9}, {"top_k": 20}, {"repetition_penalty": 1.05}, {"enable_thinking": False}],
)
def test_what_would_be_ignored_is_refused(option: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    with pytest.raises(ValueError, match=f"api=gemini is sent no {next(iter(option))}"):
        open_model("m", engine="openai", api="gemini", base_url="http://127.0.0.1:9/v1", **option)


def test_hidden_thoughts_have_room_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    _, server = asked("openai", monkeypatch, answer_new_tokens=100, hidden_tokens=900)
    assert server.requests[0]["max_completion_tokens"] == 1000
    with serving(lambda body, _: (200, completion("", "length"))) as all_hidden:
        options = {"api": "openai", "base_url": all_hidden.base_url}
        with open_model("m", engine="openai", method="tool_zoom", **options) as model:
            outcome = model.ask(Image.new("RGB", (64, 64)), "What?").outcome
    assert outcome.problems[0] == "truncated: the look reply reached its token cap"
