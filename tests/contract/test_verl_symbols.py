"""What of verl the plugin calls, by name: a version that moved something says here what, before a run does."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
import verl
from verl.workers.config import RolloutConfig

from tests.contract.verl_parts import ROOT

CALLED = {
    "verl:DataProto": "batch non_tensor_batch",
    "verl.experimental.agent_loop.agent_loop:register": "agent_name",
    "verl.experimental.agent_loop.agent_loop:AgentLoopBase": "trainer_config server_manager tokenizer processor",
    "verl.experimental.agent_loop.agent_loop:AgentLoopBase.run": "sampling_params",
    "verl.experimental.agent_loop.agent_loop:AgentLoopBase.ct_build_initial_tokens": "messages images",
    "verl.experimental.agent_loop.agent_loop:AgentLoopBase.ct_merge_context_msg": (
        "previous_messages updated_messages runtime_token_ids response_mask response_logprobs"
    ),
    "verl.experimental.agent_loop.agent_loop:AgentLoopBase.ct_merge_assistant_token": (
        "runtime_token_ids assistant_token_ids response_mask response_logprobs assistant_logprobs"
    ),
    "verl.experimental.agent_loop.agent_loop:AgentLoopMetrics": "generate_sequences tool_calls num_preempted",
    "verl.experimental.agent_loop.agent_loop:AgentLoopOutput": (
        "prompt_ids response_ids response_mask response_logprobs routed_experts multi_modal_data num_turns metrics "
        "extra_fields"
    ),
    "verl.experimental.agent_loop.tool_parser:FunctionCall": "name arguments",
    "verl.experimental.agent_loop.tool_parser:ToolParser": "tokenizer",
    "verl.experimental.agent_loop.tool_parser:ToolParser.register": "name",
    "verl.experimental.agent_loop.tool_parser:ToolParser.extract_tool_calls": "responses_ids tools",
    "verl.experimental.agent_loop.tool_agent_loop:AgentData": "messages image_data",
    "verl.experimental.reward_loop.reward_manager:register": "name",
    "verl.experimental.reward_loop.reward_manager.base:RewardManagerBase": "config tokenizer compute_score",
    "verl.experimental.reward_loop.reward_manager.base:RewardManagerBase.run_single": "data",
    "verl.experimental.reward_loop.reward_manager.naive:NaiveRewardManager": (
        "config tokenizer compute_score reward_router_address reward_model_tokenizer"
    ),
    "verl.tools.base_tool:BaseTool": "config tool_schema",
    "verl.tools.base_tool:BaseTool.create": "instance_id",
    "verl.tools.base_tool:BaseTool.execute": "instance_id parameters",
    "verl.tools.base_tool:BaseTool.release": "instance_id",
    "verl.tools.schemas:OpenAIFunctionToolSchema": "type function",
    "verl.tools.schemas:OpenAIFunctionToolSchema.model_validate": "",
    "verl.tools.schemas:ToolResponse": "text image",
    "verl.trainer.ppo.core_algos:register_adv_est": "name_or_enum",
    "verl.trainer.ppo.core_algos:compute_grpo_outcome_advantage": (
        "token_level_rewards response_mask index norm_adv_by_std_in_grpo"
    ),
    "verl.trainer.ppo.v1.replay_buffer:ReplayBuffer": "poll_interval",
    "verl.trainer.ppo.v1.replay_buffer:ReplayBuffer.sample": "global_steps partition_id batch_size",
    "verl.trainer.ppo.v1.trainer_base:register_trainer": "name",
    "verl.trainer.ppo.v1.trainer_base:PPOTrainer": "config",
    "verl.trainer.ppo.v1.trainer_base:PPOTrainer.on_train_begin": "",
    "verl.trainer.ppo.v1.trainer_sync:PPOTrainerSync.on_sample_end": "",
    "verl.trainer.ppo.v1.trainer_colocate_async:PPOTrainerColocateAsync.on_sample_end": "",
    "verl.trainer.ppo.v1.trainer_colocate_async:PPOTrainerColocateAsync": "config",
    "verl.trainer.ppo.v1.trainer_separate_async:PPOTrainerSeparateAsync": "config",
    "verl.trainer.ppo.v1.trainer_sync:PPOTrainerSync": "config",
    "verl.trainer.ppo.v1.trainer_sync:PPOTrainerSync.step": "metrics timing_raw",
    "verl.utils.profiler:simple_timer": "name timing_raw",
    "verl.utils.tracking:Tracking": "default_backend",
    "verl.utils.tracking:_TensorboardAdapter": "project_name experiment_name",
    "verl.utils.tokenizer.continuous_token:ContinuousTokenBuilder.supports_multimodal": "",
    "verl.workers.rollout.replica:TokenOutput": (
        "token_ids log_probs routed_experts stop_reason num_preempted extra_fields"
    ),
    "verl.workers.rollout.utils:get_vision_placeholder_token_ids": "processor",
    "transfer_queue:kv_batch_get": "keys partition_id select_fields",
    "transfer_queue:kv_batch_put": "keys partition_id fields",
    "verl.utils.tensordict_utils:list_of_dict_to_tensordict": "",
    "verl.trainer.ppo.v1.trainer_base:PPOTrainer._compute_advantage": "batch metrics",
}
"""``module:name``, and the parameters or fields that are relied on."""

ON_A_CPU = {
    "verl.plugin.platform:PlatformBase": "",
    "verl.plugin.platform:PlatformRegistry.register": "platform",
    "verl.utils.tensordict_utils:maybe_fix_3d_position_ids": "",
    "verl.utils.tensordict_utils:nested_tensor_from_tensor_list": "ragged_idx",
    "verl.workers.engine.base:EngineRegistry.register": "model_type backend device",
    "verl.workers.engine.base:maybe_fix_3d_position_ids": "",
    "verl.workers.engine.fsdp.transformer_impl:FSDPEngineWithLMHead": "",
    "verl.workers.rollout.base:BaseRollout": "config model_config device_mesh",
    "verl.workers.rollout.base:BaseRollout.update_weights": "",
    "verl.workers.rollout.replica:RolloutReplica": "",
    "verl.workers.rollout.replica:RolloutReplica.launch_servers": "",
    "verl.workers.rollout.replica:RolloutReplicaRegistry.register": "name loader",
}
"""The same of the CPU backend."""

WITHOUT_A_PUBLIC_WAY = {
    "verl.trainer.ppo.v1.replay_buffer:ReplayBuffer._evict_terminal_groups": (
        "global_steps partition_id eviction_reasons"
    ),
    "verl.trainer.ppo.v1.trainer_sync:PPOTrainerSync._dump_generations": (
        "inputs outputs gts scores reward_extra_infos_dict dump_path"
    ),
    "verl.workers.engine.fsdp.transformer_impl:FSDPEngineWithLMHead._build_fsdp_module": "module",
    "verl.workers.rollout.base:_ROLLOUT_REGISTRY": "",
}
"""verl 0.9.1 has no public hook for prompts that failed and are replaced, for what a dump of rollouts holds, for
wrapping a model (on a CPU) and for a rollout's adapter (on a CPU)."""

