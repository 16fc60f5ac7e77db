"""``compute_score`` for verl's stock reward managers: the same reward without our manager.

Set ``reward.custom_reward_function.path=pkg://ergo_plugins.verl_plugin.compute_score``, and what stands in the
``ergo:`` block under ``reward``, ``judge`` and ``images`` in ``reward.custom_reward_function.reward_kwargs``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..methods.ergo_reward import score
from .records import recorded
from .region import Verifier, parts
from .rows import Row
from .settings import Settings, build

_verifiers: dict[str, tuple[Settings, Verifier]] = {}


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
        ergo: ``reward``, ``judge`` and ``images`` of the ``ergo:`` block.

    Raises:
        JudgeError, RowError, ValueError: there is no reward.
    """
    settings, verifier = _verifier(ergo, reward_router_address)
    row = Row.read(
        {"data_source": data_source, "reward_model": {"ground_truth": ground_truth}, "extra_info": extra_info}
    )
    try:
        outcome = recorded(extra_info, solution_str, may_lack=True)
    except ValueError as error:
        raise ValueError(f"{row.name}: {error}") from error
    finding = await verifier.verify(outcome, row)
    result = score(outcome, row.target, finding.region_correct, settings.reward, answer_correct=finding.answer_correct)
    return {"score": result.total, **parts(outcome, row, result, finding, extra_info)}


def _verifier(ergo: Mapping[str, Any], router: str | None) -> tuple[Settings, Verifier]:
    """One a process: it holds the connections and remembers verdicts."""
    plain = _plain(ergo)
    key = json.dumps([plain, router], sort_keys=True)
    if key not in _verifiers:
        settings = build(Settings, plain, "reward_kwargs")
        _verifiers[key] = (
            settings,
            Verifier(
                judge_config=settings.judge,
                reward=settings.reward,
                images=settings.images,
                router=router,
                resample=settings.zoom.resample,
            ),
        )
    return _verifiers[key]


def _plain(ergo: Mapping[str, Any]) -> dict[str, Any]:
    from omegaconf import OmegaConf

    return {
        name: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        for name, value in ergo.items()
    }
