"""One rule of decoding for every engine: neutral but for what is given, another seed for each sample and turn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Episode
from ergo_plugins.engines.base import EngineFault, Job
from ergo_plugins.engines.decoding import Decoding
from ergo_plugins.engines.hf import HFEngine
from ergo_plugins.engines.vllm import check_tensor_parallel
from ergo_plugins.methods.ergo import Prompts, ZoomConfig, zoom_episode
from ergo_plugins.methods.prompts import read_prompts
from ergo_plugins.panels.drawing import original
from ergo_plugins.panels.world import first_seed, make_scene

TINY = Path(__file__).resolve().parents[2] / "recipes" / "tiny"
POLICY = TINY / "policy"
SCENE = make_scene(first_seed("test"))
CONFIG = ZoomConfig(
    coarse_tokens=16,
    crop_tokens=16,
    zoom_new_tokens=24,
    answer_new_tokens=24,
    resample="box",
    prompts=read_prompts(TINY / "prompts.yaml", Prompts),
)


def replies(engine: HFEngine, *keys: str) -> list[tuple[str, ...]]:
    """What the policy says to the same question, once a key."""
    outcomes = played(engine, *keys)
    return [tuple(turn.reply for turn in outcome.turns) for outcome in outcomes]


def played(engine: HFEngine, *keys: str) -> list[Outcome]:
    outcomes: dict[str, Outcome] = {}
    jobs = [Job(key, lambda: episode(engine)) for key in keys]
    engine.play_all(jobs, lambda job, outcome: outcomes.update({job.key: outcome}))
    return [outcomes[key] for key in keys]


def episode(engine: HFEngine) -> Episode:
    return zoom_episode(original(SCENE), split_question(SCENE.text), CONFIG, engine.grid)


@pytest.fixture(scope="module")
def plain() -> Iterator[HFEngine]:
    engine = HFEngine(str(POLICY), device="cpu")
    yield engine
    engine.close()


def test_a_checkpoints_own_wishes_are_not_followed(plain: HFEngine, tmp_path: Path) -> None:
    folder = shutil.copytree(POLICY, tmp_path / "wishful")
    wishes = json.loads((folder / "generation_config.json").read_text())
    wishes |= {
        "do_sample": True,
        "temperature": 2.0,
        "top_k": 500,
        "repetition_penalty": 1.8,
        "no_repeat_ngram_size": 2,
    }
    (folder / "generation_config.json").write_text(json.dumps(wishes))
    wishful = HFEngine(str(folder), device="cpu")
    assert replies(wishful, "a", "b") == replies(plain, "a", "b")
    wanted = HFEngine(str(POLICY), device="cpu", repetition_penalty=1.8)
    assert replies(wanted, "a") != replies(plain, "a"), "the penalty would show"


def test_what_decides_replies_stands_in_the_identity() -> None:
    given = {"temperature": 0.7, "top_p": 0.9, "top_k": 20, "repetition_penalty": 1.05, "seed": 7}
    identity = HFEngine(str(POLICY), device="cpu", **given).identity
    assert given.items() <= identity.items()


def test_samples_repeats_and_turns_have_seeds_of_their_own() -> None:
    decoding = Decoding(seed=1)
    seeds = [
        decoding.seed_of(key, turn) for key in ("t/test/0", "t/test/0#1", "t/test/1") for turn in ("look", "answer")
    ]
    assert len(set(seeds)) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds[0] == Decoding(seed=1).seed_of("t/test/0", "look") != Decoding(seed=2).seed_of("t/test/0", "look")


def test_repeats_differ_and_come_again_with_the_same_seed() -> None:
    def once(seed: int) -> list[tuple[str, ...]]:
        engine = HFEngine(str(POLICY), device="cpu", concurrency=1, temperature=1.5, seed=seed)
        return replies(engine, "t/test/0", "t/test/0#1", "t/test/0#2", "t/test/0#3")

    first = once(1)
    assert len(set(first)) > 1
    assert once(1) == first
    assert once(2) != first


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", -1), ("top_p", 0), ("top_p", 1.1), ("top_k", -1), ("repetition_penalty", 0)],
)
def test_decoding_without_sense_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Decoding(**{name: value})


def test_a_placeholder_that_the_model_writes_is_cut_off_and_told(plain: HFEngine) -> None:
    """The second turn has the places of two images, not of three, and the reply ends where the stray token came."""
    tokenizer, stray = plain.chat.tokenizer, plain.chat.image_token_id
    said = tokenizer("<zoom>[0, 0, 50, 50]", add_special_tokens=False)["input_ids"]
    generate, calls = plain._model.generate, []

    def writes_a_placeholder_first(**arguments: Any) -> Any:
        import torch

        calls.append(arguments["input_ids"])
        if len(calls) > 1:
            return generate(**arguments)
        after = tokenizer("</zoom>", add_special_tokens=False)["input_ids"]
        return torch.cat([arguments["input_ids"], torch.tensor([[*said, stray, *after]])], dim=1)

    plain._model.generate = writes_a_placeholder_first
    try:
        (outcome,) = played(plain, "a")
    finally:
        plain._model.generate = generate
    assert outcome.turns[0].reply == tokenizer.decode(said)
    assert any(f"look: the reply was cut before {tokenizer.decode([stray])}" in problem for problem in outcome.problems)
    assert len(outcome.turns) == 2


def test_any_exception_of_a_model_or_an_image_names_its_sample(plain: HFEngine) -> None:
    def unreadable() -> Episode:
        raise ArithmeticError("nobody foresaw this image")

    with pytest.raises(EngineFault, match="t/test/7: ArithmeticError: nobody foresaw this image") as fault:
        plain.play_all([Job("t/test/7", unreadable)], lambda *_: None)
    assert fault.value.keys == ("t/test/7",)


def test_gpus_that_the_heads_cannot_be_divided_among_are_refused_with_those_that_can() -> None:
    heads = json.loads((POLICY / "config.json").read_text())
    heads = heads.get("text_config", heads)["num_attention_heads"]
    check_tensor_parallel(str(POLICY), heads)
    with pytest.raises(
        ValueError, match=rf"tensor_parallel_size={heads + 1} does not divide the {heads} .*1, .*{heads} d"
    ):
        check_tensor_parallel(str(POLICY), heads + 1)
