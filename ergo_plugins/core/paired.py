"""How far two runs over the same samples differ, sample by sample: what both find easy or hard is no difference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_Z = 1.959963984540054  # 95 % of a normal distribution lie within


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, and where 95 % of the means of as many samples would lie.

    Attributes:
        mean: itself.
        half: half the width; None of fewer than two samples, which say nothing about it.
    """

    mean: float
    half: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.half is not None and abs(self.mean) > self.half


def interval(values: Sequence[float]) -> Interval:
    """The mean of values with its interval, by their own spread.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("a mean is one of at least one value")
    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return Interval(mean, None)
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    return Interval(mean, _Z * math.sqrt(variance / count))


def difference(before: Sequence[float], after: Sequence[float]) -> Interval:
    """What was gained from one run to the other, samples in the same order.

    Raises:
        ValueError: there are none, or not as many of both.
    """
    return interval([later - earlier for earlier, later in zip(before, after, strict=True)])
