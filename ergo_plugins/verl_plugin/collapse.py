"""Whether training goes wrong in a way that a mean reward does not show, named in the log when it happens."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..methods.base import Method

_logger = logging.getLogger(__name__)

UNLEARNT = "unlearnt"
"""Part of a reward: 1 of a trajectory that is masked, so that nothing is learnt from it."""


@dataclass(slots=True)
class Watch:
    """Means of the parts of each step, and what was said about them.

    Attributes:
        method: says what its means tell (`Method.signs`).
    """

    method: Method
    _steps: list[Mapping[str, float]] = field(default_factory=list)
    _told: frozenset[str] = frozenset()

    def notice(self, means: Mapping[str, float]) -> float:
        """1 if a step's means are a bad sign, else 0; each sign is logged when it appears, and when it is over."""
        self._steps.append({name.rpartition("/")[2]: value for name, value in means.items()})
        signs = dict(self.method.signs(self._steps))
        for name in signs.keys() - self._told:
            _logger.warning("step %d of this run: %s: %s", len(self._steps), name, signs[name])
        for name in self._told - signs.keys():
            _logger.warning("step %d of this run: %s: no longer", len(self._steps), name)
        self._told = frozenset(signs)
        return float(bool(signs))


def refuse_nothing_to_learn(parts: Sequence[Mapping[str, object]]) -> None:
    """Make sure that a step has a trajectory that is not masked.

    Raises:
        RuntimeError: verl would divide by their tokens, of which there are none, and every weight would be lost.
    """
    known = [part for part in parts if UNLEARNT in part]
    if known and all(part[UNLEARNT] for part in known):
        raise RuntimeError(
            f"all {len(known)} trajectories of the step are masked, so there is nothing to learn from. Give the policy "
            "more turns (ergo.episode.turns), a cold start (ergo data from-rollouts), or learn from them as well "
            "(ergo.reward.over_turns=learn); start again to resume from the last checkpoint"
        )
