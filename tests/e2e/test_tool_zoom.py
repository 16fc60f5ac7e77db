"""n-turn zoom in the hosts: token-exact continuation with a model in this process, and a conversation with a server."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from tests.e2e.lmms_runs import POLICY, Run, lmms_eval_command, run_to_its_end
from tests.e2e.scripted_server import serving

CALL = '{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": %s, "label": "it", "img_idx": %d}}'
BOXES = ([0, 0, 500, 500], [500, 500, 1000, 1000])
ANSWER = "<think>striped</think><answer>B</answer>"
OPTIONS = "view_tokens=64,crop_tokens=64,all_tokens=256,answer_new_tokens=64,profile=qwen3_vl"


def evaluated(panels: Path, folder: Path, model: str, arguments: str) -> Run:
    folder.mkdir()
    command = lmms_eval_command(model, panels, folder, model="m")
    at = command.index("--model_args") + 1
    command[at] = f"{arguments},{OPTIONS},journal={folder / 'journal.jsonl'}"
    return run_to_its_end(command, folder)


def reply(body: dict[str, Any], _number: int) -> tuple[int, str]:
    """Looks at a quarter, then at a quarter of that, then answers."""
    said = sum(message["role"] == "assistant" for message in body["messages"])
    if said == len(BOXES):
        return 200, ANSWER
    return 200, f"<think>closer</think>\n<tool_call>\n{CALL % (BOXES[said], said)}\n</tool_call>"


def image_of(part: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2])))


def test_a_zoom_into_a_zoom_with_a_server(panels: Path, tmp_path: Path) -> None:
    with serving(reply) as server:
        arguments = f"model=m,base_url={server.base_url},grid=qwen2.5-vl"
        run = evaluated(panels, tmp_path / "run", "tool_zoom_openai", arguments)
    assert run.exit_code == 0, run.log
    assert len(server.requests) == 3 * 12
    for entry in run.entries:
        outcome = entry["outcome"]
        width, height = outcome["source"]
        assert [turn["name"] for turn in outcome["turns"]] == ["look", "zoom 1", "zoom 2"]
        assert entry["returned"] == "B"
        assert outcome["boxes"]["crop 1"] == [0, 0, -(-width // 2), -(-height // 2)]
        x1, y1, x2, y2 = outcome["boxes"]["crop"]
        assert max(abs(x1 - width / 4), abs(y1 - height / 4), abs(x2 - width / 2), abs(y2 - height / 2)) <= 1
        assert outcome["visual_tokens"] <= 256
        assert outcome["values"] == {"calls": 2, "malformed": 0, "delivered": 2, "over_turns": False}
    longest = max(server.requests, key=lambda request: len(request["messages"]))
    roles = [message["role"] for message in longest["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    images = [part for message in longest["messages"] for part in message["content"] if isinstance(part, dict)]
    images = [part for part in images if part["type"] == "image_url"]
    assert len(images) == 3
    assert all(image_of(part).width % 28 == 0 for part in images)
    assert "tools" not in longest, "the protocol is text: no server has to know of tools"
    assert run.results["throughput"]["avg_tool_zoom_calls"] == 2


def test_transformers_takes_as_many_turns(panels: Path, tmp_path: Path) -> None:
    """The tiny policy knows no tool and answers at once, or not at all: every sample ends and is scored."""
    run = evaluated(panels, tmp_path / "run", "tool_zoom_hf", f"model={POLICY}")
    assert run.exit_code == 0, run.log
    assert len(run.entries) == 12
    assert {json.dumps([turn["name"] for turn in entry["outcome"]["turns"]]) for entry in run.entries} == {'["look"]'}
