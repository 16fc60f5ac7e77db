"""The panels world: large images whose question is settled by a texture that survives only at full resolution.

An image is a lattice of 224 x 224 *units*, and every unit is drawn as a square of ``scale`` x ``scale`` pixels. The
background is a pale gradient that encodes position. On it lie a few square *tiles* of different colours, each filled
with a pattern one unit fine: horizontal stripes, vertical stripes, a checkerboard, or plain colour. The question
names a colour and asks for the pattern.

Seen whole in 16 visual tokens, one view pixel averages 2 x 2 units. Every such block of every pattern has the same
mean, exactly and after rounding, so with a BOX filter the coarse view says where each colour is and **nothing**
about its pattern. Bicubic, bilinear and Lanczos views do leak it, through aliasing.

Frames. ``units`` are the lattice; ``box_view`` is in pixels of the coarse view (2 units each), as a policy writes it;
``box_source`` is in pixels of the original (``1 / scale`` units each).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..core.geometry import Box, Size, VisionGrid

UNITS = 224
"""Side of the lattice."""
CELL_UNITS = 56
"""Side of a cell: what one visual token of the coarse view covers. A tile never crosses a cell's border."""
TILE_UNITS = 28
"""Side of a tile: 1/64 of the image's area."""
UNITS_PER_VIEW_PX = 2
"""Units along one pixel of the coarse view."""
VIEW_TOKENS = 16
"""Budget of the coarse view and of the crop: 112 x 112 pixels of a square image."""

COLORS = {
    "red": (235, 41, 41),
    "green": (31, 191, 61),
    "blue": (41, 61, 241),
    "yellow": (241, 221, 21),
    "purple": (161, 41, 211),
    "cyan": (21, 201, 221),
}
PATTERNS = ("horizontal", "vertical", "checkered", "plain")
LETTERS = "ABCD"
WORDINGS = (
    "Which pattern fills the {color} tile?",
    "Look at the {color} tile. Which pattern does it have?",
    "What is the pattern of the tile that is {color}?",
    "There is one {color} tile in this picture. How is it filled?",
)
"""What is asked, in texts of different length: real batches are ragged, and some trainers need them to be."""

SPLITS = {
    "train": range(0, 1_000_000_000),
    "validation": range(1_000_000_000, 2_000_000_000),
    "test": range(2_000_000_000, 3_000_000_000),
}
"""Seeds of the scenes one may learn from, tune on, and report."""

_GRID = VisionGrid()


@dataclass(frozen=True, slots=True)
class WorldConfig:
    """How hard the world is.

    Attributes:
        panels: tiles in an image, 1 to 6; all but one are distractors.
        offset_step: tiles start at multiples of this many units inside their cell: even, so that they align with
            pixels of the coarse view; 28 aligns them with the patches of a vision encoder as well.
        dark: brightness of the dark half of a pattern, as a share of the bright half. Nearer to 1 is fainter.
        scales: pixels per unit an original may be drawn at; even, so that `drawing.crop_view` has its short cut.
        scale_weights: how often each of them is chosen.
    """

    panels: int = 3
    offset_step: int = 28
    dark: float = 0.35
    scales: tuple[int, ...] = (10, 16, 24, 32)
    scale_weights: tuple[int, ...] = (10, 7, 2, 1)

    def __post_init__(self) -> None:
        if not 1 <= self.panels <= len(COLORS):
            raise ValueError(f"panels is 1 to {len(COLORS)}, one colour each; got {self.panels}")
        if self.offset_step < 2 or self.offset_step % 2:
            raise ValueError(f"offset_step is an even number of units, got {self.offset_step}")
        if any(scale < 2 or scale % 2 for scale in self.scales) or len(self.scales) != len(self.scale_weights):
            raise ValueError(f"scales are even and weighted one by one, got {self.scales} and {self.scale_weights}")


@dataclass(frozen=True, slots=True)
class Tile:
    """A coloured square; ``x`` and ``y`` are its upper left corner in units."""

    color: str
    pattern: str
    x: int
    y: int

    @property
    def cell(self) -> tuple[int, int]:
        """Column and row of the cell that holds it."""
        return self.x // CELL_UNITS, self.y // CELL_UNITS


