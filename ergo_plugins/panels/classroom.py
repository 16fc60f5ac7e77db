"""Supervised teaching of a tiny policy, whatever it is taught: one optimiser step on one lesson at a time."""

from __future__ import annotations

import importlib.metadata
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedModel, ProcessorMixin

from .families import Family
from .policy import save

WARM_UP_STEPS = 50

Tokens = tuple[int, ...]
Weighted = list[tuple[Tokens, Sequence[float]]]
"""A dialogue in pieces: tokens and the weight of each in the loss; zero marks what is given rather than taught."""


@dataclass(frozen=True)
class Lesson:
    """Dialogues of one layout: the same number of tokens and images of the same sizes, so that nothing is padded.

    Attributes:
        name: of the lesson, and of its loss.
        tokens: ``(batch, length)``.
        weights: ``(batch, length)``, of each token in the loss.
        views: the images of a dialogue in their order, each ``(batch, height, width, 3)`` RGB bytes.
        facts: ground truth for heads, by name, each ``(batch, …)``.
    """

    name: str
    tokens: Tensor
    weights: Tensor
    views: tuple[NDArray[np.uint8], ...]
    facts: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        name: str,
        rows: Sequence[Weighted],
        views: Sequence[Sequence[NDArray[np.uint8]]],
        facts: Mapping[str, Tensor],
    ) -> Lesson:
        """From dialogues and, for each, its images."""
        return cls(
            name,
            torch.tensor([[token for tokens, _ in row for token in tokens] for row in rows]),
            torch.tensor([[float(weight) for _, weights in row for weight in weights] for row in rows]),
            tuple(np.stack(images) for images in zip(*views, strict=True)),
            facts,
        )


class Heads(Protocol):
    """Throw-away supervision of inner states by the ground truth."""

    def parameters(self) -> Iterator[nn.Parameter]: ...

    def losses(self, lesson: Lesson) -> dict[str, Tensor]:
        """What the states of the forward pass just done on a lesson should have said, by name; weights included."""


