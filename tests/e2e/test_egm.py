"""EGM's evaluation as a user runs it: eight files, one command, killed in the middle and started again."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ergo_plugins.core.geometry import Box, Size
from ergo_plugins.core.grounding import iou, iou_reference
from ergo_plugins.tasks.make_refcoco import SPLITS
from tests.e2e.lmms_runs import OFFLINE, ROOT, journal_entries
from tests.e2e.scripted_server import serving
from tests.e2e.verl_runs import make_rows, verl

ROWS = 40
KILLED_AFTER = 60
ALONE = 6


def said(sentence: str) -> tuple[int, int, int, int]:
    """What the scripted model answers to a sentence, in thousandths; one in ten with swapped corners."""
    rng = random.Random(sentence)
    x1, x2 = sorted(rng.sample(range(1001), 2))
    y1, y2 = sorted(rng.sample(range(1001), 2))
    return (x2, y1, x1, y2) if rng.random() < 0.1 else (x1, y1, x2, y2)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Eight files of 40 sentences in the authors' shapes, about three images of different sizes."""
    rng = random.Random(0)
    images = tmp_path / "images"
    images.mkdir()
    sizes = [(640, 480), (333, 500), (101, 203)]
    for number, size in enumerate(sizes):
        Image.effect_noise(size, 60).save(images / f"{number}.jpg")
    folder = tmp_path / "published"
    folder.mkdir()
    for name in SPLITS:
        lines = []
        for number in range(ROWS):
            at = rng.randrange(len(sizes))
            width, height = sizes[at]
            sentence = f"object {number} of {name}"
            near = [value / 1000 * side for value, side in zip(said(sentence), (width, height) * 2, strict=True)]
            x1, x2 = sorted((near[0], near[2]))
            y1, y2 = sorted((near[1], near[3]))
            box = [x1 * 0.9, y1 * 0.9, min(x2 + 5.25, width), min(y2 + 5.25, height)]
            plain: dict[str, Any] = {
                "image": f"{at}.jpg",
                "sent": sentence,
                "bbox": box,
                "height": height,
                "width": width,
            }
            if number == 1:
                words = {"from": "human", "value": f"<image>Where is <ref>{plain.pop('sent')}</ref>?"}
                plain["conversations"] = [words]
            if number == 2:
                plain["modal_bbox"] = plain.pop("bbox")
            lines.append(json.dumps(plain))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def command(published: Path, out: Path, url: str) -> tuple[list[str], dict[str, str]]:
    """The recipe, asking a server."""
    environment = {"ENGINE": "egm_openai", "BASE_URL": url, "MODEL": "scripted", "CONCURRENCY": "4", "OUT": str(out)}
    environment |= {"ARGS": "grid=qwen3-vl", "PYTHON": sys.executable, "ALONE": str(ALONE)}
    words = ["bash", "recipes/eval_egm.sh", str(published), str(published.parent / "images")]
    return words, {**os.environ, **OFFLINE, **environment}


def reply(body: dict[str, Any], _number: int) -> tuple[int, str]:
    (text,) = (part["text"] for part in body["messages"][-1]["content"] if part["type"] == "text")
    sentence = re.search(r"object \d+ of refcoco[+g]?_\w+", text)
    assert sentence is not None, text
    time.sleep(0.02)
    return 200, f'<think>there</think>\n```json\n[{{"bbox_2d": {list(said(sentence[0]))}}}]\n```'


