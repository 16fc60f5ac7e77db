"""Two turns against a single pass in the engine: vLLM, the same code for both, replies of forced lengths.

    python -m recipes.bench.engine           # the tiny policy on a CPU, some minutes on two cores
    python -m recipes.bench.engine --gpu     # a Qwen2.5-VL-7B with dummy weights on one GPU; nothing is downloaded

Images of V*'s size, decoded for each sample; on a CPU their sides are a quarter and the budgets a sixteenth. The box is
made up (see `plays`), since neither model knows such images. A single pass generates as many tokens as the two turns
together. Second turns made from text lose what can be lost: the replies are random tokens, which text seldom gives
back. No reuse: no request reads the prefix cache. The floor is what the machine would need at least (see
`floor`). Not covered: answers, which mean nothing here, several GPUs, servers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, quantiles

from ergo_plugins.core.outcome import Outcome

from . import full_size, photos
from .figures import AtLeast, AtMost, Figure, table, write
from .floor import Floor, Rates, Shape, Work
from .forced import ForcedEngine, Played
from .plays import ALL, ALL_LOCKSTEP, BATCHES, FROM_TEXT, PLAIN, SINGLE, WITHOUT_REUSE, ZOOMS, Samples, Setting, Way

QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
ON_CPU = {"OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "TOKENIZERS_PARALLELISM": "false"}
BLOCK_TOKENS = {"cpu": 32, "cuda": 16}
NUMBER_BYTES = {"float32": 4, "bfloat16": 2}
CACHED_TARGET, RATE_TARGET, OVERLAP_TARGET, VISION_TARGET = 0.95, 3.0, 1.3, 0.25


@dataclass(frozen=True, slots=True)
class Measured:
    """One way of playing.

    Attributes:
        alone: samples played one after the other; empty if they were not.
        together: samples of which many were under way, in the last round.
        rate: of these, samples a second; the median of all rounds.
    """

    alone: tuple[Outcome, ...]
    together: tuple[Outcome, ...]
    rate: float

    def latency_s(self, percent: int) -> float:
        return quantiles([outcome.seconds or 0.0 for outcome in self.alone], n=100, method="inclusive")[percent - 1]

    @property
    def visual_tokens(self) -> float:
        return mean(outcome.visual_tokens for outcome in self.together)

    @property
    def prompt_tokens(self) -> tuple[float, float]:
        """``(computed, all)`` a sample, over its turns."""
        turns = [turn for outcome in self.together for turn in outcome.turns]
        every, cached = (sum(getattr(turn, name) or 0 for turn in turns) for name in ("prompt_tokens", "cached_tokens"))
        return (every - cached) / len(self.together), every / len(self.together)

    def first_turn_cached(self, block_tokens: int) -> tuple[float, float]:
        """``(found in the cache by the second turn, in whole blocks)`` of the first turn's tokens, a sample."""
        pairs = [outcome.turns for outcome in self.together]
        # the last generated token is never computed as a prompt, so its place in a block is empty
        computed = [(look.prompt_tokens or 0) + (look.new_tokens or 0) - 1 for look, _ in pairs]
        return (
            mean(answer.cached_tokens or 0 for _, answer in pairs),
            mean(tokens // block_tokens * block_tokens for tokens in computed),
        )


def work(outcome: Outcome) -> Work:
    """What a sample asked of the model, each token once."""
    turns, before = [], 0
    for turn in outcome.turns:
        prompt, new = turn.prompt_tokens or 0, turn.new_tokens or 0
        turns.append((prompt - before, new))
        before = prompt + new
    return Work(tuple(turns), tuple(turn.visual_tokens for turn in outcome.turns))


def measure(setting: Setting, photo: Path, ways: Sequence[Way]) -> dict[Way, Measured]:
    """Every way in turn with the others, so that what else the machine does falls on all of them."""
    engine = ForcedEngine(str(setting.model), **setting.options)
    alone: dict[Way, list[Outcome]] = {way: [] for way in ways}
    together: dict[Way, list[Played]] = {way: [] for way in ways}
    try:
        samples = Samples(setting, engine, photo)
        for way in ways:
            samples.play_together(way, min(setting.at_once, setting.samples))  # kernels and caches warm up
        for _ in range(setting.rounds):
            for way in ways:
                if way in (*PLAIN, *WITHOUT_REUSE.values()):
                    alone[way] += samples.play_alone(way, setting.alone).outcomes
                together[way].append(samples.play_together(way, setting.samples))
    finally:
        engine.close()
    return {
        way: Measured(
            alone=tuple(alone[way]),
            together=together[way][-1].outcomes,
            rate=setting.samples / median(played.seconds for played in together[way]),
        )
        for way in ways
    }


# The table.


def by_way(found: dict[Way, Measured], setting: Setting, floor: Floor) -> Iterator[Figure]:
    """Each way beside its floor."""
    for way in PLAIN:
        name, own = setting.name(way), found[way]
        if way.zoom:
            target = VISION_TARGET if setting.full_size and way == ZOOMS[0] else None
            visual_tokens = own.visual_tokens, found[SINGLE].visual_tokens
            yield AtMost(f"{name}: visual tokens (other: single-pass)", *visual_tokens, target)
        yield Figure(f"{name}: prompt tokens computed (other: all)", *own.prompt_tokens)
        if way.zoom:
            blocks = own.first_turn_cached(BLOCK_TOKENS[setting.device])
            yield AtLeast(f"{name}: turn 1 cached in turn 2 (other: whole blocks)", *blocks, CACHED_TARGET)
        alone_s = floor.latency_s(work(own.alone[0]))
        for percent in (50, 95):
            yield Figure(f"{name}: s alone, p{percent} (other: floor)", own.latency_s(percent), alone_s)
        floor_rate = setting.samples / floor.seconds([work(outcome) for outcome in own.together], setting.at_once)
        yield Figure(f"{name}: samples/s, {setting.at_once} at once (other: floor)", own.rate, floor_rate)


def compared(found: dict[Way, Measured], setting: Setting) -> Iterator[Figure]:
    """One way beside another."""
    main, single, text = found[ZOOMS[0]], found[SINGLE], found[FROM_TEXT]
    for way in ZOOMS:
        name, own = setting.name(way), found[way]
        target = RATE_TARGET if setting.full_size and way == ZOOMS[0] else None
        yield AtLeast(f"{name}: samples/s (other: single-pass)", own.rate, single.rate, target)
        yield Figure(f"{name}: s alone, p50 (other: single-pass)", own.latency_s(50), single.latency_s(50))
    for way, without in WITHOUT_REUSE.items():
        name, on, off = setting.name(way), found[way], found[without]
        computed = on.prompt_tokens[0], off.prompt_tokens[0]
        yield Figure(f"{name}: prompt tokens computed (other: no reuse)", *computed)
        yield Figure(f"{name}: samples/s (other: no reuse)", on.rate, off.rate)
        yield Figure(f"{name}: s alone, p50 (other: no reuse)", on.latency_s(50), off.latency_s(50))
    name, block_tokens = setting.name(ZOOMS[0]), BLOCK_TOKENS[setting.device]
    cached = (one.first_turn_cached(block_tokens)[0] for one in (main, text))
    yield Figure(f"{name}: turn 1 cached in turn 2 (other: from text)", *cached)
    yield Figure(f"{name}: samples/s (other: turn 2 from text)", main.rate, text.rate)
    target = OVERLAP_TARGET if setting.full_size else None
    rates = main.rate, found[BATCHES].rate
    yield AtLeast(f"{name}: samples/s (other: lockstep, batches of {setting.at_once})", *rates, target)
    rates = found[ALL].rate, found[ALL_LOCKSTEP].rate
    yield AtLeast(f"{name}: samples/s, all at once (other: lockstep)", *rates, target)


def machine(setting: Setting) -> str:
    """The device and the versions, in a line."""
    import torch
    import transformers
    import vllm

    device = torch.cuda.get_device_name() if setting.device == "cuda" else f"{os.cpu_count()} CPU cores"
    return f"{device}; vLLM {vllm.__version__}, torch {torch.__version__}, transformers {transformers.__version__}"


def rates(device: str, dtype: str) -> Rates:
    """Measured in a process of its own, which gives the memory back."""
    script = Path(__file__).with_name("floor.py")
    done = subprocess.run([sys.executable, script, device, dtype], check=True, capture_output=True, text=True)
    return Rates(**json.loads(done.stdout))


def on_cpu() -> Setting:
    return Setting(
        model=full_size.POLICY,
        options={
            **{"dtype": "float32", "enforce_eager": True, "max_model_len": 1024, "block_size": BLOCK_TOKENS["cpu"]},
            **{"temperature": 1.0, "max_num_seqs": 4},
        },
        device="cpu",
        shrink=4,
        look_tokens=24,
        answer_tokens=12,
        alone=4,
        samples=16,
        at_once=4,
        rounds=3,
    )


def on_gpu(folder: Path) -> Setting:
    return Setting(
        model=full_size.write(folder),
        options={
            **{"dtype": "bfloat16", "load_format": "dummy", "max_model_len": 8192, "block_size": BLOCK_TOKENS["cuda"]},
            **{"temperature": 1.0, "max_num_seqs": 64},
        },
        device="cuda",
        shrink=1,
        look_tokens=128,
        answer_tokens=64,
        alone=20,
        samples=192,
        at_once=64,
        rounds=1,
        full_size=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--gpu", action="store_true", help="a full-size model with dummy weights, on a GPU")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/bench/engine.json"), help="%(default)s")
    args = parser.parse_args()
    for name, value in {**QUIET, **({} if args.gpu else ON_CPU)}.items():
        os.environ.setdefault(name, value)
    setting = on_gpu(args.out.parent / "qwen2.5-vl-7b") if args.gpu else on_cpu()
    dtype = setting.options["dtype"]
    config = json.loads((setting.model / "config.json").read_text())
    floor = Floor(Shape.read(config), rates(setting.device, dtype), NUMBER_BYTES[dtype])
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        width, height = (side // setting.shrink for side in photos.SIZES["vstar"])
        photos.paint(photo, width, height, seed=0)
        found = measure(setting, photo, (*PLAIN, *WITHOUT_REUSE.values(), FROM_TEXT, BATCHES, ALL, ALL_LOCKSTEP))
    figures = [*by_way(found, setting, floor), *compared(found, setting)]
    print(table(figures))
    print(f"a sample, where nothing else is said; floor: {floor.rates.flops:.3g} FLOP/s, {floor.rates.bytes:.3g} B/s")
    print(machine(setting))
    write(figures, args.out)


if __name__ == "__main__":
    main()
