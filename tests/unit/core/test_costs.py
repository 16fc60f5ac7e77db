"""Costs by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ergo_plugins.core.costs import Cost, cost, summarise_costs
from ergo_plugins.core.geometry import Size
from ergo_plugins.core.outcome import Outcome, Shown, TurnRecord


def turn(name: str, tokens: int, prompt: int | None, cached: int | None) -> TurnRecord:
    shown = (Shown(None, Size(28, 28), tokens),) if tokens else ()
    return TurnRecord(name, shown, "x", "stop", prompt_tokens=prompt, cached_tokens=cached, new_tokens=10)


def played(*turns: TurnRecord, seconds: float = 1.0) -> Outcome:
    return Outcome(method="visionthink", turns=turns, seconds=seconds)


FIRST = turn("reduced", 100, 160, 0)


def test_a_direct_answer_costs_its_view() -> None:
    assert cost(played(FIRST)) == Cost(100, 0, 160)


def test_the_first_view_is_found_again_in_the_second_turn() -> None:
    full = turn("full", 400, 600, 168)  # of 160 + 10
    assert cost(played(FIRST, full)) == Cost(500, 100, 160 + 600 - 168)


def test_half_found_is_half_computed_again() -> None:
    assert cost(played(FIRST, turn("full", 400, 600, 80))) == Cost(550, 50, 160 + 520)


def test_without_a_cache_everything_is_computed_again() -> None:
    assert cost(played(FIRST, turn("full", 400, 600, 0))) == Cost(600, 0, 760)
    assert cost(played(FIRST, turn("full", 400, 600, None))) == Cost(600, 0, 760)


def test_an_image_asked_about_before() -> None:
    assert cost(played(replace(FIRST, cached_tokens=150))) == Cost(10, 90, 10)
    assert cost(played(replace(FIRST, cached_tokens=50))) == Cost(100, 0, 110), "the words before it"


def test_an_error_turn_shows_nothing_new() -> None:
    assert cost(played(FIRST, turn("error", 0, 200, 170))) == Cost(100, 100, 160 + 30)


def test_what_nobody_counted_is_none() -> None:
    assert cost(played(turn("reduced", 100, None, None))) == Cost(100, 0, None)
    assert cost(Outcome(method="visionthink")) == Cost(0, 0, None)
    assert summarise_costs([])["seconds_p50"] is None


def test_means_and_percentiles() -> None:
    found = summarise_costs([played(FIRST, seconds=1), played(FIRST, turn("full", 400, 600, 168), seconds=3)])
    assert found["visual_new"] == 300
    assert found["visual_cached"] == 50
    assert found["prompt_computed"] == pytest.approx((160 + 592) / 2)
    assert (found["turns"], found["seconds_p50"], found["seconds_p95"]) == (1.5, 1, 3)
