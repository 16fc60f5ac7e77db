"""Real parts of verl put together by hand: its configuration, processor and agent loops, with a scripted policy."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from PIL import Image
from verl import DataProto
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, AgentLoopWorker, DictConfigWrap
from verl.trainer.ppo.reward import load_reward_manager
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset, collate_fn
from verl.workers.rollout.replica import TokenOutput

from ergo_plugins.plan import compose

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "recipes" / "tiny"
POLICY = TINY / "policy"


def composed(name: str, *overrides: str, folder: Path = TINY) -> DictConfig:
    """`ergo_plugins.plan.compose.composed`, by default of a tiny recipe; a copy of what was composed before."""
    return copy.deepcopy(_composed(name, overrides, folder))


@cache
def _composed(name: str, overrides: tuple[str, ...], folder: Path) -> DictConfig:
    config: DictConfig = compose.composed(name, *overrides, folder=folder)
    return config


def tiny(*overrides: str) -> DictConfig:
    """The tiny recipe with its paths filled in."""
    return composed(
        "train",
        "data.train_files=train.parquet",
        "data.val_files=validation.parquet",
        f"actor_rollout_ref.model.path={POLICY}",
        f"ergo.zoom.prompts={TINY / 'prompts.yaml'}",
        *overrides,
    )


@cache
def tokenizer_and_processor(folder: Path) -> tuple[Any, Any]:
    """A model's, as verl loads them; a real vocabulary takes seconds."""
    return hf_tokenizer(str(folder)), hf_processor(str(folder))


class ScriptedPolicy:
    """Stands where verl's rollout servers stand and replies with what it is told, token by token.

    No dataclass: hydra, through which verl makes its agent loops, would take one for a piece of configuration.

    Attributes:
        replies: given the number of the turn within its conversation, the reply's tokens.
        asked: the parameters of every request.
        heeds_cap: whether it ends at ``max_tokens``, as not every server of verl does.
    """

    def __init__(
        self, replies: Callable[[int], list[int]], *, with_log_probs: bool = True, heeds_cap: bool = True
    ) -> None:
        self.replies = replies
        self.heeds_cap = heeds_cap
        self.asked: list[dict[str, Any]] = []
        self.with_log_probs = with_log_probs

    async def generate(self, request_id: str, **request: Any) -> TokenOutput:
        await asyncio.sleep(0)
        turn = sum(asked["request_id"] == request_id for asked in self.asked)
        self.asked.append({"request_id": request_id, **request})
        tokens = self.replies(turn)[: request["sampling_params"].get("max_tokens") if self.heeds_cap else None]
        log_probs = [-0.01 * (i + 1) - turn for i in range(len(tokens))] if self.with_log_probs else None
        steps = {"global_steps": 3, "min_global_steps": 3, "max_global_steps": 3}
        return TokenOutput(token_ids=tokens, log_probs=log_probs, stop_reason="completed", extra_fields=steps)


@dataclass
class Bench:
    """An agent loop class of verl's registry on the tiny policy's processor, or on that of another folder."""

    config: DictConfig
    loop_class: type
    policy: ScriptedPolicy
    tools: list[Any] = field(default_factory=list)
    folder: Path = POLICY

    def __post_init__(self) -> None:
        self.tokenizer, self.processor = tokenizer_and_processor(self.folder)

    def run(self, row: dict[str, Any], count: int = 1) -> list[AgentLoopOutput]:
        """``count`` rollouts of a row at the same time."""

        async def main() -> list[AgentLoopOutput]:
            return list(await asyncio.gather(*[self._loop().run({"temperature": 1.0}, **row) for _ in range(count)]))

        return asyncio.run(main())

    def _loop(self) -> Any:
        from verl.experimental.agent_loop.agent_loop import ToolListWrap

        return self.loop_class(
            trainer_config=DictConfigWrap(self.config),
            server_manager=self.policy,
            tokenizer=self.tokenizer,
            processor=self.processor,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(self.config.data),
            hf_model_type="qwen2_5_vl",
            tools=ToolListWrap(self.tools),
        )


class RewardWorker:
    """Stands where the Ray handle of verl's reward worker stands: what the manager is handed was sent and unpacked."""

    def __init__(self, config: DictConfig, tokenizer: Any) -> None:
        self.manager = load_reward_manager(config, tokenizer)

    @property
    def compute_score(self) -> RewardWorker:
        return self

    async def remote(self, data: DataProto) -> dict[str, Any]:
        rewarded: dict[str, Any] = await self.manager.run_single(pickle.loads(pickle.dumps(data)))
        return rewarded


def rolled_out(config: DictConfig, rows: Sequence[dict[str, Any]], replies: Sequence[str]) -> Any:
    """Rows of verl's data set through verl's own worker: agent loop, reward manager, padding.

    Args:
        config: of a run; its model's folder has a processor and a configuration.
        rows: items of verl's data set.
        replies: what the policy says in each turn.

    Returns:
        verl's batch, and the policy with what it was asked.
    """
    tokenizer, _ = tokenizer_and_processor(Path(config.actor_rollout_ref.model.path))
    tokens = [tokenizer.encode(reply, add_special_tokens=False) for reply in replies]
    policy = ScriptedPolicy(lambda turn: tokens[turn])

    async def main() -> DataProto:
        worker = AgentLoopWorker(config, policy, reward_loop_worker_handles=[RewardWorker(config, tokenizer)])
        batch: DataProto = await worker.generate_sequences(DataProto.from_single_dict(collate_fn(list(rows))))
        return batch

    return asyncio.run(main()), policy


def panel_row(folder: Path, side: int = 448, **extra: Any) -> dict[str, Any]:
    """A row as verl hands it to an agent loop, with an image on disk."""
    path = folder / "panel.png"
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    question = "Which pattern fills the red tile?\nA. plain\nB. checkered\nC. horizontal\nD. vertical"
    image = {"type": "image", "image": str(path)}
    return {
        "data_source": "panels",
        "raw_prompt": [{"role": "user", "content": [image, {"type": "text", "text": question}]}],
        "reward_model": {"style": "rule", "ground_truth": "B"},
        "extra_info": {
            "index": 7,
            "image_path": str(path),
            "question": question,
            "answer_kind": "option",
            "target_box": [0.0, 0.0, side / 8, side / 8],
            **extra,
        },
    }
