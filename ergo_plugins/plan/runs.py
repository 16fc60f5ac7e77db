"""A composed recipe as the numbers that a plan is worked out from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..methods.base import Budget
from ..verl_plugin.settings import Settings
from .shapes import Shape, shape_of

DTYPE_BYTES = {"fp32": 4, "float32": 4, "bf16": 2, "bfloat16": 2, "fp16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class Batch:
    """What a step learns from.

    Attributes:
        prompts: of a step; of a supervised run its rows.
        group: rollouts of each prompt.
        mini_prompts: prompts of one update.
        prompt_tokens, response_tokens: most of a sequence; of a supervised run the whole row is the prompt.
        passes: how often an update sees its sequences.
    """

    prompts: int
    group: int
    mini_prompts: int
    prompt_tokens: int
    response_tokens: int
    passes: int = 1

    @property
    def sequences(self) -> int:
        """Trajectories of a step."""
        return self.prompts * self.group

    @property
    def longest_tokens(self) -> int:
        """Of a sequence."""
        return self.prompt_tokens + self.response_tokens


@dataclass(frozen=True, slots=True)
class Trainer:
    """How the weights are held and learnt (verl's FSDP).

    Attributes:
        update_tokens, reckoned_tokens, reference_tokens: most tokens of a micro-batch on a GPU in the update, when the
            policy's log-probabilities are reckoned, and those of the reference; 0 where that is not done.
        master_bytes: of a weight as it is learnt; gradients and both moments of Adam have as many each.
        reference_bytes: of a weight of the reference.
        moves_weights, moves_optimizer: whether these are in the host's memory while nothing is learnt.
        keeps_on_host: whether weights, gradients and optimizer always are, layers being fetched (FSDP2's policy).
        checkpointing: whether a layer's inside is computed again instead of kept.
        update_copies, reckoned_copies: tensors of tokens x vocabulary that are held at once.
        lora_rank: 0 for learning all weights.
        split: GPUs among which one sequence is split (Ulysses).
    """

    update_tokens: int
    reckoned_tokens: int
    reference_tokens: int
    master_bytes: int = 4
    reference_bytes: int = 4
    moves_weights: bool = False
    moves_optimizer: bool = False
    keeps_on_host: bool = False
    checkpointing: bool = True
    update_copies: int = 1
    reckoned_copies: int = 1
    lora_rank: int = 0
    split: int = 1


@dataclass(frozen=True, slots=True)
class Rollout:
    """How vLLM holds the policy.

    Attributes:
        tensor_parallel: GPUs of a replica.
        utilization: share of each GPU that vLLM takes.
        longest_tokens: ``max_model_len``.
        sequences: most under way in a replica.
        step_tokens: most in one of its steps, ``max_num_batched_tokens``.
        sleeps: whether it gives its memory back while weights are learnt.
        bucket_bytes: in which new weights come.
        on_cpu: not vLLM but transformers on a CPU.
    """

    tensor_parallel: int
    utilization: float
    longest_tokens: int
    sequences: int
    step_tokens: int
    sleeps: bool = True
    bucket_bytes: int = 2048 << 20
    on_cpu: bool = False


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge that verl itself serves, on GPUs of its own."""

    shape: Shape
    gpus: int
    rollout: Rollout


@dataclass(frozen=True, slots=True)
class Run:
    """A training.

    Attributes:
        name: of the recipe.
        model: path or hub id.
        method: that is trained, by its name; empty for supervised fine-tuning and for other people's runs.
        budget: of a conversation; None if nobody says.
        words: tokens of the first message beside its image, by its own tokenizer; None if that is not here.
        judge: that verl serves; None for others.
        judge_urls: where another judge is asked.
        saved: what a checkpoint holds, in verl's words.
        kept: checkpoints that stay on disk.
        pixels_travel: whether pixels of a step go through verl's transfer queue.
        on_cpu: whether it is trained without a GPU.
    """

    name: str
    model: str
    shape: Shape
    nodes: int
    gpus_per_node: int
    batch: Batch
    trainer: Trainer
    rollout: Rollout | None
    method: str = ""
    budget: Budget | None = None
    words: int | None = None
    judge: Judge | None = None
    judge_urls: tuple[str, ...] = ()
    saved: tuple[str, ...] = ("model", "optimizer", "extra")
    kept: int | None = 2
    pixels_travel: bool = True
    on_cpu: bool = False

    @property
    def gpus(self) -> int:
        """That learn; a judge's come on top."""
        return self.nodes * self.gpus_per_node

    @property
    def gpus_with_judge(self) -> int:
        """All that verl asks Ray for."""
        return self.gpus + (self.judge.gpus if self.judge else 0)

    @property
    def visual_tokens(self) -> int:
        """Most of a sequence; 0 if nobody says."""
        return self.budget.first_tokens + self.budget.later_tokens if self.budget else 0


def run_of(config: Any, name: str) -> Run:
    """The numbers of a recipe of reinforcement learning.

    Args:
        config: composed on verl's configuration.
        name: of the recipe.

    Raises:
        ValueError: the ``ergo:`` block holds what does not belong there.
        CommandError: the sizes of the model are not known.
    """
    settings = Settings.of(config)
    part = config.actor_rollout_ref
    actor, rollout, trainer = part.actor, part.rollout, config.trainer
    batch = Batch(
        prompts=config.data.train_batch_size,
        group=rollout.n,
        mini_prompts=actor.ppo_mini_batch_size,
        prompt_tokens=rollout.prompt_length,
        response_tokens=rollout.response_length,
        passes=actor.ppo_epochs,
    )
    asked = settings.judge.source == "endpoints"
    return Run(
        name=name,
        model=str(part.model.path),
        shape=shape_of(str(part.model.path)),
        nodes=trainer.nnodes,
        gpus_per_node=trainer.n_gpus_per_node,
        batch=batch,
        trainer=_trainer(config, batch),
        rollout=_rollout(rollout, batch.longest_tokens),
        method=settings.method.name,
        budget=settings.method.budget(settings.episode),
        judge=_judge(config.reward.reward_model),
        judge_urls=tuple(settings.judge.urls) if asked else (),
        saved=tuple(actor.checkpoint.save_contents),
        kept=trainer.get("max_actor_ckpt_to_keep"),
        on_cpu=trainer.device == "cpu",
    )


def supervised_run_of(config: Any, name: str) -> Run:
    """The numbers of a recipe of supervised fine-tuning.

    Raises:
        CommandError: the sizes of the model are not known.
    """
    data, engine = config.data, config.engine
    batch = Batch(data.train_batch_size, 1, data.train_batch_size, data.max_length, 0)
    micro = data.max_token_len_per_gpu if data.use_dynamic_bsz else data.micro_batch_size_per_gpu * data.max_length
    return Run(
        name=name,
        model=str(config.model.path),
        shape=shape_of(str(config.model.path)),
        nodes=config.trainer.nnodes,
        gpus_per_node=config.trainer.n_gpus_per_node,
        batch=batch,
        trainer=Trainer(
            update_tokens=micro,
            reckoned_tokens=0,
            reference_tokens=0,
            checkpointing=config.model.enable_gradient_checkpointing,
            lora_rank=config.model.lora_rank,
            **_held(engine),
        ),
        rollout=None,
        saved=tuple(config.checkpoint.save_contents),
        kept=config.trainer.max_ckpt_to_keep,
        pixels_travel=False,
        on_cpu=config.trainer.device == "cpu",
    )


def _held(engine: Any) -> dict[str, Any]:
    return {
        "master_bytes": DTYPE_BYTES[str(engine.model_dtype)],
        "moves_weights": engine.param_offload,
        "moves_optimizer": engine.optimizer_offload,
        "keeps_on_host": engine.offload_policy,
        "split": engine.ulysses_sequence_parallel_size,
    }


def _trainer(config: Any, batch: Batch) -> Trainer:
    part = config.actor_rollout_ref
    actor, ref, rollout = part.actor, part.ref, part.rollout
    has_reference = actor.use_kl_loss or config.algorithm.use_kl_in_reward

    def tokens(dynamic: bool, most: int, rows: int | None) -> int:
        return most if dynamic else (rows or 1) * batch.longest_tokens

    scaled = int(float(rollout.temperature) != 1.0)
    trains_entropy = actor.entropy_coeff != 0 or actor.calculate_entropy
    copies = 0 if part.model.use_fused_kernels else 1 + scaled
    split = actor.ulysses_sequence_parallel_size
    held = _held(actor.fsdp_config) | {"split": split}
    return Trainer(
        update_tokens=tokens(
            actor.use_dynamic_bsz, actor.ppo_max_token_len_per_gpu, actor.ppo_micro_batch_size_per_gpu
        ),
        reckoned_tokens=tokens(
            rollout.log_prob_use_dynamic_bsz,
            rollout.log_prob_max_token_len_per_gpu,
            rollout.log_prob_micro_batch_size_per_gpu,
        ),
        reference_tokens=tokens(
            ref.log_prob_use_dynamic_bsz, ref.log_prob_max_token_len_per_gpu, ref.log_prob_micro_batch_size_per_gpu
        )
        if has_reference
        else 0,
        checkpointing=part.model.enable_gradient_checkpointing,
        reference_bytes=DTYPE_BYTES[str(ref.fsdp_config.model_dtype)],
        update_copies=copies + (2 if copies and trains_entropy else 0),
        reckoned_copies=copies,
        lora_rank=part.model.lora_rank,
        **held,
    )


def _rollout(rollout: Any, longest_tokens: int) -> Rollout:
    return Rollout(
        tensor_parallel=rollout.tensor_model_parallel_size,
        utilization=rollout.gpu_memory_utilization,
        longest_tokens=rollout.max_model_len or longest_tokens,
        sequences=rollout.max_num_seqs,
        step_tokens=rollout.max_num_batched_tokens,
        sleeps=rollout.free_cache_engine,
        bucket_bytes=rollout.checkpoint_engine.update_weights_bucket_megabytes << 20,
        on_cpu=rollout.name == "ergo_hf",
    )


def _judge(served: Any) -> Judge | None:
    if not (served.enable and served.enable_resource_pool):
        return None
    asked = served.rollout
    rollout = Rollout(
        tensor_parallel=asked.tensor_model_parallel_size,
        utilization=asked.gpu_memory_utilization,
        longest_tokens=asked.max_model_len or asked.prompt_length + asked.response_length,
        sequences=asked.get("max_num_seqs", 256),
        step_tokens=asked.max_num_batched_tokens,
    )
    return Judge(shape_of(str(served.model_path)), served.n_gpus_per_node * served.nnodes, rollout)
