"""What the CPU rollout samples follows from seed and requests, and is as likely as the policy says."""

from __future__ import annotations

from collections import Counter

import torch
from transformers import LogitsProcessorList

from ergo_plugins.cpu.sampling import Seeds, sampling

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, -4.0])


def drawn(
    seeds: list[int], logits: torch.Tensor = LOGITS, *, temperature: float = 1.0, top_p: float = 1.0, top_k: int = -1
) -> list[int]:
    processors: LogitsProcessorList = sampling(seeds, temperature=temperature, top_p=top_p, top_k=top_k)
    scores = processors(torch.zeros((len(seeds), 1), dtype=torch.long), logits.expand(len(seeds), -1))
    assert torch.isfinite(scores).sum(-1).eq(1).all(), "one token a row"
    return scores.argmax(-1).tolist()


def shares(tokens: list[int]) -> torch.Tensor:
    return torch.tensor([Counter(tokens)[token] / len(tokens) for token in range(len(LOGITS))])


def test_tokens_come_as_often_as_the_policy_says() -> None:
    """20,000 draws: three standard errors are .011 at most."""
    many = list(range(20_000))
    for temperature in (0.5, 1.0, 2.0):
        wanted = torch.softmax(LOGITS / temperature, -1)
        assert (shares(drawn(many, temperature=temperature)) - wanted).abs().max() < 0.011
    assert set(drawn(many, top_k=2)) == {0, 1}
    assert set(drawn(many, top_p=0.9)) == {0, 1, 2}, "their probabilities are .64, .24 and .09"


def test_a_row_draws_alike_whatever_shares_its_batch() -> None:
    logits = torch.randn(32, generator=torch.Generator().manual_seed(0))
    together = drawn(list(range(64)), logits)
    assert together == [drawn([seed], logits)[0] for seed in range(64)]
    assert together[::-1] == drawn(list(range(64))[::-1], logits)
    assert len(set(together)) > 5


def test_a_row_draws_anew_for_each_token() -> None:
    processors = sampling([7], temperature=1.0, top_p=1.0, top_k=-1)
    scores = torch.zeros((1, 100))
    assert len({int(processors(torch.zeros((1, 1), dtype=torch.long), scores).argmax()) for _ in range(20)}) > 10


def test_seeds_do_not_ask_for_the_order_of_requests() -> None:
    asked = [b"one", b"two", b"one", b"three", b"one", b"two"]
    here, there = Seeds(42), Seeds(42)
    first = [(what, here.seed(3, what)) for what in asked]
    second = [(what, there.seed(3, what)) for what in reversed(asked)]
    assert sorted(first) == sorted(second)
    assert len({seed for _, seed in first}) == len(asked), "rollouts of a prompt differ"
    assert all(0 <= seed < 2**63 for _, seed in first)


def test_seeds_differ_by_run_and_step() -> None:
    seeds = Seeds(42)
    of_steps = {step: seeds.seed(step, b"one") for step in (None, 1, 2)}
    assert len({*of_steps.values(), Seeds(43).seed(1, b"one")}) == 4
    assert seeds.seed(1, b"one") == of_steps[1], "a step that comes again, as after a restart, begins anew"
