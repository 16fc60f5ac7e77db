"""What accuracy costs: figures by hand, over the samples that all runs share, and intervals by sample."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest

from ergo_plugins.core.paired import difference, interval
from ergo_plugins.report.pareto import computed, drawing, plain, points, table
from ergo_plugins.report.read.rows import Row, Run, UnreadableInput
from tests.unit.report.journals import outcome

RIGHT = {  # six samples: what each of three runs gets right
    "single": [1, 0, 0, 1, 0, 0],
    "ergo": [1, 1, 0, 1, 1, 0],
    "zoom": [1, 1, 1, 1, 1, 0],
}


def run(name: str, right: list[int | None], **changes: Any) -> Run:
    rows = [
        Row(
            "spots", "test", at, "What?", "B", replace(outcome(), **changes), correct=None if one is None else bool(one)
        )
        for at, one in enumerate(right)
    ]
    return Run(name, rows)


def runs() -> list[Run]:
    return [run(name, list(right), method=name) for name, right in RIGHT.items()]


def test_the_figures_are_those_reckoned_by_hand() -> None:
    single, ergo, zoom = points(runs())
    assert (single.accuracy.mean, ergo.accuracy.mean, zoom.accuracy.mean) == (2 / 6, 4 / 6, 5 / 6)
    assert single.gain is None
    assert zoom.gain is not None
    # differences of zoom: 0 1 1 0 1 0, mean 1/2, sample variance .3
    assert zoom.gain.mean == pytest.approx(0.5)
    assert zoom.gain.half == pytest.approx(1.959964 * math.sqrt(0.3 / 6), abs=1e-6)
    assert zoom.gain.excludes_zero
    assert ergo.gain is not None
    assert not ergo.gain.excludes_zero
    assert (single.visual_tokens, single.seconds, single.samples) == (12, 1.0, 6)
    assert single.computed_tokens == 80 + (150 - 75)


def test_paired_intervals_do_not_hold_what_both_find_hard() -> None:
    hard = [0.0, 1.0] * 50
    better = [*hard[:-4], 1.0, 1.0, 1.0, 1.0]
    paired = difference(hard, better)
    assert paired.half is not None
    assert (interval(hard).half or 0) > 3 * paired.half
    assert interval([1.0]).half is None
    with pytest.raises(ValueError, match="at least one"):
        interval([])
    with pytest.raises(ValueError, match=r"shorter|longer"):
        difference([1.0], [1.0, 0.0])


def test_only_what_all_runs_share_and_have_a_verdict_for_counts() -> None:
    short = run("short", [1, 1, None, 1])
    first, second = points([runs()[0], short])
    assert (first.samples, second.samples) == (3, 3)
    assert first.accuracy.mean == pytest.approx(2 / 3)
    with pytest.raises(UnreadableInput, match="share no sample"):
        points([runs()[0], Run("other", [replace(row, task="else") for row in short.rows])])
    with pytest.raises(UnreadableInput, match="no sample has a verdict in all runs; unjudged have none"):
        points([runs()[0], run("unjudged", [None] * 6)])


def test_what_is_not_known_of_all_is_not_told() -> None:
    assert computed(replace(outcome(), turns=())) is None
    silent = replace(outcome().turns[0], prompt_tokens=None)
    assert computed(replace(outcome(), turns=(silent,))) is None
    (point,) = points([run("silent", [1, 0], seconds=None)])
    assert point.seconds is None
    assert "–" in table([point]) or "—" in table([point])


def test_the_best_at_their_cost_are_marked() -> None:
    dear = run("dear", RIGHT["ergo"], turns=(*outcome().turns, *outcome().turns))
    assert [(point.name, point.is_best) for point in points([*runs()[:2], dear])] == [
        ("single", False),  # as many tokens as the second, and fewer right
        ("ergo", True),
        ("dear", False),
    ]


def test_table_and_drawing_hold_every_run() -> None:
    found = points(runs())
    lines = table(found).splitlines()
    assert lines[2].startswith("| single | 33.3 ± ")
    assert "+50.0 ± 43.8" in lines[4]
    root = ElementTree.fromstring(drawing(found))
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["single", "ergo", "zoom"] * 3
    assert [one["run"] for one in plain(found)] == ["single", "ergo", "zoom"]
