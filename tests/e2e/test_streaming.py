"""A reply that is listened to is the one that would have come at once: the same record, errors and attempts."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ergo_plugins import Answer, open_model
from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Partial, Reply, Turn
from ergo_plugins.engines import EngineFault, Job
from ergo_plugins.engines.hf import HFEngine
from ergo_plugins.engines.openai import OpenAIEngine
from ergo_plugins.methods.ergo import Prompts, ZoomConfig, zoom_episode
from ergo_plugins.methods.prompts import read_prompts
from ergo_plugins.panels.drawing import original
from ergo_plugins.panels.world import first_seed, make_scene
from tests.e2e.scripted_server import Cut, Script, ScriptedServer, completion, events, serving
from tests.e2e.test_server_faults import FAULTS

TINY = Path(__file__).resolve().parents[2] / "recipes" / "tiny"
QUESTION = split_question("Which one?\nA. this\nB. that")
IMAGE = Image.effect_noise((640, 480), 60).convert("RGB")
LOOK = "<think>слева, 左 🔍</think><zoom>[10, 10, 60, 60]"
ANSWER = "<think>è così 🙂</think><answer>B"


def said(look: str, answer: str, finish_reason: str = "stop", **fields: Any) -> list[dict[str, Any]]:
    """Completions of the two turns; fields of the completion or, if it has none of that name, of its choice."""
    wholes = [completion(look, finish_reason), completion(answer, finish_reason)]
    for whole in wholes:
        whole.update({name: value for name, value in fields.items() if name in whole})
        whole["choices"][0].update({name: value for name, value in fields.items() if name not in whole})
    return wholes


COUNTS = {
    "prompt_tokens": 99,
    "completion_tokens": 7,
    "total_tokens": 106,
    "prompt_tokens_details": {"cached_tokens": 64},
}
NAMED = [
    said(LOOK, ANSWER, stop_reason="</zoom>")[0],
    said(LOOK, ANSWER, stop_reason="</answer>")[1],
]
REPLIES: dict[str, list[dict[str, Any]]] = {
    "a stop string that the server names": NAMED,
    "one that SGLang names": said(LOOK, ANSWER, matched_stop="</zoom>"),
    "one that is named and whose tag is not open": said("nothing", "B", stop_reason="</zoom>"),
    "a tag left open": said(LOOK, ANSWER),
    "whole replies": said(f"{LOOK}</zoom>", f"{ANSWER}</answer>"),
    "more than was asked for": said(f"{LOOK}</zoom> and so on", f"{ANSWER}</answer> and so on"),
    "cut at the cap": said(LOOK, ANSWER, "length"),
    "no counts": said(LOOK, ANSWER, usage=None),
    "cached tokens": said(LOOK, ANSWER, usage=COUNTS),
    "half a character": said(f"{LOOK}\ud83d", f"{ANSWER}\ud83d"),
    "nothing": said("", ""),
}


def units(text: str) -> list[str]:
    """Text in pieces that are no characters: halves of surrogate pairs, as JSON may carry them."""
    coded = text.encode("utf-16-le", "surrogatepass")
    return [coded[i : i + 2].decode("utf-16-le", "surrogatepass") for i in range(0, len(coded), 2)]


def sevens(text: str) -> list[str]:
    return [text[i : i + 7] for i in range(0, len(text), 7)]


def bytes_of(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces that end anywhere: within characters, between ``\n`` and ``\n``."""
    sent = b"".join(pieces)
    return (sent[i : i + size] for i in range(0, len(sent), size))


def turn_of(body: dict[str, Any]) -> int:
    return sum(message["role"] == "user" for message in body["messages"]) - 1


def streaming(
    wholes: list[dict[str, Any]], cut: Callable[[str], list[str]] = sevens, size: int = 1 << 20
) -> Callable[[dict[str, Any], int], tuple[int, Any]]:
    """A server that streams when it is asked to."""

    def script(body: dict[str, Any], _number: int = 0) -> tuple[int, Any]:
        whole = wholes[turn_of(body)]
        if not body.get("stream"):
            return 200, whole
        return 200, bytes_of(events(whole, cut(whole["choices"][0]["message"]["content"])), size)

    return script


def play(script: Script, *, listen: bool, **options: Any) -> tuple[Outcome, list[list[str]], ScriptedServer]:
    """The outcome without its times, the parts that were heard of each reply, and what the server was asked."""
    heard: list[str] = []
    with serving(script) as server:
        given = {"grid": "qwen2.5-vl"} if "api" not in options else {}
        engine = OpenAIEngine("m", base_url=server.base_url, retry_delay_s=0.01, **given, **options)
        try:
            outcome = engine.play_one(
                lambda: zoom_episode(IMAGE, QUESTION, ZoomConfig(), engine.grid), heard.append if listen else None
            )
        finally:
            engine.close()
    parts: list[list[str]] = []
    for text in heard:  # a reply begins anew where it is no longer than what was heard before
        if not parts or len(text) < len(parts[-1][-1]):
            parts.append([])
        parts[-1].append(text)
    return untimed(outcome), parts, server


