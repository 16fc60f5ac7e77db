"""A journal as long as one likes, of an evaluation that was never played to its end.

    python -m recipes.bench.long_journal FOLDER SAMPLES
    python -m recipes.bench.long_journal FOLDER --open

The first two hundred samples are those of `scripted_run`, with their pictures; each one after them says what an earlier
one said, under a number of its own. With ``--open`` the journal is opened instead, as a run that goes on opens it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ergo_plugins.outside.journal import Journal

from . import scripted_run

PLAYED = 200
"""Far enough apart that a page, which packs a hundred cards together, gains nothing by the repetition."""


def write(folder: Path, samples: int) -> None:
    """``journal.jsonl`` and the verdicts beside it, of so many samples."""
    scripted_run.write(folder, min(samples, PLAYED))
    _lengthen(folder / "journal.jsonl", samples, header=1)
    _lengthen(next((folder / "lmms_eval").iterdir()), samples, header=0)


def reopen(folder: Path) -> int:
    """How many samples a run that goes on finds in the journal."""
    path = folder / "journal.jsonl"
    with path.open("rb") as file:
        header = json.loads(file.readline())
    journal = Journal(path, header["settings"], header["tasks"])
    journal.close()
    return len(journal.entries)


def _lengthen(path: Path, samples: int, header: int) -> None:
    """Repeat the lines behind the header until there are so many."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[header:]]
    with path.open("a", encoding="utf-8") as file:
        for line in _renumbered(lines, samples):
            file.write(json.dumps(line) + "\n")


def _renumbered(lines: list[dict[str, Any]], samples: int) -> Iterator[dict[str, Any]]:
    for number in range(len(lines), samples):
        line = lines[number % len(lines)]
        yield {**line, "doc_id": number, **({"previews": {}} if "previews" in line else {})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("samples", type=int, nargs="?")
    parser.add_argument("--open", action="store_true", help="open it, and say how many samples it holds")
    args = parser.parse_args()
    if args.open == (args.samples is not None):
        parser.error("say how many samples are wanted, or --open for a journal that is there")
    if args.open:
        print(reopen(args.folder))
    else:
        write(args.folder, args.samples)


if __name__ == "__main__":
    main()
