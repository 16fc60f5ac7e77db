"""Real parts of verl put together by hand: its configuration, processor and agent loops, with a scripted policy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput, DictConfigWrap
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.replica import TokenOutput

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "recipes" / "tiny"
POLICY = TINY / "policy"


def composed(name: str, *overrides: str, folder: Path = TINY) -> DictConfig:
    """A recipe merged over verl's configuration, as ``verl.trainer.main_ppo --config-dir`` does."""
    with initialize_config_dir(config_dir=str(folder), version_base=None):
        return compose(name, overrides=["hydra.searchpath=[pkg://verl.trainer.config]", *overrides])


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


@dataclass
class ScriptedPolicy:
    """Stands where verl's rollout servers stand and replies with what it is told, token by token.

    Attributes:
        replies: given the number of the turn within its conversation, the reply's tokens.
        asked: the parameters of every request.
    """

    replies: Callable[[int], list[int]]
    asked: list[dict[str, Any]] = field(default_factory=list)
    with_log_probs: bool = True

    async def generate(self, request_id: str, **request: Any) -> TokenOutput:
        await asyncio.sleep(0)
        turn = sum(asked["request_id"] == request_id for asked in self.asked)
        self.asked.append({"request_id": request_id, **request})
        tokens = self.replies(turn)[: request["sampling_params"]["max_tokens"]]
        log_probs = [-0.01 * (i + 1) - turn for i in range(len(tokens))] if self.with_log_probs else None
        steps = {"global_steps": 3, "min_global_steps": 3, "max_global_steps": 3}
        return TokenOutput(token_ids=tokens, log_probs=log_probs, stop_reason="completed", extra_fields=steps)


@dataclass
class Bench:
    """An agent loop class of verl's registry on the tiny policy's processor."""

    config: DictConfig
    loop_class: type
    policy: ScriptedPolicy
    tools: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.processor = hf_processor(str(POLICY))
        self.tokenizer = hf_tokenizer(str(POLICY))

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