@dataclass(frozen=True, slots=True)
class Scene:
    """One image and one question about it. ``tiles[0]`` is the one that is asked for."""

    tiles: tuple[Tile, ...]
    options: tuple[str, ...]
    wording: str
    scale: int
    dark: float

    @property
    def target(self) -> Tile:
        return self.tiles[0]

    @property
    def stem(self) -> str:
        """What is asked, without options: the text of a first turn."""
        return self.wording.format(color=self.target.color)

    @property
    def text(self) -> str:
        """The whole question, one option a line: the text of a second turn and of a benchmark's row."""
        lines = (f"{letter}. {option}" for letter, option in zip(LETTERS, self.options, strict=True))
        return "\n".join((self.stem, *lines))

    @property
    def answer(self) -> str:
        """The letter of the target's pattern."""
        return LETTERS[self.options.index(self.target.pattern)]

    @property
    def size(self) -> Size:
        """Of the original, in pixels."""
        return Size(UNITS * self.scale, UNITS * self.scale)

    @property
    def target_source(self) -> Box:
        """The target tile in pixels of the original."""
        x, y = self.target.x, self.target.y
        return Box(x, y, x + TILE_UNITS, y + TILE_UNITS).scaled(self.scale, self.scale)

    def to_source(self, box_view: Box) -> Box:
        """A box of the coarse view in pixels of the original."""
        return box_view.scaled(UNITS_PER_VIEW_PX * self.scale, UNITS_PER_VIEW_PX * self.scale)


def make_scene(seed: int, config: WorldConfig = WorldConfig()) -> Scene:
    """The scene of a seed; the same on every machine."""
    rng = random.Random(seed)
    cells_a_side = UNITS // CELL_UNITS
    cells = rng.sample(range(cells_a_side**2), config.panels)
    offsets = range(0, CELL_UNITS - TILE_UNITS + 1, config.offset_step)
    tiles = tuple(
        Tile(
            color=color,
            pattern=rng.choice(PATTERNS),
            x=cell % cells_a_side * CELL_UNITS + rng.choice(offsets),
            y=cell // cells_a_side * CELL_UNITS + rng.choice(offsets),
        )
        for cell, color in zip(cells, rng.sample(list(COLORS), config.panels), strict=True)
    )
    return Scene(
        tiles=tiles,
        options=tuple(rng.sample(PATTERNS, len(PATTERNS))),
        wording=rng.choice(WORDINGS),
        scale=rng.choices(config.scales, config.scale_weights)[0],
        dark=config.dark,
    )


def first_seed(split: str, *, stream: int = 0) -> int:
    """Seed of the first scene of a stream. Each split has a thousand streams of a million scenes.

    Raises:
        ValueError: there is no such stream.
    """
    if not 0 <= stream < 1000:
        raise ValueError(f"streams are 0 to 999, got {stream}")
    return SPLITS[split].start + stream * 1_000_000


def scenes(split: str, count: int, *, stream: int = 0, config: WorldConfig = WorldConfig()) -> Iterator[Scene]:
    """The first ``count`` scenes of a stream of a split, at most a million."""
    first = first_seed(split, stream=stream)
    if count > 1_000_000:
        raise ValueError(f"a stream holds a million scenes, got count={count}")
    return (make_scene(seed, config) for seed in range(first, first + count))


def crop_size(box_source: Box) -> Size:
    """The view that a crop of the original is shown in, within `VIEW_TOKENS`."""
    return _GRID.fit(Size(round(box_source.width), round(box_source.height)), VIEW_TOKENS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a crop is worth.

    Attributes:
        coverage: share of the target that the crop covers.
        is_legible: whether a unit of the pattern is at least one pixel of the view, along both axes.
    """

    coverage: float
    is_legible: bool

    @property
    def is_hit(self) -> bool:
        """Whether the question can be answered from the crop."""
        return self.coverage >= 0.9 and self.is_legible


def oracle(target_source: Box, box_source: Box | None) -> Verdict:
    """Judge a crop by the ground truth.

    Args:
        target_source: the target tile in pixels of the original, `TILE_UNITS` wide and high.
        box_source: the crop in pixels of the original, not empty; None if there was no usable box.
    """
    if box_source is None:
        return Verdict(0.0, False)
    unit_px = target_source.width / TILE_UNITS
    view = crop_size(box_source)
    is_legible = view.width * unit_px >= box_source.width and view.height * unit_px >= box_source.height
    return Verdict(target_source.coverage_by(box_source), is_legible)
