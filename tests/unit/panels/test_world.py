"""The panels world keeps its promises: nothing leaks into the coarse view, and the fast path is the real one."""

import random
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from ergo_plugins.core.geometry import Box, Size, whole
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord
from ergo_plugins.core.questions import split_question
from ergo_plugins.panels import drawing, world
from ergo_plugins.panels.tasks import utils as task

SCALES = world.WorldConfig().scales


def scene(seed: int = 7, **changes: object):
    return replace(world.make_scene(seed), **changes)


def filled(scene, pattern: str):
    """The scene with its target in another pattern."""
    return replace(scene, tiles=(replace(scene.target, pattern=pattern), *scene.tiles[1:]))


def resized(image: Image.Image, view: Size, box: Box) -> np.ndarray:
    return np.asarray(image.resize((view.width, view.height), Image.Resampling.BOX, box=box.as_tuple()))


def grid_boxes() -> list[Box]:
    """Boxes of the coarse view on its 4 x 4 grid: all squares, and some that are not."""
    squares = [(x, y, k, k) for k in range(1, 5) for x in range(5 - k) for y in range(5 - k)]
    others = [(0, 1, 1, 2), (1, 0, 3, 1), (0, 0, 4, 2), (2, 1, 2, 3)]
    return [Box(x, y, x + width, y + height).scaled(28, 28) for x, y, width, height in squares + others]


@pytest.mark.parametrize("scale", SCALES)
def test_the_coarse_view_says_nothing_about_any_pattern(scale):
    expected = drawing.coarse_view(scene(scale=scale))
    for pattern in world.PATTERNS:
        view = drawing.original(filled(scene(scale=scale), pattern)).resize((112, 112), Image.Resampling.BOX)
        np.testing.assert_array_equal(np.asarray(view), expected, err_msg=pattern)


def test_every_colour_and_contrast_keeps_the_secret():
    for color in world.COLORS:
        for dark in (0.2, 0.35, 0.8):
            tiles = (replace(scene().target, color=color),)
            one = scene(scale=10, dark=dark, tiles=tiles)
            for pattern in world.PATTERNS:
                view = drawing.original(filled(one, pattern)).resize((112, 112), Image.Resampling.BOX)
                np.testing.assert_array_equal(np.asarray(view), drawing.coarse_view(one))


@pytest.mark.parametrize("scale", SCALES)
def test_the_fast_crop_is_the_crop_of_the_original(scale):
    drawn = scene(scale=scale)
    image = drawing.original(drawn)
    for box_view in grid_boxes():
        fast = drawing.crop_view(drawn, box_view)
        real = resized(image, Size(fast.shape[1], fast.shape[0]), drawn.to_source(box_view))
        np.testing.assert_array_equal(fast, real, err_msg=str(box_view))


def test_a_box_off_the_grid_is_cropped_from_the_original():
    drawn = scene(scale=10)
    image = drawing.original(drawn)
    for box_view in (Box(3, 5, 40, 33), Box(1, 0, 112, 111), Box(50, 60, 51, 62), Box(10.3, 20.7, 70.1, 99.9)):
        fast = drawing.crop_view(drawn, box_view)
        real = resized(image, Size(fast.shape[1], fast.shape[0]), drawn.to_source(box_view))
        np.testing.assert_array_equal(fast, real, err_msg=str(box_view))


def test_full_resolution_tells_the_patterns_apart():
    pictures = {drawing.original(filled(scene(scale=10), pattern)).tobytes() for pattern in world.PATTERNS}
    assert len(pictures) == 4
    cell = Box(*scene().target.cell, *(at + 1 for at in scene().target.cell)).scaled(28, 28)
    assert len({drawing.crop_view(filled(scene(), pattern), cell).tobytes() for pattern in world.PATTERNS}) == 4


def test_originals_are_large_and_mostly_of_the_small_kind():
    sides = [world.make_scene(seed).size.width for seed in range(400)]
    assert set(sides) == {2240, 3584, 5376, 7168}
    assert sum(side <= 3584 for side in sides) > 300
    assert drawing.original(scene(scale=16)).size == (3584, 3584)


def test_a_seed_is_one_scene_and_one_image():
    assert world.make_scene(5) == world.make_scene(5)
    assert drawing.original(scene(scale=10)).tobytes() == drawing.original(scene(scale=10)).tobytes()
    assert len({world.make_scene(seed) for seed in range(500)}) == 500


def test_this_machine_draws_what_every_machine_draws():
    first = world.make_scene(0)
    assert first.text == "Which pattern fills the red tile?\nA. checkered\nB. plain\nC. horizontal\nD. vertical"
    assert (first.scale, first.target) == (16, world.Tile("red", "plain", 28, 196))


def test_splits_and_streams_share_no_seed():
    ranges = list(world.SPLITS.values())
    assert list(world.SPLITS) == ["train", "validation", "test"]
    assert all(before.stop <= after.start for before, after in pairwise(ranges))
    pools = [set(world.scenes(split, 50, stream=stream)) for split in world.SPLITS for stream in (0, 1, 999)]
    assert len(set.union(*pools)) == 9 * 50
    with pytest.raises(ValueError, match="streams are 0 to 999"):
        world.scenes("test", 1, stream=1000)


