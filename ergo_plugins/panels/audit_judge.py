"""How often the panels judge answers rightly, by what it is shown, and how well it agrees with the rule.

    python -m ergo_plugins.panels.audit_judge -o audit.json                       # in process, half a minute on 2 cores
    python -m ergo_plugins.panels.audit_judge --url http://127.0.0.1:8765/v1      # asks a server as rewards do

Crops are drawn at ``--scale`` pixels a unit, that of recipes/tiny/train.sh; originals as large as their scene wants.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..core.geometry import Box, VisionGrid, whole
from ..core.images import render, size_of
from ..core.questions import split_question
from ..core.verdicts import read_region_answer, region_prompt
from ..outside.judge import Effort, Judge, JudgeConfig
from .boxes import CELL_PX, CELLS, WHOLE_VIEW, box_anywhere, box_around, cell_box
from .drawing import crop_view, original
from .judge import MODEL, View, answer
from .world import UNITS_PER_VIEW_PX, Scene, oracle, scenes

OUTCOMES = ("right", "unknown", "wrong")
ORIGINAL_TOKENS = (64, 256)
Choice = Callable[[Scene, random.Random], Box]

CROPS: dict[str, Choice] = {
    "the target's cell": lambda scene, rng: cell_box(scene),
    "2 x 2 cells round it": lambda scene, rng: box_around(scene, 2, rng),
    "3 x 3 cells round it": lambda scene, rng: box_around(scene, 3, rng),
    "the whole view, 16 tokens": lambda scene, rng: WHOLE_VIEW,
    "a cell without a tile": lambda scene, rng: rng.choice(_cells_but(scene, {tile.cell for tile in scene.tiles})),
    "a wrong cell": lambda scene, rng: rng.choice(_cells_but(scene, {scene.target.cell})),
}
"""Crops by what they are for the target: whoever judges should be right on the first two, and unknowing on the rest."""


def box_of_corners(scene: Scene, rng: random.Random) -> Box:
    """Any box with whole corners in the coarse view, as a policy writes it, at least 4 pixels wide and high."""
    while True:
        (x1, x2), (y1, y2) = (sorted(rng.choices(range(round(WHOLE_VIEW.width) + 1), k=2)) for _ in "xy")
        if x2 - x1 >= 4 and y2 - y1 >= 4:
            return Box(x1, y1, x2, y2)


def box_round_target(scene: Scene, rng: random.Random) -> Box:
    """A box that holds the target, or most of it: up to 4 pixels of the coarse view are missing on any side.

    Its corners lie anywhere.
    """
    tile = scene.target_source.scaled(*[1 / (UNITS_PER_VIEW_PX * scene.scale)] * 2)
    x1, y1, x2, y2 = (rng.uniform(-4, 50) for _ in range(4))
    return Box(
        max(WHOLE_VIEW.x1, tile.x1 - x1),
        max(WHOLE_VIEW.y1, tile.y1 - y1),
        min(WHOLE_VIEW.x2, tile.x2 + x2),
        min(WHOLE_VIEW.y2, tile.y2 + y2),
    )


BOXES: dict[str, Choice] = {
    "squares of cells, anywhere": lambda scene, rng: box_anywhere(rng),
    "squares of cells, round the target": lambda scene, rng: box_around(scene, rng.randint(1, CELLS), rng),
    "any corners, anywhere": box_of_corners,
    "any corners, round the target": box_round_target,
}
"""Boxes on which the judge is compared with the rule."""


def outcome(scene: Scene, views: Sequence[View]) -> str:
    """One of `OUTCOMES`: what the judge's reply is worth, through the prompt and the reading of any judge."""
    question = split_question(scene.text)
    reply = answer(region_prompt(question, with_original=len(views) > 1), views)
    return _graded(scene, read_region_answer(reply, question, "option"))


def audit(count: int, originals: int, scale: int) -> dict[str, Any]:
    """All figures: shares of outcomes by view, and of agreement by kind of box."""
    rng = random.Random(0)
    drawn = [replace(scene, scale=scale) for scene in scenes("validation", count)]
    views = {
        name: _shares(outcome(scene, [crop_view(scene, choose(scene, rng))]) for scene in drawn)
        for name, choose in CROPS.items()
    }
    large = {name: Counter[str]() for name in ("the original, its own size", *map(_original_name, ORIGINAL_TOKENS))}
    for scene in scenes("validation", originals):
        for name, view in _originals(scene):
            large[name][outcome(scene, [view])] += 1
    views |= {name: _shares(counted.elements()) for name, counted in large.items()}
    rule = {name: agreement(drawn, choose, rng) for name, choose in BOXES.items()}
    return {"scale": scale, "views": views, "rule": rule}


