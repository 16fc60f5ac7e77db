"""Figures over many outcomes. A figure that nothing was measured for is None, never 0."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from .outcome import CROP, Outcome, TurnRecord


def summarise(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """What a run cost and where it looked.

    Returns:
        A flat dictionary for JSON. Tokens are means a sample, ``visual_tokens_<name>`` those of the turn of that name;
        ``visual_token_share`` is all visual tokens over what the
        same images take in a single pass at the model's own limit; ``zoom_success`` the share of samples with a usable
        box; ``area_ratio`` the mean over those; ``cached_share_turn2`` the share of the first turn's tokens (prompt and
        generated) that the second turn found in the engine's prefix cache; ``failures`` counts samples by kind of
        problem.
    """
    everything = list(outcomes)
    by_turn: dict[str, list[TurnRecord]] = {}
    for turn in (turn for outcome in everything for turn in outcome.turns):
        by_turn.setdefault(turn.name, []).append(turn)
    prompted = [turn.prompt_tokens for turns in by_turn.values() for turn in turns if turn.prompt_tokens is not None]
    was_asked = any(CROP in outcome.boxes for outcome in everything)
    seconds = [outcome.seconds for outcome in everything if outcome.seconds is not None]
    visual = sum(outcome.visual_tokens for outcome in everything)
    single_pass = sum(outcome.single_pass_tokens for outcome in everything)
    return {
        "samples": len(everything),
        "zoom_success": mean([outcome.box_source is not None for outcome in everything]) if was_asked else None,
        "area_ratio": mean([o.area_ratio for o in everything if o.area_ratio is not None]),
        **{f"visual_tokens_{name}": mean([turn.visual_tokens for turn in turns]) for name, turns in by_turn.items()},
        "visual_tokens": mean([outcome.visual_tokens for outcome in everything]),
        "single_pass_tokens": mean([outcome.single_pass_tokens for outcome in everything]),
        "visual_token_share": visual / single_pass if single_pass else None,
        "prompt_tokens": mean(prompted),
        "new_tokens": mean([sum(t.new_tokens or 0 for t in o.turns) for o in everything if o.turns]),
        "cached_share_turn2": _cached_share(everything),
        "latency_s_mean": mean(seconds),
        "latency_s_p50": percentile(seconds, 50),
        "latency_s_p95": percentile(seconds, 95),
        "failures": dict(sorted(Counter(kind for o in everything for kind in failure_kinds(o)).items())),
    }


def failure_kinds(outcome: Outcome) -> set[str]:
    """The kinds of problem an outcome has: the words before the colon."""
    return {problem.partition(":")[0] for problem in outcome.problems}


def mean(values: Sequence[float]) -> float | None:
    """The mean, or None of nothing."""
    return sum(values) / len(values) if values else None


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that at least ``percent`` of all values do not exceed, or None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def _cached_share(outcomes: Sequence[Outcome]) -> float | None:
    pairs = [(o.turns[0], o.turns[1]) for o in outcomes if len(o.turns) == 2]
    shares = [share for first, second in pairs if (share := _cached_of(first, second)) is not None]
    return mean(shares)


def _cached_of(first: TurnRecord, second: TurnRecord) -> float | None:
    if first.prompt_tokens is None or first.new_tokens is None or second.cached_tokens is None:
        return None
    return min(1.0, second.cached_tokens / (first.prompt_tokens + first.new_tokens))
