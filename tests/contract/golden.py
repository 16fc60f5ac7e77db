"""200 zooms by script, and all that a user of them can see: what must not change while the house around it does.

``golden_2bbc803.jsonl`` holds what this wrote at commit 2bbc803, one line a sample:

    cd <a checkout of 2bbc803> && PYTHONPATH=.:<this checkout> python -m tests.contract.golden > golden_2bbc803.jsonl

Each sample is an image, a question, two replies, a grid and a target. Written are both turns as the model gets them
(words, size, pixels, token ids), the outcome, what a stock scorer is handed, the reward and its parts, and what the
agent loop hands to verl. Pixels and token ids are long and stand as hashes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ergo_plugins.core.answers import bare_answer
from ergo_plugins.core.geometry import VisionGrid
from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.questions import split_question
from ergo_plugins.core.turns import Player, Reply
from ergo_plugins.engines.chat import ChatTokens
from ergo_plugins.methods.ergo import ZoomConfig, zoom_episode
from ergo_plugins.verl_plugin.agent_loop import ErgoZoomLoop
from ergo_plugins.verl_plugin.compute_score import compute_score

try:
    from ergo_plugins.outside.processors import load_processor
except ModuleNotFoundError:  # at 2bbc803
    from ergo_plugins.processors import load_processor
from tests.contract.verl_parts import POLICY, Bench, ScriptedPolicy, composed

GRIDS = {"absolute": VisionGrid(28, "absolute"), "relative": VisionGrid(32, "relative")}
SIZES = ((300, 200), (1920, 1080), (4000, 250), (37, 1200), (56, 56))
LOOKS = (
    "<think>left</think><zoom>[10, 20, 90, 80]</zoom>",
    "<zoom>[300, 40, 100, 10]</zoom>",
    "<think>all of it</think><zoom>[0, 0, 99999, 99999]</zoom>",
    "<think>a corner</think><zoom>[0, 0, 12, 12]</zoom>",
    "<think>two</think><zoom>[5, 5, 20, 20]</zoom> and <zoom>[40.5, 30, 60, 44]</zoom>",
    "<think>none of it",
    "<think>right</think><answer>B</answer>",
    "<zoom>[1, 2, 3]</zoom>",
    "<zoom>[-10, -20, 30, 40",
    "<zoom>[90000, 90000, 99999, 99999]</zoom>",
)
ANSWERS = (
    "<think>so</think><answer>B</answer>",
    "<think>so</think><answer>(A) red</answer>",
    "It is blue.",
    "<answer>42</answer>",
    "",
)
QUESTIONS = (
    # text, kind, target
    ("What colour is it?\nA. red\nB. blue\nAnswer with the option's letter from the choices.", "option", "B"),
    ("Which is it? (A) red (B) blue (C) green", "option", "A"),
    ("How many umbrellas are there?", "number", "42"),
    ("What colour is the umbrella on the left?\nAnswer the question using a single word or phrase.", "text", "blue"),
)


def samples() -> Iterator[dict[str, Any]]:
    """The 200 samples: 2 grids x 5 sizes x 20, everything else taken in turn."""
    for index in range(200):
        text, kind, target = QUESTIONS[index % len(QUESTIONS)]
        yield {
            "index": index,
            "grid": ("absolute", "relative")[index // 100],
            "size": SIZES[index // 20 % len(SIZES)],
            "look": LOOKS[index % len(LOOKS)],
            "answer": ANSWERS[index // 3 % len(ANSWERS)],
            "question": text,
            "kind": kind,
            "target": target,
        }


def picture(index: int, size: tuple[int, int]) -> Image.Image:
    """Noise that a seed repeats."""
    pixels = np.random.default_rng(index).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def hashed(values: bytes | Sequence[int]) -> str:
    """Bytes or whole numbers as 16 hexadecimal digits."""
    data = values if isinstance(values, bytes) else json.dumps(list(values)).encode()
    return hashlib.sha256(data).hexdigest()[:16]


def of_first_version(outcome: Outcome) -> dict[str, Any]:
    """An outcome as records of ``ergo-plugins/1`` had it, with one image a turn and ERGO's boxes by name."""
    plain = outcome.to_json()
    for turn in plain["turns"]:
        (shown,) = turn.pop("shown")
        turn |= {"view": shown["view"], "visual_tokens": shown["tokens"]}
    boxes, values = plain.pop("boxes"), plain.pop("values")
    return {**plain, "box_view": values.get("box_view"), "box_source": boxes.get("crop")}