@pytest.mark.slow  # a run that is killed goes on in test_resume
def test_eight_files_one_command_killed_and_started_again(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    journal = out / "egm" / "journal.jsonl"
    with serving(reply) as server:
        words, environment = command(published, out, server.base_url)
        first = subprocess.Popen(
            words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        until = time.monotonic() + 300
        while not journal.exists() or len(journal.read_bytes().splitlines()) < KILLED_AFTER:
            assert first.poll() is None, first.stdout and first.stdout.read().decode()
            assert time.monotonic() < until
            time.sleep(0.05)
        os.killpg(first.pid, 9)
        first.wait(30)
        kept = len(journal_entries(journal))
        assert KILLED_AFTER - 1 <= kept < ROWS * len(SPLITS)
        asked = len(server.requests)
        done = subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(server.requests) - asked <= ROWS * len(SPLITS) - kept + 4 + ALONE
    entries = journal_entries(journal)
    assert len({(entry["task"], entry["doc_id"]) for entry in entries}) == len(entries) == ROWS * len(SPLITS) == 320

    figures, alone = json.loads((out / "grounding.json").read_text())
    assert (alone["run"], alone["tasks"]["egm_refcoco_val"]["n"]) == ("egm_one_at_a_time", ALONE)
    assert alone["tasks"]["egm_refcoco_val"]["latency_s_p50"] >= 0.02, "what the server takes for a reply"
    assert alone["tasks"]["egm_refcoco_val"]["served_s_p50"] is None, "a server does not say how long a request waited"
    assert list(figures["tasks"]) == sorted(f"egm_{name}" for name in SPLITS)
    ours, theirs = {}, {}
    for name in SPLITS:
        truths = [json.loads(line) for line in (out / "tasks" / f"{name}.jsonl").read_text().splitlines()]
        exact, reference = [], []
        for truth in truths:
            box, source = Box(*truth["target_box"]), Size(truth["width"], truth["height"])
            x1, y1, x2, y2 = said(truth["sent"])
            ordered = Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
            exact.append(iou(ordered.scaled(source.width / 1000, source.height / 1000), box))
            reference.append(iou_reference((x1, y1, x2, y2), box, source))
        found = figures["tasks"][f"egm_{name}"]
        assert found["n"] == ROWS
        assert found["iou"]["mean"] == pytest.approx(sum(exact) / ROWS, abs=1e-9)
        assert found["iou_reference"]["mean"] == pytest.approx(sum(reference) / ROWS, abs=1e-9)
        assert found["acc@0.5"]["mean"] == sum(value >= 0.5 for value in exact) / ROWS
        assert found["acc@0.5_reference"]["mean"] == sum(value > 0.5 for value in reference) / ROWS
        assert found["acc@0.5"]["low"] < found["acc@0.5"]["mean"] < found["acc@0.5"]["high"] or exact == [1.0] * ROWS
        ours[name], theirs[name] = sum(exact) / ROWS, sum(reference) / ROWS
    assert figures["plain_mean"]["iou"]["mean"] == pytest.approx(sum(ours.values()) / 8, abs=1e-9)
    assert ours != theirs, "corners that stand the wrong way round count for us and not for them"
    assert sum(found["n"] for found in figures["sizes"].values()) == 320

    results = next((out / "egm" / "lmms_eval").rglob("*_results.json"))
    scores = json.loads(results.read_text())["results"]
    assert scores["egm_refcoco_val"]["iou,none"] == pytest.approx(ours["refcoco_val"], abs=1e-9)
    assert scores["egm_refcoco_val"]["iou_reference,none"] == pytest.approx(theirs["refcoco_val"], abs=1e-9)
    table = (out / "grounding.md").read_text()
    assert "| plain mean of 8 |" in table
    assert "object 3 of" in (out / "report.html").read_text()


@pytest.mark.slow
def test_verl_trains_a_step_of_it(tmp_path: Path) -> None:
    """The tiny policy has never been taught to ground: what is shown is that its boxes are read, paid and logged."""
    run = verl(
        tmp_path / "run",
        make_rows(tmp_path / "rows"),
        "+ergo.method=egm",
        "~ergo.zoom",
        "~ergo.reward",
        *("+ergo.episode.view_tokens=16", "+ergo.episode.answer_new_tokens=24", "+ergo.episode.resample=box"),
        *("+ergo.reward.shape=iou", "trainer.total_training_steps=1"),
        "actor_rollout_ref.actor.policy_loss.loss_mode=gspo",
    )
    assert run.exit_code == 0, run.log
    (step,) = run.trained
    assert {"egm/accuracy", "egm/iou", "egm/located", "egm/words", "egm/lost_prompts"} <= set(step)
    assert step["egm/iou"] == pytest.approx(step["critic/rewards/mean"], abs=1e-6)
    assert step["egm/iou"] <= step["egm/located"], "nothing is paid without a box"
