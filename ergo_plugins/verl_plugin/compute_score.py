"""``compute_score`` for verl's stock reward managers: the same reward without our manager.

Set ``reward.custom_reward_function.path=pkg://ergo_plugins.verl_plugin.compute_score``, and what stands in the
``ergo:`` block under ``reward``, ``judge`` and ``images`` in ``reward.custom_reward_function.reward_kwargs``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .reward import Rewarder
from .rows import Row
from .settings import Settings

_rewarders: dict[str, Rewarder] = {}


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any],
    reward_router_address: str | None = None,
    reward_model_tokenizer: Any = None,
    **ergo: Any,
) -> dict[str, Any]:
    """The reward of one trajectory, ``score``, and its parts.

    Args:
        solution_str: the trajectory's text.
        ground_truth: the wanted answer, as the row has it.
        extra_info: the row's, with the trajectory's extra fields laid over it, as verl's ``naive`` manager does. One
            without a record of a zoom never zoomed.
        ergo: ``method``, ``reward``, ``judge`` and ``images`` of the ``ergo:`` block.

    Raises:
        JudgeError, RowError, ValueError: there is no reward.
    """
    rewarder = _rewarder(ergo, reward_router_address)
    row = Row.read(
        {"data_source": data_source, "reward_model": {"ground_truth": ground_truth}, "extra_info": extra_info}
    )
    reward, parts = await rewarder.reward(row, extra_info, solution_str, may_lack=True)
    return {"score": reward, **parts}


def _rewarder(ergo: Mapping[str, Any], router: str | None) -> Rewarder:
    """One a process: it holds the connections and remembers verdicts."""
    plain = _plain(ergo)
    key = json.dumps([plain, router], sort_keys=True)
    if key not in _rewarders:
        _rewarders[key] = Rewarder.of(Settings.read(plain, "reward_kwargs"), router=router)
    return _rewarders[key]


def _plain(ergo: Mapping[str, Any]) -> dict[str, Any]:
    from omegaconf import OmegaConf

    return {
        name: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        for name, value in ergo.items()
    }
