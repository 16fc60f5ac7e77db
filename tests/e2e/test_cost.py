"""What asking costs, by one command: stock lmms-eval four times, one table; and runs that cannot be compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ergo_plugins import cli
from tests.e2e.lmms_runs import ROOT, environment_of
from tests.e2e.scripted_server import completion, serving
from tests.e2e.test_visionthink import ANSWER, CALL, FULL, kind_of

SYSTEM_AND_WORDS = 50


def reply(body: dict[str, Any], _number: int) -> tuple[int, dict[str, Any]]:
    """Asks in a third of the cases or so; counts tokens as a server with a prefix cache would."""
    messages = body["messages"]
    texts = [part["text"] for message in messages[1:2] for part in message["content"] if part["type"] == "text"]
    asks = "resize_image" in json.dumps(messages[0]) and kind_of(texts[-1]) == "full" and len(messages) == 2
    prompt = SYSTEM_AND_WORDS + FULL // 4 + (10 + 5 + FULL if len(messages) > 2 else 0)
    answer = completion(CALL if asks else ANSWER)
    usage = {"prompt_tokens": prompt, "completion_tokens": 5, "total_tokens": prompt + 5}
    if len(messages) > 2:
        usage["prompt_tokens_details"] = {"cached_tokens": SYSTEM_AND_WORDS + FULL // 4}  # type: ignore[assignment]
    return 200, {**answer, "usage": usage}


@pytest.mark.slow  # four starts of lmms-eval
def test_four_ways_in_one_table(panels: Path, tmp_path: Path) -> None:
    with serving(reply) as server:
        done = subprocess.run(
            ["bash", str(ROOT / "recipes" / "cost_visionthink.sh"), "m", "ergo_panels"],
            env={
                **environment_of(),
                **{"PYTHON": sys.executable, "ENGINE": "openai", "INCLUDE": str(panels), "OUT": str(tmp_path)},
                "ARGS": f"base_url={server.base_url},grid=qwen2.5-vl,full_tokens={FULL}",
            },
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "cost.json").read_text())
    assert list(found) == ["never", "always", "full", "policy"]
    assert {name: of["samples"] for name, of in found.items()} == dict.fromkeys(found, 12)
    share = found["policy"]["turns"] - 1
    assert 0 < share < 1, "some ask and some do not"
    small = FULL // 4
    assert found["never"]["visual_new"] == small
    assert found["full"]["visual_new"] == FULL
    assert found["always"]["visual_new"] == small + FULL
    assert found["policy"]["visual_new"] == pytest.approx(small + share * FULL)
    assert found["always"]["visual_cached"] == small
    assert found["policy"]["visual_cached"] == pytest.approx(share * small)
    assert found["always"]["prompt_computed"] == SYSTEM_AND_WORDS + small + 10 + 5 + FULL
    for of in found.values():
        assert 0 < of["seconds_p50"] <= of["seconds_p95"]
        assert 0 <= of["accuracy"] <= 1
    table = done.stdout[done.stdout.index("visual new") :].splitlines()
    assert [line.split()[0] for line in table[1:5]] == list(found)


def test_runs_over_other_samples_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {
        **{"task": "t", "split": "test", "doc_id": 0, "repeat": 0, "question": "?", "returned": "", "previews": {}},
        **{"image_path": None, "target_box_source": None},
        "outcome": {
            **{"method": "single_pass", "source": None, "turns": [], "answer": "", "boxes": {}, "values": {}},
            **{"single_pass_tokens": 0, "repairs": [], "problems": [], "seconds": None},
        },
    }
    paths = []
    for doc_id in (0, 1):
        path = tmp_path / f"{doc_id}" / "journal.jsonl"
        path.parent.mkdir()
        header = {"journal": "ergo-plugins/2", "settings": {}, "tasks": ["t"]}
        path.write_text(f"{json.dumps(header)}\n{json.dumps({**entry, 'doc_id': doc_id})}\n")
        paths.append(str(path))
    assert cli.main(["cost", *paths]) == 2
    assert "0 and 1 are not over the same samples: 2 are in one alone, such as t/test/0" in capsys.readouterr().err
    assert cli.main(["cost", paths[0], paths[0]]) == 2
    assert "two runs are called 0" in capsys.readouterr().err
    assert cli.main(["cost", f"a={paths[0]}", f"b={paths[0]}"]) == 0
    assert os.linesep.join(capsys.readouterr().out.splitlines()[1:]).count("–") >= 2


def test_the_script_says_how_it_is_used() -> None:
    done = subprocess.run(
        ["bash", str(ROOT / "recipes" / "cost_visionthink.sh")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "Usage: bash recipes/cost_visionthink.sh MODEL [task]\n"
