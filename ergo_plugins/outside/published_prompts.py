"""The words of published checkpoints by name: their authors' files, fetched once, checked, and never run."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CACHE_VARIABLE = "ERGO_CACHE"
"""Environment variable with a folder in place of the platform's own for what can be fetched again."""

PATIENCE_S = 30.0


HOST = "https://raw.githubusercontent.com"


@dataclass(frozen=True, slots=True)
class Published:
    """What the authors of a checkpoint published.

    Attributes:
        repository: its owner and name.
        commit: all 40 digits.
        folder: of the repository; empty for all of it.
        files: path in the folder, and the SHA-256 of the file.
    """

    repository: str
    commit: str
    folder: str
    files: Mapping[str, str]

    def address(self, file: str) -> str:
        """Where a file lies as it is."""
        return "/".join(part for part in (HOST, self.repository, self.commit, self.folder, file) if part)


PUBLISHED = {
    "ergo-7b": Published(
        "nota-github/ERGO",
        "c6d67421415fe0c3f78cc96f8290d0e65fa8c68a",
        "src/ergo",
        {"const.py": "26e341f6c5b8cc42b9200f7fb0b4aaaa9c5c17983d99d93a2b7b6ef922296e94"},
    ),
    "deepeyes": Published(
        "Visual-Agent/DeepEyes",
        "6c5e79671dbff958a6f9d44848ba2ca87854f0b0",
        "verl/workers/agent/envs/mm_process_engine",
        {"prompt.py": "35ef1bae8da550827bc53e23751e64d4c8eecc76d9170ea5673aa2493628cc23"},
    ),
    "visionthink": Published(
        "dvlab-research/VisionThink",
        "42afd8c34a4efffeb9811368469d3d890efdedf3",
        "",
        {
            "verl/trainer/constants.py": "baa3d3ecb2d28ec444aab089b19d5cb48c6159571cec87a763431a954ce591a8",
            "verl/utils/dataset/multimodal_dataset.py": (
                "45bd945440694e79b5f5a8daedd78475a303a0fe8bc94cc0b05d012543622a3e"
            ),
        },
    ),
}
"""By the name in ``prompts=``."""


def prompts_path(given: str | Path) -> Path:
    """Where to read prompts: a path as it is, or the authors' file, or folder of files, for a name in `PUBLISHED`.

    Raises:
        ValueError: a file of theirs cannot be fetched, or is another than was checked; the message says what to do.
    """
    path = Path(given)
    if str(given) not in PUBLISHED or path.exists():
        return path
    published = PUBLISHED[str(given)]
    folder = cache_folder() / "prompts" / f"{given}-{published.commit[:7]}"
    for name, digest in published.files.items():
        file = folder / name
        if not file.is_file() or _sha256(file.read_bytes()) != digest:
            _keep(_fetched(str(given), published.address(name), file, digest), file)
    return folder / next(iter(published.files)) if len(published.files) == 1 else folder


def cache_folder() -> Path:
    """`CACHE_VARIABLE`, or our folder where the platform keeps what can be fetched again."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "ergo-plugins"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "ergo-plugins"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ergo-plugins"


def _fetched(name: str, address: str, file: Path, digest: str) -> bytes:
    """The bytes at an address, which have a digest.

    Raises:
        ValueError: they cannot be had, or are others.
    """
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
            content: bytes = answer.read()
    except OSError as error:  # no network, no such file, no answer in time
        raise ValueError(
            f"prompts={name} cannot be fetched ({error}): put {address} into {file}, or give the path of a file"
        ) from error
    if _sha256(content) != digest:
        raise ValueError(
            f"prompts={name}: what came from {address} is not the file that was checked (sha256 {_sha256(content)}, "
            f"not {digest}); put the right one into {file}, or give the path of a file"
        )
    return content


def _keep(content: bytes, file: Path) -> None:
    """Write a file whole or not at all: workers of a run may fetch it at the same time.

    Raises:
        ValueError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
            part.write(content)
        os.replace(part.name, file)
    except OSError as error:
        raise ValueError(f"cannot keep prompts in {file}: {error}; name another folder by {CACHE_VARIABLE}") from error


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