def untimed(outcome: Outcome) -> Outcome:
    turns = tuple(replace(turn, seconds=None, queued_s=None) for turn in outcome.turns)
    return replace(outcome, turns=turns, seconds=None)


def conversations(server: ScriptedServer) -> list[Any]:
    return [request["messages"] for request in server.requests]


@pytest.mark.parametrize(("cut", "size"), [(units, 1), (units, 1 << 20), (sevens, 5), (list, 61)])
@pytest.mark.parametrize("name", REPLIES)
def test_a_streamed_reply_is_the_whole_one(name: str, cut: Callable[[str], list[str]], size: int) -> None:
    script = streaming(REPLIES[name], cut, size)
    whole, nothing, asked = play(script, listen=False)
    outcome, parts, asked_for_a_stream = play(script, listen=True)
    assert outcome == whole
    assert (nothing, len(parts)) == ([], 0 if name == "nothing" else len(whole.turns))
    assert conversations(asked_for_a_stream) == conversations(asked)
    assert all(request["stream"] for request in asked_for_a_stream.requests)
    assert not any("stream" in request for request in asked.requests)
    for turn, heard in zip(whole.turns, parts, strict=False):
        assert all(turn.reply.startswith(part) for part in heard)
        assert len(set(heard)) > 1 or turn.reply.startswith(("nothing", "B"))
        assert "\ufffd" not in heard[-1]


@pytest.mark.parametrize("cut", [units, list, sevens])
def test_a_providers_reply_is_heard_up_to_its_stop_string(
    cut: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "a key")
    script = streaming(REPLIES["more than was asked for"], cut)
    whole, _, _ = play(script, listen=False, api="gemini")
    outcome, parts, _ = play(script, listen=True, api="gemini")
    assert outcome == whole
    assert [heard[-1] for heard in parts] == [turn.reply for turn in whole.turns]
    assert parts[0][-1] == f"{LOOK}</zoom>", "the answer has no stop string"


def breaks(fault: str, whole: dict[str, Any]) -> Iterator[bytes]:
    """A stream with a fault in the middle of a reply."""
    sent = list(events(whole, list(whole["choices"][0]["message"]["content"])))
    yield from sent[:9]
    if fault == "cut":
        raise Cut
    if fault == "cut within a character":
        yield 'data: {"choices": [{"index": 0, "delta": {"content": "è'.encode()[:-1]
        raise Cut
    if fault == "an error is told":
        yield b'data: {"error": {"message": "out of luck", "code": 500}}\n\n'
    if fault == "an error without a number":
        yield b'data: {"error": {"message": "out of luck", "type": "server_error"}}\n\n'
    if fault == "no json":
        yield b"data: <html>\n\n"
    if fault == "no utf-8":
        yield b"data: \xff\xff\n\n"
    if fault == "done too early":
        yield b"data: [DONE]\n\n"


BROKEN = (
    *("cut", "cut within a character", "an error is told", "an error without a number", "no json", "no utf-8"),
    *("done too early", "it just ends"),
)


def failing(fault: str, is_faulty: Callable[[int], bool]) -> Script:
    """A server with a fault in those requests, within a stream or instead of it."""

    def script(body: dict[str, Any], number: int) -> tuple[int, Any]:
        if not is_faulty(number):
            return streaming(NAMED)(body)
        return FAULTS[fault] if fault in FAULTS else (200, breaks(fault, NAMED[turn_of(body)]))

    return script


@pytest.mark.parametrize("fault", [*FAULTS, *BROKEN])
def test_a_passing_fault_is_waited_out(fault: str) -> None:
    whole, _, _ = play(streaming(NAMED), listen=False)
    outcome, parts, server = play(failing(fault, lambda number: number in (0, 2)), listen=True)
    assert outcome == whole
    assert len(server.requests) == 4
    assert [heard[-1] for heard in parts][-1] == ANSWER


@pytest.mark.parametrize("fault", [*FAULTS, *BROKEN])
def test_a_lasting_fault_is_an_outage_after_as_many_attempts(fault: str) -> None:
    asked: list[int] = []

    def script(body: dict[str, Any], number: int) -> tuple[int, Any]:
        asked.append(number)
        return failing(fault, lambda _: True)(body, number)

    with pytest.raises(EngineFault, match=r"EngineUnavailable: http://127\.0\.0\.1\S* (answered|gave) .*the look turn"):
        play(script, listen=True, attempts=3)
    assert asked == [0, 1, 2]


