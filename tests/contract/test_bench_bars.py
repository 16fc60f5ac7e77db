"""The benchmarks' picture: a bar a ratio, and whether its target was met."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from recipes.bench.bars import svg
from recipes.bench.figures import AtLeast, AtMost, Figure

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_start_where_both_are_equal_and_say_whether_the_target_was_met() -> None:
    figures = [AtMost("a <b>", 1, 4, 0.5), AtLeast("c", 2, 1, 3.0), Figure("told", 3, 3), Figure("alone", 3)]
    root = ElementTree.fromstring(svg([figure.to_json() for figure in figures]))
    bars = [bar.attrib for bar in root.iter(f"{SVG}rect")]
    assert [bar["class"] for bar in bars] == ["met", "missed", "told"]
    (equal,) = (float(line.attrib["x1"]) for line in root.iter(f"{SVG}line") if line.attrib["class"] == "equal")
    quarter, double, same = bars
    assert float(quarter["x"]) + float(quarter["width"]) == pytest.approx(equal, abs=0.2)
    assert float(double["x"]) == float(same["x"]) == pytest.approx(equal, abs=0.1)
    assert float(quarter["width"]) == pytest.approx(2 * float(double["width"]), abs=0.3)


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(ValueError, match="held against"):
        svg([Figure("alone", 3).to_json()])