class Classroom:
    """A policy that is being taught."""

    def __init__(
        self, policy: PreTrainedModel, family: Family, steps: int, peak_rate: float, heads: Heads | None = None
    ) -> None:
        self.policy, self.family, self.steps, self.peak_rate, self.heads = policy, family, steps, peak_rate, heads
        self._positions: dict[tuple[tuple[int, ...], ...], Tensor] = {}
        matrices = [parameter for parameter in policy.parameters() if parameter.dim() >= 2]
        others = [parameter for parameter in policy.parameters() if parameter.dim() < 2]
        groups = [
            {"params": matrices, "weight_decay": 0.01},
            {"params": [*others, *(heads.parameters() if heads else ())], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.98))

    def step(self, number: int, lesson: Lesson) -> dict[str, float]:
        """Do step ``number``, counted from 0. Returns the losses by name."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.peak_rate * schedule(number, self.steps)
        self.policy.train()
        losses = {lesson.name: self._reply_loss(lesson), **(self.heads.losses(lesson) if self.heads else {})}
        self.optimiser.zero_grad()
        first, *others = losses.values()
        sum(others, start=first).backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimiser.step()
        return {name: loss.item() for name, loss in losses.items()}

    def _reply_loss(self, lesson: Lesson) -> Tensor:
        """Weighted mean cross-entropy of the taught tokens."""
        batch = len(lesson.tokens)
        grids, patches = [], []
        for images in lesson.views:
            values = self.family.pixel_values(images)
            patches.append(values.view(batch, -1, values.shape[-1]))
            grids.append([1, images.shape[1] // self.family.patch_px, images.shape[2] // self.family.patch_px])
        shown = torch.cat(patches, dim=1).flatten(0, 1) if patches else None
        hidden = self.policy.model(
            input_ids=lesson.tokens,
            pixel_values=shown,
            image_grid_thw=torch.tensor(grids * batch) if grids else None,
            position_ids=self._position_ids(lesson.tokens, grids),
            use_cache=False,
        ).last_hidden_state
        taught = (lesson.weights.sum(0) > 0).nonzero()[:, 0]
        logits = self.policy.lm_head(hidden[:, taught - 1])
        loss = F.cross_entropy(logits.flatten(0, 1), lesson.tokens[:, taught].flatten(), reduction="none")
        weights = lesson.weights[:, taught].flatten()
        return (loss * weights).sum() / weights.sum()

    def _position_ids(self, tokens: Tensor, grids: list[list[int]]) -> Tensor:
        """``(3, batch, length)``; equal for all dialogues of a layout, so found once."""
        first = tokens[:1]
        is_image = first[0] == self.policy.config.image_token_id
        key = (tuple(is_image.nonzero()[:, 0].tolist()), *map(tuple, grids), (tokens.shape[1],))
        if key not in self._positions:
            self._positions[key], _ = self.policy.model.get_rope_index(
                input_ids=first,
                image_grid_thw=torch.tensor(grids) if grids else None,
                mm_token_type_ids=is_image[None].long(),
            )
        return self._positions[key].expand(-1, len(tokens), -1)


def run(
    classroom: Classroom, next_lesson: Callable[[int], Lesson], *, measure: Callable[[], dict[str, Any]], every: int
) -> dict[str, Any]:
    """All steps of a classroom, with figures on the way.

    Args:
        classroom: who is taught.
        next_lesson: of a step, counted from 0.
        measure: figures of the policy as it is.
        every: so many steps apart.

    Returns:
        ``wall_seconds`` and ``cpu_seconds`` of teaching, ``losses`` at the end, and ``validation``, the figures by
        step.
    """
    clock, history = Stopwatch(), []
    means: dict[str, float] = {}
    for step in (bar := tqdm(range(classroom.steps), unit="step", mininterval=5)):
        for name, loss in classroom.step(step, next_lesson(step)).items():
            means[name] = 0.9 * means.get(name, loss) + 0.1 * loss
        bar.set_postfix({name: f"{loss:.2f}" for name, loss in means.items()}, refresh=False)
        if (step + 1) % every == 0:
            with clock.paused():
                found = measure()
            history.append({"step": step + 1, **clock.read(), **found})
            tqdm.write(json.dumps(history[-1]))
    losses = {name: round(loss, 4) for name, loss in means.items()}
    return {**clock.read(), "losses": losses, "validation": history}


def as_halves(policy: PreTrainedModel) -> None:
    """Round the weights to bfloat16, still in float32."""
    nn.Module.to(policy, torch.bfloat16)
    nn.Module.to(policy, torch.float32)


def write(
    folder: Path,
    policy: PreTrainedModel,
    processor: ProcessorMixin,
    record: dict[str, Any],
    able: Path | None,
    *,
    halves: bool,
) -> None:
    """Save a taught policy, in bfloat16 if ``halves``, and beside it training.json: how it was made, what it can do."""
    if halves:
        nn.Module.to(policy, torch.bfloat16)
    save(policy, processor, folder)
    record = {
        **record,
        "parameters": policy.num_parameters(),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "tokenizers")},
    }
    if able:
        record["able"] = json.loads((able / "training.json").read_text())
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n")


def schedule(step: int, steps: int) -> float:
    """Learning rate as a share of its peak: a short rise, then half a cosine down to 3 %."""
    rise = min(1.0, (step + 1) / WARM_UP_STEPS)
    return rise * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / steps)))


class Stopwatch:
    """Time spent teaching, pauses left out: on the wall, and on the processors, which other programs do not stretch."""

    def __init__(self) -> None:
        self._wall, self._processors = time.monotonic(), time.process_time()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what happens inside."""
        wall, processors = time.monotonic(), time.process_time()
        yield
        self._wall += time.monotonic() - wall
        self._processors += time.process_time() - processors

    def read(self) -> dict[str, int]:
        """Whole seconds so far."""
        wall, processors = time.monotonic() - self._wall, time.process_time() - self._processors
        return {"wall_seconds": round(wall), "cpu_seconds": round(processors)}
