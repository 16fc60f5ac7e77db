"""A plan in words and numbers, with the formulas, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from .checks import wrapping_tokens
from .host import total
from .memory import Part
from .reckoned import Plan
from .runs import Run


def text(plan: Plan) -> str:
    """All of it."""
    run = plan.run
    lines = [_title(plan), ""]
    lines += ["Tokens of a sequence, at most", *_lengths(plan), ""]
    if run.on_cpu:
        lines += ["Trained on a CPU: no GPU is planned for.", ""]
    else:
        lines += [f"Memory of a GPU, GiB of {plan.card.memory_gib:.1f} ({plan.card.title})", *_phases(plan), ""]
    lines += [f"Memory of a machine, GiB: {total(plan.host):.0f}", *_parts(plan.host), ""]
    lines += [*_disk(plan), ""]
    lines += ["A step, at most as assumed below", *_work(plan), ""]
    lines += [f"note: {one}" for one in plan.notes]
    lines += [f"does not fit: {one}" for one in plan.problems] or ["fits, by this reckoning; nothing here is measured"]
    return "\n".join(lines)


def _title(plan: Plan) -> str:
    run, shape = plan.run, plan.run.shape
    learnt = f"LoRA of rank {run.trainer.lora_rank}" if run.trainer.lora_rank else "all weights learnt"
    gpus = f"{run.gpus} GPUs" + (f" and {run.judge.gpus} of the judge" if run.judge else "")
    method = run.method or "supervised fine-tuning"
    return f"{run.name}: {method} on {run.model} ({shape.parameters / 1e9:.2f}e9 parameters, {learnt}), {gpus}"


def _lengths(plan: Plan) -> Iterator[str]:
    run, batch = plan.run, plan.run.batch
    budget = run.budget
    yield f"  prompt    {batch.prompt_tokens:6}" + (
        f"  first image {budget.first_tokens}{_words(run)}" if budget else ""
    )
    if budget:
        more = f", {wrapping_tokens(run)} words a message" if budget.replies > 1 else ""
        said = f"replies {budget.written_tokens}, later images {budget.later_tokens}{more}"
        needed = budget.response_tokens(wrapping_tokens(run))
        yield f"  response  {batch.response_tokens:6}  needs {needed}: {said}"
    elif batch.response_tokens:
        yield f"  response  {batch.response_tokens:6}"
    if run.rollout:
        yield f"  vLLM      {run.rollout.longest_tokens:6}  max_model_len, for prompt and response"
    yield f"  batch     {batch.sequences:6}  sequences: {batch.prompts} prompts x {batch.group}"


def _words(run: Run) -> str:
    if run.words is None:
        return f", words not counted: the tokenizer of {run.model} is not on this machine"
    return f", words {run.words} by its own tokenizer, with a question of usual length"


def _phases(plan: Plan) -> Iterator[str]:
    for phase in plan.phases:
        yield f"  {phase.name:24} {phase.gib:6.1f}"
        yield from _parts(phase.parts)
    if plan.cache and plan.run.rollout:
        together = plan.cache.tokens // plan.run.batch.longest_tokens
        yield f"  in vLLM: cache {plan.cache.gib:.1f} = {plan.cache.formula}"
        yield f"    {plan.cache.tokens:,} tokens, {together} of the longest sequences at once"


def _parts(parts: tuple[Part, ...]) -> Iterator[str]:
    for part in parts:
        yield f"    {part.name:22} {part.gib:6.1f}  {part.formula}"


def _disk(plan: Plan) -> Iterator[str]:
    one = total(plan.checkpoint)
    kept = plan.run.kept
    most = "none is removed" if plan.disk_gib is None else f"{kept} kept and one being written: {plan.disk_gib:.0f}"
    yield f"Disk, GiB: {one:.1f} a checkpoint; {most}"
    yield from _parts(plan.checkpoint)


def _work(plan: Plan) -> Iterator[str]:
    run, work, tokens, card = plan.run, plan.work, plan.tokens, plan.card
    average = f"{run.batch.sequences:,} sequences of {tokens.all:,.0f} tokens, {tokens.visual:,.0f} visual"
    yield f"  tokens      {work.tokens:12.3g}  {average}, {tokens.written:,.0f} written (assumed)"
    yield f"  operations  {work.update_flops:12.3g}  update: {_passes(run)} x (2 N T + 2 layers width T^2 + images)"
    if run.rollout:
        yield f"              {work.reckoning_flops:12.3g}  log-probabilities, each once"
        yield f"              {work.generation_flops:12.3g}  generation"
        yield f"  bytes       {work.read_bytes:12.3g}  read by each GPU to generate: weights and caches, step by step"
    if run.on_cpu:
        return
    yield f"  seconds     {work.seconds:12,.0f}  on {run.gpus} x {card.title}: {_seconds(plan)}"
    yield f"  hours       {work.seconds / 3600:12.3f}  without the judge, decoding of images, new weights, checkpoints"
    peak = f"{card.trained_share:.0%} of {card.peak_flops / 1e12:.0f} TFLOPS"
    yield f"  assumed: {peak}, {card.read_share:.0%} of {card.bytes_per_s / 1e12:.2f} TB/s"


def _passes(run: Run) -> str:
    return "4" if run.trainer.checkpointing else "3"


def _seconds(plan: Plan) -> str:
    work = plan.work
    if not plan.run.rollout:
        return f"update {work.update_s:,.0f}"
    times = f"{work.generation_s:,.0f}, log-probabilities {work.reckoning_s:,.0f}, update {work.update_s:,.0f}"
    return f"generation {times}"
