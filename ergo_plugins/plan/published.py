"""What others published of runs like these, and what the same reckoning says of them.

Figures of EasyR1 (hiyouga/EasyR1: README, "Hardware Requirements", its own estimates; assets/baselines.md, measured,
with the settings of its examples/config.yaml) and of verl (verl-project/verl: docs/perf/device_tuning.rst, run, with
the scripts in examples/tuning that it links).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .cards import CARDS, Card
from .checks import holds
from .host import host_parts, total
from .memory import phases
from .runs import Batch, Rollout, Run, Trainer
from .shapes import shape_known
from .work import Tokens, work_of

GIVEN_GIB = {24: 23.5, 40: 39.4, 48: 44.4, 80: 79.1}
"""What CUDA reports of cards sold as so many GB."""
GPUS = (1, 2, 4, 8, 16, 32, 64)
GSM8K_TOKENS = 400
"""Assumed: of a sequence of GSM8K, on which verl's scripts train."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A cell of EasyR1's table: fewest GPUs of a size."""

    model: str
    bits: str
    gpus: int
    card_gb: int


ESTIMATES = (
    Estimate("Qwen2.5-1.5B", "AMP", 2, 24),
    Estimate("Qwen2.5-VL-3B", "AMP", 4, 40),
    Estimate("Qwen2.5-VL-7B", "AMP", 8, 40),
    Estimate("Qwen2.5-VL-32B", "AMP", 16, 80),
    Estimate("Qwen2.5-VL-72B", "AMP", 32, 80),
    Estimate("Qwen2.5-1.5B", "BF16", 1, 24),
    Estimate("Qwen2.5-VL-3B", "BF16", 1, 40),
    Estimate("Qwen2.5-VL-7B", "BF16", 4, 40),
    Estimate("Qwen2.5-VL-32B", "BF16", 8, 80),
    Estimate("Qwen2.5-VL-72B", "BF16", 16, 80),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of EasyR1's measured baselines, on 8 GPUs.

    Attributes:
        rows: of a micro-batch in the update, and where log-probabilities are reckoned.
        host_gb, gpu_gb: most memory of the machine and of a GPU.
        tokens_per_s: a GPU.
        step_s: seconds of a step.
    """

    model: str
    card: str
    bits: str
    rows: tuple[int, int]
    parallel: int
    host_gb: int
    gpu_gb: int
    tokens_per_s: int
    step_s: int

    @property
    def tokens(self) -> float:
        """Of an average sequence: 512 prompts x 5."""
        return self.tokens_per_s * 8 * self.step_s / 2560


MEASURED = (
    Measured("Qwen2.5-VL-3B", "h100", "AMP", (4, 16), 2, 120, 35, 1200, 180),
    Measured("Qwen2.5-VL-7B", "h100", "AMP", (4, 16), 2, 140, 60, 1200, 180),
    Measured("Qwen2.5-VL-7B", "h100", "AMP", (10, 20), 2, 150, 75, 1400, 170),
    Measured("Qwen2.5-VL-7B", "l20", "AMP", (4, 16), 2, 150, 44, 410, 580),
    Measured("Qwen2.5-VL-7B", "h100", "BF16", (4, 16), 2, 150, 50, 1280, 190),
    Measured("Qwen2.5-VL-32B", "h100", "BF16", (1, 8), 8, 240, 68, 360, 860),
)


@dataclass(frozen=True, slots=True)
class Device:
    """A row of verl's device table: fewest GPUs of 80 GB, with its script's settings.

    Attributes:
        micro_tokens: most of a micro-batch on a GPU: the script's rows x `GSM8K_TOKENS`, or its own limit.
        lora_rank: 0 for learning all weights.
    """

    model: str
    gpus: int
    micro_tokens: int
    utilization: float
    parallel: int
    lora_rank: int = 0
    split: int = 1


DEVICES = (
    Device("Qwen2.5-7B", 2, 16 * GSM8K_TOKENS, 0.6, 2),
    Device("Qwen2.5-14B", 4, 16 * GSM8K_TOKENS, 0.5, 4),
    Device("Qwen2.5-72B", 32, 40 * GSM8K_TOKENS, 0.6, 16),  # all of a GPU's mini-batch; its limit is 24,000
    Device("Qwen2.5-1.5B", 1, 128 * GSM8K_TOKENS, 0.1, 1, 32),
    Device("Qwen2.5-3B", 1, 62 * GSM8K_TOKENS, 0.1, 1, 32),
    Device("Qwen2.5-7B", 1, 16 * GSM8K_TOKENS, 0.2, 1, 32),
    Device("Qwen2.5-14B", 2, 116 * GSM8K_TOKENS, 0.25, 2, 32, 2),
    Device("Qwen2.5-32B", 4, 90 * GSM8K_TOKENS, 0.3, 4, 32, 2),
    Device("Qwen2.5-72B", 8, 44 * GSM8K_TOKENS, 0.4, 8, 32, 2),
)


