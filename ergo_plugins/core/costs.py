"""What conversations cost: visual tokens computed and found in a cache, prompt tokens computed, seconds.

Engines say how many tokens of a turn's prompt they found in their prefix cache, not which. A prefix holds a
conversation from its beginning, so the views of earlier turns are taken as found in the share in which the earlier
prompt was; those of a first turn as far as the cache reaches beyond all of the prompt's words. An engine that says
nothing has found nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .outcome import Outcome
from .statistics import mean, percentile


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one sample.

    Attributes:
        visual_new: visual tokens that were computed, those of a view as often as they were.
        visual_cached: visual tokens in prompts that were found in the cache instead.
        prompt_computed: tokens of all prompts, images included, that were computed; None if the engine counts none.
    """

    visual_new: float
    visual_cached: float
    prompt_computed: int | None


def cost(outcome: Outcome) -> Cost:
    """What a sample cost."""
    new = cached = 0.0
    computed: int | None = 0 if outcome.turns else None
    before, earlier_prompt = 0, 0
    for turn in outcome.turns:
        found = turn.cached_tokens or 0
        if earlier_prompt:
            kept = before * min(1.0, found / earlier_prompt)
        else:
            words = max(0, (turn.prompt_tokens or 0) - turn.visual_tokens)
            kept = float(min(turn.visual_tokens, max(0, found - words)))
        cached += kept
        new += before + turn.visual_tokens - kept
        if turn.prompt_tokens is None:
            computed = None
        elif computed is not None:
            computed += turn.prompt_tokens - found
        before, earlier_prompt = before + turn.visual_tokens, turn.prompt_tokens or 0
    return Cost(new, cached, computed)


def summarise_costs(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Means a sample, and percentiles of the seconds; None where nothing was measured."""
    everything = list(outcomes)
    costs = [cost(outcome) for outcome in everything]
    seconds = [outcome.seconds for outcome in everything if outcome.seconds is not None]
    return {
        "samples": len(everything),
        "visual_new": mean([one.visual_new for one in costs]),
        "visual_cached": mean([one.visual_cached for one in costs]),
        "prompt_computed": mean([one.prompt_computed for one in costs if one.prompt_computed is not None]),
        "new_tokens": mean([sum(turn.new_tokens or 0 for turn in outcome.turns) for outcome in everything]),
        "turns": mean([len(outcome.turns) for outcome in everything]),
        "seconds_p50": percentile(seconds, 50),
        "seconds_p95": percentile(seconds, 95),
    }