ATTRIBUTES = {
    "verl.experimental.agent_loop.agent_loop:AgentLoopBase": (
        "config rollout_config server_manager tokenizer processor continuous_token_builder loop"
    ),
    "verl.experimental.agent_loop.tool_agent_loop:AgentData": "messages image_data extra_fields",
    "verl.experimental.reward_loop.reward_manager.base:RewardManagerBase": "config tokenizer loop",
    "verl.trainer.ppo.v1.replay_buffer:ReplayBuffer": "poll_interval failure_keys prompt_global_steps",
    "verl.experimental.agent_loop.agent_loop:AgentLoopManager": "agent_loop_workers",
    "verl.trainer.ppo.v1.trainer_base:PPOTrainer": (
        "config replay_buffer logger global_steps total_training_steps timing_raw agent_loop_manager train_dataloader"
    ),
    "verl.utils.tracking:Tracking": "logger",
    "verl.utils.tracking:_TensorboardAdapter": "writer",
    "verl.workers.rollout.replica:RolloutReplica": (
        "config model_config replica_rank is_reward_model servers _server_address _server_handle"
    ),
    "verl.workers.rollout.base:BaseRollout": "config",
}
"""What objects of these classes carry, which we read or set."""


def found(symbol: str) -> Any:
    """The host's object.

    Raises:
        AssertionError: it is not where it was; the message says what is there.
    """
    module, _, names = symbol.partition(":")
    try:
        value: Any = importlib.import_module(module)
    except ImportError as error:
        raise AssertionError(f"{module} has moved: {error}") from error
    for name in names.split("."):
        assert hasattr(value, name), f"{module} has no {names} any more; it has {', '.join(sorted(vars(value)))}"
        value = getattr(value, name)
    return value


