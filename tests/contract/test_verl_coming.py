"""What is made ready before rollouts ask: by verl's own workers in Ray, within the bound, at no run's cost."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest
import ray
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ

from ergo_plugins.core import images
from ergo_plugins.core.geometry import Box
from ergo_plugins.verl_plugin import originals
from ergo_plugins.verl_plugin.agent_loop import ErgoZoomLoop, shared_so_far
from ergo_plugins.verl_plugin.coming import all_made_ready
from ergo_plugins.verl_plugin.settings import Settings
from tests.contract.test_verl_next_rows import made, write_rows
from tests.contract.verl_parts import Bench, ScriptedPolicy, panel_row, tiny, tokenizer_and_processor

LOOK, ANSWER = "<think>red</think><zoom>[0, 0, 28, 28]</zoom>", "<think>so</think><answer>B</answer><|im_end|>"


def bench(*overrides: str) -> Bench:
    made = Bench(tiny(*overrides), ErgoZoomLoop, ScriptedPolicy(lambda turn: []))
    tokens = [made.tokenizer.encode(reply, add_special_tokens=False) for reply in (LOOK, ANSWER)]
    made.policy.replies = lambda turn: tokens[turn]
    return made


def rows_in(folder: Path, count: int) -> list[dict[str, Any]]:
    """Rows with an image each, which nobody has opened."""
    folders = [folder / str(number) for number in range(count)]
    for place in folders:
        place.mkdir(parents=True)
    return [panel_row(place) for place in folders]


def begun(tmp_path: Path, *overrides: str) -> tuple[Bench, Any]:
    """Agent loops that have played once, and what they share."""
    played = bench(*overrides)
    played.run(rows_in(tmp_path / "before", 1)[0])
    shared = shared_so_far()
    assert shared is not None
    assert shared.config is played.config
    return played, shared


def waiting(shared: Any) -> int:
    return sum(original is not None for original in shared.originals._ahead.values())


def test_rollouts_find_the_original_and_the_first_view(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played, shared = begun(tmp_path)
    regions: list[Box] = []

    def render(image: Any, region: Box, *arguments: Any, **options: Any) -> Any:
        regions.append(region)
        return images.render(image, region, *arguments, **options)

    monkeypatch.setattr(originals, "render", render)
    rows = rows_in(tmp_path, 2)
    asyncio.run(all_made_ready(shared, rows))
    whole = [Box(0, 0, 448, 448)]
    assert (regions, waiting(shared)) == (whole * 2, 2)
    decodes = shared.originals.decodes
    outputs = [output for row in rows for output in played.run(row, 3)]
    assert all(output.extra_fields["ergo_decodes"] == decodes for output in outputs), "nothing was decoded again"
    assert [region for region in regions if region == whole[0]] == whole * 2, "nor shrunk"
    assert len(regions) == 4, "each with its crop"
    assert waiting(shared) == 0, "what is played is among those in use and kept, and counts once"


def test_no_more_is_held_than_allowed_and_what_nobody_asked_for_goes(tmp_path: Path) -> None:
    _, shared = begun(tmp_path, "+ergo.images.ahead_megapixels=0.5", "ergo.images.kept_megapixels=0")
    rows = rows_in(tmp_path, 4)
    asyncio.run(all_made_ready(shared, rows))
    first = list(shared.originals._ahead)
    assert waiting(shared) == 2, "0.2 megapixels each"
    assert [str(rows[i]["extra_info"]["image_path"]) in key for i, key in enumerate(first)] == [True, True]
    asyncio.run(all_made_ready(shared, rows[2:]))
    assert waiting(shared) == 2
    assert not set(first) & set(shared.originals._ahead)
    assert len([key for key in shared.originals._in_use if key in first]) == 0, "and its memory"


def test_a_smaller_image_takes_the_room_that_a_larger_one_has_not(tmp_path: Path) -> None:
    _, shared = begun(tmp_path, "+ergo.images.ahead_megapixels=0.3")
    large, small = rows_in(tmp_path, 2)
    (tmp_path / "0" / "panel.png").unlink()
    large = panel_row(tmp_path / "0", 896)
    asyncio.run(all_made_ready(shared, [large, small]))
    assert [str(tmp_path / "1") in key for key in shared.originals._ahead] == [True]


def test_rows_whose_rollouts_have_begun_are_not_held(tmp_path: Path) -> None:
    _, shared = begun(tmp_path)
    rows = rows_in(tmp_path, 3)
    paths = [row["extra_info"]["image_path"] for row in rows]

    async def overtaken() -> Any:
        ready = asyncio.create_task(all_made_ready(shared, rows))
        while not shared.originals._ahead:
            await asyncio.sleep(0)
        taken = await asyncio.gather(*(shared.originals.get(path) for path in paths))
        await ready
        return taken

    decodes = shared.originals.decodes
    asyncio.run(overtaken())
    assert waiting(shared) == 0
    assert shared.originals.decodes - decodes == 3, "each once, by whoever came first"


def test_damage_costs_the_head_start_alone_and_is_named_by_the_rollout(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    played, shared = begun(tmp_path)
    lost, unread, damaged, sound, foreign = rows_in(tmp_path, 5)
    Path(lost["extra_info"]["image_path"]).unlink()
    unread["raw_prompt"] = unread["extra_info"] = None
    damaged["extra_info"]["image_path"] = str(tmp_path / "no image.png")
    (tmp_path / "no image.png").write_bytes(b"none")
    foreign["agent_name"] = "tool_agent"
    with caplog.at_level(logging.WARNING):
        asyncio.run(all_made_ready(shared, [lost, unread, damaged, foreign, sound]))
    assert waiting(shared) == 1
    assert str(tmp_path / "3") in next(iter(shared.originals._ahead))
    assert caplog.text.count("not made ready before its rollouts") == 3
    with pytest.raises(FileNotFoundError, match=r"panels 7: there is no image .*0/panel\.png"):
        played.run(lost)
    with pytest.raises(OSError, match=r"panels 7: .*no image\.png"):
        played.run(damaged)


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ahead_megapixels is 0 or more, got -1"):
        Settings.read({"images": {"ahead_megapixels": -1}}, "ergo")


def state(_worker: Any) -> tuple[list[str], int]:
    """Run inside a worker: the paths it holds ahead, and how many images it has decoded."""
    shared = shared_so_far()
    if shared is None:
        return [], 0
    held = [key.split(" ")[0] for key, original in shared.originals._ahead.items() if original is not None]
    return held, shared.originals.decodes


def states(workers: list[Any]) -> tuple[list[list[str]], int]:
    """What each holds ahead, and how many images they have decoded together."""
    told = ray.get([worker.__ray_call__.remote(state) for worker in workers])
    return [held for held, _ in told], sum(decodes for _, decodes in told)


def test_verls_workers_hold_what_verl_then_hands_them(queue: None, tmp_path: Path) -> None:
    """Two of them, a batch that does not divide, and verl's trainer, manager, queue and buffer between them."""
    settings = ("data.train_batch_size=3", "actor_rollout_ref.rollout.agent.num_workers=2")
    trainer = made("ergo_sync", write_rows(tmp_path, 9), *settings, "actor_rollout_ref.rollout.n=2")
    tokenizer, _ = tokenizer_and_processor(Path(trainer.config.actor_rollout_ref.model.path))
    tokens = [tokenizer.encode(reply, add_special_tokens=False) for reply in (LOOK, ANSWER)]
    policy = ScriptedPolicy(lambda turn: tokens[turn])
    manager = AgentLoopManagerTQ.create(
        config=trainer.config,
        llm_client=policy,
        teacher_client=None,
        reward_loop_worker_handles=None,  # as where the trainer itself asks for rewards
    )
    trainer.agent_loop_manager = manager
    trainer.on_train_begin()
    for step in (1, 2):
        trainer.global_steps = step
        trainer.prepare_step()
        batch, _ = trainer.replay_buffer.sample(global_steps=step, partition_id="train", batch_size=3)
        assert len(batch.keys) == 6
        assert states(manager.agent_loop_workers) == ([[], []], 3 * step), "taken, and not decoded a second time"
        trainer.on_sample_end()
        paths = [extra["image_path"] for extra in trainer.train_dataloader.see(1)[0]["extra_info"]]
        wanted, until = ([paths[:2], paths[2:]], 3 * (step + 1)), time.monotonic() + 30
        while states(manager.agent_loop_workers) != wanted and time.monotonic() < until:
            time.sleep(0.1)
        assert states(manager.agent_loop_workers) == wanted, "verl's first worker gets two rows, the second one"