def test_a_refusal_within_a_stream_is_not_repeated() -> None:
    asked: list[int] = []

    def refuse(_body: dict[str, Any], number: int) -> tuple[int, Any]:
        asked.append(number)
        return 200, iter([b'data: {"error": {"message": "the prompt is too long", "code": 400}}\n\n'])

    with pytest.raises(EngineFault, match=r"EngineRefused: .* answered 400 to the look turn: the prompt is too long"):
        play(refuse, listen=True, attempts=5)
    assert asked == [0]


def test_a_stream_that_drips_is_given_up() -> None:
    """No silence is long enough for the client's own timeout."""
    stop = threading.Event()

    def drip() -> Iterator[bytes]:
        while not stop.wait(0.05):
            yield b": still there\n\n"

    started = time.monotonic()
    with pytest.raises(EngineFault, match=r"127\.0\.0\.1.*gave no reply.*TimeoutError: no whole reply in 0\.5 s"):
        play(lambda *_: (200, drip()), listen=True, attempts=2, timeout_s=0.5)
    stop.set()
    assert time.monotonic() - started < 10


def test_a_server_that_refuses_to_stream_is_asked_for_whole_replies() -> None:
    def script(body: dict[str, Any], _number: int) -> tuple[int, Any]:
        if "stream_options" in body:
            return 400, {"error": {"message": "Unrecognized request argument supplied: stream_options"}}
        return 200, NAMED[turn_of(body)]

    whole, _, _ = play(script, listen=False)
    outcome, parts, server = play(script, listen=True)
    assert (outcome, parts) == (whole, [])
    assert ["stream" in request for request in server.requests] == [True, False, False]


def test_a_server_that_answers_at_once_is_taken_at_its_word() -> None:
    def script(body: dict[str, Any], _number: int) -> tuple[int, Any]:
        return 200, NAMED[turn_of(body)]

    whole, _, _ = play(script, listen=False)
    outcome, parts, server = play(script, listen=True)
    assert (outcome, parts, len(server.requests)) == (whole, [], 2)


def test_a_reply_is_watched_before_it_has_ended() -> None:
    """What a slow server has said is there while it waits for us."""
    seen = [threading.Event(), threading.Event()]

    def script(body: dict[str, Any], _number: int) -> tuple[int, Any]:
        whole = NAMED[turn_of(body)]
        if not body.get("stream"):
            return 200, whole

        def slow() -> Iterator[bytes]:
            sent = list(events(whole, units(whole["choices"][0]["message"]["content"])))
            yield from sent[:12]
            assert seen[turn_of(body)].wait(30)
            yield from sent[12:]

        return 200, slow()

    told: list[Turn | Partial | Reply | Answer] = []
    with (
        serving(script) as server,
        open_model("m", engine="openai", base_url=server.base_url, grid="qwen2.5-vl") as model,
    ):
        for event in model.watch(IMAGE, "Which one?\nA. this\nB. that"):
            told.append(event)
            if isinstance(event, Partial) and len(event.text) == 11:
                seen[0 if event.text == LOOK[:11] else 1].set()
        whole = model.ask(IMAGE, "Which one?\nA. this\nB. that")
    kinds = [kind for kind, _ in itertools.groupby(type(event) for event in told)]
    assert kinds == [Turn, Partial, Reply, Turn, Partial, Reply, Answer]
    last = told[-1]
    assert isinstance(last, Answer)
    assert untimed(last.outcome) == untimed(whole.outcome)


def test_transformers_tell_each_row_of_a_batch() -> None:
    """Three samples in one batch, of which two are listened to; replies end at different tokens."""
    config = ZoomConfig(
        coarse_tokens=16,
        crop_tokens=16,
        zoom_new_tokens=24,
        answer_new_tokens=24,
        resample="box",
        prompts=read_prompts(TINY / "prompts.yaml", Prompts),
    )
    engine = HFEngine(str(TINY / "policy"), device="cpu", concurrency=3)
    scenes = [make_scene(first_seed("test") + i) for i in range(3)]

    def played(*listening: int) -> tuple[dict[str, Outcome], dict[int, list[str]]]:
        outcomes: dict[str, Outcome] = {}
        heard: dict[int, list[str]] = {i: [] for i in listening}
        jobs = [
            Job(
                f"scene {i}",
                lambda scene=scene: zoom_episode(original(scene), split_question(scene.text), config, engine.grid),
                heard[i].append if i in listening else None,
            )
            for i, scene in enumerate(scenes)
        ]
        engine.play_all(jobs, lambda job, outcome: outcomes.update({job.key: untimed(outcome)}))
        return outcomes, heard

    whole, _ = played()
    outcomes, heard = played(0, 2)
    engine.close()
    assert outcomes == whole
    for index, parts in heard.items():
        replies = [turn.reply for turn in whole[f"scene {index}"].turns]
        assert set(replies) <= set(parts)
        assert all(any(reply.startswith(part) for reply in replies) for part in parts)
        assert len(set(parts)) > 8
