"""Previews inside the page: small pictures as data URLs, and boxes drawn over them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

from ..core.geometry import Box, Size
from ..core.images import render, size_of, to_rgb
from ..outside.image_files import open_image
from .read.rows import Cut, Row

LONGEST_SIDE_PX = 640
JPEG_QUALITY = 82
FOLDERS_NAMED = 3

_AS_IT_IS = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A preview for an ``img`` element."""

    data_url: str
    size: Size


def embed(path: Path) -> Picture:
    """A preview's file as it is, or reduced where it is larger than `LONGEST_SIDE_PX`.

    Raises:
        OSError: there is no such file, it is not a picture, or it is too large to be one.
    """
    content = path.read_bytes()
    with open_image(io.BytesIO(content)) as image:
        kind = _AS_IT_IS.get(image.format or "")
        if kind is None or max(image.size) > LONGEST_SIDE_PX:
            small = to_rgb(image)
            small.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
            return _compressed(small)
        image.load()  # a damaged file is told here and not by an empty frame in the page
        return Picture(_data_url(kind, content), size_of(image))


def embed_cut(cut: Cut, decoded: Callable[[Path], Image.Image]) -> Picture:
    """What a turn showed, made again; never larger than `LONGEST_SIDE_PX`.

    Args:
        decoded: opens an original, RGB and upright.

    Raises:
        OSError: the original is missing or damaged, or is not the one it was.
    """
    original = decoded(cut.original)
    if size_of(original) != cut.source:
        raise OSError(f"{cut.original} is of another size than the original that was shown")
    scale = min(1, LONGEST_SIDE_PX / max(cut.view.width, cut.view.height))
    small = Size(max(1, round(cut.view.width * scale)), max(1, round(cut.view.height * scale)))
    return _compressed(render(original, cut.region, small))


def _decode(path: Path) -> Image.Image:
    with open_image(path) as image:
        return to_rgb(image)


def _compressed(image: Image.Image) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return Picture(_data_url("image/jpeg", buffer.getvalue()), size_of(image))


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def embed_all(rows: Sequence[Row], limit: int) -> tuple[dict[int, dict[str, Picture]], int]:
    """``(pictures by turn name by row number, how many files could not be shown)`` for at most ``limit`` rows."""
    pictures: dict[int, dict[str, Picture]] = {}
    unreadable = 0
    decoded = lru_cache(maxsize=1)(_decode)  # the rollouts of a prompt stand together, and an original is large
    for number in chosen(rows, limit):
        found: dict[str, Picture] = {}
        for turn, kept in rows[number].previews.items():
            try:
                found[turn] = embed_cut(kept, decoded) if isinstance(kept, Cut) else embed(kept)
            except (OSError, ValueError):  # ValueError: what no file can be called; counted, and said in the page
                unreadable += 1
        if found:
            pictures[number] = found
    return pictures, unreadable


def chosen(rows: Sequence[Row], limit: int) -> list[int]:
    """Numbers of the rows whose previews are shown: those that went wrong get up to half of the places, the first of
    the others the rest."""
    having = [number for number, row in enumerate(rows) if row.previews]
    if len(having) <= limit:
        return having
    wrong = [number for number in having if rows[number].went_wrong]
    fine = [number for number in having if not rows[number].went_wrong]
    places_for_wrong = max(limit // 2, limit - len(fine))
    return sorted((wrong[:places_for_wrong] + fine)[:limit])


def local_images(rows: Sequence[Row], limit: int) -> str:
    """A sentence on the images of this machine that parts are shown of, since a record names them; empty for none.

    A preview lies beside its journal; an original is wherever a dump of rollouts says, and the dump may be another's.
    """
    shown = [kept for number in chosen(rows, limit) for kept in rows[number].previews.values()]
    originals = {kept.original for kept in shown if isinstance(kept, Cut)}
    if not originals:
        return ""
    folders = sorted({str(original.parent) for original in originals})
    others = f" and {len(folders) - FOLDERS_NAMED:,} other folders" if len(folders) > FOLDERS_NAMED else ""
    files = f"{len(originals):,} image {'file' if len(originals) == 1 else 'files'}"
    return (
        f"The page holds pictures, at most {LONGEST_SIDE_PX} px a side, of {files} of this machine, which the rollouts "
        f"name, in {', '.join(folders[:FOLDERS_NAMED])}{others}."
    )


def boxes_over(source: Size, box_source: Box | None, target_source: Box | None) -> str:
    """A drawing to lay over a picture of the whole source: the crop's box, all else dimmed, and the target's box."""
    drawn = ""
    if box_source is not None:
        b, s = box_source, source
        around = f"M0 0H{s.width}V{s.height}H0ZM{b.x1:g} {b.y1:g}H{b.x2:g}V{b.y2:g}H{b.x1:g}Z"
        drawn += f'<path class="dim" d="{around}"/>{_rectangle("halo", b)}{_rectangle("box", b)}'
    if target_source is not None:
        drawn += _rectangle("target", target_source)
    return (
        f'<svg class="over" viewBox="0 0 {source.width} {source.height}" preserveAspectRatio="none" '
        f'aria-hidden="true">{drawn}</svg>'
    )


def _rectangle(kind: str, box: Box) -> str:
    return f'<rect class="{kind}" x="{box.x1:g}" y="{box.y1:g}" width="{box.width:g}" height="{box.height:g}"/>'
