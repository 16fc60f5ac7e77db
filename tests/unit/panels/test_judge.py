"""The panels judge: right from every crop that shows the pattern, unknowing of all others, by pixels alone."""

import asyncio
import itertools
import json
import random
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from ergo_plugins.core.geometry import Box, Size, VisionGrid, whole
from ergo_plugins.core.images import RESAMPLERS, render, size_of
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.verdicts import region_prompt
from ergo_plugins.outside.judge import Effort, Judge, JudgeConfig, JudgeError
from ergo_plugins.panels import audit_judge, boxes, drawing, judge, world

SCALE = 4  # of recipes/tiny/train.sh: small originals
T = TypeVar("T")

every_colour = pytest.mark.parametrize("color", world.COLORS)
every_pattern = pytest.mark.parametrize("pattern", world.PATTERNS)


def scene(color: str = "red", pattern: str = "checkered") -> world.Scene:
    """The tile asked for in column 1, row 2, among two others, one of which touches it."""
    others = [other for other in world.COLORS if other != color]
    tiles = (
        world.Tile(color, pattern, 84, 140),
        world.Tile(others[0], "horizontal", 112, 140),
        world.Tile(others[3], "vertical", 196, 0),
    )
    return world.Scene(tiles, tuple(world.PATTERNS), world.WORDINGS[0], SCALE, world.WorldConfig().dark)


def alone(pattern: str, x: int, y: int) -> world.Scene:
    """A red tile anywhere, and no other."""
    return replace(scene(), tiles=(world.Tile("red", pattern, x, y),))


def reading(drawn: world.Scene, box_view: Box) -> str | None:
    return judge.read_pattern(drawing.crop_view(drawn, box_view), drawn.target.color)


def shown_whole(drawn: world.Scene, tokens: int) -> np.ndarray:
    """The original as a judge of ``crop+original`` sees it."""
    image = drawing.original(drawn)
    return np.asarray(render(image, whole(size_of(image)), VisionGrid().fit(size_of(image), tokens)))


@every_pattern
@every_colour
def test_a_crop_that_shows_the_tile_is_read(color: str, pattern: str) -> None:
    drawn = scene(color, pattern)
    crops = {
        "cell": boxes.cell_box(drawn),
        "2 x 2, the tile inside": Box(28, 56, 84, 112),
        "2 x 2, the tile in its corner": Box(0, 56, 56, 112),
        "off the grid": Box(31, 59, 71, 99),
        "between pixels": Box(38.3, 61.7, 71.9, 96.4),
        "not square": Box(35, 62, 60, 99),
        "the tile alone": Box(42, 70, 56, 84),
    }
    for name, box in crops.items():
        assert world.oracle(drawn.target_source, drawn.to_source(box)).is_hit, name
        assert reading(drawn, box) == pattern, name


@every_pattern
@every_colour
def test_other_crops_say_nothing(color: str, pattern: str) -> None:
    drawn = scene(color, pattern)
    crops = {
        "3 x 3": Box(0, 28, 84, 112),
        "whole": boxes.WHOLE_VIEW,
        "blank": Box(0, 0, 28, 28),
        "the cell of another tile": Box(56, 56, 84, 84),
        "a cell off": Box(0, 56, 28, 84),
        "2 x 2 and two pixels more": Box(26, 54, 84, 112),
        "the tile's rim": Box(0, 56, 45, 101),
    }
    for name, box in crops.items():
        assert not world.oracle(drawn.target_source, drawn.to_source(box)).is_hit, name
        assert reading(drawn, box) is None, name


def test_a_coarse_pattern_is_not_taken_for_plain() -> None:
    views = [drawing.coarse_view(scene(pattern=pattern)) for pattern in world.PATTERNS]
    assert len({view.tobytes() for view in views}) == 1, "one view for all four"
    assert judge.read_pattern(views[0], "red") is None
    enlarged = Image.fromarray(views[0]).resize((1120, 1120), Image.Resampling.NEAREST)
    assert judge.read_pattern(np.asarray(enlarged), "red") == "plain", "no pixel says that these are not units"


@pytest.mark.parametrize("resample", RESAMPLERS)
@every_pattern
def test_any_filter_will_do(pattern: str, resample: str) -> None:
    for color in world.COLORS:
        drawn = scene(color, pattern)
        image = drawing.original(drawn)
        boxes_read = {Box(28, 56, 84, 112): pattern, Box(33, 58, 79, 104): pattern, Box(0, 28, 84, 112): None}
        for box, expected in boxes_read.items():
            view = render(image, drawn.to_source(box), Size(112, 112), resample=resample)
            assert judge.read_pattern(np.asarray(view), color) == expected


