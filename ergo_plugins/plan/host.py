"""Memory of a machine, and disk for checkpoints, worked out from sizes."""

from __future__ import annotations

from collections.abc import Sequence

from .memory import GIB, Part, learnt_parameters
from .runs import Run

WORKER_GIB = 8.0
"""Assumed: the processes of a GPU (trainer, vLLM, agent and reward workers), imports and buffers."""
HALF_BYTES = 2
"""Of a weight in Hugging Face's own format."""


def host_parts(run: Run, visual_tokens: float = 0) -> tuple[Part, ...]:
    """What a machine keeps in its memory.

    Args:
        visual_tokens: of an average sequence.
    """
    trainer, nodes = run.trainer, run.nodes
    learnt, weights = learnt_parameters(run), run.shape.parameters
    parts = [Part("processes", WORKER_GIB * run.gpus_per_node, f"assumed: {WORKER_GIB:.0f} GiB a GPU")]
    if trainer.reference_tokens and not trainer.lora_rank:  # LoRA's reference is the policy without its adapter
        parts.append(_shared("reference", weights, trainer.reference_bytes, nodes))
    if trainer.moves_weights or trainer.keeps_on_host:
        parts.append(_shared("weights", weights, trainer.master_bytes, nodes))
    if trainer.moves_optimizer or trainer.keeps_on_host:
        parts.append(_shared("optimizer", learnt, 2 * trainer.master_bytes, nodes))
    if trainer.keeps_on_host:
        parts.append(_shared("gradients", learnt, trainer.master_bytes, nodes))
    if trainer.lora_rank and run.rollout and run.rollout.sleeps and not run.on_cpu:
        replicas = max(1, run.gpus // run.rollout.tensor_parallel)
        said = f"{run.shape.served_bytes / 1e9:.1f} GB x {replicas} replicas: only the adapter is sent to them"
        parts.append(Part("vLLM's weights, asleep", replicas * run.shape.served_bytes / nodes / GIB, said))
    if run.pixels_travel and visual_tokens:
        each = pixel_bytes(run, visual_tokens)
        said = f"{run.batch.sequences:,} trajectories x {each / 1e6:.1f} MB, spread over the machines"
        parts.append(Part("pixels of a step", run.batch.sequences * each / nodes / GIB, said))
    return tuple(parts)


def pixel_bytes(run: Run, visual_tokens: float) -> float:
    """Of a trajectory's images, as float32 in verl's transfer queue."""
    tower = run.shape.vision
    return 0 if tower is None else visual_tokens * tower.patches_per_token * tower.values_per_patch * 4


def checkpoint_parts(run: Run) -> tuple[Part, ...]:
    """What a checkpoint holds, GiB."""
    trainer, weights = run.trainer, run.shape.parameters
    sizes = {
        "model": (weights, trainer.master_bytes),
        "optimizer": (learnt_parameters(run), 2 * trainer.master_bytes),
        "hf_model": (weights, HALF_BYTES),
    }
    return tuple(
        Part(name, count * each / GIB, f"{count / 1e9:.2f}e9 x {each} B")
        for name, (count, each) in sizes.items()
        if name in run.saved
    )


def disk_gib(run: Run) -> float | None:
    """Most on disk: checkpoints that are kept, and one that is being written; None if all are kept."""
    return None if run.kept is None or run.kept < 0 else (run.kept + 1) * total(checkpoint_parts(run))


def total(parts: Sequence[Part]) -> float:
    """GiB of all."""
    return sum(part.gib for part in parts)


def _shared(name: str, weights: int, each_bytes: int, nodes: int) -> Part:
    return Part(name, weights * each_bytes / nodes / GIB, f"{weights / 1e9:.2f}e9 x {each_bytes} B / {nodes} machines")
