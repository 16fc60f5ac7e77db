"""A benchmark's ratios as a picture, from the JSON it wrote.

    python -m recipes.bench.bars runs/bench/host.json [-o runs/bench/host.svg]

A bar a row that has something to be held against: ours / other on a logarithmic scale, from the line where both are
equal, with a tick where the target lies.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

WIDTH, NAMES, ROW, MARGIN = 860, 470, 20, 24
STYLE = """<style>svg { font: 12px sans-serif; background: #fff } .axis { stroke: #ddd } .equal { stroke: #666 }
.told { fill: #9aa5b1 } .met { fill: #0a7d3c } .missed { fill: #b3261e } .target { stroke: #000; stroke-width: 2 }
.name, .value { fill: #222 } .tick { fill: #666; text-anchor: middle }</style>"""
KINDS = {True: "met", False: "missed", None: "told"}


def svg(rows: Sequence[dict[str, Any]]) -> str:
    """The rows that have a ratio, as an SVG file.

    Raises:
        ValueError: none has.
    """
    rows = [row for row in rows if row["ratio"]]
    if not rows:
        raise ValueError("no row has anything to be held against")
    numbers = [row[name] for row in rows for name in ("ratio", "target") if row[name]]
    powers = range(min(-1, math.floor(math.log2(min(numbers)))), max(1, math.ceil(math.log2(max(numbers)))) + 1)
    bottom = MARGIN + ROW * len(rows)

    def across(ratio: float) -> float:
        share = (math.log2(ratio) - powers[0]) / (powers[-1] - powers[0])
        return NAMES + share * (WIDTH - NAMES - 2 * MARGIN)

    parts = []
    for power in powers:
        x, kind = across(2.0**power), "axis" if power else "equal"
        parts.append(f'<line class="{kind}" x1="{x:.1f}" y1="{MARGIN - 4}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{MARGIN - 8}">{2.0**power:g}</text>')
    for number, row in enumerate(rows):
        y, ratio = MARGIN + ROW * number, row["ratio"]
        left, right = sorted((across(1), across(ratio)))
        parts.append(f'<text class="name" x="{NAMES - 12}" y="{y + 14}" text-anchor="end">{escape(row["name"])}</text>')
        kind = KINDS[row["met"]]
        parts.append(
            f'<rect class="{kind}" x="{left:.1f}" y="{y + 4}" width="{max(1, right - left):.1f}" height="{ROW - 8}"/>'
        )
        if row["target"]:
            x = across(row["target"])
            parts.append(f'<line class="target" x1="{x:.1f}" y1="{y + 1}" x2="{x:.1f}" y2="{y + ROW - 1}"/>')
        parts.append(f'<text class="value" x="{max(right, across(1)) + 4:.1f}" y="{y + 14}">{ratio:.3g}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 8}" width="{WIDTH}" role="img">'
    return f"{head}<title>ours / other</title>{STYLE}{''.join(parts)}</svg>\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("json", type=Path, help="what a benchmark wrote")
    parser.add_argument("-o", "--out", type=Path, help="an .svg file (default: beside it)")
    args = parser.parse_args()
    out = args.out or args.json.with_suffix(".svg")
    out.write_text(svg(json.loads(args.json.read_text())["rows"]))
    print(out)


if __name__ == "__main__":
    main()
