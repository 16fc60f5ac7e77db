"""Questions that one crop settles and questions that need two: what views show, what is taught, what is measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from itertools import product
from statistics import fmean

import numpy as np
import pytest
import yaml
from PIL import Image

from ergo_plugins.core.geometry import Box, Size, VisionGrid
from ergo_plugins.core.images import render
from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Player as Episodes
from ergo_plugins.core.turns import Reply
from ergo_plugins.methods.base import Sample, Target
from ergo_plugins.methods.prompts import read_prompts
from ergo_plugins.methods.tool_zoom import TOOL_ZOOM, ToolZoomPrompts, ToolZoomReward, is_well_formed
from ergo_plugins.panels.policy import make_processor, make_tokenizer
from ergo_plugins.panels.world import CELL_UNITS, PATTERNS, TILE_UNITS
from ergo_plugins.panels.zooming.drawing import crop_of, first_view, original
from ergo_plugins.panels.zooming.lessons import (
    ABLE,
    MOST_LOOKS,
    TAGS,
    WORDS,
    Lessons,
    Plan,
    answer_reply,
    call_reply,
    loose_plans,
)
from ergo_plugins.panels.zooming.play import PROMPTS, Played, figures, settings
from ergo_plugins.panels.zooming.world import (
    CROP_PX,
    CROP_TOKENS,
    NEEDS_TWO_SHARE,
    SCALE,
    VIEW_PX,
    VIEW_TOKENS,
    Question,
    cell_of,
    questions,
)
from tests.e2e.lmms_runs import ROOT


def some(needs: int, count: int = 30) -> list[Question]:
    return list(questions("validation", count, needs=needs))


def filled(question: Question, *patterns: str) -> Question:
    """The same with other patterns on the first tiles."""
    tiles = list(question.scene.tiles)
    for at, pattern in enumerate(patterns):
        tiles[at] = replace(tiles[at], pattern=pattern)
    return replace(question, scene=replace(question.scene, tiles=tuple(tiles)))


def shown(question: Question, box_view: Box, tokens: int) -> bytes:
    """What the product shows of a box of the first view, byte for byte."""
    image = original(question.scene)
    box = box_view.scaled(image.width / VIEW_PX, image.height / VIEW_PX)
    size = VisionGrid().fit(Size(round(box.width), round(box.height)), tokens)
    return render(image, box, size, resample="box").tobytes()


@pytest.mark.parametrize("needs", [1, 2])
def test_views_are_what_the_product_shows(needs: int) -> None:
    for question in some(needs, 6):
        assert shown(question, Box(0, 0, VIEW_PX, VIEW_PX), VIEW_TOKENS) == first_view(question.scene).tobytes()
        for tile in question.scene.tiles:
            assert crop_of(question.scene, tile).shape == (CROP_PX, CROP_PX, 3)
            assert shown(question, cell_of(tile), CROP_TOKENS) == crop_of(question.scene, tile).tobytes()


def test_patterns_are_in_the_crops_of_cells_and_in_no_first_view() -> None:
    for question in some(2, 6):
        scenes = [filled(question, *pair).scene for pair in product(PATTERNS, repeat=2)]
        assert len({first_view(scene).tobytes() for scene in scenes}) == 1
        for at in (0, 1):
            assert len({crop_of(scene, scene.tiles[at]).tobytes() for scene in scenes}) == len(PATTERNS)


def test_a_crop_of_one_asked_tile_says_nothing_of_the_other() -> None:
    for question in some(2, 6):
        for at in (0, 1):
            filled_other = [
                filled(question, *((pattern, "plain") if at else ("plain", pattern))) for pattern in PATTERNS
            ]
            assert len({crop_of(one.scene, one.scene.tiles[at]).tobytes() for one in filled_other}) == 1


def test_no_crop_holds_both_asked_tiles_legibly() -> None:
    grid = VisionGrid()
    for question in some(2, 200):
        first, second = question.asked
        width, height = (abs(a - b) + TILE_UNITS for a, b in ((first.x, second.x), (first.y, second.y)))
        view = grid.fit(Size(width * SCALE, height * SCALE), CROP_TOKENS)
        assert min(width / view.width, height / view.height) >= 2, "a unit is at most half a pixel, along both axes"
        assert first.cell != second.cell
        assert len({tile.cell for tile in question.scene.tiles}) == 3


def test_both_asked_tiles_in_one_crop_are_the_same_bytes_whatever_their_patterns() -> None:
    whole = Box(0, 0, VIEW_PX, VIEW_PX)
    for question in some(2, 3):
        seen = {shown(filled(question, *pair), whole, CROP_TOKENS) for pair in product(PATTERNS, repeat=2)}
        assert len(seen) == 1


def test_answers_are_as_likely_as_each_other() -> None:
    made = list(questions("train", 3000))
    assert fmean(question.needs == 2 for question in made) == pytest.approx(NEEDS_TWO_SHARE, abs=0.03)
    for needs, chance in ((1, 1 / 4), (2, 1 / 16)):
        said = Counter(question.answer for question in made if question.needs == needs)
        assert len(said) == 4**needs
        assert max(said.values()) / said.total() == pytest.approx(chance, abs=0.04)


def played(question: Question, plan: Plan) -> tuple[Outcome, list[dict[str, object]], list[Image.Image]]:
    """The product's conversation when a plan's replies come: its outcome, messages and images."""
    replies = [*(call_reply(question.scene.tiles[at]) for at in plan.looks), answer_reply(question)]
    sample = Sample(original(question.scene), split_question(question.stem))
    player = Episodes(TOOL_ZOOM.episode(sample, settings(), VisionGrid()))
    turn, messages, images = player.start(), [], []
    for reply in replies:
        assert turn is not None
        messages.append({"role": "user", "content": turn.content(lambda image: {"type": "image"})})
        messages.append({"role": "assistant", "content": reply})
        images += turn.images
        turn = player.send(Reply(reply))
    return player.finished(), messages, images


def asked_in(dialogue: str) -> str:
    return dialogue.partition("<|vision_end|>")[2].partition("<|im_end|>")[0]


@pytest.mark.parametrize("plan", sorted(set(ABLE), key=lambda plan: plan.name), ids=lambda plan: plan.name)
def test_what_is_taught_is_the_product_s_conversation(plan: Plan) -> None:
    processor = make_processor(make_tokenizer(words=WORDS, tags=TAGS))
    lesson = Lessons(processor.tokenizer, 2, 0).lesson(plan)
    wanted = processor.tokenizer.decode(lesson.tokens[0])
    for question in questions("train", 1, needs=plan.needs):
        outcome, messages, images = played(question, plan)
        told = processor.apply_chat_template(messages, tokenize=False)
        padded = told.replace("<|image_pad|>", "<|image_pad|>" * CROP_TOKENS)
        padded = padded.replace("<|image_pad|>" * CROP_TOKENS, "<|image_pad|>" * VIEW_TOKENS, 1).rstrip("\n")
        assert outcome.answer == question.answer
        assert is_well_formed(outcome)
        assert outcome.values["delivered"] == len(plan.looks)
        assert Target(question.answer, "text").is_met_by(outcome.answer)
        # the lesson's wording is drawn by lot
        assert wanted == padded.replace(question.stem, asked_in(wanted))
        for image, view in zip(images, lesson.views, strict=True):
            assert np.array_equal(np.asarray(image), view[0])


def test_a_loose_teacher_s_coins() -> None:
    for needs in (1, 2):
        plans = loose_plans(needs)
        assert sum(plans.values()) == pytest.approx(1)
        assert max(len(plan.looks) for plan in plans) == MOST_LOOKS
        assert plans[Plan(needs, ())] == pytest.approx(0.5)
        first = sum(share for plan, share in plans.items() if plan.looks[:1] == (0,))
        assert first == pytest.approx(0.5 * (0.6 + 0.4 / 3))


def test_loose_lessons_weigh_as_likely_as_their_dialogues_are() -> None:
    lessons = Lessons(make_tokenizer(words=WORDS, tags=TAGS), 2, 0, loose=True)
    for needs in (1, 2):
        for plan, share in loose_plans(needs).items():
            weight = float(lessons.lesson(plan).weights[0].sum()) if len(plan.looks) < 2 else None
            if weight:
                assert lessons._drawn[plan] == pytest.approx(share / 2 * weight)


def test_a_tile_fills_a_token_of_its_crop() -> None:
    lessons = Lessons(make_tokenizer(words=WORDS, tags=TAGS), 8, 0)
    facts = lessons.lesson(Plan(2, (0, 1))).facts
    assert (facts["crops"] > 0).sum(-1).eq(1).all()
    assert facts["known"].shape == (8, 3, 6)
    assert CELL_UNITS == 2 * TILE_UNITS


def test_prompts_of_the_recipe_are_those_that_are_measured() -> None:
    assert read_prompts(ROOT / "recipes/tiny/tool_zoom_prompts.yaml", ToolZoomPrompts) == PROMPTS


def test_the_recipe_plays_what_is_measured() -> None:
    recipe = yaml.safe_load((ROOT / "recipes/tiny/train_tool_zoom.yaml").read_text())["ergo"]
    measured = settings()
    episode = {name: value for name, value in recipe["episode"].items() if name != "prompts"}
    assert episode == {name: getattr(measured, name) for name in episode}
    assert recipe["reward"].items() <= asdict(ToolZoomReward()).items()


def test_figures_by_hand() -> None:
    found = figures(
        [
            Played(needs=1, calls=1, right=True, over=False),
            Played(needs=1, calls=2, right=True, over=False),
            Played(needs=2, calls=2, right=True, over=False),
            Played(needs=2, calls=3, right=False, over=True),
        ]
    )
    assert found == {
        "accuracy": 0.75,
        "over_turns": 0.25,
        "accuracy_one": 1.0,
        "calls_one": 1.5,
        "exact_one": 0.5,
        "accuracy_two": 0.5,
        "calls_two": 2.5,
        "exact_two": 0.5,
    }
