"""Small pictures of what the model was shown, kept beside the journal for its report."""

from __future__ import annotations

import hashlib
import re
import threading
from pathlib import Path

from PIL import Image

from ..core.record import image_name
from ..core.turns import Episode, Player, Turn
from ..usage import Told

LONGEST_SIDE_PX = 512
JPEG_QUALITY = 82


class PreviewFault(Told):
    """A preview cannot be written."""


class Previews:
    """A folder of previews for the first ``limit`` samples that ask for one. Safe to use from several threads."""

    def __init__(self, journal: Path | None, limit: int) -> None:
        """Make the folder, named after the journal.

        Raises:
            PreviewFault: it cannot be made.
        """
        self._journal, self._limit = journal, limit if journal else 0
        self._lock = threading.Lock()
        self._files: dict[str, dict[str, str]] = {}
        if journal and limit > 0:
            self._folder = journal.with_name(f"{journal.name.removesuffix('.jsonl')}_views")
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise PreviewFault(f"the folder {self._folder} cannot be made ({error}); {_WHAT_TO_DO}") from error

    @classmethod
    def beside(cls, journal: str | None, limit: int) -> Previews:
        """Previews in a folder named after a journal; none without a journal."""
        return cls(Path(journal) if journal else None, limit)

    def of(self, key: str) -> dict[str, str]:
        """Turn name to file, relative to the journal's folder."""
        return self._files.get(key, {})

    def watched(self, key: str, episode: Episode) -> Episode:
        """The same episode, the views of its turns kept as they go by.

        Raises:
            PreviewFault: a view cannot be written.
        """
        with self._lock:
            wanted = len(self._files) < self._limit
            if wanted:
                self._files[key] = {}
        if not wanted:
            return (yield from episode)
        player = Player(episode)
        turn = player.start()
        while turn is not None:
            self._keep(key, turn)
            turn = player.send((yield turn))
        return player.finished()

    def _keep(self, key: str, turn: Turn) -> None:
        for number, image in enumerate(turn.images):
            name = image_name(turn.name, number)
            path = self._folder / f"{_file_name(key)}-{name.replace(' ', '-')}.jpg"
            small = image.copy()
            small.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), Image.Resampling.BICUBIC)
            try:
                small.save(path, "JPEG", quality=JPEG_QUALITY)
            except OSError as error:
                raise PreviewFault(f"{key}: the preview {path} cannot be written ({error}); {_WHAT_TO_DO}") from error
            self._files[key][name] = f"{self._folder.name}/{path.name}"


_WHAT_TO_DO = "make room for it, or give previews=0 for a run without pictures"


def _file_name(key: str) -> str:
    """A sample's name as that of a file: readable, short enough, and never another sample's."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', key)[-80:]}-{digest}"
