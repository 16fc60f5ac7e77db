"""What the agent loop costs beside generation: verl's own loop classes, token builder and processor, and a policy that
answers at once. Two cores, some minutes.

    python -m recipes.bench.rollout [--rollouts 8] [--prompts 2] [--tokens 640] [--out runs/bench/rollout.json]

``bookkeeping`` includes what verl and the processor do with the images in every multi-turn loop. Not covered: the
reward, the transfer queue, and several workers in one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import pickle
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any
from uuid import uuid4

from .figures import Figure, table, write

TINY = Path(__file__).resolve().parents[1] / "tiny"

REPLIES = ("<think>red</think><zoom>[0, 0, 56, 56]</zoom>", "<think>plain</think><answer>A</answer><|im_end|>")
SCALES = {"2-4K px": (10, 16), "8K px": (36,)}
"""Pixels per unit of a panels image, 224 units a side."""

LARGE_MEGAPIXELS = 16
"""Beyond them a crop alone takes its time, and a step has a target of its own."""


@dataclass(slots=True)
class ScriptedPolicy:
    """Stands where verl's rollout servers stand: first a zoom, then an answer, each after ``seconds``."""

    tokens: Sequence[list[int]]
    seconds: float = 0.0

    async def generate(self, *, image_data: Sequence[Any], sampling_params: Mapping[str, Any], **_: Any) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        await asyncio.sleep(self.seconds)
        reply = self.tokens[len(image_data) - 1][: sampling_params["max_tokens"]]
        return TokenOutput(token_ids=reply, log_probs=[-0.1] * len(reply), stop_reason="completed", extra_fields={})


class Bench:
    """Agent loops as a worker of verl makes them, one a trajectory."""

    def __init__(self, tokens: int) -> None:
        from hydra import compose, initialize_config_dir
        from verl.utils import hf_processor, hf_tokenizer

        from ergo_plugins.verl_plugin.settings import ImagesConfig

        overrides = [
            "hydra.searchpath=[pkg://verl.trainer.config]",
            *("data.train_files=none", "data.val_files=none", f"actor_rollout_ref.model.path={TINY / 'policy'}"),
            *("data.max_prompt_length=2048", "data.max_response_length=2048", "ergo.zoom.resample=bicubic"),
            *(f"ergo.zoom.{turn}_tokens={tokens}" for turn in ("coarse", "crop")),
            f"ergo.zoom.prompts={TINY / 'prompts.yaml'}",
            f"ergo.images.ahead_megapixels={ImagesConfig().ahead_megapixels}",
        ]
        with initialize_config_dir(config_dir=str(TINY), version_base=None):
            self.config = compose("train", overrides=overrides)
        self.processor, self.tokenizer = hf_processor(str(TINY / "policy")), hf_tokenizer(str(TINY / "policy"))
        self.replies = [self.tokenizer.encode(reply, add_special_tokens=False) for reply in REPLIES]

    def play(self, rows: Sequence[dict[str, Any]], *, at_once: bool = True, seconds: float = 0.0) -> list[Any]:
        """One trajectory a row."""
        policy = ScriptedPolicy(self.replies, seconds)

        async def main() -> list[Any]:
            runs = [self._loop(policy).run({"temperature": 1.0}, **row) for row in rows]
            return list(await asyncio.gather(*runs)) if at_once else [await run for run in runs]

        return asyncio.run(main())

    def timed(self, rows: Sequence[dict[str, Any]], seconds: float = 0.0) -> float:
        started = time.perf_counter()
        self.play(rows, seconds=seconds)
        return time.perf_counter() - started

    def make_ready(self, rows: Sequence[dict[str, Any]]) -> None:
        """What a worker does with rows of the next step while this one trains; after a first `play`."""
        from ergo_plugins.verl_plugin.agent_loop import shared_so_far
        from ergo_plugins.verl_plugin.coming import all_made_ready

        shared = shared_so_far()
        assert shared is not None
        asyncio.run(all_made_ready(shared, rows))

    def _loop(self, policy: ScriptedPolicy) -> Any:
        from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
        from verl.utils.dataset.rl_dataset import RLHFDataset

        from ergo_plugins.verl_plugin.agent_loop import ErgoZoomLoop

        return ErgoZoomLoop(
            trainer_config=DictConfigWrap(self.config),
            server_manager=policy,
            tokenizer=self.tokenizer,
            processor=self.processor,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(self.config.data),
            hf_model_type="qwen2_5_vl",
            tools=ToolListWrap([]),
        )


class Rows:
    """Prompts nobody has decoded yet: a file of its own for each, a few images behind them."""

    def __init__(self, folder: Path, scales: tuple[int, ...]) -> None:
        from ergo_plugins.panels.drawing import original
        from ergo_plugins.panels.world import WorldConfig, make_scene

        self.folder = folder
        self.scenes = [make_scene(scale, WorldConfig(scales=(scale,), scale_weights=(1,))) for scale in scales]
        self.files = [folder / f"{uuid4().hex}.png" for _ in scales]
        for scene, file in zip(self.scenes, self.files, strict=True):
            original(scene).save(file, compress_level=1)
        self.megapixels = [(scale * 224) ** 2 / 1e6 for scale in scales]

    def make(self, prompts: int, rollouts: int) -> list[dict[str, Any]]:
        rows = []
        for number in range(prompts):
            scene, file = (kept[number % len(self.files)] for kept in (self.scenes, self.files))
            path = self.folder / f"{uuid4().hex}.png"
            path.hardlink_to(file)
            extra = {"index": number, "image_path": str(path), "question": scene.text, "answer_kind": "option"}
            answer = {"style": "rule", "ground_truth": scene.answer}
            rows += [{"data_source": "panels", "reward_model": answer, "extra_info": extra}] * rollouts
        return rows