@every_pattern
def test_a_striped_neighbour_does_not_move_the_border(pattern: str) -> None:
    for stripes in ("horizontal", "vertical", "checkered"):
        for color, other in (("yellow", "red"), ("blue", "purple"), ("green", "cyan")):
            drawn = scene(color, pattern)
            for x, y in ((112, 140), (56, 140), (84, 112), (84, 168)):
                beside = replace(drawn, tiles=(drawn.target, world.Tile(other, stripes, x, y)))
                assert reading(beside, Box(28, 56, 84, 112)) == pattern
                assert reading(beside, Box(26, 54, 84, 112)) is None


@every_pattern
def test_a_line_of_the_colour_is_no_part_of_the_tile(pattern: str) -> None:
    view = drawing.crop_view(scene(pattern=pattern), Box(30, 60, 80, 110)).copy()
    view[35, :27] = view[:22, 40] = world.COLORS["red"]  # up to the tile, whose corner is at 27, 22
    assert judge.read_pattern(view, "red") == pattern
    assert judge.read_pattern(view, "purple") is None


@pytest.mark.parametrize(("missing", "is_read"), [(2, True), (4, False)])
@every_pattern
def test_a_tenth_of_the_tile_may_be_cut_off(pattern: str, missing: int, is_read: bool) -> None:
    """At one pixel a unit. Enlarged, half a tile is enough, for whoever looks at pixels; the rule says no."""
    drawn = alone(pattern, 98, 140)
    edge = (98 + world.TILE_UNITS - missing) / 2
    box = Box(edge - 56, 50, edge, 106)
    assert world.oracle(drawn.target_source, drawn.to_source(box)).is_hit == is_read
    assert reading(drawn, box) == (pattern if is_read else None)
    half = Box(50, 60, 70, 80)
    assert not world.oracle(drawn.target_source, drawn.to_source(half)).is_hit
    assert reading(drawn, half) == pattern


@pytest.mark.parametrize("pattern", ["horizontal", "vertical", "checkered"])
@pytest.mark.parametrize("units", [1, 2, 3])
def test_a_few_units_are_no_pattern(pattern: str, units: int) -> None:
    drawn = replace(scene(pattern=pattern), scale=32)
    for start in (45, 45.5):
        assert reading(drawn, Box(start, 75, start + units / 2, 75 + units / 2)) is None


def test_it_agrees_with_the_rule_on_the_grid() -> None:
    rng = random.Random(1)
    hits = agreed = 0
    for index, drawn in enumerate(world.scenes("validation", 500)):
        drawn = replace(drawn, scale=SCALE)
        box = boxes.box_around(drawn, rng.randint(1, 4), rng) if index % 2 else boxes.box_anywhere(rng)
        expected = world.oracle(drawn.target_source, drawn.to_source(box)).is_hit
        hits += expected
        agreed += (audit_judge.outcome(drawn, [drawing.crop_view(drawn, box)]) == "right") == expected
    assert 100 < hits < 400
    assert agreed / 500 >= 0.99


def test_off_the_grid_it_misses_nothing_and_is_never_wrong() -> None:
    config = world.WorldConfig(panels=6, offset_step=2)
    rng = random.Random(2)
    drawn = [replace(one, scale=SCALE) for one in world.scenes("validation", 300, config=config)]
    figures = audit_judge.agreement(drawn, audit_judge.box_round_target, rng)
    assert figures["hits"] > 0.2
    assert figures["missed"] + figures["wrong"] <= 0.01
    assert figures["read_though_coarse"] <= 0.1
    anywhere = audit_judge.agreement(drawn, audit_judge.box_of_corners, rng)
    assert anywhere["agree"] >= 0.9
    assert anywhere["missed"] + anywhere["wrong"] == 0


@pytest.mark.parametrize("tokens", [64, 256, 1600])
def test_beside_the_whole_original_any_crop_is_as_good(tokens: int) -> None:
    """The leak that the paper warns of: a judge that sees the original does not judge the crop."""
    rng = random.Random(3)
    for drawn in world.scenes("validation", 12):
        drawn = replace(drawn, scale=8)
        original = shown_whole(drawn, tokens)
        beside = [drawing.crop_view(drawn, choose(drawn, rng)) for choose in audit_judge.CROPS.values()]
        assert {audit_judge.outcome(drawn, [crop, original]) for crop in beside} == {"right"}
        assert {audit_judge.outcome(drawn, [crop]) for crop in beside} == {"right", "unknown"}
        assert audit_judge.outcome(drawn, [beside[-1], shown_whole(drawn, 16)]) == "unknown"


@every_pattern
def test_an_original_at_its_own_size_is_read(pattern: str) -> None:
    drawn = replace(alone(pattern, 98, 126), scale=10)
    view = np.asarray(drawing.original(drawn))
    assert judge.read_pattern(view, "red") == pattern
    assert judge.read_pattern(view, "cyan") is None


