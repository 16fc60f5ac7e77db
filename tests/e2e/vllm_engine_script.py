"""Plays the shipped policy through vLLM in a process of its own; prints what happened as JSON. Used by a test."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Episode
from ergo_plugins.engines.base import EngineFault, Job
from ergo_plugins.engines.vllm import VLLMEngine
from ergo_plugins.methods.ergo import Prompts, ZoomConfig, zoom_episode
from ergo_plugins.methods.prompts import read_prompts
from ergo_plugins.panels.drawing import original
from ergo_plugins.panels.world import Scene, first_seed, make_scene

TINY = Path(__file__).resolve().parents[2] / "recipes" / "tiny"
SCENE = make_scene(first_seed("test"))
CONFIG = ZoomConfig(
    coarse_tokens=16,
    crop_tokens=16,
    zoom_new_tokens=24,
    answer_new_tokens=24,
    resample="box",
    prompts=read_prompts(TINY / "prompts.yaml", Prompts),
)
BLOCK = 32
"""Tokens of a block of the cache."""


def main() -> None:
    """Sample the same question four times, twice over, ask one that is too long, and listen to one."""
    engine = VLLMEngine(
        str(TINY / "policy"),
        temperature=1.5,
        dtype="float32",
        enforce_eager=True,
        max_model_len=384,
        block_size=BLOCK,
        **json.loads(sys.argv[1]),
    )

    def episode(config: ZoomConfig, scene: Scene = SCENE) -> Episode:
        return zoom_episode(original(scene), split_question(scene.text), config, engine.grid)

    queues: list[tuple[float | None, float | None]] = []

    def pinned() -> list[tuple[int | None, int]]:
        """Tokens of each second turn that came from a cache, of how many in whole blocks; no two share an image."""
        outcomes: list[Outcome] = []
        scenes = [make_scene(first_seed("test") + 1 + i) for i in range(12)]
        config = replace(CONFIG, coarse_tokens=100)
        jobs = [Job(f"t/test/{i}", lambda scene=scene: episode(config, scene)) for i, scene in enumerate(scenes, 10)]
        engine.play_all(jobs, lambda _job, outcome: outcomes.append(outcome))
        queues.extend((turn.queued_s, turn.seconds) for outcome in outcomes for turn in outcome.turns)
        turns = [outcome.turns for outcome in outcomes if len(outcome.turns) == 2]
        # the last generated token is never computed as a prompt, so its place in a block is empty
        known = [look.prompt_tokens + look.new_tokens - 1 for look, _ in turns]
        return [(answer.cached_tokens, of // BLOCK * BLOCK) for (_, answer), of in zip(turns, known, strict=True)]

    def sampled() -> dict[str, list[str]]:
        outcomes: dict[str, Outcome] = {}
        jobs = [Job(f"t/test/{i}", lambda: episode(CONFIG)) for i in range(4)]
        engine.play_all(jobs, lambda job, outcome: outcomes.update({job.key: outcome}))
        return {key: [turn.reply for turn in outcome.turns] for key, outcome in outcomes.items()}

    told = {"first": sampled(), "again": sampled(), "cached": pinned(), "refused": ""}
    try:
        engine.play_all([Job("t/test/9", lambda: episode(replace(CONFIG, coarse_tokens=400)))], lambda *_: None)
    except EngineFault as fault:
        told["refused"] = str(fault)
    heard: list[str] = []
    listened = engine.play_one(lambda: episode(CONFIG), heard.append)
    told["heard"], told["replies"] = heard, [turn.reply for turn in listened.turns]
    told["unheard"] = [turn.reply for turn in engine.play_one(lambda: episode(CONFIG)).turns]
    engine.close()
    told["queues"] = queues
    print("\n" + json.dumps(told))


if __name__ == "__main__":
    main()
