"""Training as one short line a step: reads verl's console output, keeps all of it in a file.

bash recipes/tiny/train.sh 2>&1 | python -m ergo_plugins.panels.watch runs/tiny/log.txt --steps 8
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

STEP = re.compile(r"\bstep:(\d+) - (.*)")
METRIC = re.compile(r"([\w/@.-]+):(-?\d[\d.]*(?:e[+-]?\d+)?)(?= - |\s*$)")
PARTS = {
    "right place": "ergo/region",
    "small box": "ergo/box",
    "right answer": "ergo/accuracy",
    "crop's area": "ergo/area_ratio",
}
"""What is shown of a step, by the words it is shown in; all are shares."""


def short(line: str, steps: int) -> str | None:
    """What to show of a line of output; None if it reports no training step."""
    found = STEP.search(line)
    metrics = dict(METRIC.findall(found[2])) if found else {}
    if not found or "critic/rewards/mean" not in metrics:
        return None
    parts = "   ".join(f"{said} {float(metrics[name]):4.0%}" for said, name in PARTS.items() if name in metrics)
    reward, seconds = float(metrics["critic/rewards/mean"]), float(metrics.get("timing_s/step", "nan"))
    return f"step {found[1]:>3}/{steps}   reward {reward:4.2f}   {parts}   {seconds:4.0f} s"


def watch(lines: Iterable[str], log: Path, steps: int) -> Iterator[str]:
    """Short lines of the steps; everything goes to the log."""
    with log.open("a", encoding="utf-8") as file:
        for line in lines:
            file.write(line)
            file.flush()
            if said := short(line, steps):
                yield said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    arguments = parser.parse_args()
    arguments.log.parent.mkdir(parents=True, exist_ok=True)
    print(f"verl is starting, which takes about a minute; its whole output goes to {arguments.log}", flush=True)
    for said in watch(sys.stdin, arguments.log, arguments.steps):
        print(said, flush=True)


if __name__ == "__main__":
    main()
