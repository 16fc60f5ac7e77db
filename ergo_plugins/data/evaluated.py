"""Pictures of evaluation sets, which must not be learnt from: found by their names, and by what they show.

Two sets may hold one photo under other names, re-encoded, at another size, or mirrored. What it shows is told by which
of two neighbours is brighter, all over a coarse copy; a few of these 256 may differ. Pictures without contrast have no
such mark and are told by their name and content alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from ..core.images import to_rgb
from ..outside.image_files import open_image
from ..outside.image_values import located
from .sources import Source

SIDE = 16
MOST_DIFFERENT = 12
"""Of `SIDE` squared comparisons, how many may fall out otherwise in copies of one picture."""

FEWEST = SIDE * SIDE // 8
"""A mark with fewer ones, or fewer zeros, tells nothing."""

_STEP = 4


@dataclass(slots=True)
class Evaluated:
    """The pictures of evaluation files.

    Attributes:
        names: file by a picture's name without folder and ending; a mirrored copy has its original's name.
        contents: file by the hash of a picture's bytes.
        marks: what pictures show, mirrored as well, and their files.
        by_name_alone: pictures whose file could not be opened.
    """

    names: dict[str, Path] = field(default_factory=dict)
    contents: dict[str, Path] = field(default_factory=dict)
    marks: dict[int, Path] = field(default_factory=dict)
    by_name_alone: int = 0

    @classmethod
    def read(cls, files: Iterable[Path], images: Path | None = None) -> Evaluated:
        """The pictures that the entries of files name or hold.

        Args:
            files: ``.json``, ``.jsonl`` or ``.parquet``.
            images: folder of their pictures; by default each file's own.

        Raises:
            OSError, ValueError: a file cannot be read, or an entry names no picture.
        """
        found = cls()
        for file in files:
            source = Source(file, images or file.parent, file.parent)
            for _, record in source.records():
                found._add(file, source, record)
        return found

    def _add(self, file: Path, source: Source, record: Any) -> None:
        names = ("image", "images", "file_name")
        value = (
            next((record[n] for n in names if record.get(n) is not None), None) if isinstance(record, Mapping) else None
        )
        value = value[0] if isinstance(value, list) and len(value) == 1 else value
        path = value.get("path") if isinstance(value, Mapping) else value
        if isinstance(path, str) and path:
            self.names.setdefault(Path(path).stem, file)
        elif not (isinstance(value, Mapping) and value.get("bytes")):
            raise ValueError(f"{file} names no image in {str(record)[:80]!r}")
        try:
            content = located(value, folder=source.images).read()
            with open_image(content) as image:
                mark, mirrored = (mark_of(one) for one in (image, ImageOps.mirror(to_rgb(image))))
        except OSError:
            self.by_name_alone += 1  # told in the counts: a set of names is used without its pictures, too
            return
        self.contents.setdefault(hashlib.sha256(content).hexdigest(), file)
        for known in (mark, mirrored):
            if known is not None:
                self.marks.setdefault(known, file)

    def holds(self, path: Path) -> tuple[Path, str] | None:
        """The evaluation file that has this picture, and by what it was found; None if none has.

        Raises:
            OSError: the picture cannot be read.
        """
        if path.stem in self.names:
            return self.names[path.stem], "its name"
        if not self.contents:
            return None
        content = path.read_bytes()
        found = self.contents.get(hashlib.sha256(content).hexdigest())
        if found:
            return found, "its content"
        with open_image(content) as image:
            mark = mark_of(image)
        if mark is None:
            return None
        near = (file for known, file in self.marks.items() if (known ^ mark).bit_count() <= MOST_DIFFERENT)
        file = next(near, None)
        return (file, "what it shows") if file else None


def mark_of(image: Image.Image) -> int | None:
    """What a picture shows as `SIDE` squared bits: whether each spot is brighter than the one right of it.

    None for one of little contrast.
    """
    image.draft("L", (SIDE * _STEP, SIDE * _STEP))  # of a JPEG, decodes a small copy
    small = to_rgb(image).convert("L").resize((SIDE + 1, SIDE), Image.Resampling.BOX)
    rows = small.tobytes()
    width = SIDE + 1
    bits = [rows[y * width + x] > rows[y * width + x + 1] for y in range(SIDE) for x in range(SIDE)]
    if not FEWEST <= sum(bits) <= len(bits) - FEWEST:
        return None
    return sum(1 << at for at, bit in enumerate(bits) if bit)
