"""A plan: all that is known of a run on a kind of GPU, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .cards import Card
from .checks import Problem, notes, problems
from .host import checkpoint_parts, disk_gib, host_parts, total
from .memory import Cache, Part, Phase, cache, phases
from .runs import Run
from .work import WRITTEN_SHARE, Tokens, Work, average, work_of


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run needs; all of it worked out, nothing measured.

    Attributes:
        phases: memory of a GPU.
        cache: vLLM's; None where it has none.
        host: memory of a machine.
        checkpoint: on disk.
        disk_gib: of all checkpoints at once; None if none is ever removed.
        tokens: of an average sequence, as assumed.
        work: of a step.
        problems: what does not fit; empty for a run that may start.
        notes: what is worth knowing.
    """

    run: Run
    card: Card
    phases: tuple[Phase, ...]
    cache: Cache | None
    host: tuple[Part, ...]
    checkpoint: tuple[Part, ...]
    disk_gib: float | None
    tokens: Tokens
    work: Work
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON takes it."""
        found = asdict(self) | {"parameters": self.run.shape.parameters, "gpus": self.run.gpus_with_judge}
        found["phases"] = [asdict(phase) | {"gib": phase.gib} for phase in self.phases]
        found["host_gib"], found["checkpoint_gib"] = total(self.host), total(self.checkpoint)
        found["seconds"] = self.work.seconds
        return found


def plan_of(run: Run, card: Card, written_share: float = WRITTEN_SHARE, visual_tokens: int | None = None) -> Plan:
    """Work it all out.

    Args:
        written_share: of the longest replies, written on average.
        visual_tokens: of an average sequence; None for images as large as their budgets.
    """
    tokens = average(run, written_share, visual_tokens)
    return Plan(
        run=run,
        card=card,
        phases=phases(run, card.memory_gib),
        cache=cache(run.shape, run.rollout, card.memory_gib) if run.rollout else None,
        host=host_parts(run, tokens.visual),
        checkpoint=checkpoint_parts(run),
        disk_gib=disk_gib(run),
        tokens=tokens,
        work=work_of(run, card, tokens),
        problems=tuple(problems(run, card)),
        notes=tuple(notes(run)),
    )
