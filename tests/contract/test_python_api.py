"""``from ergo_plugins import open_model``: one question, many, from a running loop, and what goes wrong."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ergo_plugins import Answer, Model, open_model
from ergo_plugins.core.turns import Reply, Turn
from ergo_plugins.engines.base import EngineFault
from ergo_plugins.engines.scripted import ScriptedEngine
from ergo_plugins.methods import method_named
from ergo_plugins.outside.journal import JournalMismatch
from ergo_plugins.panels.drawing import original
from ergo_plugins.panels.world import first_seed, make_scene
from ergo_plugins.report.read.journal import read_journal

TINY = Path(__file__).resolve().parents[2] / "recipes" / "tiny"
OPTIONS = {
    "coarse_tokens": 16,
    "crop_tokens": 16,
    "zoom_new_tokens": 24,
    "answer_new_tokens": 24,
    "resample": "box",
    "prompts": TINY / "prompts.yaml",
}
SCENES = [make_scene(first_seed("test") + i) for i in range(5)]


def scripted(said: str = "<zoom>[0, 0, 56, 56]</zoom><answer>B</answer>") -> Model:
    method = method_named("ergo")
    return Model(ScriptedEngine(lambda *_: said), method, method.config())


def test_a_question_about_a_picture() -> None:
    with open_model(TINY / "policy", device="cpu", **OPTIONS) as model:
        answer = model.ask(original(SCENES[0]), SCENES[0].text)
        again = model.ask(original(SCENES[0]), SCENES[0].text)
        alone = open_model(TINY / "policy", device="cpu", method="single_pass", coarse_tokens=16, answer_new_tokens=9)
        single = alone.ask(original(SCENES[0]), SCENES[0].text)
    assert answer.answer in "ABCD"
    assert answer.outcome.visual_tokens == 32
    assert answer.outcome.seconds is not None
    assert answer.outcome.box_source is not None
    crop = answer.crop()
    assert crop is not None
    assert crop.size == (answer.outcome.box_source.width, answer.outcome.box_source.height)
    assert again.outcome.turns[1].reply == answer.outcome.turns[1].reply
    assert (single.outcome.method, len(single.outcome.turns), single.crop()) == ("single_pass", 1, None)


def test_a_question_is_watched() -> None:
    model = scripted()
    events = list(model.watch(Image.new("RGB", (400, 300)), "Which one?\nA. this\nB. that"))
    look, first, answer, second, last = events
    assert isinstance(look, Turn)
    assert isinstance(answer, Turn)
    assert isinstance(last, Answer)
    assert (look.name, answer.name) == ("look", "answer")
    assert first == second == Reply("<zoom>[0, 0, 56, 56]</zoom><answer>B</answer>")
    assert [turn.reply for turn in last.outcome.turns] == [first.text, second.text]
    assert last.answer == "B"


def test_watching_ends_with_what_went_wrong(tmp_path: Path) -> None:
    with pytest.raises(EngineFault, match=r"none\.png"):
        list(scripted().watch(tmp_path / "none.png", "Which one?"))

    def down(*_: object) -> str:
        raise RuntimeError("the cable is cut")

    method = method_named("ergo")
    watched = Model(ScriptedEngine(down), method, method.config()).watch(Image.new("RGB", (400, 300)), "Which one?")
    assert isinstance(next(watched), Turn)
    with pytest.raises(EngineFault, match="the cable is cut"):
        next(watched)


def test_many_questions_come_as_they_end_and_all_of_them() -> None:
    with open_model(TINY / "policy", device="cpu", concurrency=2, **OPTIONS) as model:
        asked = [(original(scene), scene.text) for scene in SCENES]
        answers = dict(model.ask_many(asked))
    assert sorted(answers) == list(range(5))
    assert all(isinstance(answer, Answer) and len(answer.outcome.turns) == 2 for answer in answers.values())


def test_images_in_any_form(tmp_path: Path) -> None:
    Image.new("RGB", (100, 80)).save(tmp_path / "a.png")
    content = io.BytesIO()
    Image.new("RGB", (100, 80)).save(content, "PNG")
    for image in (tmp_path / "a.png", str(tmp_path / "a.png"), content.getvalue(), {"bytes": content.getvalue()}):
        assert scripted().ask(image, "Which?\nA. x\nB. y").answer == "B"


def test_inside_a_running_event_loop() -> None:
    async def main() -> str:
        return scripted().ask(Image.new("RGB", (99, 99)), "Which?\nA. x\nB. y").answer

    assert asyncio.run(main()) == "B"


def test_no_further_question_is_asked_when_nobody_listens() -> None:
    opened: list[int] = []

    def endless() -> Iterator[tuple[Image.Image, str]]:
        while True:
            opened.append(len(opened))
            yield Image.new("RGB", (99, 99)), "Which?"

    answers = scripted().ask_many(endless())
    next(answers)
    answers.close()
    seen = len(opened)
    assert seen < 10_000
    assert len(opened) == seen


def test_what_goes_wrong_names_its_question(tmp_path: Path) -> None:
    good = (Image.new("RGB", (99, 99)), "Which?")
    answers = scripted().ask_many([good, (tmp_path / "missing.png", "Which?")])
    assert next(answers)[0] == 0
    with pytest.raises(EngineFault, match="question 1: FileNotFoundError"):
        next(answers)
    with pytest.raises(EngineFault, match="the question is empty"):
        scripted().ask(good[0], " ")


def test_options_that_nobody_has_are_refused() -> None:
    with pytest.raises(TypeError, match="crop_token"):
        open_model(TINY / "policy", crop_token=3)
    with pytest.raises(ValueError, match="no method"):
        open_model(TINY / "policy", method="nonsense")


def test_a_journal_keeps_what_was_asked_and_goes_on(tmp_path: Path) -> None:
    """Stopped after some answers, the same questions again: those that were answered are not asked a second time."""
    asked = [(original(scene), scene.text) for scene in SCENES]
    journal = tmp_path / "asked.jsonl"
    with open_model(TINY / "policy", device="cpu", concurrency=1, **OPTIONS) as model:
        answers = model.ask_many(asked, journal=journal)
        first = dict([next(answers), next(answers)])
        answers.close()
        kept = len(journal.read_bytes().splitlines()) - 1
        assert kept >= 2
        played: list[int] = []
        episode = model._episode
        model._episode = lambda image, question: (played.append(1), episode(image, question))[1]  # type: ignore[method-assign]
        again = dict(model.ask_many(asked, journal=journal))
        assert sorted(again) == [0, 1, 2, 3, 4]
        assert len(played) == 5 - kept
        assert all(again[index].outcome == answer.outcome for index, answer in first.items())
        with pytest.raises(JournalMismatch, match="question 0"):
            list(model.ask_many([(asked[0][0], "Something else?")], journal=journal))
    run = read_journal(journal)
    assert [row.key for row in sorted(run.rows, key=lambda row: row.doc_id)] == [f"ask//{n}" for n in range(5)]
    with (
        open_model(TINY / "policy", device="cpu", **{**OPTIONS, "crop_tokens": 12}) as other,
        pytest.raises(JournalMismatch, match="crop_tokens was 16 and is 12"),
    ):
        list(other.ask_many(asked, journal=journal))


def test_an_option_that_nobody_has_is_named_with_those_there_are() -> None:
    with pytest.raises(
        TypeError, match=r"no option coarse_token; the method ergo has .*coarse_tokens.* engine hf .*device"
    ):
        open_model(TINY / "policy", coarse_token=16)
    with pytest.raises(ValueError, match="an engine is one of"):
        open_model(TINY / "policy", engine="hff")


def shown(decode: str, photo: Path) -> list[Image.Image]:
    """What the model is shown of a photograph in its two turns."""
    method = method_named("ergo")
    engine = ScriptedEngine(lambda *_: "<zoom>[56, 56, 168, 140]</zoom><answer>B</answer>")
    with Model(engine, method, method.config(coarse_tokens=64, crop_tokens=64), decode=decode) as model:
        turns = [event for event in model.watch(photo, "Which one?") if isinstance(event, Turn)]
    return [image for turn in turns for image in turn.images]


def test_large_jpegs_may_stay_encoded(tmp_path: Path) -> None:
    """Views of the whole image are then libvips', and crops of ``stream`` Pillow's to the bit."""
    photo = tmp_path / "photo.jpg"
    Image.effect_noise((1600, 1200), 60).convert("RGB").filter(ImageFilter.GaussianBlur(2)).save(photo, quality=90)
    exact, streamed, fast = (shown(decode, photo) for decode in ("exact", "stream", "fast"))
    assert [image.size for image in exact] == [image.size for image in streamed] == [image.size for image in fast]
    assert [one.tobytes() == other.tobytes() for one, other in zip(exact, streamed, strict=True)] == [False, True]
    for one, other in zip(exact, fast, strict=True):
        apart = np.abs(np.asarray(one, float) - np.asarray(other, float))
        assert 0 < apart.mean() < 1


def test_how_images_are_decoded_stands_in_the_journal(tmp_path: Path) -> None:
    method, journal = method_named("ergo"), tmp_path / "asked.jsonl"
    asked = [(Image.new("RGB", (64, 64)), "Which?")]
    for decode in ("stream", "exact"):
        model = Model(ScriptedEngine(lambda *_: "<answer>B</answer>"), method, method.config(), decode=decode)
        if decode == "stream":
            list(model.ask_many(asked, journal=journal))
            continue
        with pytest.raises(JournalMismatch, match="decode"):
            list(model.ask_many(asked, journal=journal))
    with pytest.raises(ValueError, match="decode is one of exact, stream, fast, got 'half'"):
        open_model(TINY / "policy", decode="half")
