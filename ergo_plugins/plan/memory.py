"""Memory of one GPU in each phase of a step, worked out from sizes. Nothing here is measured.

Bytes of a weight: as it is learnt (``master``, verl's ``fsdp_config.model_dtype``), its gradient and both moments of
Adam as many each, split among all GPUs; 2 where layers are gathered for computing. What is assumed stands in constants.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .runs import Rollout, Run, Trainer
from .shapes import Shape

GIB = 2**30
VALUE_BYTES = 2
"""Of a number in bfloat16, in which all is computed."""

CONTEXT_GIB = 1.0
"""Assumed: CUDA's context and NCCL's buffers in a process."""
ASLEEP_GIB = 1.5
"""Assumed: what vLLM keeps while it sleeps, its own context and graphs."""
GRAPHS_GIB = 1.0
"""Assumed: vLLM's CUDA graphs and context, beside its share."""
SPARE_SHARE = 0.05
"""Assumed: of a card's memory lost to fragments between allocations while weights are learnt."""
FEWEST_WORDS = 128
"""Assumed: tokens of text a reply takes at least, with the message before it; so dense with images a batch may be."""


@dataclass(frozen=True, slots=True)
class Part:
    """What takes memory.

    Attributes:
        formula: how it was worked out.
    """

    name: str
    gib: float
    formula: str


@dataclass(frozen=True, slots=True)
class Phase:
    """What is in a GPU's memory at the same time."""

    name: str
    parts: tuple[Part, ...]

    @property
    def gib(self) -> float:
        """All of it."""
        return sum(part.gib for part in self.parts)


def phases(run: Run, card_gib: float) -> tuple[Phase, ...]:
    """The phases of a step on a card of so much memory, in order."""
    trainer = run.trainer
    asleep = _asleep(run, card_gib)
    update = Phase("update", _present([*_held(run, "update"), *_backward(run), *asleep, *_around(card_gib)]))
    if run.rollout is None:
        return (update,)
    most = max(trainer.reckoned_tokens, trainer.reference_tokens)
    reckoning = _present([*_held(run, "reckoning"), *_forward(run, most), *asleep, *_around(card_gib)])
    return (_rollout(run, run.rollout, card_gib), Phase("log-probabilities", reckoning), update)


@dataclass(frozen=True, slots=True)
class Cache:
    """vLLM's key-value cache on each GPU of a replica.

    Attributes:
        gib: what is left for it of vLLM's share; below 0 if nothing is.
        tokens: that it holds.
    """

    gib: float
    tokens: int
    weights_gib: float
    working_gib: float

    @property
    def formula(self) -> str:
        """How it was worked out."""
        return f"share - weights {self.weights_gib:.1f} - largest step {self.working_gib:.1f}"


def cache(shape: Shape, rollout: Rollout, card_gib: float) -> Cache:
    """What vLLM has left for keys and values."""
    weights = shape.served_bytes / rollout.tensor_parallel / GIB
    working = _largest_step_bytes(shape, rollout) / GIB
    left = rollout.utilization * card_gib - weights - working
    per_token = shape.kv_bytes_per_token() / min(rollout.tensor_parallel, shape.kv_heads)
    return Cache(left, max(0, int(left * GIB / per_token)), weights, working)


def learnt_parameters(run: Run) -> int:
    """How many weights have gradients: all, or those of LoRA on every linear layer of the language model.

    Layers without attention are taken for layers with it, which have about as many.
    """
    shape, rank = run.shape, run.trainer.lora_rank
    if not rank:
        return shape.parameters
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = 2 * (shape.hidden + queries) + 2 * (shape.hidden + keys)
    return shape.layers * rank * (attention + 3 * (shape.hidden + shape.intermediate))


def visual_share(run: Run) -> float:
    """Most of a packed micro-batch that is visual tokens: replies as short as they get."""
    if run.budget is None or run.visual_tokens == 0:
        return 0.0
    return run.visual_tokens / (run.visual_tokens + run.budget.replies * FEWEST_WORDS)


def _present(parts: Iterable[Part]) -> tuple[Part, ...]:
    return tuple(part for part in parts if part.gib > 0)


def _around(card_gib: float) -> list[Part]:
    return [
        Part("context", CONTEXT_GIB, "assumed: CUDA and NCCL of the trainer"),
        Part("fragments", SPARE_SHARE * card_gib, f"assumed: {SPARE_SHARE:.0%} of the card"),
    ]


def _held(run: Run, phase: str) -> list[Part]:
    """Weights, gradients and optimizer of a phase: what is moved to the host is there while it is not needed."""
    trainer, gpus = run.trainer, run.gpus
    if trainer.keeps_on_host:
        return []
    learnt = learnt_parameters(run)
    parts = []
    if phase != "rollout" or not trainer.moves_weights:
        weights = run.shape.parameters + (learnt if trainer.lora_rank else 0)
        parts.append(_sharded("weights", weights, trainer.master_bytes, gpus))
    if phase == "update":
        parts.append(_sharded("gradients", learnt, trainer.master_bytes, gpus))
    if phase == "update" or not trainer.moves_optimizer:
        parts.append(_sharded("optimizer", learnt, 2 * trainer.master_bytes, gpus))
    return parts


def _sharded(name: str, weights: int, each_bytes: int, gpus: int) -> Part:
    return Part(name, weights * each_bytes / gpus / GIB, f"{weights / 1e9:.2f}e9 x {each_bytes} B / {gpus} GPUs")