@pytest.mark.parametrize("panels", [1, 3, 6])
def test_tiles_are_apart_and_inside_their_cells(panels):
    config = world.WorldConfig(panels=panels, offset_step=2)
    for seed in range(100):
        tiles = world.make_scene(seed, config).tiles
        assert len({tile.cell for tile in tiles}) == len({tile.color for tile in tiles}) == panels
        for tile in tiles:
            assert tile.cell == ((tile.x + 27) // 56, (tile.y + 27) // 56)
            assert tile.x % 2 == tile.y % 2 == 0


@pytest.mark.parametrize("wrong", [{"panels": 0}, {"panels": 7}, {"offset_step": 3}, {"scales": (9,)}])
def test_a_world_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="got"):
        world.WorldConfig(**wrong)


def test_the_question_reads_like_a_benchmark_question():
    for seed in range(200):
        asked = world.make_scene(seed)
        question = split_question(asked.text)
        assert question.stem == asked.stem
        assert tuple(option.text for option in question.options) == asked.options
        assert question.letters == tuple("ABCD")
        assert asked.options["ABCD".index(asked.answer)] == asked.target.pattern


def test_the_oracle():
    drawn = scene()
    cell = Box(*drawn.target.cell, *(at + 1 for at in drawn.target.cell)).scaled(28, 28)

    def verdict(box_view: Box):
        return world.oracle(drawn.target_source, drawn.to_source(box_view))

    assert verdict(cell).is_hit
    assert verdict(cell).coverage == 1
    assert not verdict(Box(0, 0, 112, 112)).is_legible
    assert verdict(Box(0, 0, 112, 112)).coverage == 1
    assert not verdict(Box(0, 0, 84, 84)).is_legible
    assert verdict(Box(0, 0, 56, 56)).is_legible
    corner = Box(0, 0, 28, 28) if drawn.target.cell != (0, 0) else Box(84, 84, 112, 112)
    assert verdict(corner) == world.Verdict(0.0, True)
    assert world.oracle(drawn.target_source, None) == world.Verdict(0.0, False)
    side = drawn.target_source.width
    most = drawn.target_source.scaled(1, 1)
    assert world.oracle(most, Box(most.x1, most.y1, most.x2 - 0.1 * side, most.y2)).is_hit
    assert not world.oracle(most, Box(most.x1, most.y1, most.x2 - 0.11 * side, most.y2)).is_hit


class Said(str):
    """An answer that carries its outcome, as this package's models return it."""

    outcome: Outcome


def answered(letter: str, drawn, box_source: Box | None, first_turn: str = "look") -> Said:
    view = world.crop_size(box_source or whole(drawn.size))
    said = Said(letter)
    turns = tuple(TurnRecord(name, (Shown(None, view, 16),), "", "stop") for name in (first_turn, "answer"))
    said.outcome = Outcome(
        "ergo", source=drawn.size, turns=turns, boxes={"crop": box_source} if first_turn == "look" else {}
    )
    return said


def row(drawn) -> dict:
    """A row as make_data.py writes it."""
    box = list(drawn.target_source.as_tuple())
    return {"text": drawn.text, "label": drawn.answer, "target_box": box, "detail_px": drawn.scale}


def test_the_task_scores_a_crop_as_the_oracle_does():
    rng = random.Random(0)
    for drawn in world.scenes("validation", 200):
        x1, y1 = rng.randrange(112), rng.randrange(112)
        box_source = drawn.to_source(Box(x1, y1, rng.randint(x1 + 1, 112), rng.randint(y1 + 1, 112)))
        verdict = world.oracle(drawn.target_source, box_source)
        scores = task.process_results(row(drawn), [answered("A", drawn, box_source)])
        assert scores["target_coverage"] == verdict.coverage
        assert scores["target_hit"] == float(verdict.is_hit)


def test_the_task_scores_letters():
    drawn = scene()
    for reply, expected in ((drawn.answer, 1), (f"({drawn.answer})", 1), (drawn.target.pattern, 1), ("Z", 0), ("", 0)):
        assert task.process_results(row(drawn), [reply]) == {"panels_accuracy": expected}, reply


def test_no_box_covers_nothing_and_no_look_is_not_measured():
    drawn = scene()
    in_vain = task.process_results(row(drawn), [answered("A", drawn, None)])
    assert (in_vain["target_coverage"], in_vain["target_hit"]) == (0, 0)
    unreadable = Said("A")
    unreadable.outcome = Outcome("ergo", problems=("image: damaged",))
    assert task.process_results(row(drawn), [unreadable])["target_coverage"] == 0
    single_pass = task.process_results(row(drawn), [answered("A", drawn, None, first_turn="answer")])
    assert list(single_pass) == ["panels_accuracy"]


def test_the_task_shows_the_whole_question():
    assert task.doc_to_text(row(scene())) == scene().text
