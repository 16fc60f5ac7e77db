"""Patterns that nobody can see at first: what views show, what landmarks mean, what is taught, what is measured."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import yaml

from ergo_plugins.core.geometry import Box, VisionGrid
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Player as Episodes
from ergo_plugins.core.turns import Reply
from ergo_plugins.methods.base import Sample
from ergo_plugins.methods.ergo import ERGO, Prompts
from ergo_plugins.methods.prompts import read_prompts
from ergo_plugins.panels.boxes import CELL_PX, CELLS
from ergo_plugins.panels.context.drawing import crop_view, first_view, original
from ergo_plugins.panels.context.lessons import (
    BY_LOT,
    CHOICE,
    EXTENTS,
    WORDS,
    Lessons,
    Look,
    answer_reply,
    look_at,
    look_by_lot,
)
from ergo_plugins.panels.context.oracle import best_crop, best_score, possible_patterns, shows, unread
from ergo_plugins.panels.context.play import RULES, SETTINGS, Played, figures
from ergo_plugins.panels.context.words import words
from ergo_plugins.panels.context.world import (
    DIRECTIONS,
    INNER_CELLS,
    MARKS,
    PATTERNS,
    SHAPES,
    STROKES,
    VIEW_PX,
    Scene,
    WorldConfig,
    cells_at,
    make_scene,
    scenes,
    zone,
)
from ergo_plugins.panels.policy import make_tokenizer
from tests.e2e.lmms_runs import ROOT

LOOK = "<think>x</think><zoom>[{}]</zoom>"


def some(count: int, **config: object) -> list[Scene]:
    return list(scenes("validation", count, config=WorldConfig(**config)))  # type: ignore[arg-type]


def started(scene: Scene, *, empty: bool = False) -> tuple[Episodes, bytes]:
    """A conversation of the product, and the view that it shows first."""
    sample = Sample(original(scene, empty=empty), split_question(scene.question))
    episode = Episodes(ERGO.episode(sample, SETTINGS, VisionGrid()))
    first = episode.start()
    assert first is not None
    return episode, first.images[0].tobytes()


def crop_shown(scene: Scene, look: str, *, empty: bool = False) -> bytes:
    """What the product shows of the box that a reply names."""
    second = started(scene, empty=empty)[0].send(Reply(look))
    assert second is not None
    return second.images[0].tobytes()


def test_first_views_with_and_without_the_pattern_are_equal_to_the_last_byte() -> None:
    for scene in some(500):
        assert started(scene)[1] == started(scene, empty=True)[1] == first_view(scene).tobytes()


def test_looking_everywhere_shows_the_largest_patterns_alone() -> None:
    whole = LOOK.format(f"0, 0, {VIEW_PX}, {VIEW_PX}")
    for scene in some(30):
        is_shown = crop_shown(scene, whole) != crop_shown(scene, whole, empty=True)
        assert is_shown is (scene.pattern.stroke == STROKES[-1])


def test_a_visible_pattern_differs_in_its_frame_alone() -> None:
    for hidden, visible in zip(some(50), some(50, target="visible"), strict=True):
        assert replace(visible, visible=False) == hidden
        differs = (first_view(hidden) != first_view(visible)).any(-1)
        rows, columns = differs.nonzero()
        x, y = hidden.pattern.x, hidden.pattern.y
        assert (columns.min(), columns.max(), rows.min(), rows.max()) == (x, x + 13, y, y + 13)


def test_crops_of_lessons_are_those_of_the_product() -> None:
    rng = random.Random(0)
    for scene in some(60):
        look = look_by_lot(rng)
        assert crop_shown(scene, look.reply(scene)) == crop_view(scene, look.box(scene)).tobytes()


def test_legibility_falls_with_the_size_of_the_crop() -> None:
    scene = some(1)[0]
    seen = {}
    for cells in (1, 2, 4):
        for stroke in STROKES:
            patterned = replace(scene, pattern=replace(scene.pattern, stroke=stroke, x=CELL_PX, y=CELL_PX))
            box = cells_at(1, 1, cells) if cells < CELLS else cells_at(0, 0, CELLS)
            seen[cells, stroke] = shows(patterned, box)
            empty = crop_view(replace(patterned, pattern=replace(patterned.pattern, x=0, y=0)), box)
            if cells < CELLS:
                assert (crop_view(patterned, box).tobytes() != empty.tobytes()) is seen[cells, stroke]
    legible = {cells: [stroke for stroke in STROKES if seen[cells, stroke]] for cells in (1, 2, 4)}
    assert legible == {1: [1, 2, 4], 2: [2, 4], 4: [4]}


def test_patterns_lie_where_the_landmark_asked_about_says() -> None:
    places = Counter()
    for scene in some(500):
        asked = scene.asked
        assert scene.pattern.box.coverage_by(asked.zone) == 1
        assert asked.zone.width == SHAPES[asked.shape] * CELL_PX
        assert asked.color in scene.question
        assert all(mark.color not in scene.question for mark in scene.landmarks[1:])
        places[asked.mark, asked.shape] += 1
    assert set(places) == {(mark, shape) for mark in MARKS for shape in SHAPES}


def test_by_lot_a_landmark_says_nothing() -> None:
    found = Counter()
    for scene in some(2000, placed="by_lot"):
        column, row = scene.asked.cell
        x, y = scene.pattern.x // CELL_PX - column, scene.pattern.y // CELL_PX - row
        found[scene.asked.mark, x, y] += 1
    for x, y in DIRECTIONS.values():
        shares = [found[mark, x, y] / sum(n for (name, *_), n in found.items() if name == mark) for mark in MARKS]
        assert max(shares) - min(shares) < 0.08


def test_zones_lie_inside_the_image_from_everywhere() -> None:
    for cell in INNER_CELLS:
        for name, (right, down) in DIRECTIONS.items():
            for cells in (1, 2):
                box = zone(cell, name, cells)
                assert min(box.as_tuple()) >= 0
                assert max(box.as_tuple()) <= VIEW_PX
            assert zone(cell, name, 1) == cells_at(cell[0] + right, cell[1] + down, 1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"landmarks": 5}, "landmarks is 1 to 4"),
        ({"wide": 1.5}, "wide is a share"),
        ({"strokes": (1.0,)}, "a weight for each"),
        ({"contrast": 50}, "contrast is 1, 2 or 3"),
        ({"target": "seen"}, "target is one of hidden, visible"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        WorldConfig(**wrong)  # type: ignore[arg-type]


def test_the_best_is_one_cell_where_it_is_sure_and_four_where_not() -> None:
    config = WorldConfig()
    for scene in some(40):
        assert sum(chance for chance, _ in possible_patterns(scene, config)) == pytest.approx(1)
        crop, chance = best_crop([scene], config)
        assert crop == scene.asked.zone
        assert chance == pytest.approx(0.5 if scene.is_wide else 1)


def test_who_cannot_read_landmarks_sees_less_than_a_quarter() -> None:
    config = WorldConfig()
    for scene in some(10):
        crop, chance = best_crop(unread(scene), config)
        assert 0.2 < chance < 0.25, "by looking everywhere 0.2"
        assert crop.area > CELL_PX**2


def test_the_best_score_is_what_the_best_crops_show() -> None:
    config = WorldConfig()
    held_out = some(400)
    shown = np.mean([shows(scene, scene.asked.zone) for scene in held_out])
    assert best_score(held_out, config) == pytest.approx(shown, abs=3 * (0.25 * 0.75 / 400) ** 0.5)
    assert best_score(some(100, wide=0.0), config) == pytest.approx(1)


def test_teachers_point_at_what_is_visible_and_else_by_lot() -> None:
    rng, said = random.Random(1), Counter()
    for scene in some(300, placed="by_lot", target="visible"):
        look = look_at(scene, rng)
        assert scene.pattern.box.coverage_by(look.box(scene)) == 1
    for _ in range(4000):
        look = look_by_lot(rng)
        said[look.direction] += 1
        said[look.extent] += 1
    assert all(abs(said[name] / 4000 - 0.25) < 0.03 for name in DIRECTIONS)
    assert all(abs(said[name] / 4000 - share) < 0.03 for name, share in zip(EXTENTS, BY_LOT, strict=True))


def test_no_lesson_tells_where_hidden_patterns_are() -> None:
    """The same lessons come when every mark and shape means something else."""
    tokenizer = make_tokenizer(words=WORDS)
    spoken = {name: tokenizer.convert_tokens_to_ids(f"Ġ{name}") for name in DIRECTIONS}
    marked = {name: tokenizer.convert_tokens_to_ids(name) for name in MARKS}
    said: Counter[tuple[str, str]] = Counter()
    lessons = Lessons(tokenizer, 64, 0)
    for _ in range(12):
        lesson = lessons.looks()
        for row in lesson.tokens.tolist():
            (mark,) = (name for name, token in marked.items() if token in row)
            (direction,) = (name for name, token in spoken.items() if token in row)
            said[mark, direction] += 1
    for mark, means in MARKS.items():
        of_mark = sum(said[mark, direction] for direction in DIRECTIONS)
        assert said[mark, means] / of_mark == pytest.approx(0.25, abs=0.09)


def test_where_a_hidden_pattern_lies_changes_nothing_of_what_its_teacher_says() -> None:
    tokenizer = make_tokenizer(words=WORDS)
    one, other = Lessons(tokenizer, 8, 0), Lessons(tokenizer, 8, 0)
    for scene in some(40):
        moved = replace(scene, pattern=replace(scene.pattern, x=VIEW_PX - scene.pattern.x - 14))
        assert one.look(scene) == other.look(moved)


def test_lessons_weigh_the_words_of_replies() -> None:
    tokenizer = make_tokenizer(words=WORDS)
    lessons = Lessons(tokenizer, 8, 0)
    episodes = lessons.episodes()
    assert [images.shape for images in episodes.views] == [(8, 112, 112, 3), (8, 224, 224, 3)]
    scene = some(1)[0]
    for reply in (Look("northwest", "four").reply(scene), answer_reply(scene)):
        tokens = tokenizer(f"{reply}<|im_end|>", add_special_tokens=False)["input_ids"]
        assert len(tokens) in (18, 7)
    tokens = tokenizer(Look("northwest", "four").reply(scene), add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(tokens[CHOICE]) == ["Ġnorthwest", "Ġfour"]
    assert set(PATTERNS) <= set(tokenizer.get_vocab())


def played(scene: Scene, box: Box, answer: str) -> Played:
    episode, _ = started(scene)
    episode.send(Reply(LOOK.format(", ".join(str(round(corner)) for corner in box.as_tuple()))))
    episode.send(Reply(f"<think>x</think><answer>{answer}</answer>"))
    return Played.of(scene, episode.finished())


def test_figures_follow_the_kind_of_landmark() -> None:
    held_out = some(60)
    found = figures([played(scene, scene.asked.zone, scene.answer) for scene in held_out])
    assert (found["coverage"], found["accuracy"], found["format"]) == (1, 1, 1)
    assert found["region_narrow"] == 1
    assert found["region_wide"] == pytest.approx(
        np.mean([scene.pattern.stroke > 1 for scene in held_out if scene.is_wide]), abs=1e-4
    )
    assert (found["area_narrow"], found["area_wide"], found["ambiguity"]) == (1 / 16, 1 / 4, 1)
    whole = figures([played(scene, Box(0, 0, VIEW_PX, VIEW_PX), "plain") for scene in held_out])
    assert (whole["area"], whole["ambiguity"], whole["accuracy"]) == (1, 0, 0)
    assert whole["region"] == pytest.approx(np.mean([one.pattern.stroke == 4 for one in held_out]), abs=1e-4)


def test_words_of_looks_are_counted() -> None:
    scene = some(1)[0]
    right = Look(MARKS[scene.asked.mark], "one")
    wrong = Look(next(name for name in DIRECTIONS if name != right.direction), "all")
    found = words([right.reply(scene), wrong.reply(scene), wrong.reply(scene), "<zoom>[0, 0, 1, 1]</zoom>"])
    assert (found["looks"], found["said"], found["by_the_mark"]) == (4, 3, 0.3333)
    assert (found["directions"][right.direction], found["directions"][wrong.direction]) == (1, 2)
    assert found["extents"] == {f"{scene.asked.shape} all": 2, f"{scene.asked.shape} one": 1}


def test_what_is_measured_is_what_is_trained() -> None:
    assert read_prompts(ROOT / "recipes/tiny/context_prompts.yaml", Prompts) == SETTINGS.prompts
    recipe = yaml.safe_load((ROOT / "recipes/tiny/train_context.yaml").read_text())["ergo"]
    episode = recipe["episode"]
    del episode["prompts"]
    assert {name: getattr(SETTINGS, name) for name in episode} == episode
    assert recipe["reward"] == {"min_target_px": RULES.min_target_px}
    assert make_scene(7) == make_scene(7)
