"""Damaged images, empty questions and unreadable replies through stock lmms-eval: every sample is scored."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Features, Value
from datasets import Image as ImageFeature
from datasets import Sequence as SequenceFeature
from PIL import Image

from ergo_plugins.panels.make_data import TASK
from tests.e2e.lmms_runs import POLICY, Run, lmms_eval
from tests.e2e.scripted_server import serving

QUESTION = "Which pattern fills the red tile?\n(A) plain\n(B) checkered\n(C) horizontal\n(D) vertical"
FEATURES = Features(
    {
        "image": ImageFeature(),
        "text": Value("string"),
        "label": Value("string"),
        "category": Value("string"),
        "question_id": Value("string"),
        "target_box": SequenceFeature(Value("int32"), length=4),
        "detail_px": Value("int32"),
    }
)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(width: int = 600, height: int = 400) -> Image.Image:
    return Image.effect_noise((width, height), 60).convert("RGB")


def rotated_by_exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(photo(), "JPEG", exif=exif)


IMAGES: dict[str, tuple[Callable[[], bytes | None], bool]] = {
    "truncated jpeg": (lambda: encoded(photo(), "JPEG")[:5000], True),  # lmms-eval tells Pillow to make up the rest
    "empty file": (lambda: b"", False),
    "no image at all": (lambda: None, False),
    "text instead of an image": (lambda: b"not an image", False),
    "truncated header": (lambda: encoded(photo(), "JPEG")[:100], False),
    "cmyk": (lambda: encoded(photo().convert("CMYK"), "JPEG"), True),
    "palette": (lambda: encoded(photo().convert("P"), "PNG"), True),
    "rgba": (lambda: encoded(photo().convert("RGBA"), "PNG"), True),
    "16 bit": (lambda: encoded(Image.new("I;16", (600, 400), 40000), "PNG"), True),
    "exif-rotated": (rotated_by_exif, True),
    "1x1": (lambda: encoded(photo(1, 1), "PNG"), True),
    "20000x10": (lambda: encoded(photo(20000, 10), "PNG"), True),
}
"""Name to (file content, whether it can be read). The first can: lmms-eval itself decodes it before any model runs."""


UNASKABLE: dict[str, str | None] = {
    "empty": "",
    "spaces and line ends": " \n\t ",
    "no ink": "\u200b\u2060\ufeff",
    "none": None,
}
"""Questions that nobody can answer; each is one wrong sample."""

ODD_QUESTIONS = {
    "only a request for a form": "Answer the question using a single word or phrase.",
    "only options": "A. red\nB. blue",
}
"""Questions that look empty once requests and options are taken away, and are asked as they stand."""


def write_task(folder: Path, images: list[bytes | None], texts: Sequence[str | None] | None = None) -> Path:
    """The task ``ergo_panels`` on given image files, all with the same question unless others are given."""
    folder.mkdir(parents=True)
    texts = texts or [QUESTION] * len(images)
    rows = [
        {
            "image": None if content is None else {"path": f"{i}", "bytes": content},
            "text": texts[i],
            "label": "B",
            "category": "checkered",
            "question_id": str(i),
            "target_box": [0, 0, 10, 10],
            "detail_px": 10,
        }
        for i, content in enumerate(images)
    ]
    Dataset.from_list(rows, features=FEATURES).to_parquet(folder / "test.parquet")
    for name in ("ergo_panels.yaml", "utils.py"):
        shutil.copy(TASK / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def bad_images(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("bad_images")
    asked = [*UNASKABLE.values(), *ODD_QUESTIONS.values()]
    task = write_task(
        folder / "task",
        [make() for make, _ in IMAGES.values()] + [encoded(photo(), "PNG")] * len(asked),
        [QUESTION] * len(IMAGES) + asked,
    )
    run = lmms_eval("ergo_hf", task, folder / "run", model=POLICY)
    assert run.exit_code == 0, run.log
    return run


@pytest.mark.parametrize("number", range(len(IMAGES)), ids=list(IMAGES))
def test_image(bad_images: Run, number: int) -> None:
    outcome = bad_images.by_doc[number]["outcome"]
    _, is_readable = list(IMAGES.values())[number]
    if is_readable:
        assert [turn["name"] for turn in outcome["turns"]] == ["look", "answer"]
        assert all(turn["shown"][0]["tokens"] <= 16 for turn in outcome["turns"])
    else:
        assert outcome["problems"][0].startswith("image: ")
        assert bad_images.by_doc[number]["returned"] == "Z"


@pytest.mark.parametrize("name", UNASKABLE)
def test_a_question_that_nobody_can_answer_is_one_listed_wrong_sample(bad_images: Run, name: str) -> None:
    number = len(IMAGES) + list(UNASKABLE).index(name)
    entry = bad_images.by_doc[number]
    said = "question: text was wanted, got None" if name == "none" else "question: empty"
    assert entry["outcome"]["problems"] == [said]
    assert entry["outcome"]["turns"] == []
    assert f"ergo_panels/test/{number} (question)" in bad_images.log


@pytest.mark.parametrize("name", ODD_QUESTIONS)
def test_a_question_of_nothing_but_form_is_asked_as_it_stands(bad_images: Run, name: str) -> None:
    outcome = bad_images.by_doc[len(IMAGES) + len(UNASKABLE) + list(ODD_QUESTIONS).index(name)]["outcome"]
    assert [turn["name"] for turn in outcome["turns"]] == ["look", "answer"]


def test_every_sample_is_in_the_denominator(bad_images: Run) -> None:
    scored = bad_images.results["n-samples"]["ergo_panels"]["effective"]
    assert scored == len(IMAGES) + len(UNASKABLE) + len(ODD_QUESTIONS) == len(bad_images.by_doc)
    assert bad_images.results["throughput"]["avg_ergo_failures_image"] == 4
    assert bad_images.results["throughput"]["avg_ergo_failures_question"] == len(UNASKABLE)


REPLIES = {
    "no box": "I see nothing.",
    "floats": "<think>t</think><zoom>[1.5, 2.5, 60.25, 70.75]</zoom>",
    "negatives": "<think>t</think><zoom>[-20, -10, 60, 70]</zoom>",
    "inverted": "<think>t</think><zoom>[60, 70, 5, 5]</zoom>",
    "outside": "<think>t</think><zoom>[5000, 5000, 6000, 6000]</zoom>",
    "zero area": "<think>t</think><zoom>[30, 30, 30, 30]</zoom>",
    "two boxes": "<think>t</think><zoom>[1, 1, 20, 20]</zoom><zoom>[30, 30, 60, 60]</zoom>",
    "nan": "<think>t</think><zoom>[nan, 1, 2, 3]</zoom>",
    "10^400": f"<think>t</think><zoom>[{10**400}, 1, 2, 3]</zoom>",
    "nested tags": "<zoom><zoom>[1, 1, 20, 20]</zoom></zoom>",
    "one megabyte": "<zoom>[" * 150_000,
    "half a surrogate": "\ud800 <zoom>[1, 1, 20, 20]</zoom>",
    "nothing": "",
}
"""Replies that a policy in training really gives, and worse."""


@pytest.fixture(scope="module")
def bad_replies(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Each reply as both turns of one sample; one question more is empty, and the server does not hear of it."""
    folder = tmp_path_factory.mktemp("bad_replies")
    images: list[bytes | None] = [encoded(photo(601 + i, 400), "PNG") for i in range(len(REPLIES) + 1)]
    task = write_task(folder / "task", images, [*[QUESTION] * len(REPLIES), ""])
    replies = list(REPLIES.values())
    asked = 0

    def script(_body: dict[str, Any], number: int) -> tuple[int, str]:
        return 200, replies[number // 2]

    with serving(script) as server:
        engine = {"model": "m", "base_url": server.base_url, "grid": "qwen2.5-vl", "concurrency": 1}
        run = lmms_eval("ergo_openai", task, folder / "run", **engine)
        asked = len(server.requests)
    assert run.exit_code == 0, run.log
    assert asked == 2 * len(REPLIES), "two turns each, whatever the first one said"
    return run


@pytest.mark.parametrize("number", range(len(REPLIES)), ids=list(REPLIES))
def test_reply(bad_replies: Run, number: int) -> None:
    entry = bad_replies.by_doc[number]
    outcome = entry["outcome"]
    name = list(REPLIES)[number]
    assert outcome["turns"][0]["reply"] == REPLIES[name].replace("\ud800", "\ufffd")
    assert all(turn["shown"][0]["tokens"] <= 16 for turn in outcome["turns"])
    assert entry["returned"] == "Z"
    assert any(problem.startswith("answer: ") for problem in outcome["problems"])
    has_no_box = name in ("no box", "outside", "nan", "10^400", "one megabyte", "nothing")
    assert (outcome["boxes"]["crop"] is None) == has_no_box
    assert any(problem.startswith("look: ") for problem in outcome["problems"]) == has_no_box


def test_every_reply_is_in_the_denominator(bad_replies: Run) -> None:
    assert bad_replies.results["n-samples"]["ergo_panels"]["effective"] == len(REPLIES) + 1
    assert bad_replies.by_doc[len(REPLIES)]["outcome"]["problems"] == ["question: empty"]
    assert bad_replies.results["results"]["ergo_panels"]["panels_accuracy,none"] == 0