def card_of(gb: int) -> Card:
    """A card sold as so many GB, for its memory alone."""
    return replace(CARDS["a100"], title=f"{gb} GB", memory_gib=GIVEN_GIB[gb])


def easy_r1(
    model: str,
    gpus: int,
    bits: str,
    *,
    rows: tuple[int, int],
    row_tokens: float,
    parallel: int = 1,
    utilization: float = 0.6,
) -> Run:
    """A run with EasyR1's settings: weights and optimizer on the host while nothing is learnt."""
    master = 4 if bits == "AMP" else 2
    update, reckoned = (int(count * row_tokens) for count in rows)
    return Run(
        name=f"{model} {bits}",
        model=model,
        shape=shape_known(model),
        nodes=-(-gpus // 8),
        gpus_per_node=min(gpus, 8),
        batch=Batch(prompts=512, group=5, mini_prompts=128, prompt_tokens=2048, response_tokens=2048),
        trainer=Trainer(
            update, reckoned, reckoned, master, reference_bytes=2, moves_weights=True, moves_optimizer=True
        ),
        rollout=Rollout(parallel, utilization, 4096, 1024, 8192, bucket_bytes=0),
        pixels_travel=False,
    )


def fewest_gpus(estimate: Estimate) -> int | None:
    """Of a size, on which EasyR1's settings fit with one row of the greatest length at a time; None for none."""
    card = card_of(estimate.card_gb)
    for gpus in GPUS:
        heads = shape_known(estimate.model).heads
        for parallel in (one for one in (1, 2, 4, 8) if one <= gpus and heads % one == 0):
            for share in (0.6, 0.5, 0.4):
                run = easy_r1(
                    estimate.model,
                    gpus,
                    estimate.bits,
                    rows=(1, 1),
                    row_tokens=4096,
                    parallel=parallel,
                    utilization=share,
                )
                if holds(run, card):
                    return gpus
    return None


@dataclass(frozen=True, slots=True)
class Again:
    """What the reckoning says of a measured row: GB of the trainer, GB of the machine, seconds of a step."""

    gpu_gb: float
    host_gb: float
    step_s: float


def again(row: Measured) -> Again:
    """The same run, reckoned: memory with rows as long as they may be, time with rows of the published mean length.

    Half of a row is taken for written. The published memory of a GPU is taken for the trainer's: in most rows it is
    less than what vLLM alone has.
    """
    run = easy_r1(row.model, 8, row.bits, rows=row.rows, row_tokens=4096, parallel=row.parallel)
    card = CARDS[row.card]
    learnt = [phase for phase in phases(run, card.memory_gib) if phase.name != "rollout"]
    outside = {"vLLM asleep", "context"}
    gpu = max(sum(part.gib for part in phase.parts if part.name not in outside) for phase in learnt)
    work = work_of(run, card, Tokens(row.tokens / 2, 0, row.tokens / 2))
    return Again(gpu, total(host_parts(run)), work.seconds)


def device_run(device: Device, gpus: int) -> Run:
    """A run of verl's device table on so many GPUs; replicas shrink with them."""
    return Run(
        name=device.model,
        model=device.model,
        shape=shape_known(device.model),
        nodes=-(-gpus // 8),
        gpus_per_node=min(gpus, 8),
        batch=Batch(prompts=512, group=5, mini_prompts=128, prompt_tokens=512, response_tokens=1024),
        trainer=Trainer(
            device.micro_tokens,
            device.micro_tokens,
            device.micro_tokens,
            moves_weights=True,
            moves_optimizer=True,
            lora_rank=device.lora_rank,
            update_copies=3 if device.lora_rank else 1,
            split=min(device.split, gpus),
        ),
        rollout=Rollout(min(device.parallel, gpus), device.utilization, 1536, 512, 1536, bucket_bytes=0),
        pixels_travel=False,
    )


@dataclass(frozen=True, slots=True)
class TinyRun:
    """What a run of ``recipes/tiny/train.yaml`` under verl 0.9.1 on a CPU left behind.

    Attributes:
        checkpoint_bytes: of verl's two files of weights and optimizer.
        tokens: ``perf/total_num_tokens`` of step 1.
    """

    checkpoint_bytes: int
    tokens: int


TINY = TinyRun(checkpoint_bytes=7_040_989 + 14_080_811, tokens=14_350)
