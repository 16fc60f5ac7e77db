"""Documents of a task whose images come as files: `datasets` would decode each when its document is read."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image as Pillow

from ..core.images import damage_as_oserror
from ..outside.encoded import EncodedJpeg, encoded


class Undecoded:
    """The documents of a data set, read from a copy that does not decode its columns of images.

    A document has `EncodedJpeg` where its data set says ``Image``, which the task's own functions take for the picture
    that they would have been given. If one of its images cannot be had so (another format, a file in place of bytes,
    damage), the whole document comes as the data set itself gives it.
    """

    def __init__(self, docs: Any) -> None:
        """Make the copy, which shares the data.

        Args:
            docs: of a task; of whatever kind.
        """
        self._docs, self._copy, self._columns = docs, docs, tuple(_columns(docs))
        for name in self._columns:
            self._copy = self._copy.cast_column(name, _undecoded())

    def __getitem__(self, number: int) -> Any:
        """A document."""
        if not self._columns:
            return self._docs[number]
        row = self._copy[number]
        for name in self._columns:
            if row[name] is not None:
                row[name] = _kept(row[name])
                if row[name] is None:
                    return self._docs[number]
        return row


def _columns(docs: Any) -> list[str]:
    """The columns of plain images in a data set that is read as it is stored."""
    from datasets import Dataset, Image

    if not isinstance(docs, Dataset) or docs.format["type"] is not None:
        return []
    return [
        name
        for name, feature in docs.features.items()
        if isinstance(feature, Image) and feature.decode and feature.mode in (None, "RGB")
    ]


def _undecoded() -> Any:
    from datasets import Image

    return Image(decode=False)


def _kept(stored: dict[str, Any]) -> EncodedJpeg | None:
    """A stored image, still encoded; None where the data set has to open it, or say what is wrong with it."""
    if stored["bytes"] is None:
        return None
    try:
        with damage_as_oserror():
            return encoded(Pillow.open(io.BytesIO(stored["bytes"])))
    except OSError:
        return None
