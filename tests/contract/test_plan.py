"""``ergo plan`` on every recipe, beside verl's own loop, PyTorch's count of operations, and the page it writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import Qwen2_5_VLForConditionalGeneration

from ergo_plugins.cli import main as ergo
from ergo_plugins.plan.cards import CARDS
from ergo_plugins.plan.checks import WRAPPING_TOKENS, holds
from ergo_plugins.plan.compose import read_run, strange_keys
from ergo_plugins.plan.host import checkpoint_parts, total
from ergo_plugins.plan.memory import GIB
from ergo_plugins.plan.page import page, recipes
from ergo_plugins.plan.prompts import QUESTION, count
from ergo_plugins.plan.published import (
    DEVICES,
    ESTIMATES,
    MEASURED,
    TINY,
    again,
    card_of,
    device_run,
    fewest_gpus,
)
from ergo_plugins.plan.reckoned import plan_of
from ergo_plugins.plan.work import Tokens, forward_flops
from ergo_plugins.usage import CommandError
from ergo_plugins.verl_plugin.settings import Settings
from tests.contract.qwen_tokenizer import write_processor
from tests.contract.verl_parts import POLICY, ROOT, Bench, ScriptedPolicy, composed, panel_row, tiny

H100 = CARDS["h100"]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_the_page_is_current() -> None:
    assert (ROOT / "docs/hardware.md").read_text() == page(), "python -m ergo_plugins.plan.page > docs/hardware.md"


@pytest.mark.parametrize("recipe", recipes(ROOT / "recipes"), ids=lambda path: path.stem)
def test_every_recipe_fits_the_machine_it_names(recipe: Path) -> None:
    plan = plan_of(read_run(str(recipe), counts=False), H100)
    assert plan.problems == ()
    assert 0 < plan.work.seconds < 24 * 3600
    assert plan.run.budget is not None or plan.run.rollout is None


@pytest.mark.parametrize(("name", "gpus"), [("train_lora_3b", 1), ("train_lora_7b", 2)])
def test_lora_fits_cards_of_24_gb(name: str, gpus: int) -> None:
    run = read_run(name, counts=False)
    assert (run.gpus, run.trainer.lora_rank) == (gpus, 64)
    assert plan_of(run, CARDS["4090"]).problems == ()
    assert total(plan_of(run, CARDS["4090"]).host) < 64, "what a machine with such cards has"


def test_the_adapter_alone_is_sent_so_that_vllms_weights_wait_on_the_host() -> None:
    def names(*settings: str) -> set[str]:
        return {part.name for part in plan_of(read_run("train_lora_3b", settings, counts=False), H100).host}

    assert names() - names("actor_rollout_ref.model.lora_rank=0") == {"vLLM's weights, asleep"}


def test_recipes_of_the_tiny_world_are_planned_without_a_gpu() -> None:
    for name in ("train", "train_judged", "train_egm", "train_visionthink"):
        run = read_run(f"recipes/tiny/{name}.yaml", [f"actor_rollout_ref.model.path={POLICY}"], counts=False)
        assert run.on_cpu
        assert plan_of(run, H100).problems == ()


def test_the_command_prints_formulas_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert ergo(["plan", "train_ergo_7b", "--visual", "900"]) == 0
    said = capsys.readouterr().out
    for words in ("8.29e9 x 4 B / 8 GPUs", "needs 2944: replies 2048", "assumed: 18% of 989 TFLOPS", "900 visual"):
        assert words in said
    assert "measured" in said.splitlines()[-1]
    assert ergo(["plan", "train_ergo_7b_judge_pool", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert (plain["gpus"], plain["parameters"], plain["problems"]) == (12, 8_292_166_656, [])


def test_a_recipe_that_cannot_fit_is_refused_with_the_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert ergo(["plan", "train_ergo_7b", "--card", "4090"]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("ergo plan: train_ergo_7b cannot fit: update needs ")
    change = sentence.partition("; set ")[2].split()
    assert "actor_rollout_ref.actor.fsdp_config.offload_policy=True" in change
    assert holds(read_run("train_ergo_7b", change, counts=False), CARDS["4090"]), "with what it says it fits"


@pytest.mark.parametrize(
    ("recipe", "settings", "words"),
    [
        ("train_nothing", [], "there is no recipe train_nothing"),
        ("recipes/crop_tool.yaml", [], "builds on none of verl's configurations"),
        ("train_ergo_7b", ["actor_rollout_ref.actor.misspelt=1"], "does not take train_ergo_7b"),
        ("train_ergo_7b", ["ergo.zoom.coarse_tokens=many"], "ergo.zoom.coarse_tokens is of type int"),
        ("train_ergo_7b", ["actor_rollout_ref.model.path=somebody/else"], "the sizes of somebody/else are not known"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(recipe: str, settings: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words.replace(".", r"\.")):
        read_run(recipe, settings, counts=False)


def test_a_misspelt_key_is_found_also_in_what_a_recipe_builds_on(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text(
        "defaults: [ppo_trainer, _self_]\nactor_rollout_ref: {actor: {clip_rato: 1}}\n"
    )
    (tmp_path / "above.yaml").write_text("defaults: [below, _self_]\ntrainer: {nodes: 2}\nergo: {}\n")
    assert strange_keys(tmp_path / "above.yaml") == ["trainer.nodes", "actor_rollout_ref.actor.clip_rato"]
    with pytest.raises(CommandError, match="keys that verl does not know"):
        read_run(str(tmp_path / "above.yaml"))


def test_the_first_message_is_as_long_as_verls_loop_makes_it(tmp_path: Path) -> None:
    import ergo_plugins.verl_plugin.agent_loop as loop

    row = panel_row(tmp_path)
    config = tiny()
    asked = ScriptedPolicy(lambda _turn: [0])
    bench = Bench(config, loop.ErgoZoomLoop, asked)
    bench.run(row)
    prompt = asked.asked[0]["prompt_ids"]
    image = Image.open(row["extra_info"]["image_path"]).convert("RGB")
    counted = count(Settings.of(config), str(POLICY), row["extra_info"]["question"], image)
    assert counted.tokens == len(prompt)


def test_words_fit_what_is_assumed_of_them_on_qwens_real_tokenizer(tmp_path: Path) -> None:
    folder = str(write_processor(tmp_path))
    for name in ("train_ergo_7b", "train_visionthink_7b", "train_tool_zoom_7b", "train_egm_8b"):
        settings = Settings.of(composed(name, folder=ROOT / "recipes"))
        counted, budget = count(settings, folder), settings.method.budget(settings.episode)
        run = read_run(name, counts=False)
        assert budget
        # the plain image processor stops at 1280 tokens an image, the published ones at 16384
        assert (0.9 if name == "train_ergo_7b" else 0.05) * budget.first_tokens < counted.visual <= budget.first_tokens
        assert counted.words < run.batch.prompt_tokens - budget.first_tokens
        assert plan_of(replace(run, words=counted.words), H100).problems == ()
    assert len(QUESTION) < 4 * WRAPPING_TOKENS


def test_operations_are_those_that_pytorch_counts() -> None:
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(POLICY, attn_implementation="eager").eval()
    run = read_run("recipes/tiny/train.yaml", [f"actor_rollout_ref.model.path={POLICY}"], counts=False)
    tokens = 512
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.randint(0, 1000, (1, tokens)))
    # eager attention computes the half above the diagonal as well
    shape = run.shape
    whole = 2 * shape.layers * shape.heads * shape.head_dim * tokens**2
    reckoned = forward_flops(shape, Tokens(read=tokens, visual=0, written=0)) + whole
    assert reckoned == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_a_checkpoint_weighs_what_is_reckoned(tmp_path: Path) -> None:
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(POLICY, dtype=torch.float32)
    optimizer = torch.optim.AdamW(model.parameters())
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    run = read_run("recipes/tiny/train.yaml", [f"actor_rollout_ref.model.path={POLICY}"], counts=False)
    reckoned = total(checkpoint_parts(run)) * GIB
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) == pytest.approx(reckoned, rel=0.02)
    assert TINY.checkpoint_bytes == pytest.approx(reckoned, rel=0.02)


def test_published_figures_are_met_as_the_page_says() -> None:
    fewest = [fewest_gpus(one) for one in ESTIMATES]
    assert sum(ours == one.gpus for ours, one in zip(fewest, ESTIMATES, strict=True)) >= 9
    assert all(ours and 0.5 <= ours / one.gpus <= 2 for ours, one in zip(fewest, ESTIMATES, strict=True))
    for row in MEASURED:
        assert 0.65 < again(row).gpu_gb / row.gpu_gb < 1.1
        assert 0.8 < again(row).host_gb / row.host_gb < 1.35
    assert sum(holds(device_run(one, one.gpus), card_of(80)) for one in DEVICES) == len(DEVICES) - 1