def test_the_letter_is_that_of_the_option() -> None:
    view = drawing.crop_view(scene(), Box(28, 56, 56, 84))
    for options in itertools.permutations(world.PATTERNS):
        lines = (f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
        question = "\n".join(["There is one red tile in this picture. How is it filled?", *lines])
        assert judge.answer(question, [view]) == f"<answer>{'ABCD'[options.index('checkered')]}</answer>"
    assert judge.answer("Is the red tile\nA. plain\nB. dotted", [view]) == "<answer>unknown</answer>"


@pytest.mark.parametrize("question", ["Which pattern fills the red tile?", "Which car is it?\nA. red\nB. blue"])
def test_other_questions_are_refused(question: str) -> None:
    with pytest.raises(ValueError, match="this judge knows questions with options about a tile"):
        judge.answer(question, [])


def test_it_knows_no_scenes() -> None:
    assert not {"Scene", "Tile", "make_scene", "scenes", "oracle", "drawing", "boxes"} & set(vars(judge))


def with_server(ask: Callable[[str], Awaitable[T]]) -> T:
    """What ``ask`` returns, given the URL of a judge that serves meanwhile."""

    async def main() -> T:
        runner = web.AppRunner(judge.application())
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            return await ask(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        finally:
            await runner.cleanup()

    return asyncio.run(main())


def asker(url: str, model: str = judge.MODEL) -> Judge:
    return Judge(JudgeConfig(source="endpoints", urls=(url,), model=model, attempts=1), (url,), model)


def test_the_server_answers_the_judge_of_rewards() -> None:
    async def ask(url: str) -> list[str | None]:
        asking, said = asker(url), []
        try:
            for drawn in world.scenes("validation", 6):
                crops = (boxes.cell_box(drawn), Box(0, 0, 84, 84), boxes.WHOLE_VIEW)
                views = [[drawing.crop_view(drawn, crop)] for crop in crops]
                views.append([views[2][0], shown_whole(replace(drawn, scale=SCALE), 1280)])
                for view in views:
                    images = [Image.fromarray(one) for one in view]
                    said.append(await asking.answer_from(split_question(drawn.text), "option", images, Effort()))
                said.append(drawn.answer)
        finally:
            await asking.close()
        return said

    said = with_server(ask)
    for cell, three, coarse, beside_original, expected in zip(*[iter(said)] * 5, strict=True):
        assert cell == beside_original == expected
        assert three is None
        assert coarse is None


def test_what_it_cannot_judge_is_refused_and_no_verdict() -> None:
    async def ask(url: str) -> list[str]:
        errors = []
        image = Image.new("RGB", (56, 56))
        requests = [
            (judge.MODEL, "Which car is it?\nA. red\nB. blue", [image]),
            (judge.MODEL, "Which pattern fills the red tile?\nA. plain\nB. checkered", []),
            ("another", "Which pattern fills the red tile?\nA. plain\nB. checkered", [image]),
        ]
        for model, question, images in requests:
            asking = asker(url, model)
            with pytest.raises(JudgeError) as refused:
                await asking.answer_from(split_question(question), "option", images, Effort())
            errors.append(str(refused.value))
            await asking.close()
        async with aiohttp.ClientSession() as session:
            for body in (b"{", b"[]", b'{"model": "panels-judge", "messages": []}'):
                async with session.post(f"{url}/chat/completions", data=body) as reply:
                    errors.append(f"status {reply.status}")
        return errors

    errors = with_server(ask)
    assert all("status 400" in errors[i] for i in (0, 1, 3, 4, 5))
    assert "this judge knows questions" in errors[0]
    assert "no image" in errors[1]
    assert "status 404" in errors[2]


def test_the_commands(tmp_path: Path) -> None:
    """The server's, and the audit's on it and without it."""
    serving = subprocess.Popen([sys.executable, "-m", judge.__name__, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert serving.stdout is not None
        url = serving.stdout.readline().strip()
        audit = [sys.executable, "-m", audit_judge.__name__, "--scenes", "4", "--originals", "1", "-o"]
        over = [tmp_path / "asked.json", "--url", url]
        asked = subprocess.run([*audit, *over], check=True, capture_output=True, text=True)
        subprocess.run([*audit, tmp_path / "figures.json"], check=True, capture_output=True)
    finally:
        serving.terminate()
        serving.wait(10)
    figures = json.loads((tmp_path / "figures.json").read_text())
    over_the_wire = json.loads((tmp_path / "asked.json").read_text())["views"]
    assert over_the_wire == {name: figures["views"][name] for name in over_the_wire}
    assert over_the_wire["2 x 2 cells round it"] == {"views": 4, "right": 1.0, "unknown": 0.0, "wrong": 0.0}
    assert over_the_wire["a wrong cell"]["unknown"] == 1
    assert "the whole view, 16 tokens" in asked.stdout


def test_the_prompt_of_rewards_is_understood() -> None:
    drawn = scene()
    for with_original in (False, True):
        prompt = region_prompt(split_question(drawn.text), with_original=with_original)
        view = drawing.crop_view(drawn, boxes.cell_box(drawn))
        assert judge.answer(prompt, [view]) == f"<answer>{drawn.answer}</answer>"