def agreement(drawn: Sequence[Scene], choose: Choice, rng: random.Random) -> dict[str, float]:
    """Shares of boxes on which a right answer goes with `world.oracle`, and of the ways to differ from it."""
    counted = Counter[str]()
    for scene in drawn:
        box = choose(scene, rng)
        said = outcome(scene, [crop_view(scene, box)])
        rule = oracle(scene.target_source, scene.to_source(box))
        counted["hits"] += rule.is_hit
        counted["agree"] += (said == "right") == rule.is_hit
        counted["wrong"] += said == "wrong"
        counted["missed"] += said != "right" and rule.is_hit
        counted["read_though_cut"] += said == "right" and not rule.is_hit and rule.is_legible
        counted["read_though_coarse"] += said == "right" and not rule.is_legible
    names = ("agree", "hits", "missed", "read_though_cut", "read_though_coarse", "wrong")
    return {"boxes": len(drawn)} | {name: round(counted[name] / len(drawn), 4) for name in names}


async def audit_server(url: str, model: str, count: int, scale: int) -> dict[str, Any]:
    """Shares of outcomes by view from a server, asked over the wire of rewards.

    Raises:
        JudgeError: it gives no verdict.
    """
    judge = Judge(JudgeConfig(source="endpoints", urls=(url,), model=model, attempts=2), (url,), model)
    rng, effort = random.Random(0), Effort()

    async def asked(scene: Scene, box: Box) -> str:
        view = Image.fromarray(crop_view(scene, box))
        return _graded(scene, await judge.answer_from(split_question(scene.text), "option", [view], effort))

    try:
        drawn = [replace(scene, scale=scale) for scene in scenes("validation", count)]
        views = {
            name: _shares(await asyncio.gather(*[asked(scene, choose(scene, rng)) for scene in drawn]))
            for name, choose in CROPS.items()
        }
    finally:
        await judge.close()
    return {"url": url, "model": model, "scale": scale, "requests": effort.calls, "views": views}


def table(rows: dict[str, dict[str, float]]) -> str:
    """Rows of figures as text, one name a line."""
    columns = list(next(iter(rows.values())))
    width = max(map(len, rows))
    lines = [" " * width + "".join(f"  {column:>8}" for column in columns)]
    for name, figures in rows.items():
        cells = (f"  {figures[column]:>{max(8, len(column))}.4g}" for column in columns)
        lines.append(f"{name:<{width}}" + "".join(cells))
    return "\n".join(lines)


def _originals(scene: Scene) -> Iterator[tuple[str, View]]:
    """The whole original as ``judge.sees=crop+original`` shows it at some budgets, and as it is."""
    image = original(scene)
    size = size_of(image)
    for tokens in ORIGINAL_TOKENS:
        yield _original_name(tokens), np.asarray(render(image, whole(size), VisionGrid().fit(size, tokens)))
    yield "the original, its own size", np.asarray(image)


def _original_name(tokens: int) -> str:
    return f"the original, {tokens} tokens"


def _graded(scene: Scene, said: str | None) -> str:
    return "unknown" if said is None else "right" if said == scene.answer else "wrong"


def _shares(outcomes: Sequence[str] | Iterator[str]) -> dict[str, float]:
    counted = Counter(outcomes)
    return {"views": counted.total()} | {name: round(counted[name] / counted.total(), 4) for name in OUTCOMES}


def _cells_but(scene: Scene, excluded: set[tuple[int, int]]) -> list[Box]:
    cells = ((column, row) for row in range(CELLS) for column in range(CELLS))
    return [Box(x, y, x + 1, y + 1).scaled(CELL_PX, CELL_PX) for x, y in cells if (x, y) not in excluded]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, help="of the validation split, by default 512, or 32 of a server")
    parser.add_argument("--originals", type=int, default=64, help="scenes whose whole original is drawn")
    parser.add_argument("--scale", type=int, default=4, help="pixels a unit of the originals that crops are cut from")
    parser.add_argument("--url", help="ask this server")
    parser.add_argument("--model", default=MODEL, help="the name it knows its model by")
    parser.add_argument("-o", "--out", type=Path, help="also write the figures there, as JSON")
    given = parser.parse_args()
    if given.url:
        figures = asyncio.run(audit_server(given.url, given.model, given.scenes or 32, given.scale))
    else:
        figures = audit(given.scenes or 512, given.originals, given.scale)
    print("\n\n".join(table(figures[part]) for part in ("views", "rule") if part in figures))
    if given.out:
        given.out.write_text(json.dumps({"command": sys.argv[1:], **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