def accepted(value: Any) -> set[str]:
    """Names of what a function, a class or a model of fields takes."""
    fields = getattr(value, "model_fields", None)
    if fields:
        return set(fields)
    if dataclasses.is_dataclass(value):
        return {field.name for field in dataclasses.fields(value)}
    return set(inspect.signature(value).parameters)


@pytest.mark.parametrize(("symbol", "wanted"), (CALLED | ON_A_CPU | WITHOUT_A_PUBLIC_WAY).items())
def test_it_is_there_and_takes_what_we_hand_it(symbol: str, wanted: str) -> None:
    value = found(symbol)
    if not wanted:
        return
    names = accepted(value)
    moved = [name for name in wanted.split() if name not in names]
    assert not moved, f"{symbol} no longer takes {', '.join(moved)}; it takes {', '.join(sorted(names))}"


@pytest.mark.parametrize(("symbol", "wanted"), ATTRIBUTES.items())
def test_its_objects_carry_what_we_read(symbol: str, wanted: str) -> None:
    source = inspect.getsource(found(symbol))
    moved = [name for name in wanted.split() if f"self.{name} = " not in source and f"self.{name}: " not in source]
    assert not moved, f"objects of {symbol} no longer carry {', '.join(moved)}"


def test_verls_sglang_server_hands_on_what_ends_a_reply() -> None:
    """It imports SGLang, which a test machine lacks: its text says what it takes out of the sampling parameters."""
    path = Path(verl.__path__[0]) / "workers/rollout/sglang_rollout/async_sglang_server.py"
    source = path.read_text()
    (generate,) = (node for node in ast.walk(ast.parse(source)) if getattr(node, "name", "") == "generate")
    taken_out = {
        node.args[0].value
        for node in ast.walk(generate)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sampling_params.pop"
    }
    assert taken_out == {"max_new_tokens", "max_tokens", "logprobs", "prompt_logprobs"}
    assert "'sampling_params': sampling_params" in ast.unparse(generate)
    assert '"skip_tokenizer_init": self.config.skip_tokenizer_init' in source
    assert RolloutConfig.skip_tokenizer_init, "verl's default, under which SGLang cannot look for strings"


def test_symbols_that_are_gone_are_named() -> None:
    with pytest.raises(AssertionError, match=r"verl\.trainer\.ppo\.v9 has moved"):
        found("verl.trainer.ppo.v9:PPOTrainer")
    with pytest.raises(AssertionError, match=r"verl\.tools\.base_tool has no BaseTools any more; it has .*BaseTool"):
        found("verl.tools.base_tool:BaseTools")
    with pytest.raises(AssertionError, match=r"BaseTool\.execute no longer takes wish; it takes instance_id"):
        test_it_is_there_and_takes_what_we_hand_it("verl.tools.base_tool:BaseTool.execute", "instance_id wish")
    with pytest.raises(AssertionError, match=r"AgentData no longer carry wish"):
        test_its_objects_carry_what_we_read("verl.experimental.agent_loop.tool_agent_loop:AgentData", "wish")


def imported_by_us() -> set[str]:
    """``module:name`` of what our modules import from verl, read from their source."""
    names = set()
    for path in (ROOT / "ergo_plugins" / "verl_plugin").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "verl":
                names |= {f"{node.module}:{alias.name}" for alias in node.names}
    return names


MODULES = {"verl.utils:tensordict_utils", "verl.workers.engine:base"}
"""Imported whole; what is used of them stands under `ON_A_CPU`."""


def test_nothing_is_imported_that_is_not_watched() -> None:
    symbols = [symbol.partition(":") for symbol in CALLED | ON_A_CPU | WITHOUT_A_PUBLIC_WAY]
    watched = {f"{module}:{names.split('.')[0]}" for module, _, names in symbols}
    assert imported_by_us() - MODULES <= watched
