"""Tokens, operations, bytes and seconds of a step, worked out. All times hang on shares that are assumed (`cards`)."""

from __future__ import annotations

from dataclasses import dataclass

from .cards import Card
from .memory import cache
from .runs import Run
from .shapes import Shape

WRITTEN_SHARE = 0.3
"""Assumed: of the longest reply that is written on average. ``--written`` sets another."""
WORDS_TOKENS = 200
"""Assumed: words of a prompt, and of each later message."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of an average sequence.

    Attributes:
        read: prompt and later messages, images included.
        visual: of these.
        written: replies.
    """

    read: float
    visual: float
    written: float

    @property
    def all(self) -> float:
        """Of the sequence."""
        return self.read + self.written


@dataclass(frozen=True, slots=True)
class Work:
    """Of a step.

    Attributes:
        tokens: of all sequences.
        generated: of these, written by the policy.
        update_flops, reckoning_flops, generation_flops: operations.
        read_bytes: weights and caches that a GPU reads to generate.
        update_s, reckoning_s, generation_s: seconds.
    """

    tokens: float
    generated: float
    update_flops: float
    reckoning_flops: float
    generation_flops: float
    read_bytes: float
    update_s: float
    reckoning_s: float
    generation_s: float

    @property
    def seconds(self) -> float:
        """Of the step, as far as it is reckoned."""
        return self.update_s + self.reckoning_s + self.generation_s


def average(run: Run, written_share: float = WRITTEN_SHARE, visual_tokens: int | None = None) -> Tokens:
    """An average sequence.

    Args:
        written_share: of the longest replies.
        visual_tokens: of its images; None for images as large as their budgets.
    """
    budget = run.budget
    if budget is None:
        return Tokens(run.batch.prompt_tokens / 2, 0, run.batch.response_tokens * written_share)
    visual = run.visual_tokens if visual_tokens is None else visual_tokens
    read = visual + budget.replies * WORDS_TOKENS
    written = budget.written_tokens * written_share
    if run.on_cpu:  # words of the tiny world are few
        read = visual + min(WORDS_TOKENS, run.batch.prompt_tokens // 2)
    return Tokens(read, visual, written)


def forward_flops(shape: Shape, tokens: Tokens) -> float:
    """Of one sequence: 2 x parameters x tokens, the attention's 2 x layers x width x tokens squared, the images."""
    attention = 2 * shape.attention_layers * shape.heads * shape.head_dim * tokens.all**2  # causal: half of 4 s^2
    tower = shape.vision
    seen = 0.0 if tower is None else 2 * shape.vision_parameters * tokens.visual * tower.patches_per_token
    return 2 * shape.computed_parameters * tokens.all + attention + seen


def work_of(run: Run, card: Card, tokens: Tokens) -> Work:
    """A step of a run on GPUs of a kind."""
    sequences, trainer = run.batch.sequences, run.trainer
    once = sequences * forward_flops(run.shape, tokens)
    passes = run.batch.passes * (4 if trainer.checkpointing else 3)  # backward is two, and forward is done again
    update = once * passes
    reckonings = int(trainer.reckoned_tokens > 0) + int(trainer.reference_tokens > 0)
    speed = run.gpus * card.peak_flops * card.trained_share
    read_bytes, generation_s = _generation(run, card, tokens)
    return Work(
        tokens=sequences * tokens.all,
        generated=sequences * tokens.written if run.rollout else 0.0,
        update_flops=update,
        reckoning_flops=once * reckonings,
        generation_flops=once if run.rollout else 0.0,
        read_bytes=read_bytes,
        update_s=update / speed,
        reckoning_s=once * reckonings / speed,
        generation_s=generation_s,
    )


def _generation(run: Run, card: Card, tokens: Tokens) -> tuple[float, float]:
    """``(bytes, seconds)`` on a GPU: each step reads all weights, and the cache of every sequence under way.

    At the end few sequences are left, the longest of them as long as allowed; prompts are computed once a sequence.
    """
    rollout = run.rollout
    if rollout is None or tokens.written == 0:
        return 0.0, 0.0
    replicas = max(1, run.gpus // rollout.tensor_parallel)
    each = run.batch.sequences / replicas
    room = cache(run.shape, rollout, card.memory_gib).tokens / tokens.all
    together = max(1.0, min(each, rollout.sequences, room))
    steps = tokens.written * each / together
    longest = run.budget.written_tokens if run.budget else run.batch.response_tokens
    weights = run.shape.served_bytes
    cached = run.shape.kv_bytes_per_token() * (tokens.read + tokens.written / 2)
    tail = max(0.0, longest - tokens.written)
    read = (steps * (weights + together * cached) + tail * weights) / rollout.tensor_parallel
    prefill = each * forward_flops(run.shape, tokens) / (rollout.tensor_parallel * card.peak_flops * card.trained_share)
    return read, read / (card.bytes_per_s * card.read_share) + prefill
