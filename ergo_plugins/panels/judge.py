"""A judge for the panels world, in place of the paper's 72B model: pixels and a question in, a letter or *unknown* out.

It is given what `outside.judge` sends to any judge and nothing else: no boxes, no seeds, no files. It looks for a
tile of the colour asked for and reads its pattern where the view is fine enough to show one.

Every pattern seen coarsely has the same pixels as a plain tile, to the last byte. Only the tile's size in the view
tells them apart: a tile is `TILE_UNITS` wide, and a pattern is legible at one pixel of the view a unit.

    python -m ergo_plugins.panels.judge --port 8765      # --port 0 takes a free one and prints its URL
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray
from PIL import Image

from ..core.images import to_rgb
from ..core.questions import split_question
from ..core.replies import shown
from ..core.verdicts import UNKNOWN
from .world import COLORS, TILE_UNITS, WorldConfig

MODEL = "panels-judge"
"""The name it answers to."""
MIN_COVERAGE = 0.9
"""Share of `TILE_UNITS` squared, in pixels, that is to be visible of a tile at the edge of a view."""
TOLERANCE_PX = 0.5
"""What a tile's side may be mismeasured by: smooth filters wash its border out."""
MIN_UNITS = 3.5
"""Units along the shorter visible side. With fewer, stripes, a checkerboard and plain colour look alike."""

_COLOR = re.compile(rf"\b({'|'.join(COLORS)})\b", re.IGNORECASE)
_LIKE = 14.0
"""How far from the line of a colour's shades a pixel of its tile lies; of 8 bits. The background is 100 away."""
_SHADES = (0.15, 1.2)
"""Brightness of a tile's pixels, as a share of the colour's; smooth filters overshoot."""
_PLAIN_SHADE, _PLAIN_DEVIATION = (1 + WorldConfig().dark) / 2, 0.1
_FLAT = 0.02
"""Standard deviation of shades below which there is no pattern."""
_RINGING_PX = 2
"""How far a bicubic filter carries a tile's border into it."""
_SEARCHED_PX = 512
"""In views of twice this and more, only some of the pixels are searched for the tile."""

View = NDArray[np.uint8]


def answer(question: str, views: Sequence[View]) -> str:
    """The reply to a question with options: the letter of what the first legible view shows, or *unknown*.

    Args:
        question: with one of the colours in it, and options; what follows these is not read.
        views: ``(height, width, 3)``, RGB.

    Raises:
        ValueError: a question about something else.
    """
    asked = split_question(question)
    color = _COLOR.search(asked.stem)
    if color is None or not asked.options:
        raise ValueError(
            f"this judge knows questions with options about a tile that is {', '.join(COLORS)}; got {shown(question)}"
        )
    patterns = (read_pattern(view, color[1].lower()) for view in views)
    pattern = next((pattern for pattern in patterns if pattern is not None), None)
    letters = (option.letter for option in asked.options if option.text.strip(" .").lower() == pattern)
    return f"<answer>{next(letters, UNKNOWN)}</answer>"


def read_pattern(view: View, color: str) -> str | None:
    """The pattern of a colour's tile; None if the view does not show it legibly.

    A tile is legible if it is `TILE_UNITS` pixels wide and high. One that touches the view's edge may have been cut,
    and a tenth of that area may be missing. This is nearly `covers` (``ergo_plugins.methods.ergo``) and
    `world.oracle`, which know the whole tile. The differences:

    - Of a tile that is cut and enlarged, the visible part can be `TILE_UNITS` pixels wide without being 0.9 of the
      tile. It is read here, rightly; by rule such a crop misses the target.
    - One at the edge is read down to 0.9 pixels a unit, whether something is missing or not.
    - A crop inside a tile that shows fewer than `MIN_UNITS` units is not read here, whatever it covers.
    - At 1 to 1.01 pixels a unit along either axis, shifted by half a unit, a pattern vanishes as it does in a coarse
      view and is taken for plain. At exactly 1, boxes with whole corners in the coarse view are not shifted.

    Plain colour is told from a single unit of a pattern by its shade, for `WorldConfig.dark` as it is by default.

    Args:
        view: ``(height, width, 3)``, RGB, resized with any filter.
        color: a key of `COLORS`.
    """
    view = _searched(view, color)
    shades, unlike = _take_apart(view, color)
    found = _tile(shades, unlike)
    if found is None:
        return None
    rows, columns = found
    height = _extent(unlike[:, columns].mean(axis=1), rows)
    width = _extent(unlike[rows].mean(axis=0), columns)
    shares = [min(1.0, (side + TOLERANCE_PX) / TILE_UNITS) for side in (height, width)]
    is_at_edge = [part.start == 0 or part.stop == side for part, side in zip(found, shades.shape, strict=True)]
    is_large = all(share == 1 or cut for share, cut in zip(shares, is_at_edge, strict=True))
    if not is_large or shares[0] * shares[1] < MIN_COVERAGE:
        return None
    inner = (slice(part.start + _RINGING_PX, part.stop - _RINGING_PX) for part in found)
    return _pattern(shades[tuple(inner)])


