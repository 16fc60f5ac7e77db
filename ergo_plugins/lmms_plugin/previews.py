"""Small pictures of what the model was shown, kept beside the journal for its report."""

from __future__ import annotations

import threading
from pathlib import Path

from PIL import Image

from ..core.turns import Episode, Player, Turn

LONGEST_SIDE_PX = 512
JPEG_QUALITY = 82


class Previews:
    """A folder of previews for the first ``limit`` samples that ask for one. Safe to use from several threads."""

    def __init__(self, journal: Path | None, limit: int) -> None:
        self._journal, self._limit = journal, limit if journal else 0
        self._lock = threading.Lock()
        self._files: dict[str, dict[str, str]] = {}

    @classmethod
    def beside(cls, journal: str | None, limit: int) -> Previews:
        """Previews in a folder named after a journal; none without a journal."""
        return cls(Path(journal) if journal else None, limit)

    def of(self, key: str) -> dict[str, str]:
        """Turn name to file, relative to the journal's folder."""
        return self._files.get(key, {})

    def watched(self, key: str, episode: Episode) -> Episode:
        """The same episode, the views of its turns kept as they go by."""
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
        assert self._journal is not None
        name = f"{self._journal.stem}_views/{key.replace('/', '-').replace('#', '-')}-{turn.name}.jpg"
        path = self._journal.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        view = turn.image.copy()
        view.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), Image.Resampling.BICUBIC)
        view.save(path, "JPEG", quality=JPEG_QUALITY)
        self._files[key][turn.name] = name
