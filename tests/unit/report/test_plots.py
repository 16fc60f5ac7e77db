"""Bins hold every value once and have readable edges; plots are whole and stay inside their frame."""

import math
import xml.etree.ElementTree as ElementTree

from hypothesis import example, given
from hypothesis import strategies as st

from ergo_plugins.report.plots import WIDTH, Bar, bins, columns, horizontal

SECONDS = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=200)


@given(SECONDS)
@example([5e-324])
@example([0.0, 1e-12])
def test_bins_hold_every_value_once(values: list[float]) -> None:
    width, counts, is_open = bins(values)
    assert sum(counts) == len(values)
    assert len(counts) <= 20
    mantissa = width / 10.0 ** math.floor(math.log10(width) + 1e-9)
    assert any(math.isclose(mantissa, step) for step in (1, 2, 5))
    assert is_open or max(values) < width * len(counts) * (1 + 1e-9)


def test_a_few_far_values_do_not_press_the_others_together() -> None:
    width, counts, is_open = bins([1.0 + i / 100 for i in range(99)] + [500.0])
    assert is_open
    assert counts[-1] == 1
    assert sum(count > 0 for count in counts) > 5
    assert width < 1


@given(SECONDS)
def test_plots_are_well_formed_and_inside_their_frame(values: list[float]) -> None:
    width, counts, _ = bins(values)
    drawn = columns(
        counts, ticks=[(0, "0 s")], marks=[(max(values) / width, "<half>")] * 2, description='"times" & more'
    )
    bars = horizontal([Bar("a < b", str(value), [("bar", value)]) for value in values[:3]], description="bars")
    for text in (drawn, bars):
        for element in ElementTree.fromstring(text).iter("rect"):
            x, length = float(element.get("x", "nan")), float(element.get("width", "nan"))
            assert -0.1 <= x <= x + length <= WIDTH + 0.1