def played(sample: dict[str, Any], image: Image.Image, chat: ChatTokens) -> dict[str, Any]:
    """A sample as engines play it."""
    question = split_question(sample["question"])
    player = Player(zoom_episode(image, question, ZoomConfig(), GRIDS[sample["grid"]]))
    turns, ids = [], list[int]()
    replies = iter((sample["look"], sample["answer"]))
    turn = player.start()
    while turn is not None:
        ids = chat.prompt(ids, turn)
        turns.append(
            {
                "text": turn.text,
                "system": turn.system,
                "max_new_tokens": turn.max_new_tokens,
                "stop": list(turn.stop),
                "view": list(turn.images[0].size),
                "pixels": hashed(turn.images[0].tobytes()),
                "ids": hashed(ids),
            }
        )
        text = next(replies)
        ids = [*ids, *chat.tokenizer.encode(text, add_special_tokens=False)]
        turn = player.send(Reply(text))
    outcome = player.finished()
    return {
        "turns": turns,
        "outcome": of_first_version(outcome),
        "returned": bare_answer(outcome.answer, question.options),
    }


def row(sample: dict[str, Any], path: Path) -> dict[str, Any]:
    """A sample as a row of verl."""
    content = [{"type": "image", "image": str(path)}, {"type": "text", "text": sample["question"]}]
    return {
        "data_source": "golden",
        "raw_prompt": [{"role": "user", "content": content}],
        "reward_model": {"style": "rule", "ground_truth": sample["target"]},
        "extra_info": {
            "index": sample["index"],
            "image_path": str(path),
            "question": sample["question"],
            "answer_kind": sample["kind"],
            "target_box": [sample["size"][i % 2] * share for i, share in enumerate((0.02, 0.05, 0.25, 0.35))],
        },
    }


def rewarded(sample: dict[str, Any], fields: dict[str, Any], path: Path) -> dict[str, Any]:
    """The reward and its parts, by rules."""
    given = row(sample, path)
    scored = asyncio.run(
        compute_score(
            data_source="golden",
            solution_str=sample["look"] + sample["answer"],
            ground_truth=sample["target"],
            extra_info={**given["extra_info"], **fields},
            judge={"source": "rules"},
        )
    )
    return {name: value for name, value in scored.items() if not name.endswith(("_seconds", "_record"))}


def loop_bench() -> Bench:
    """The agent loop with budgets of the usual size on the tiny policy's processor."""
    config = composed(
        "train",
        "data.train_files=train.parquet",
        "data.val_files=validation.parquet",
        f"actor_rollout_ref.model.path={POLICY}",
        "ergo.zoom.coarse_tokens=640",
        "ergo.zoom.crop_tokens=640",
        "ergo.zoom.zoom_new_tokens=512",
        "ergo.zoom.answer_new_tokens=512",
        "ergo.zoom.resample=bicubic",
        "data.max_prompt_length=2048",
        "data.max_response_length=4096",
        "actor_rollout_ref.rollout.prompt_length=2048",
        "actor_rollout_ref.rollout.response_length=4096",
    )
    return Bench(config, ErgoZoomLoop, ScriptedPolicy(lambda turn: []))


def looped(sample: dict[str, Any], path: Path, bench: Bench) -> dict[str, Any]:
    """What the agent loop hands to verl for a sample, and the reward of it."""
    end = "<|im_end|>"
    said = [bench.tokenizer.encode(sample[name] + end, add_special_tokens=False) for name in ("look", "answer")]
    bench.policy.replies = lambda turn: said[turn]
    (output,) = bench.run(row(sample, path))
    return {
        "prompt_ids": hashed(output.prompt_ids),
        "response_ids": hashed(output.response_ids),
        "response_mask": hashed(output.response_mask),
        "log_probs": hashed([round(1e6 * value) for value in output.response_logprobs]),
        "images": [hashed(image.tobytes()) for image in output.multi_modal_data["images"]],
        "num_turns": output.num_turns,
        "answer": output.extra_fields["ergo"]["answer"],
        "box_source": output.extra_fields["ergo"]["boxes"]["crop"],
        "problems": output.extra_fields["ergo"]["problems"],
        "reward": rewarded(sample, output.extra_fields, path),
    }


def golden() -> Iterator[dict[str, Any]]:
    """All samples with all that came of them; those of the policy's own grid through the agent loop, too."""
    chat, bench = ChatTokens(load_processor(str(POLICY))), loop_bench()
    with tempfile.TemporaryDirectory() as folder:
        for sample in samples():
            image = picture(sample["index"], sample["size"])
            path = Path(folder) / f"{sample['index']}.png"
            image.save(path, compress_level=1)
            entry = {**sample, **played(sample, image, chat)}
            entry["reward"] = rewarded(sample, {"ergo": entry["outcome"]}, path)
            if sample["grid"] == "absolute":
                entry["loop"] = looped(sample, path, bench)
            yield json.loads(json.dumps(entry))


if __name__ == "__main__":
    for line in golden():
        sys.stdout.write(json.dumps(line) + "\n")