def beyond_tokens(output: Any, row: Mapping[str, Any]) -> int:
    """Bytes that go through Ray for a trajectory: its extra fields, and the record that comes back with the reward."""
    from ergo_plugins.core.outcome import Outcome
    from ergo_plugins.verl_plugin.records import as_text
    from ergo_plugins.verl_plugin.rows import Row

    record = as_text(Outcome.from_json(output.extra_fields["ergo"]), Row.read(row))
    return len(pickle.dumps(output.extra_fields)) + len(pickle.dumps(record))


@dataclass(frozen=True, slots=True)
class Step:
    """One prompt with its rollouts that generates for 1 s: wall seconds, and CPU seconds of all threads."""

    wall: float
    cpu: float

    @property
    def share(self) -> float:
        """What is not generation."""
        return (self.wall - 1) / self.wall


def steps(bench: Bench, rows: Rows, rollouts: int) -> tuple[Step, Step]:
    """A step as it comes, and one whose original was decoded ahead.

    The least of five each, played in turn: what else runs in the machine only adds.
    """

    def played(*, ahead: bool) -> Step:
        asked = rows.make(1, rollouts)
        if ahead:
            bench.make_ready(asked[:1])
        began = time.process_time()
        wall = bench.timed(asked, seconds=0.5)
        return Step(wall, time.process_time() - began)

    pairs = [(played(ahead=False), played(ahead=True)) for _ in range(5)]
    least = [Step(min(one.wall for one in kind), min(one.cpu for one in kind)) for kind in zip(*pairs, strict=True)]
    return least[0], least[1]


def measure(bench: Bench, rows: Rows, kind: str, prompts: int, rollouts: int) -> list[Figure]:
    """The figures of one kind of image."""
    played = bench.play(rows.make(prompts, rollouts), at_once=False)
    spent = [output.extra_fields["ergo_seconds"] for output in played]
    total = mean(output.extra_fields["ergo"]["seconds"] for output in played)
    decode, cut = mean(one["decode"] for one in spent), mean(one["cut"] for one in spent)
    alone = mean(one["decode"] for one in spent[::rollouts])  # what it would be without sharing
    before = played[-1].extra_fields["ergo_decodes"]
    group = rows.make(prompts, rollouts)
    grouped = bench.play(group)
    decodes = max(output.extra_fields["ergo_decodes"] for output in grouped) - before
    few, many = (bench.timed(rows.make(prompts, n)) / (prompts * n) for n in (4, 16))
    small, large = (bench.timed(rows.make(count, 4)) / (count * 4) for count in (prompts, 4 * prompts))
    step, ready = steps(bench, rows, rollouts)
    is_large = max(rows.megapixels) > LARGE_MEGAPIXELS
    return [
        Figure(f"{kind}: decode, s a trajectory (other: unshared)", decode, alone),
        Figure(f"{kind}: crop and resize, s a trajectory", cut),
        Figure(f"{kind}: bookkeeping, s a trajectory", total - decode - cut),
        Figure(f"{kind}: decodes a prompt of {rollouts} rollouts", decodes / prompts, target=1),
        Figure(
            f"{kind}: bytes beyond tokens, a trajectory",
            max(beyond_tokens(output, row) for output, row in zip(grouped, group, strict=True)),
            target=50_000,
        ),
        Figure(f"{kind}: s a trajectory at n=16 (other: at n=4)", many, few, target=1.3),
        Figure(f"{kind}: s a trajectory, {4 * prompts} prompts (other: {prompts})", large, small, target=1.3),
        Figure(f"{kind}: share of a step of {rollouts} that generates for 1 s", step.share, target=0.05),
        Figure(f"{kind}: the same, decoded ahead", ready.share, target=0.08 if is_large else 0.05),
        Figure(f"{kind}: CPU-s of that step, decoded ahead (other: not)", ready.cpu, step.cpu),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rollouts", type=int, default=8, help="of a prompt (%(default)s)")
    parser.add_argument("--prompts", type=int, default=2, help="at a time, the fewer of two (%(default)s)")
    parser.add_argument("--tokens", type=int, default=640, help="budget of either turn (%(default)s)")
    parser.add_argument(
        "--scales", type=int, nargs="+", help="instead of both kinds: pixels per unit, 224 units a side"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/bench/rollout.json"), help="%(default)s")
    args = parser.parse_args()
    kinds = {f"{args.scales} x 224 px": tuple(args.scales)} if args.scales else SCALES
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.tokens)
        for kind, scales in kinds.items():
            rows = Rows(Path(folder), scales)
            bench.play(rows.make(4 * args.prompts, 4))  # imports, caches, memory that a virtual machine had not yet got
            figures += measure(bench, rows, kind, args.prompts, args.rollouts)
    print(table(figures))
    write(figures, args.out)


if __name__ == "__main__":
    main()
