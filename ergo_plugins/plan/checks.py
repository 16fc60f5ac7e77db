"""What of a run cannot be, and the setting to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from .cards import Card
from .memory import GIB, Phase, cache, phases
from .runs import Run

WRAPPING_TOKENS = 256
"""Most words around what a later message shows; a test plays all methods on Qwen's real tokenizer."""
WRAPPING_TOKENS_OF_A_TINY_WORLD = 64
"""The same where a policy of few words is trained on a CPU."""
UTILIZATION_STEP = 0.05
LOWEST_UTILIZATION = 0.4

_Change = Callable[[Run], Iterator[tuple[str, Run]]]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not fit.

    Attributes:
        said: what does not fit, with both numbers.
        change: the setting to change, as it stands on a command line; several are separated by spaces.
    """

    said: str
    change: str

    def __str__(self) -> str:
        return f"{self.said}; set {self.change}"


def problems(run: Run, card: Card) -> list[Problem]:
    """All that does not fit, lengths and divisions first."""
    found = [*_lengths(run), *_divisions(run)]
    if not run.on_cpu:
        found += [*_memory(run, card), *_judge(run, card)]
    return found


def wrapping_tokens(run: Run) -> int:
    """The words around what a later message shows."""
    return WRAPPING_TOKENS_OF_A_TINY_WORLD if run.on_cpu else WRAPPING_TOKENS


def _lengths(run: Run) -> Iterator[Problem]:
    batch, trainer = run.batch, run.trainer
    if run.budget is not None:
        first, needed = run.budget.first_tokens, run.budget.response_tokens(wrapping_tokens(run))
        words = run.words or 1
        if batch.prompt_tokens < first + words:
            said = f"a prompt of {batch.prompt_tokens} tokens does not hold a first image of {first} and the question"
            yield Problem(said, f"data.max_prompt_length={first + max(words, WRAPPING_TOKENS)}")
        if batch.response_tokens < needed:
            said = (
                f"replies and later images take up to {needed} tokens, and the response holds {batch.response_tokens}"
            )
            yield Problem(said, f"data.max_response_length={needed}")
    longest = batch.longest_tokens
    if run.rollout and run.rollout.longest_tokens < longest:
        said = f"vLLM takes {run.rollout.longest_tokens} tokens, prompt and response are up to {longest}"
        yield Problem(said, f"actor_rollout_ref.rollout.max_model_len={longest}")
    names = {
        "data.max_token_len_per_gpu" if not run.rollout else "actor_rollout_ref.actor.ppo_max_token_len_per_gpu": (
            trainer.update_tokens
        ),
        "actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu": trainer.reckoned_tokens,
        "actor_rollout_ref.ref.log_prob_max_token_len_per_gpu": trainer.reference_tokens,
    }
    for name, tokens in names.items():
        if 0 < tokens * trainer.split < longest:
            said = f"a sequence of {longest} tokens does not fit a micro-batch of {tokens * trainer.split}"
            yield Problem(said, f"{name}={-(-longest // trainer.split)}")


def _divisions(run: Run) -> Iterator[Problem]:
    batch, gpus = run.batch, run.gpus
    if run.rollout is None:
        if batch.prompts % gpus:
            yield Problem(f"{batch.prompts} rows cannot be divided among {gpus} GPUs", f"data.train_batch_size={gpus}")
        return
    if batch.prompts < batch.mini_prompts:
        said = f"a step has {batch.prompts} prompts, one update {batch.mini_prompts}"
        yield Problem(said, f"actor_rollout_ref.actor.ppo_mini_batch_size={batch.prompts}")
    for name, count in (
        ("data.train_batch_size", batch.prompts),
        ("actor_rollout_ref.actor.ppo_mini_batch_size", batch.mini_prompts),
    ):
        if count * batch.group % gpus:
            said = f"{count} prompts x {batch.group} rollouts cannot be divided among {gpus} GPUs"
            yield Problem(said, f"{name}={-(-count // gpus) * gpus}")
    parallel = run.rollout.tensor_parallel
    if gpus % parallel:
        said = f"{gpus} GPUs are no whole number of replicas of {parallel}"
        yield Problem(said, "actor_rollout_ref.rollout.tensor_model_parallel_size=1")
    elif run.shape.heads % parallel:
        said = f"{run.shape.heads} heads cannot be divided among {parallel} GPUs"
        fitting = max(n for n in range(1, parallel) if run.shape.heads % n == 0 and gpus % n == 0)
        yield Problem(said, f"actor_rollout_ref.rollout.tensor_model_parallel_size={fitting}")


def _memory(run: Run, card: Card) -> Iterator[Problem]:
    over = too_large(run, card)
    room = run.rollout and cache(run.shape, run.rollout, card.memory_gib)
    lacks_cache = bool(run.rollout and room and room.tokens < run.rollout.longest_tokens)
    if not over and not lacks_cache:
        return
    change = remedy(run, card)
    if over:
        worst = max(over, key=lambda phase: phase.gib)
        yield Problem(
            f"{worst.name} needs {worst.gib:.1f} GiB of the {card.memory_gib:.1f} of one {card.title}", change
        )
    elif run.rollout and room:
        said = f"vLLM's cache holds {room.tokens} tokens, and a sequence has up to {run.rollout.longest_tokens}"
        yield Problem(said, change)


def too_large(run: Run, card: Card) -> list[Phase]:
    """Phases that a card does not hold."""
    return [phase for phase in phases(run, card.memory_gib) if phase.gib > card.memory_gib]


def holds(run: Run, card: Card) -> bool:
    """Whether a card holds all phases, and vLLM's cache a longest sequence."""
    if too_large(run, card):
        return False
    rollout = run.rollout
    return rollout is None or cache(run.shape, rollout, card.memory_gib).tokens >= rollout.longest_tokens


