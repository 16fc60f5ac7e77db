"""The reward manager ``ergo``: cuts the crop again, has it verified, and gives verl the reward and all its parts."""

from __future__ import annotations

import logging
from typing import Any, cast

from transformers import PreTrainedTokenizerBase
from verl import DataProto
from verl.experimental.reward_loop.reward_manager import register
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

from .group_step import GROUP_STEP, shapes
from .records import TOOL_LOOP
from .reward import Rewarder
from .rows import Row
from .settings import Settings

_logger = logging.getLogger(__name__)

SCORER = "pkg://ergo_plugins.verl_plugin.compute_score"


def refuse(config: Any, settings: Settings) -> None:
    """Refuse what verl accepts and then silently does otherwise.

    Raises:
        ValueError: with the setting to change.
    """
    served = config.reward.reward_model
    if served.enable and not config.reward.custom_reward_function.path:
        raise ValueError(
            "reward.reward_model is enabled without reward.custom_reward_function.path: verl would ask it for scalar "
            f"scores and never run the reward manager; set reward.custom_reward_function.path={SCORER}"
        )
    if served.enable and not served.enable_resource_pool:
        raise ValueError(
            "reward.reward_model shares the actor's devices: verl then sends the reward manager no boxes, so no crop "
            "can be judged; set reward.reward_model.enable_resource_pool=True (with n_gpus_per_node and nnodes), or "
            "serve the judge elsewhere with ergo.judge.source=endpoints"
        )
    if settings.judge.source == "reward_model" and not served.enable:
        raise ValueError("ergo.judge.source=reward_model needs reward.reward_model.enable=True")
    if served.enable and settings.judge.source != "reward_model":
        raise ValueError(
            f"verl serves a reward model, but ergo.judge.source={settings.judge.source} does not ask it; "
            "set ergo.judge.source=reward_model or reward.reward_model.enable=False"
        )


@register("ergo")
class ErgoRewardManager(RewardManagerBase):
    """verl makes one in each reward worker."""

    def __init__(
        self,
        config: Any,
        tokenizer: Any,
        compute_score: Any,
        reward_router_address: str | None = None,
        reward_model_tokenizer: Any = None,
    ) -> None:
        super().__init__(config, tokenizer, compute_score)
        self.settings = Settings.of(config)
        refuse(config, self.settings)
        self._tell(config)
        self.rewarder = Rewarder.of(
            self.settings, router=reward_router_address, model=config.reward.reward_model.model_path or ""
        )

    def _tell(self, config: Any) -> None:
        """Say that rewards stay as each rollout earned them, where the method would weigh them and nobody does."""
        trainer = (config.get("trainer") or {}).get("v1") or {}
        mode = str(trainer.get("trainer_mode") or "sync")
        if shapes(self.settings.method) and not trainer.get(GROUP_STEP) and not mode.startswith("ergo_"):
            _logger.warning(
                "%s weighs the rollouts of a prompt against each other, which only trainer.v1.trainer_mode=ergo_%s "
                "does; with %s each is rewarded by itself, and the penalty of its own acts alone",
                self.settings.method.name,
                mode,
                mode,
            )

    async def run_single(self, data: DataProto) -> dict[str, Any]:
        """The reward of the last sequence of a trajectory.

        Raises:
            JudgeError, RowError, ValueError: there is no reward; verl then drops the trajectory.
        """
        item = data[-1:][0]
        columns = item.non_tensor_batch
        extra_fields = columns.get("tool_extra_fields")
        row = Row.read(columns)
        loop = columns.get("agent_name") or self.config.actor_rollout_ref.rollout.agent.default_agent_loop
        response = await self.loop.run_in_executor(None, self._text, item.batch)
        reward, parts = await self.rewarder.reward(row, extra_fields, response, may_lack=loop == TOOL_LOOP)
        return {"reward_score": reward, "reward_extra_info": parts}

    def _text(self, batch: Any) -> str:
        responses = batch["responses"]
        length = int(batch["attention_mask"][-responses.shape[-1] :].sum())
        tokenizer = cast(PreTrainedTokenizerBase, self.tokenizer)  # verl annotates the class that makes it
        text = tokenizer.decode(responses[:length], skip_special_tokens=True)
        assert isinstance(text, str)  # a list only of several sequences
        return text
