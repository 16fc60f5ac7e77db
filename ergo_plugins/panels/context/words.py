"""What the looks of a training said, step by step: whether directions follow marks, and extents shapes.

python -m ergo_plugins.panels.context.words runs/tiny_context/rollouts -o words.json
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...report.read.rollouts import read_rollouts
from .world import DIRECTIONS, MARKS

SAID = re.compile(r"<think>(\w+) (\w+) (\w+) (\w+)</think>")
"""Mark, direction, shape and extent."""


def words(looks: Sequence[str]) -> dict[str, Any]:
    """Of first-turn replies: how many said four words, each direction, each extent by the shape that was said; and the
    share whose direction is what their mark means."""
    said = [found.groups() for look in looks if (found := SAID.match(look))]
    directions = Counter(direction for _, direction, _, _ in said)
    follows = sum(MARKS.get(mark) == direction for mark, direction, _, _ in said)
    return {
        "looks": len(looks),
        "said": len(said),
        "by_the_mark": round(follows / len(said), 4) if said else None,
        "directions": {name: directions[name] for name in DIRECTIONS},
        "extents": dict(sorted(Counter(f"{shape} {extent}" for _, _, shape, extent in said).items())),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rollouts", type=Path, help="folder of verl's dumps")
    parser.add_argument("-o", "--out", type=Path)
    given = parser.parse_args()
    steps = sorted(int(file.stem) for file in given.rollouts.glob("*.jsonl"))
    found = {}
    for step in steps:
        rows = read_rollouts(given.rollouts, step).rows
        found[step] = words([row.outcome.turns[0].reply for row in rows if row.outcome.turns])
    text = json.dumps(found, indent=1)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