def remedy(run: Run, card: Card) -> str:
    """Settings with which it fits, the cheapest first; or GPUs, where no setting helps."""
    for said, changed in _changes(run):
        if holds(changed, card):
            return said
    for times in (2, 4, 8, 16):
        for said, changed in _changes(replace(run, nodes=run.nodes * times)):
            if holds(changed, card):
                return f"trainer.nnodes={run.nodes * times}" + (f" {said}" if said else "")
    return "actor_rollout_ref.model.path to a smaller model, or --card to a larger GPU"


def _changes(run: Run) -> Iterator[tuple[str, Run]]:
    """Changes that make a run smaller, and the run after each: as few at once as possible."""
    kinds = (_lower_shares, _shorter_batches, _moved, _larger_replicas)
    yield "", run
    for count in range(1, len(kinds) + 1):
        for chosen in combinations(kinds, count):
            yield from _together(run, chosen)


def _together(run: Run, kinds: tuple[_Change, ...]) -> Iterator[tuple[str, Run]]:
    if not kinds:
        yield "", run
        return
    for said, changed in kinds[0](run):
        for also, last in _together(changed, kinds[1:]):
            yield f"{said} {also}".strip(), last


def _larger_replicas(run: Run) -> Iterator[tuple[str, Run]]:
    if run.rollout is None:
        return
    for parallel in (2, 4, 8):
        divides = run.shape.heads % parallel == 0 and run.gpus % parallel == 0
        if divides and parallel > run.rollout.tensor_parallel:
            said = f"actor_rollout_ref.rollout.tensor_model_parallel_size={parallel}"
            yield said, replace(run, rollout=replace(run.rollout, tensor_parallel=parallel))


def _lower_shares(run: Run) -> Iterator[tuple[str, Run]]:
    if run.rollout is None:
        return
    share = round(run.rollout.utilization - UTILIZATION_STEP, 2)
    while share >= LOWEST_UTILIZATION:
        said = f"actor_rollout_ref.rollout.gpu_memory_utilization={share:g}"
        yield said, replace(run, rollout=replace(run.rollout, utilization=share))
        share = round(share - UTILIZATION_STEP, 2)


def _shorter_batches(run: Run) -> Iterator[tuple[str, Run]]:
    trainer, longest = run.trainer, -(-run.batch.longest_tokens // run.trainer.split)
    shorter = replace(
        trainer,
        update_tokens=min(trainer.update_tokens, longest),
        reckoned_tokens=min(trainer.reckoned_tokens, longest),
        reference_tokens=min(trainer.reference_tokens, longest),
    )
    if shorter == trainer:
        return
    if run.rollout is None:
        yield f"data.max_token_len_per_gpu={longest}", replace(run, trainer=shorter)
        return
    names = ["actor_rollout_ref.actor.ppo_max_token_len_per_gpu"]
    names += [f"actor_rollout_ref.{part}.log_prob_max_token_len_per_gpu" for part in ("rollout", "ref")]
    yield " ".join(f"{name}={longest}" for name in names), replace(run, trainer=shorter)


def _moved(run: Run) -> Iterator[tuple[str, Run]]:
    name = "engine" if run.rollout is None else "actor_rollout_ref.actor.fsdp_config"
    moved = replace(run.trainer, moves_weights=True, moves_optimizer=True)
    if moved != run.trainer and run.rollout is not None:
        yield f"{name}.param_offload=True {name}.optimizer_offload=True", replace(run, trainer=moved)
    kept = replace(run.trainer, keeps_on_host=True)
    if kept != run.trainer:
        yield f"{name}.offload_policy=True", replace(run, trainer=kept)


def _judge(run: Run, card: Card) -> Iterator[Problem]:
    judge = run.judge
    if judge is None:
        return
    name = "reward.reward_model.rollout"
    if judge.shape.heads % judge.rollout.tensor_parallel or judge.gpus % judge.rollout.tensor_parallel:
        said = f"the judge's {judge.shape.heads} heads or {judge.gpus} GPUs cannot be divided by its replicas"
        yield Problem(said, f"{name}.tensor_model_parallel_size={judge.gpus}")
        return
    room = cache(judge.shape, judge.rollout, card.memory_gib)
    if room.tokens < judge.rollout.longest_tokens:
        weights = room.weights_gib
        said = f"the judge's {weights:.1f} GiB of weights a GPU leave no room for a question on a {card.title}"
        more = judge.rollout.tensor_parallel * 2
        yield Problem(said, f"reward.reward_model.n_gpus_per_node={more} {name}.tensor_model_parallel_size={more}")


def notes(run: Run) -> list[str]:
    """What works, and is worth knowing."""
    found = []
    embedding = run.trainer.master_bytes * run.shape.embedding_parameters
    if run.rollout and not run.on_cpu and embedding > run.rollout.bucket_bytes:
        found.append(
            f"the embedding has {embedding / 2**20:,.0f} MiB and is sent apart from the bucket of new weights; "
            "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes="
            f"{-(-embedding // GIB) * 1024} holds it"
        )
    if run.judge_urls:
        found.append(f"the judge is asked at {', '.join(run.judge_urls)}, on GPUs that are not counted here")
    return found
