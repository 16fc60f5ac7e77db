"""The part of ``docs/hardware.md`` that holds the reckoning against what others published, and what a CPU measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from .cards import CARDS
from .checks import holds, too_large
from .compose import read_run
from .host import checkpoint_parts, total
from .memory import GIB, phases
from .published import DEVICES, ESTIMATES, GSM8K_TOKENS, MEASURED, TINY, again, card_of, device_run, fewest_gpus
from .reckoned import plan_of


def beside_others() -> Iterator[str]:
    """Tables of EasyR1 and verl."""
    yield "## Beside published figures\n"
    yield "### EasyR1's hardware table\n"
    yield (
        "Fewest GPUs for GRPO with all weights learnt. Theirs are called estimates; ours: its settings, one row of "
        "4,096 tokens at a time.\n"
    )
    rows: list[Sequence[str]] = []
    for one in ESTIMATES:
        ours = fewest_gpus(one)
        error = "none fits" if ours is None else "0" if ours == one.gpus else f"x {ours / one.gpus:g}"
        rows.append((one.model, one.bits, f"{one.gpus} x {one.card_gb} GB", f"{ours} x {one.card_gb} GB", error))
    yield table(("model", "bits", "EasyR1", "computed", "error"), rows)
    yield "### EasyR1's measured baselines\n"
    yield (
        "8 GPUs, Geometry3k, 512 prompts x 5. Computed: memory with rows of 4,096 tokens, which most are not; time "
        "with the published mean length. The same run takes 60 GB on H100 and 44 on L20: what is published holds what "
        "the allocator did not give back. The 3B is as slow as the 7B: what costs its time is not reckoned here. The "
        "share of the peak comes from the rows of 7B, so that their times are no test of it.\n"
    )
    rows = []
    for row in MEASURED:
        ours_of = again(row)
        rows.append(
            (
                f"{row.model} {row.bits}, {row.rows[0]} / {row.rows[1]}",
                row.card.upper(),
                *_pair(row.gpu_gb, ours_of.gpu_gb),
                *_pair(row.host_gb, ours_of.host_gb),
                *_pair(row.step_s, ours_of.step_s),
            )
        )
    names = ("run, rows of a micro-batch", "card", "GB a GPU", "computed", "error", "GB of host", "computed", "error")
    yield table((*names, "s a step", "computed", "error"), rows)
    yield "### verl's device table\n"
    yield (
        f"Fewest GPUs of 80 GB that verl's authors ran, with their scripts' settings and rows of {GSM8K_TOKENS} tokens "
        "(GSM8K, assumed). Computed: the largest phase on as many, and on half as many, of 79.1 GiB.\n"
    )
    yield table(("model", "learnt", "verl", "GiB computed", "on half as many", "error"), _devices())


def _devices() -> list[Sequence[str]]:
    card = card_of(80)
    rows: list[Sequence[str]] = []
    for one in DEVICES:
        theirs = device_run(one, one.gpus)
        most = max(phase.gib for phase in phases(theirs, card.memory_gib))
        half = one.gpus // 2
        fewer = max(phase.gib for phase in phases(device_run(one, half), card.memory_gib)) if half else None
        fits = holds(theirs, card)
        also = half > 0 and holds(device_run(one, half), card)
        excess = "cache" if not too_large(theirs, card) else f"{most / card.memory_gib - 1:+.0%} of the card"
        error = f"does not fit: {excess}" if not fits else "x 0.5" if also else "0"
        learnt = f"LoRA {one.lora_rank}" if one.lora_rank else "all"
        shown = "" if fewer is None else f"{fewer:.1f}" + ("" if also else ", does not fit")
        rows.append((one.model, learnt, f"{one.gpus} x 80 GB", f"{most:.1f}", shown, error))
    return rows


def tiny_run(folder: Path) -> Iterator[str]:
    """The table of the run on a CPU.

    Args:
        folder: of the recipes.
    """
    yield "### The CPU run\n"
    yield (
        "`recipes/tiny/train.yaml` under verl 0.9.1, measured. It says nothing of the memory and time of a GPU: its "
        "processes take a thousand times the memory of these weights. `tests/contract/test_plan.py` compares "
        "operations with those that PyTorch counts, and a prompt with what verl's loop makes of it.\n"
    )
    policy = f"actor_rollout_ref.model.path={folder / 'tiny' / 'policy'}"
    run = read_run(str(folder / "tiny" / "train.yaml"), [policy], counts=False)
    plan = plan_of(run, CARDS["h100"])
    rows = [
        ("checkpoint, MB", *_pair(TINY.checkpoint_bytes / 1e6, total(checkpoint_parts(run)) * GIB / 1e6)),
        ("tokens of step 1", *_pair(TINY.tokens, plan.work.tokens)),
    ]
    yield table(("what", "measured", "computed", "error"), rows)


def _pair(theirs: float, ours: float) -> tuple[str, str, str]:
    digits = ",.1f" if theirs < 100 and theirs != int(theirs) else ",.0f"
    return format(theirs, digits), format(ours, digits), f"{ours / theirs - 1:+.0%}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
