"""VisionThink in the hosts: a conversation message by message with a real server, and a step of stock verl."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ergo_plugins import open_model
from ergo_plugins.engines import EngineFault
from tests.e2e.lmms_runs import lmms_eval_command, run_to_its_end
from tests.e2e.scripted_server import serving
from tests.e2e.verl_runs import make_rows, verl

CALL = (
    '<think>too small</think>\n<tool_call>\n{"name": "resize_image", "arguments": {"action": "resize"}}\n</tool_call>'
)
BROKEN = (
    '<think>too small</think>\n<tool_call>\n{"name": "resize_image", "arguments": {"action": "crop"}}\n</tool_call>'
)
ANSWER = "<think>striped</think>\n<answer>\\boxed{B}</answer>"
FULL, FACTOR = 400, 28


def kind_of(question: str) -> str:
    """What the scripted policy does with a question: by the first letter of the colour that it asks about."""
    colour = re.search(r"\b(red|green|blue|yellow|cyan|magenta|orange|purple|white|black)\b", question)
    assert colour is not None, question
    return ("full", "error", "reduced")[ord(colour[1][0]) % 3]


def reply(body: dict[str, Any], _number: int) -> tuple[int, str]:
    """Asks, asks wrongly, or answers at once."""
    messages = body["messages"]
    if len(messages) > 2:
        return 200, ANSWER
    asked = [part["text"] for part in messages[-1]["content"] if part["type"] == "text"][-1]
    return 200, {"full": CALL, "error": BROKEN, "reduced": ANSWER}[kind_of(asked)]


def size_of(part: dict[str, Any]) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2]))).size


def test_a_conversation_message_by_message(panels: Path, tmp_path: Path) -> None:
    with serving(reply) as server:
        command = lmms_eval_command("visionthink_openai", panels, tmp_path, model="m", base_url=server.base_url)
        at = command.index("--model_args") + 1
        journal = tmp_path / "journal.jsonl"
        command[at] = f"model=m,base_url={server.base_url},grid=qwen2.5-vl,full_tokens={FULL},journal={journal}"
        run = run_to_its_end(command, tmp_path)
    assert run.exit_code == 0, run.log
    assert len(run.entries) == 12
    kinds = set()
    for entry in run.entries:
        outcome, question = entry["outcome"], entry["question"]
        assert (outcome["method"], entry["returned"]) == ("visionthink", "B")
        names = [turn["name"] for turn in outcome["turns"]]
        kind = kind_of(question)
        wanted = ["reduced", *([kind] if kind != "reduced" else [])]
        assert names == wanted
        kinds.add(names[-1])
        reduced, full = outcome["turns"][0]["shown"][0]["tokens"], FULL
        assert reduced == FULL // 4
        assert outcome["visual_tokens"] == reduced + (full if names[-1] == "full" else 0)
    assert kinds == {"reduced", "full", "error"}, "the twelve images have tiles of every kind"

    for request in server.requests:
        system, user, *rest = request["messages"]
        assert system["role"] == "system"
        assert "resize_image" in json.dumps(system)
        assert [part["type"] for part in user["content"]] == ["text", "image_url", "text"]
        assert size_of(user["content"][1]) == (10 * FACTOR, 10 * FACTOR)
        if rest:
            assistant, more = rest
            assert assistant["role"] == "assistant"
            assert more["role"] == "user"
            types = [part["type"] for part in more["content"]]
            if "crop" in json.dumps(assistant):
                assert types == ["text"]
                assert "no action 'crop'" in more["content"][0]["text"]
            else:
                assert types == ["text", "image_url", "text"]
                assert size_of(more["content"][1]) == (20 * FACTOR, 20 * FACTOR)
    throughput = run.results["throughput"]
    asked = sum("full" in [turn["name"] for turn in entry["outcome"]["turns"]] for entry in run.entries)
    errors = sum("error" in [turn["name"] for turn in entry["outcome"]["turns"]] for entry in run.entries)
    assert throughput["avg_visionthink_asked"] == pytest.approx((asked + errors) / 12)
    assert throughput["avg_visionthink_call_errors"] == pytest.approx(errors / 12)

    ergo = [sys.executable, "-m", "ergo_plugins.cli"]
    page = tmp_path / "report.html"
    for words in (["summary", str(journal)], ["report", str(journal), "-o", str(page)]):
        done = subprocess.run([*ergo, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    html = page.read_text()
    assert "a quarter of" in html
    assert re.search(r"reduced image 100", html)


def test_a_server_cannot_leave_the_newline_out_and_says_so() -> None:
    with serving(lambda _body, _number: (200, CALL)) as server:
        options = {"base_url": server.base_url, "grid": "qwen2.5-vl", "full_tokens": FULL, "newline": "reference"}
        model = open_model("m", engine="openai", method="visionthink", **options)
        with model, pytest.raises(EngineFault, match=r"writes messages by its own template; set newline=template"):
            model.ask(Image.new("RGB", (560, 560)), "Which colour?")
        assert len(server.requests) == 1, "the first message is as it is either way"


@pytest.mark.slow  # the rule inside a step of verl is held, by default, where a policy learns by it
@pytest.mark.training
def test_verl_trains_a_step_with_the_group_rule(tmp_path: Path) -> None:
    """The tiny policy knows no tool: what is shown is that the step is taken inside verl, and logged."""
    run = verl(
        tmp_path / "run",
        make_rows(tmp_path / "rows"),
        "+ergo.method=visionthink",
        "~ergo.zoom",
        "~ergo.reward",
        *("+ergo.episode.full_tokens=64", "+ergo.episode.ask_new_tokens=24", "+ergo.episode.answer_new_tokens=24"),
        *("+ergo.reward.rule=conditional", "+ergo.reward.theta=1.01", "trainer.total_training_steps=1"),
        *("data.max_prompt_length=1024", "trainer.val_before_train=false"),
        "algorithm.adv_estimator=ergo_efficient_grpo",
    )
    assert run.exit_code == 0, run.log
    (step,) = run.trained
    assert {"visionthink/accuracy", "visionthink/asked", "visionthink/group_step_changed"} <= set(step)
    # theta beyond 1: every direct answer costs, and this policy only answers directly
    assert step["visionthink/asked"] == 0
    assert step["visionthink/group_step_changed"] == 1
    assert step["critic/rewards/mean"] == pytest.approx(step["visionthink/reward_raw"] - 0.1, abs=1e-5)