def _gathered(run: Run) -> Part:
    """FSDP gathers the ends of the model and, one after the other, layers: one in use, the next under way."""
    if run.gpus == 1 and run.trainer.master_bytes == VALUE_BYTES and not run.trainer.keeps_on_host:
        return Part("gathered layers", 0.0, "one GPU has all of them")
    shape = run.shape
    ends = shape.embedding_parameters * (1 if shape.tied else 2)
    gathered = ends + 2 * shape.layer_parameters
    return Part("gathered layers", VALUE_BYTES * gathered / GIB, "2 B x (embedding, output layer, 2 layers)")


def _logits(run: Run, tokens: float, copies: int) -> Part:
    size = copies * VALUE_BYTES * tokens * run.shape.vocab
    return Part("logits", size / GIB, f"{copies} x 2 B x {tokens:,.0f} tokens x {run.shape.vocab:,}")


def _inside_a_layer(shape: Shape, tokens: float, name: str, visual: float) -> Part:
    """What one layer needs while it is computed; the tower's blocks come before and need less in a batch as long."""
    width = 6 * shape.hidden + 2 * (shape.heads + 2 * shape.kv_heads) * shape.head_dim + 4 * shape.intermediate
    text = VALUE_BYTES * tokens * width
    tower = shape.vision
    seen = 0.0
    if tower is not None:
        patches = tokens * visual * tower.patches_per_token
        seen = VALUE_BYTES * patches * (12 * tower.hidden + 4 * tower.intermediate)
    return Part(name, max(text, seen) / GIB, f"2 B x {tokens:,.0f} tokens x {width:,} in one layer")


def _forward(run: Run, micro_tokens: int) -> list[Part]:
    tokens = micro_tokens / run.trainer.split
    return [
        _gathered(run),
        _inside_a_layer(run.shape, tokens, "activations", visual_share(run)),
        _logits(run, tokens, run.trainer.reckoned_copies),
    ]


def _backward(run: Run) -> list[Part]:
    """The backward pass of one micro-batch."""
    trainer, shape = run.trainer, run.shape
    tokens = trainer.update_tokens / trainer.split
    inside = _inside_a_layer(shape, tokens, "inside a layer", visual_share(run))
    parts = [_gathered(run), *_kept(run, trainer, inside, tokens)]
    if not trainer.lora_rank:
        largest = max(shape.embedding_parameters, shape.layer_parameters, shape.recurrent_parameters)
        parts.append(Part("whole gradient", 6 * largest / GIB, "(2 + 4) B x the largest layer, before it is split"))
    return [*parts, _logits(run, tokens, trainer.update_copies)]


def _kept(run: Run, trainer: Trainer, inside: Part, tokens: float) -> list[Part]:
    """What the forward pass keeps for the backward one."""
    shape, tower = run.shape, run.shape.vision
    if not trainer.checkpointing:
        return [Part("activations", shape.layers * inside.gib, f"{shape.layers} layers x {inside.formula}")]
    kept = VALUE_BYTES * tokens * shape.hidden * shape.layers
    said = f"2 B x {tokens:,.0f} tokens x {shape.hidden:,} x {shape.layers} layers"
    share = visual_share(run)
    if tower is not None and share:
        patches = tokens * share * tower.patches_per_token
        kept += VALUE_BYTES * patches * tower.hidden * tower.depth
        said += f", and {patches:,.0f} patches x {tower.hidden:,} x {tower.depth} blocks"
    return [Part("layer inputs", kept / GIB, said), inside]


def _asleep(run: Run, card_gib: float) -> list[Part]:
    rollout = run.rollout
    if rollout is None or rollout.on_cpu:
        return []
    if rollout.sleeps:
        return [Part("vLLM asleep", ASLEEP_GIB, "assumed: context and graphs")]
    return [Part("vLLM awake", rollout.utilization * card_gib, "rollout.free_cache_engine=False: its whole share")]


def _rollout(run: Run, rollout: Rollout, card_gib: float) -> Phase:
    parts = [
        *_held(run, "rollout"),
        Part("bucket of new weights", rollout.bucket_bytes / GIB, "rollout.checkpoint_engine: one buffer"),
        Part("vLLM", rollout.utilization * card_gib, f"gpu_memory_utilization {rollout.utilization:g} of the card"),
        Part("vLLM's graphs", GRAPHS_GIB, "assumed: CUDA's graphs and context"),
        Part("context", CONTEXT_GIB, "assumed: CUDA and NCCL of the trainer"),
    ]
    return Phase("rollout", _present(parts))


def _largest_step_bytes(shape: Shape, rollout: Rollout) -> float:
    """What vLLM sets aside for its largest step: a layer, logits of all sequences, the largest images."""
    layer = VALUE_BYTES * rollout.step_tokens * (4 * shape.hidden + 2 * shape.intermediate)
    logits = 2 * 4 * min(rollout.sequences, rollout.step_tokens) * shape.vocab
    tower = shape.vision
    seen = 0.0
    if tower is not None:
        patches = rollout.step_tokens * tower.patches_per_token
        seen = VALUE_BYTES * patches * (4 * tower.hidden + 2 * tower.intermediate)
    return max(layer, seen) / rollout.tensor_parallel + logits