def _take_apart(view: View, color: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Every pixel as a shade of a colour, ``(height, width)``, and what is left, ``(height, width, 3)``.

    All pixels of a tile are shades of its colour, and so are their averages: there, nothing is left. At its border,
    the rest is the share of the pixel that belongs to something else, whatever the pattern.
    """
    light = np.array(COLORS[color], np.float32)
    pixels = view.astype(np.float32)
    shades = pixels @ light / float(light @ light)
    return shades, pixels - shades[..., None] * light


def _searched(view: View, color: str) -> View:
    """Of a large view the tile, less a border that it can spare; a view of ordinary size as it is."""
    step = min(view.shape[:2]) // _SEARCHED_PX
    if step < 2:
        return view
    found = _tile(*_take_apart(view[::step, ::step], color))
    if found is None:
        return view[:0, :0]
    return view[tuple(slice(part.start * step, part.stop * step) for part in found)]


def _tile(shades: NDArray[np.float32], unlike: NDArray[np.float32]) -> tuple[slice, slice] | None:
    """Rows and columns of the tile; None without a pixel of its colour.

    A line in which two other colours mix to this one is no part of it.
    """
    is_like = (np.linalg.norm(unlike, axis=-1) < _LIKE) & (shades > _SHADES[0]) & (shades < _SHADES[1])
    if not is_like.any():
        return None
    columns = _longest_run(is_like.sum(axis=0))
    rows = _longest_run(is_like[:, columns].sum(axis=1))
    return rows, _longest_run(is_like[rows].sum(axis=0))


def _longest_run(counts: NDArray[np.int64]) -> slice:
    """The longest run of places with at least half as many as the fullest one."""
    is_full = np.concatenate([[False], counts * 2 >= counts.max(), [False]])
    edges = np.flatnonzero(is_full[1:] != is_full[:-1]).reshape(-1, 2)
    start, stop = edges[np.argmax(edges[:, 1] - edges[:, 0])]
    return slice(int(start), int(stop))


def _extent(unlike: NDArray[np.float32], part: slice) -> float:
    """Pixels along an axis that the tile covers, those at its borders in part.

    Args:
        unlike: what is left of each place along the axis, ``(places, 3)``.
        part: places of the tile.
    """
    extent = float(part.stop - part.start)
    for places, start in ((unlike, part.start), (unlike[::-1], len(unlike) - part.stop)):
        if start:
            # two places: of a striped neighbour, one is bright and one is dark
            outside = places[max(0, start - 2 - _RINGING_PX) : max(1, start - _RINGING_PX)].mean(axis=0)
            border = places[max(0, start - _RINGING_PX) : start + _RINGING_PX]
            shares = 1 - border @ outside / max(1.0, float(outside @ outside))
            extent += float(shares.sum()) - min(_RINGING_PX, part.stop - part.start)
    return extent


def _pattern(shades: NDArray[np.float32]) -> str | None:
    """The pattern of shades; None if they show too little of it."""
    variance = float(shades.var())
    if variance < _FLAT**2:
        return "plain" if abs(float(shades.mean()) - _PLAIN_SHADE) < _PLAIN_DEVIATION else None
    is_light = shades > shades.mean()
    seen = [np.median((is_light != np.roll(is_light, 1, axis)).sum(axis)) / shades.shape[axis] for axis in (0, 1)]
    if max(seen) * min(shades.shape) < MIN_UNITS:
        return None
    if shades.mean(axis=1).var() > variance / 2:
        return "horizontal"
    return "vertical" if shades.mean(axis=0).var() > variance / 2 else "checkered"


def application() -> web.Application:
    """An OpenAI-compatible server."""
    served = web.Application(client_max_size=2**28)
    served.router.add_get("/v1/models", _models)
    served.router.add_post("/v1/chat/completions", _complete)
    return served


async def _models(request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "ergo"}]})


async def _complete(request: web.Request) -> web.Response:
    try:
        body = await request.json()
        if body["model"] != MODEL:
            return _refusal(404, f"the model {body['model']!r} is not served here, {MODEL} is")
        content = await asyncio.to_thread(_reply, body["messages"][-1]["content"])
    except (ValueError, LookupError, TypeError, OSError) as error:
        return _refusal(400, f"{type(error).__name__}: {error}")
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return web.json_response({"object": "chat.completion", "model": MODEL, "choices": [choice]})


def _reply(parts: list[dict[str, Any]]) -> str:
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    views = [_decoded(part["image_url"]["url"]) for part in parts if part["type"] == "image_url"]
    if not views:
        raise ValueError("there is no image to answer from")
    return answer(text, views)


def _decoded(url: str) -> View:
    head, _, encoded = url.partition(",")
    if not re.fullmatch(r"data:image/[\w.+-]+;base64", head):
        raise ValueError(f"images come as data:image/…;base64,… here, got {shown(url)}")
    return np.asarray(to_rgb(Image.open(io.BytesIO(base64.b64decode(encoded)))))


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status)


async def serve(port: int) -> None:
    """Serve on loopback until cancelled; the URL is printed."""
    runner = web.AppRunner(application())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description="A judge for the panels world, on 127.0.0.1.")
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
