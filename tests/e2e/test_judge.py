"""The judge over real sockets: what it is shown, how patient it is, and that an outage is never a verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image

from ergo_plugins.core.geometry import Box, Size, whole
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord
from ergo_plugins.core.questions import split_question
from ergo_plugins.methods.base import Target
from ergo_plugins.methods.ergo import ERGO, RewardConfig
from ergo_plugins.outside.judge import Effort, Judge, JudgeConfig, JudgeError
from ergo_plugins.verl_plugin.rows import Row, RowError
from ergo_plugins.verl_plugin.verifier import Verifier
from tests.e2e.judge_server import JudgeServer

CHOICE = split_question("Which pattern?\nA. plain\nB. checkered")
CROP = Image.new("RGB", (56, 56), (10, 200, 30))


def config(*urls: str, **changes: Any) -> JudgeConfig:
    quick = {"attempts": 4, "first_delay_s": 0.01, "timeout_s": 0.5, "model": "judge"}
    return JudgeConfig(source="endpoints", urls=urls, **{**quick, **changes})


def with_judge(settings: JudgeConfig, use: Callable[[Judge, Effort], Awaitable[Any]]) -> tuple[Any, Effort]:
    async def main() -> tuple[Any, Effort]:
        judge, effort = Judge(settings, settings.urls, settings.model), Effort()
        try:
            return await use(judge, effort), effort
        finally:
            await judge.close()

    return asyncio.run(main())


def ask(judge: Judge, effort: Effort) -> Awaitable[str | None]:
    return judge.answer_from(CHOICE, "option", [CROP], effort)


def test_a_verdict() -> None:
    with JudgeServer(lambda *_: "<think>dots</think><answer>B</answer>") as server:
        said, effort = with_judge(config(server.url), ask)
    assert said == "B"
    assert (effort.calls, effort.errors) == (1, 0)
    assert effort.seconds > 0
    (asked,) = server.asked
    assert asked.body["model"] == "judge"
    assert asked.body["temperature"] == 0
    assert asked.authorization is None
    assert CHOICE.full in asked.text
    assert asked.images[0].tobytes() == CROP.tobytes()


def test_the_question_can_be_put_in_other_words() -> None:
    with JudgeServer(lambda *_: "<answer>B</answer>") as server:
        with_judge(config(server.url, prompt="Look closely. {question}"), ask)
    assert [asked.text for asked in server.asked] == [f"Look closely. {CHOICE.full}"]
    with pytest.raises(ValueError, match=r"judge\.prompt has no \{question\}"):
        config(server.url, prompt="Look closely.")


@pytest.mark.parametrize("trouble", [500, 503, 429, None, 2.0, "", "no idea, maybe dots"])
def test_trouble_that_passes_costs_an_attempt(trouble: Any) -> None:
    with JudgeServer(lambda number, *_: trouble if number < 2 else "B") as server:
        said, effort = with_judge(config(server.url), ask)
    assert said == "B"
    assert (effort.calls, effort.errors) == (3, 2)


@pytest.mark.parametrize("trouble", [500, None, 2.0, "hm"])
def test_trouble_that_stays_is_an_error_naming_the_endpoint(trouble: Any) -> None:
    with JudgeServer(lambda *_: trouble) as server:
        with pytest.raises(JudgeError, match=server.url.replace(".", r"\.")) as raised:
            with_judge(config(server.url), ask)
        assert len(server.asked) == 4
    assert "4 attempts" in str(raised.value)


def test_a_refusal_is_not_repeated() -> None:
    with JudgeServer(lambda *_: 401) as server:
        with pytest.raises(JudgeError, match="401"):
            with_judge(config(server.url), ask)
        assert len(server.asked) == 1


def test_nobody_listens() -> None:
    with pytest.raises(JudgeError, match=r"127\.0\.0\.1:9"):
        with_judge(config("http://127.0.0.1:9/v1"), ask)


def test_a_judge_killed_midway_is_an_error_and_another_endpoint_steps_in() -> None:
    with JudgeServer(lambda *_: "B") as dying, JudgeServer(lambda *_: "A") as living:

        async def use(judge: Judge, effort: Effort) -> list[Any]:
            first = await judge.answer_from(CHOICE, "option", [CROP], effort)
            await asyncio.to_thread(dying.kill)
            other = [Image.new("RGB", (28, 28), (i, 0, 0)) for i in range(4)]
            return [first, *[await judge.answer_from(CHOICE, "option", [image], effort) for image in other]]

        said, effort = with_judge(config(dying.url, living.url), use)
        assert said[0] == "B"
        assert set(said[1:]) == {"A"}
        assert effort.errors >= 1

        alone = config(dying.url)
        with pytest.raises(JudgeError, match=dying.url.replace(".", r"\.")):
            with_judge(alone, ask)


def test_one_of_two_endpoints_is_dead_and_no_verdict_is_lost() -> None:
    with JudgeServer(lambda *_: "B") as dead:
        gone = dead.url
    crops = [Image.new("RGB", (28, 28), (i % 256, i // 256, 0)) for i in range(600)]

    async def use(judge: Judge, effort: Effort) -> list[str | None]:
        at_once = asyncio.Semaphore(32)

        async def one(crop: Image.Image) -> str | None:
            async with at_once:
                return await judge.answer_from(CHOICE, "option", [crop], effort)

        return await asyncio.gather(*map(one, crops))

    with JudgeServer(lambda *_: "B") as server:
        said, effort = with_judge(config(gone, server.url, attempts=2, timeout_s=30.0), use)
    assert said == ["B"] * 600
    assert effort.errors == 300  # every second verdict began at the dead one


def test_more_than_a_hundred_requests_are_under_way_when_asked_for() -> None:
    async def use(judge: Judge, effort: Effort) -> Any:
        crops = [Image.new("RGB", (28, 28), (i, 0, 0)) for i in range(128)]
        return await asyncio.gather(*[judge.answer_from(CHOICE, "option", [crop], effort) for crop in crops])

    with JudgeServer(lambda *_: 2.0) as server:
        with_judge(config(server.url, concurrency=128, timeout_s=30.0), use)
        assert server.most_at_once == 128


def test_waiting_for_a_place_is_no_silence_of_the_server() -> None:
    async def use(judge: Judge, effort: Effort) -> None:
        crops = [Image.new("RGB", (28, 28), (i, 0, 0)) for i in range(5)]
        await asyncio.gather(*[judge.answer_from(CHOICE, "option", [crop], effort) for crop in crops])

    with JudgeServer(lambda *_: 0.3) as server:
        _, effort = with_judge(config(server.url, concurrency=1, timeout_s=1.0), use)  # the last waits 1.2 s
    assert (effort.calls, effort.errors) == (5, 0)


@pytest.mark.parametrize(
    "choice",
    [
        {"finish_reason": "length", "message": {"content": "Let me see. First the options. Option A"}},
        {"finish_reason": "stop", "message": {"content": None, "reasoning_content": "Option A"}},
        {"finish_reason": "stop", "message": {"content": "A", "refusal": "I will not"}},
    ],
    ids=["cut", "a thought", "a refusal"],
)
def test_what_is_no_statement_is_asked_again_and_named_if_it_stays(choice: dict[str, Any]) -> None:
    with JudgeServer(lambda number, *_: choice if number == 0 else "B") as server:
        said, effort = with_judge(config(server.url), ask)
    assert (said, effort.calls, effort.errors) == ("B", 2, 1)
    with JudgeServer(lambda *_: choice) as server, pytest.raises(JudgeError, match=r"judge\.max_new_tokens"):
        with_judge(config(server.url), ask)


def test_every_way_of_failing_is_named() -> None:
    with (
        JudgeServer(lambda number, *_: (500, "hm", b"\xff\xfe", 503)[number]) as server,
        pytest.raises(JudgeError, match=r"'hm'.*NoCompletion: .*status 503"),
    ):
        with_judge(config(server.url), ask)


def test_verls_router_hides_a_refusal_and_the_error_says_so(scene: tuple[Row, Outcome, Image.Image]) -> None:
    from verl.experimental.reward_loop.router.naive_router import NaiveRouter

    row, outcome, _ = scene

    async def main(judge: JudgeServer) -> None:
        server = uvicorn.Server(uvicorn.Config(NaiveRouter([judge.url[:-3]]).app, port=0, log_level="critical"))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        settings = JudgeConfig(source="reward_model", attempts=2, first_delay_s=0.01)
        verifier = Verifier(settings, router=f"127.0.0.1:{port}", model="judge")
        assert verifier.judge is not None
        try:
            await found(verifier, outcome, row)
        finally:
            await verifier.judge.close()
            server.should_exit = True
            await serving

    with JudgeServer(lambda *_: 400) as judge:
        with pytest.raises(JudgeError, match=r"2 attempts: .*status 500.*the log of the reward model"):
            asyncio.run(main(judge))
        assert len(judge.asked) == 2
    with JudgeServer(lambda *_: "<answer>B</answer>") as judge:
        asyncio.run(main(judge))


@pytest.mark.parametrize(
    ("name", "value"), [("remembered", -1), ("crop_tokens", -1), ("first_delay_s", -0.1), ("timeout_s", 0)]
)
def test_settings_without_sense_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"judge\.{name} is"):
        config("http://127.0.0.1:9/v1", **{name: value})


def test_only_so_many_verdicts_are_remembered() -> None:
    async def use(judge: Judge, effort: Effort) -> None:
        for red in (1, 2, 3, 3, 1):  # the first has been forgotten when it comes again
            await judge.answer_from(CHOICE, "option", [Image.new("RGB", (28, 28), (red, 0, 0))], effort)

    with JudgeServer(lambda *_: "B") as server:
        with_judge(config(server.url, remembered=2), use)
        assert len(server.asked) == 4


def test_a_key_that_is_not_there_is_an_error_and_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with JudgeServer(lambda *_: "B") as server:
        with pytest.raises(JudgeError, match="JUDGE_KEY is not set"):
            with_judge(config(server.url, api_key_env="JUDGE_KEY"), ask)
        assert server.asked == []


def test_the_same_crop_and_question_are_judged_once() -> None:
    async def use(judge: Judge, effort: Effort) -> list[str | None]:
        return list(await asyncio.gather(*[judge.answer_from(CHOICE, "option", [CROP], effort) for _ in range(20)]))

    with JudgeServer(lambda *_: "B") as server:
        said, effort = with_judge(config(server.url), use)
        assert len(server.asked) == 1
    assert said == ["B"] * 20
    assert effort.calls == 1


def test_half_of_a_character_is_asked_about_as_its_replacement() -> None:
    question = split_question("What does the sign say?")
    with JudgeServer(lambda *_: "no") as server:
        with_judge(config(server.url), lambda judge, effort: judge.is_same(question, "caf\u00e9", "caf\ud83d", effort))
        assert "caf\u00e9" in str(server.asked)
        assert "caf\ufffd" in str(server.asked)


def test_an_outage_is_not_remembered() -> None:
    async def use(judge: Judge, effort: Effort) -> str | None:
        with pytest.raises(JudgeError):
            await judge.answer_from(CHOICE, "option", [CROP], effort)
        return await judge.answer_from(CHOICE, "option", [CROP], effort)

    with JudgeServer(lambda number, *_: 500 if number < 4 else "B") as server:
        assert with_judge(config(server.url), use)[0] == "B"


def test_requests_are_bounded() -> None:
    async def use(judge: Judge, effort: Effort) -> None:
        images = [Image.new("RGB", (28, 28), (i, i, i)) for i in range(12)]
        await asyncio.gather(*[judge.answer_from(CHOICE, "option", [image], effort) for image in images])

    with JudgeServer(lambda *_: "B") as server:
        with_judge(config(server.url, concurrency=3), use)
        assert len(server.asked) == 12
        assert server.most_at_once <= 3


def test_the_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "secret")
    with JudgeServer(lambda *_: "B") as server:
        with_judge(config(server.url, api_key_env="JUDGE_KEY"), ask)
        assert server.asked[0].authorization == "Bearer secret"


@pytest.fixture
def scene(tmp_path: Path) -> tuple[Row, Outcome, Image.Image]:
    """A photograph of which the crop shows one corner, in its own colour."""
    original = Image.new("RGB", (800, 600), (200, 0, 0))
    original.paste(Image.effect_noise((200, 150), 80).convert("RGB"), (600, 450))
    path = tmp_path / "photo.png"
    original.save(path)
    row = Row("test", "0", str(path), CHOICE, Target("B", "option", CHOICE.options))
    view = Size(224, 168)
    source, crop = Size(800, 600), Box(600, 450, 800, 600)
    turns = tuple(
        TurnRecord(name, (Shown(region, view, 48),), "", "stop")
        for name, region in (("look", whole(source)), ("answer", crop))
    )
    return row, Outcome(method="ergo", source=source, turns=turns, boxes={"crop": crop}), original


@dataclass(frozen=True)
class Finding:
    """What was found out, and what it cost."""

    region_correct: bool
    answer_correct: bool | None
    effort: Effort


async def found(verifier: Verifier, outcome: Outcome, row: Row, reward: RewardConfig | None = None) -> Finding:
    """What ERGO wants to know of an outcome."""
    effort = Effort()
    inquiries = ERGO.inquiries(outcome, row.target, reward or RewardConfig())
    findings = await verifier.verify(inquiries, outcome, row, effort)
    return Finding(findings.get("region", False), findings.get("answer"), effort)


def verify(settings: JudgeConfig, row: Row, outcome: Outcome, reward: RewardConfig | None = None) -> Finding:
    async def main() -> Finding:
        verifier = Verifier(settings)
        try:
            return await found(verifier, outcome, row, reward)
        finally:
            if verifier.judge is not None:
                await verifier.judge.close()

    return asyncio.run(main())


def test_the_judge_sees_the_crop_and_not_the_original(scene: tuple[Row, Outcome, Image.Image]) -> None:
    row, outcome, original = scene
    with JudgeServer(lambda *_: "<answer>B</answer>") as server:
        assert verify(config(server.url), row, outcome).region_correct
        ((seen,),) = [asked.images for asked in server.asked]
    assert seen.size == (224, 168)
    expected = original.crop((600, 450, 800, 600)).resize((224, 168), Image.Resampling.BICUBIC)
    assert seen.tobytes() == expected.tobytes()
    red, green, blue = (seen.getchannel(channel).tobytes() for channel in "RGB")
    assert red == green == blue, "nothing of the red rest of the photograph may reach the judge"


def test_crop_and_original_when_asked_for(scene: tuple[Row, Outcome, Image.Image]) -> None:
    row, outcome, photo = scene
    with JudgeServer(lambda *_: "B") as server:
        verify(config(server.url, sees="crop+original", original_tokens=12), row, outcome)
        verify(config(server.url, sees="crop+original", original_tokens=12, crop_tokens=12), row, outcome)
        (crop, original), (smaller, _) = (asked.images for asked in server.asked)
    cut = photo.crop((600, 450, 800, 600))
    assert crop.tobytes() == cut.resize((224, 168), Image.Resampling.BICUBIC).tobytes()
    assert smaller.tobytes() == cut.resize((112, 84), Image.Resampling.BICUBIC).tobytes()
    assert original.size == (112, 84)
    assert original.getpixel((5, 5)) == (200, 0, 0)
    assert original.getpixel((110, 82)) != (200, 0, 0), "the whole of it, its last corner too"


def test_the_judge_may_see_the_crop_larger_and_through_another_filter(scene: tuple[Row, Outcome, Image.Image]) -> None:
    row, outcome, original = scene

    async def main(settings: JudgeConfig) -> None:
        verifier = Verifier(settings, resample="box")
        try:
            await found(verifier, outcome, row)
        finally:
            assert verifier.judge is not None
            await verifier.judge.close()

    with JudgeServer(lambda *_: "B") as server:
        asyncio.run(main(config(server.url)))
        asyncio.run(main(config(server.url, crop_tokens=12)))
        as_seen, smaller = (asked.images[0] for asked in server.asked)
    crop = original.crop((600, 450, 800, 600))
    assert as_seen.tobytes() == crop.resize((224, 168), Image.Resampling.BOX).tobytes()
    assert smaller.size == (112, 84)
    assert smaller.tobytes() == crop.resize((112, 84), Image.Resampling.BOX).tobytes()


def test_what_the_judge_says_decides(scene: tuple[Row, Outcome, Image.Image]) -> None:
    row, outcome, _ = scene
    for said, right in (("B", True), ("checkered", True), ("A", False), ("unknown", False)):
        with JudgeServer(lambda *_, said=said: f"<answer>{said}</answer>") as server:
            assert verify(config(server.url), row, outcome).region_correct is right


def test_open_answers_are_compared_by_the_judge(scene: tuple[Row, Outcome, Image.Image]) -> None:
    row, outcome, _ = scene
    question = split_question("What is written there?")
    row = Row("test", "1", row.image_path, question, Target("no parking at night", "judge"))
    outcome = Outcome(**{**_fields(outcome), "answer": "parking is forbidden at night"})

    def script(_: int, text: str, images: list[Image.Image]) -> str:
        return "<answer>No parking, nights</answer>" if images else "yes"

    with JudgeServer(script) as server:
        finding = verify(config(server.url), row, outcome)
        assert finding.region_correct
        assert finding.answer_correct
        assert len(server.asked) == 3


def test_what_weighs_nothing_is_not_asked(scene: tuple[Row, Outcome, Image.Image]) -> None:
    row, outcome, _ = scene
    with JudgeServer(lambda *_: "B") as server:
        verify(config(server.url), row, outcome, RewardConfig(alpha=0))
        verify(config(server.url), row, Outcome(**{**_fields(outcome), "boxes": {"crop": None}}))
        assert server.asked == []


def test_rules_need_a_box(scene: tuple[Row, Outcome, Image.Image]) -> None:
    row, outcome, _ = scene
    with pytest.raises(RowError, match="target_box"):
        verify(JudgeConfig(), row, outcome)
    boxed = Row(
        row.data_source,
        row.index,
        row.image_path,
        row.question,
        Target("B", "option", CHOICE.options, Box(650, 500, 700, 550)),
    )
    assert verify(JudgeConfig(), boxed, outcome).region_correct


def test_a_slow_judge_is_waited_for_and_measured() -> None:
    with JudgeServer(lambda *_: 0.2) as server:
        started = time.monotonic()
        _, effort = with_judge(config(server.url), ask)
    assert 0.2 <= effort.seconds <= time.monotonic() - started


def _fields(outcome: Outcome) -> dict[str, Any]:
    return {name: getattr(outcome, name) for name in Outcome.__dataclass_fields__}
