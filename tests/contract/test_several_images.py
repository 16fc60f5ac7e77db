"""Samples with several images as the host hands them over: their words, who takes them, and who refuses when."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from datasets import Dataset, Features, Image, List, Value
from lmms_eval.tasks.mmmu.utils import mmmu_doc_to_messages
from PIL import Image as Pillow

from ergo_plugins.core.questions import Option
from ergo_plugins.lmms_plugin.samples import Sample, UnusableSample, UnusableTask, samples_of
from ergo_plugins.lmms_plugin.several import refuse_too_many
from ergo_plugins.methods import known_methods, method_named
from tests.e2e.two_images import DOCUMENTS, FEATURES, SIZES

WORDS = {"multiple_choice_prompt": "Answer with the letter.", "open_ended_prompt": "One word.", "prompt_type": "format"}
TAKE_ONE = ["ergo", "egm", "tool_zoom"]
TAKE_SEVERAL = ["single_pass", "visionthink"]


class Asked:
    """The host's function, which counts how often it decoded a document."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, document: Any) -> Any:
        self.count += 1
        return mmmu_doc_to_messages(document, WORDS)


def samples(docs: Dataset, to_messages: Any) -> list[Sample]:
    """Samples as of a run of lmms-eval over all documents."""
    requests = [
        SimpleNamespace(args=("text", to_messages, {}, number, "mmmu_val", "validation"), metadata={})
        for number in range(len(docs))
    ]
    return [sample for sample in samples_of(requests, {"mmmu_val": {"validation": docs}}) if sample]


@pytest.fixture(scope="module")
def docs() -> Dataset:
    return Dataset.from_list(DOCUMENTS, features=FEATURES)


def test_every_method_has_said_how_many_it_takes() -> None:
    takes = {name: method_named(name).sources for name in known_methods()}
    assert {name: takes[name] for name in (*TAKE_ONE, *TAKE_SEVERAL)} == {
        **dict.fromkeys(TAKE_ONE, 1),
        **dict.fromkeys(TAKE_SEVERAL, 8),
    }


def test_the_question_calls_the_images_by_their_names(docs: Dataset) -> None:
    one, two, three, head = (sample.open() for sample in samples(docs, Asked()))
    assert one.question.stem == "What is in\n?"
    assert [image.size for image in three.images] == list(SIZES)
    assert two.question.stem == "How do [image 1]\nand [image 2]\ndiffer?"
    assert three.question.options == (Option("A", "[image 2]"), Option("B", "[image 3]"))
    assert head.question.full.split() == ["How", "many", "are", "there?", "One", "word."], (
        "images that stand before it all"
    )


@pytest.mark.parametrize("name", TAKE_ONE)
def test_one_with_several_is_refused_before_anything_is_opened(name: str, docs: Dataset) -> None:
    asked = Asked()
    with pytest.raises(UnusableTask, match=rf"mmmu_val/validation/1 has 2 images, and method {name} takes one image"):
        refuse_too_many(samples(docs, asked), method_named(name))
    assert asked.count == 1, "the first with more than one image in its columns"
    refuse_too_many(samples(docs, asked)[:1], method_named(name))
    assert asked.count == 1, "no document is decoded whose columns hold one image"


@pytest.mark.parametrize("name", TAKE_SEVERAL)
def test_others_take_it(name: str, docs: Dataset) -> None:
    asked = Asked()
    refuse_too_many(samples(docs, asked), method_named(name))
    assert asked.count == 0


@pytest.mark.parametrize("name", TAKE_SEVERAL)
def test_more_than_any_method_takes(name: str) -> None:
    pictures = [Pillow.new("RGB", (8, 8)) for _ in range(9)]
    rows = [{"images": pictures[:2], "q": "Which?"}, {"images": pictures, "q": "Which?"}]
    listed = Dataset.from_list(rows, features=Features({"images": List(Image()), "q": Value("string")}))

    def to_messages(document: Any) -> Any:
        shown = [{"type": "image", "url": image} for image in document["images"]]
        return [{"role": "user", "content": [*shown, {"type": "text", "text": document["q"]}]}]

    with pytest.raises(UnusableTask, match=r"/1 has 9 images, .* at most 8 images a sample; no method takes so many"):
        refuse_too_many(samples(listed, to_messages), method_named(name))


def test_a_column_more_that_the_task_does_not_show_refuses_nothing(docs: Dataset) -> None:
    rows = [{**document, "question": "What is in <image 1>?"} for document in DOCUMENTS[:2]]
    rows[1]["options"] = "['a', 'b']"
    refuse_too_many(samples(Dataset.from_list(rows, features=FEATURES), Asked()), method_named("ergo"))


def test_one_damaged_image_of_two_is_a_sample_counted_as_wrong() -> None:
    broken = {**DOCUMENTS[1], "image_2": {"bytes": b"no picture", "path": None}}
    (sample,) = samples(Dataset.from_list([broken], features=FEATURES), Asked())
    with pytest.raises(UnusableSample):
        sample.open()
    refuse_too_many([sample], method_named("ergo"))
