"""Samples of lmms-eval whose images stay encoded: the same outcomes, damage included, in a journal that says so."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset, Features
from datasets import Image as ImageFeature
from lmms_eval.tasks.hrbench.utils import decode_base64_to_image
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from ergo_plugins.core.record import Entry
from ergo_plugins.engines.scripted import ScriptedEngine
from ergo_plugins.lmms_plugin.arguments import read_arguments
from ergo_plugins.lmms_plugin.run import play_samples
from ergo_plugins.lmms_plugin.samples import Sample, samples_of
from ergo_plugins.lmms_plugin.undecoded import Undecoded
from ergo_plugins.lmms_plugin.values import WrongArgument
from ergo_plugins.outside.encoded import EncodedJpeg, opened_encoded
from ergo_plugins.outside.journal import JournalMismatch
from ergo_plugins.outside.streamed import SAID, Decode

TASK, SPLIT = "photos", "test"
BOX = "<zoom>[100, 40, 300, 200]</zoom>"


def jpeg(seed: int) -> bytes:
    file = io.BytesIO()
    Image.effect_mandelbrot((1600, 1200), (-2.2 + seed / 10, -1.2, 1, 1.2), 60).convert("RGB").save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def photos() -> list[bytes]:
    return [jpeg(0), jpeg(1), jpeg(2)[:-20_000]]


@pytest.fixture(autouse=True)
def strict_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow as it comes: importing lmms-eval anywhere in the process tells it to make up what a file lacks."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)


def to_messages(row: Any) -> Any:
    """As of V* and many others."""
    shown = row["image"].convert("RGB")
    return [{"role": "user", "content": [{"type": "image", "url": shown}, {"type": "text", "text": "What is there?"}]}]


def base64_to_messages(row: Any) -> Any:
    return to_messages({"image": decode_base64_to_image(row["image"])})


def dataset(photos: list[bytes]) -> Dataset:
    rows = [{"image": {"bytes": photo, "path": None}} for photo in photos]
    return Dataset.from_list(rows, features=Features({"image": ImageFeature()}))


def in_base64(photos: list[bytes]) -> list[dict[str, str]]:
    return [{"image": base64.b64encode(photo).decode()} for photo in photos]


WAYS: dict[str, tuple[Callable[[list[bytes]], Any], Callable[[Any], Any]]] = {
    "a column of images": (dataset, to_messages),
    "base64, opened by the task": (in_base64, base64_to_messages),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[Callable[[list[bytes]], Any], Callable[[Any], Any]]:
    return WAYS[request.param]


def samples(docs: Any, ask: Callable[[Any], Any], decode: Decode) -> list[Sample]:
    requests = [
        SimpleNamespace(args=("What is there?", ask, {}, number, TASK, SPLIT), metadata={})
        for number in range(len(docs))
    ]
    return [sample for sample in samples_of(requests, {TASK: {SPLIT: docs}}, decode=decode) if sample]


def played(
    docs: Any, ask: Callable[[Any], Any], decode: Decode, **given: Any
) -> tuple[dict[str, Entry], list[Image.Image]]:
    arguments = read_arguments("hf", {"model": "m", "decode": decode, "coarse_tokens": 64, "crop_tokens": 64, **given})
    engine = ScriptedEngine(lambda _key, turn: BOX if turn.name == "look" else "<answer>a set</answer>")
    entries = play_samples(engine, samples(docs, ask, decode), arguments)
    return entries, [image for turn in engine.asked for image in turn.images]


@pytest.mark.parametrize("decode", ["stream", "fast"])
def test_originals_reach_us_encoded_through_a_tasks_own_functions(
    way: Any, decode: Decode, photos: list[bytes]
) -> None:
    docs, ask = way
    (opened, *_rest) = [sample.open() for sample in samples(docs(photos[:2]), ask, decode)]
    (original,) = opened.images
    assert isinstance(original, EncodedJpeg)
    assert original.encoded == photos[0]


def test_by_default_they_are_decoded(way: Any, photos: list[bytes]) -> None:
    docs, ask = way
    for sample in samples(docs(photos[:2]), ask, "exact"):
        assert not isinstance(sample.open().images[0], EncodedJpeg)


def test_outcomes_and_crops_are_those_of_decoded_ones(way: Any, photos: list[bytes]) -> None:
    docs, ask = way
    exact, as_ever = played(docs(photos), ask, "exact")
    streamed, shown = played(docs(photos), ask, "stream")
    assert {key: plain(entry) for key, entry in streamed.items()} == {key: plain(entry) for key, entry in exact.items()}
    assert [one.tobytes() == other.tobytes() for one, other in zip(shown, as_ever, strict=True)] == [False, True] * 2


def plain(entry: Entry) -> Any:
    """An entry without what a clock says."""
    told = entry.to_json()
    told.pop("seconds", None)
    return told


@pytest.mark.parametrize("decode", ["exact", "stream", "fast"])
def test_damage_is_one_sample_counted_as_wrong(way: Any, decode: Decode, photos: list[bytes]) -> None:
    docs, ask = way
    entries, _shown = played(docs(photos), ask, decode)
    assert [entry.outcome.answer for entry in entries.values()] == ["a set", "a set", ""]
    (problem,) = entries[f"{TASK}/{SPLIT}/2"].outcome.problems
    assert problem.startswith("image: OSError: ")
    assert "truncated" in problem


def test_a_task_that_draws_on_its_image_is_seen_to(photos: list[bytes]) -> None:
    def marked(row: Any) -> Any:
        (message,) = to_messages(row)
        message["content"][0]["url"].paste("red", (0, 0, 800, 600))
        return [message]

    _entries, exact = played(dataset(photos[:1]), marked, "exact")
    _entries, fast = played(dataset(photos[:1]), marked, "fast")
    assert [one.tobytes() for one in fast] == [one.tobytes() for one in exact]


def test_another_format_in_one_column_and_none_in_another(photos: list[bytes]) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(file, "PNG")
    rows = [
        {"image": {"bytes": photos[0], "path": None}, "mask": None},
        {"image": {"bytes": photos[0], "path": None}, "mask": {"bytes": file.getvalue(), "path": None}},
        {"image": {"bytes": b"no picture", "path": None}, "mask": None},
    ]
    docs = Dataset.from_list(rows, features=Features({"image": ImageFeature(), "mask": ImageFeature()}))
    documents = Undecoded(docs)
    assert isinstance(documents[0]["image"], EncodedJpeg)
    assert documents[0]["mask"] is None
    assert documents[1]["image"] == docs[1]["image"]
    assert documents[1]["mask"] == docs[1]["mask"]
    with pytest.raises(UnidentifiedImageError):
        documents[2]
    assert docs.features["image"].decode, "the task's own data set is left as it is"


def test_other_threads_and_other_code_open_what_they_always_did(photos: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photos[0])
    with opened_encoded(), ThreadPoolExecutor(1) as other, Image.open(path) as here:
        assert type(here) is EncodedJpeg
        assert here.filename == str(path)
        assert type(other.submit(Image.open, path).result()) is JpegImageFile
    with Image.open(path) as image:
        assert type(image) is JpegImageFile


def test_a_journal_of_another_decoding_is_refused(photos: list[bytes], tmp_path: Path) -> None:
    for begun, other in (("exact", "fast"), ("fast", "stream"), ("stream", "exact")):
        journal = tmp_path / f"{begun}.jsonl"
        docs = dataset(photos[:1])
        played(docs, to_messages, begun, journal=str(journal), previews=1)  # type: ignore[arg-type]
        assert len(list(tmp_path.glob(f"{begun}_views/*.jpg"))) == 2
        assert json.loads(journal.read_text().splitlines()[0])["settings"].get("decode", "exact") == begun
        with pytest.raises(JournalMismatch, match=r"settings\.decode was '"):
            played(docs, to_messages, other, journal=str(journal), previews=0)  # type: ignore[arg-type]
        played(docs, to_messages, begun, journal=str(journal), previews=0)  # type: ignore[arg-type]


def test_a_way_to_decode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(WrongArgument, match="decode is one of exact, stream, fast, got 'quick'"):
        read_arguments("hf", {"model": "m", "decode": "quick"})


def test_the_choice_is_said_in_the_log() -> None:
    assert all(said.startswith(f"decode={name}: ") for name, said in SAID.items())
