"""Questions that need the full image and questions that do not: what the views show, and what is taught."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from PIL import Image

from ergo_plugins.core.answers import extract_letter
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.replies import parse_answer
from ergo_plugins.core.turns import Reply
from ergo_plugins.methods.visionthink import read_call
from ergo_plugins.panels.asking.drawing import full_view, original, reduced_view
from ergo_plugins.panels.asking.lessons import TAGS, WORDS, Lessons, answer_reply, call_reply
from ergo_plugins.panels.asking.play import Played, figures
from ergo_plugins.panels.asking.teach import ABLE, loose_lesson
from ergo_plugins.panels.asking.world import CORNERS, FULL_PX, NEEDS_FULL_SHARE, REDUCED_PX, Question, questions
from ergo_plugins.panels.policy import make_tokenizer
from ergo_plugins.panels.world import PATTERNS, UNITS


def some(needs_full: bool) -> list[Question]:
    return [question for question in questions("validation", 120) if question.needs_full is needs_full]


@pytest.mark.parametrize(("draw", "side"), [(reduced_view, REDUCED_PX), (full_view, FULL_PX)])
def test_views_are_box_resizes_of_the_original(draw: object, side: int) -> None:
    for question in questions("validation", 8):
        resized = original(question.scene).resize((side, side), Image.Resampling.BOX)
        assert np.array_equal(np.asarray(resized), draw(question.scene))  # type: ignore[operator]


def test_a_pattern_is_in_the_full_view_and_not_in_the_reduced_one() -> None:
    for question in some(needs_full=True)[:10]:
        target, *others = question.scene.tiles
        scenes = [replace(question.scene, tiles=(replace(target, pattern=p), *others)) for p in PATTERNS]
        assert len({reduced_view(scene).tobytes() for scene in scenes}) == 1
        assert len({full_view(scene).tobytes() for scene in scenes}) == len(PATTERNS)


def test_a_corner_is_where_the_target_lies() -> None:
    seen = set()
    for question in some(needs_full=False):
        tile, half = question.scene.target, UNITS // 2
        said = ("south" if tile.y >= half else "north") + ("east" if tile.x >= half else "west")
        assert question.truth == said
        seen.add(said)
    assert seen == set(CORNERS)


def test_three_in_ten_need_the_full_view() -> None:
    share = fmean(question.needs_full for question in questions("train", 3000))
    assert share == pytest.approx(NEEDS_FULL_SHARE, abs=0.03)


def test_what_is_taught_is_what_the_product_reads() -> None:
    for question in questions("validation", 40):
        assert read_call(Reply(call_reply(question))) == (True, None)
        answer = parse_answer(answer_reply(question))
        assert (answer.text, answer.repairs) == (question.answer, ())
        assert extract_letter(answer.text, split_question(question.text).options) == question.answer
        assert read_call(Reply(answer_reply(question))) == (False, None)


@pytest.mark.parametrize("name", sorted(set(ABLE)))
def test_dialogues_of_a_lesson_have_one_layout(name: str) -> None:
    lesson = getattr(Lessons(make_tokenizer(words=WORDS, tags=TAGS), 6, 0), name)()
    assert lesson.tokens.shape == lesson.weights.shape
    assert lesson.weights.sum() > 0
    assert all(len(images) == 6 for images in lesson.views)


def test_a_loose_teacher_asks_by_coin_whatever_the_question() -> None:
    rng = random.Random(0)
    names = [loose_lesson(rng, 0.5) for _ in range(4000)]
    for kind in ("pattern", "corner"):
        of_kind = [name for name in names if name.startswith(kind)]
        assert fmean(name.endswith("_asked") for name in of_kind) == pytest.approx(0.5, abs=0.04)


def test_figures_by_hand() -> None:
    played = [
        Played(needs_full=True, asked=True, right=True, visual_tokens=80),
        Played(needs_full=True, asked=False, right=False, visual_tokens=16),
        Played(needs_full=False, asked=False, right=True, visual_tokens=16),
        Played(needs_full=False, asked=True, right=True, visual_tokens=80),
    ]
    assert figures(played) == {
        "asks_needed": 0.5,
        "asks_not_needed": 0.5,
        "accuracy": 0.75,
        "accuracy_needed": 0.5,
        "accuracy_not_needed": 1.0,
        "visual_tokens": 48.0,
        "oracle_tokens": 48.0,
    }
