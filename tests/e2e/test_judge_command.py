"""``ergo judge`` with a real server: rules first, resumed after a kill, stock metric beside it, outages as errors."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ergo_plugins import cli
from ergo_plugins.core.judge_pairs import audited
from ergo_plugins.core.outcome import Outcome
from tests.e2e.judge_server import JudgeServer

QUICK = ["--model", "judge", "--attempts", "2", "--timeout-s", "5"]


def sample(doc_id: int, target: Any, answer: str, stock: float) -> dict[str, Any]:
    """A line as lmms-eval logs it: the target as text, one reply."""
    return {
        "doc_id": doc_id,
        "target": str(target),
        "filtered_resps": [answer],
        "doc_hash": "0",
        "relaxed_overall": stock,
        "input": f"How many of kind {doc_id} are there?\nAnswer the question with a single word.",
    }


SAMPLES = [
    sample(0, "46", "46", 1.0),
    sample(1, "46", "47", 1.0),  # the stock metric takes 46 for 47
    sample(2, "47", "47%", 0.0),  # and refuses 47 % for 47
    sample(3, "bicycle", "<think>two wheels</think><answer>a bike</answer>", 0.0),
    sample(4, ["three", "3"], "3", 1.0),
    sample(5, "blue", "", 0.0),
]
ENTRY = {
    **{"task": "spots", "split": "test", "doc_id": 0, "repeat": 0, "question": "What is he riding?"},
    **{"returned": "a bike", "previews": {}, "image_path": None, "target_box_source": None},
}
SAME = {("47", "47%"), ("bicycle", "a bike")}


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "20261125_samples_chartqa.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in SAMPLES))
    return path


def pair_in(prompt: str) -> tuple[str, str]:
    target, given = (re.search(rf"{name} answer: (.*)", prompt) for name in ("Reference", "Given"))
    assert target is not None
    assert given is not None
    return target[1], given[1]


def knows(_number: int, prompt: str, _images: list[Image.Image]) -> str:
    return "Yes." if pair_in(prompt) in SAME else "No."


def test_rules_come_first_and_the_stock_metric_stands_beside(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "judged.json"
    with JudgeServer(knows) as judge:
        command = ["judge", str(samples), "--url", judge.url, *QUICK, "-o", str(out)]
        assert cli.main(command) == 0
        assert sorted(pair_in(asked.text) for asked in judge.asked) == [
            ("46", "47"),
            ("47", "47%"),
            ("bicycle", "a bike"),
        ]
        assert cli.main(command) == 0
        assert len(judge.asked) == 3, "what was ruled is not asked for again"
    (found,) = json.loads(out.read_text())["tasks"].values()
    assert (found["samples"], found["by_rule"], found["by_judge"]) == (6, 3, 3)
    assert found["right"] == pytest.approx(4 / 6)
    assert found["stock"]["relaxed_overall"] == {"samples": 6, "mean": 0.5, "stock_only": 1, "judge_only": 2}
    table = capsys.readouterr().out
    assert re.search(r"chartqa +6 +3 +3 +66\.7% +relaxed_overall +50\.0% +1 +2", table), table


@pytest.mark.parametrize("reply", ["Score: {}", "[[{}]]"])
def test_own_words_and_their_verdicts(reply: str, samples: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("Q {question}\nReference answer: {target}\nGiven answer: {answer}\nSame?")

    def script(number: int, prompt: str, images: list[Image.Image]) -> str:
        assert prompt.startswith("Q How many of kind ")
        is_same = knows(number, prompt, images) == "Yes."
        return reply.format(int(is_same) if "Score" in reply else ("NO", "YES")[is_same])

    out = tmp_path / "judged.json"
    with JudgeServer(script) as judge:
        assert (
            cli.main(["judge", str(samples), "--url", judge.url, *QUICK, "--prompt", str(words), "-o", str(out)]) == 0
        )
        other = ["judge", str(samples), "--url", judge.url, *QUICK]
        assert cli.main(other) == 2, "verdicts on other words are another run's"
    assert json.loads(out.read_text())["tasks"]["chartqa"]["right"] == pytest.approx(4 / 6)


@pytest.mark.parametrize("reply", ["perhaps", "Score: 0 or 1", 503, 400, None])
def test_without_a_verdict_it_is_an_error_and_what_came_stays(
    reply: Any, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def script(number: int, prompt: str, images: list[Image.Image]) -> Any:
        return reply if "kind 3" in prompt else knows(number, prompt, images)

    with JudgeServer(script) as judge:
        assert cli.main(["judge", str(samples), "--url", judge.url, *QUICK, "--concurrency", "1"]) == 1
    told = capsys.readouterr()
    assert "chartqa/3: " in told.err
    assert "right" not in told.out, "no figure is given of a run that is not judged to its end"
    log = [json.loads(line) for line in samples.with_name("20261125_samples_chartqa.verdicts.jsonl").open()]
    assert {line["key"] for line in log[1:]} >= {"chartqa/0", "chartqa/1", "chartqa/4", "chartqa/5"}
    assert "chartqa/3" not in {line.get("key") for line in log}


def test_killed_and_started_again_it_asks_no_verdict_twice(tmp_path: Path) -> None:
    path = tmp_path / "samples_t.jsonl"
    path.write_text("".join(json.dumps(sample(n, "bicycle", f"a bike {n}", 0.0)) + "\n" for n in range(40)))
    log = tmp_path / "verdicts.jsonl"

    def slow(number: int, prompt: str, images: list[Image.Image]) -> str:
        time.sleep(0.05)
        return "Yes"

    with JudgeServer(slow) as judge:
        command = [sys.executable, "-m", "ergo_plugins.cli", "judge", str(path), "--url", judge.url, *QUICK]
        command += ["--verdicts", str(log), "--concurrency", "1"]
        first = subprocess.Popen(command, env=os.environ)
        while not log.exists() or log.read_bytes().count(b"\n") < 10:
            assert first.poll() is None
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
        first.wait()
        kept = {json.loads(line)["key"] for line in log.read_bytes().split(b"\n")[1:-1]}
        with log.open("ab") as file:
            file.write(b'{"key": "t/3')  # torn
        before = len(judge.asked)
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        asked_later = [asked.text for asked in judge.asked[before:]]
    assert len(asked_later) == 40 - len(kept)
    given = Counter(pair_in(text)[1] for text in asked_later)
    assert not {f"a bike {key.removeprefix('t/')}" for key in kept} & set(given)
    assert len(log.read_text().splitlines()) == 41


def test_the_audit_names_what_a_judge_gets_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = {(case.wanted[0], case.given): same for case, same in audited()}

    def script(_number: int, prompt: str, _images: list[Image.Image]) -> str:
        pair = pair_in(prompt)
        return "Yes" if truth[pair] or pair == ("46", "47") else "No"

    out = tmp_path / "audit.json"
    with JudgeServer(script) as judge:
        assert cli.main(["judge", "--audit", "--url", judge.url, *QUICK, "-o", str(out)]) == 0
        assert len(judge.asked) == len(truth) == len(audited())
    found = json.loads(out.read_text())
    assert found["right"] == found["pairs"] - 1
    assert "wrongly same: numbers close by/1: '47' for '46'" in capsys.readouterr().out
    with JudgeServer(lambda *_: "maybe") as judge:
        assert cli.main(["judge", "--audit", "--url", judge.url, *QUICK]) == 1


def test_a_journal_of_ours_with_its_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal, logged, out = tmp_path / "journal.jsonl", tmp_path / "x_samples_spots.jsonl", tmp_path / "judged.json"
    outcome = Outcome(method="single_pass", answer="a bike").to_json()
    entry = {**ENTRY, "outcome": outcome}
    header = {"journal": "ergo-plugins/2", "settings": {}, "tasks": ["spots"]}
    journal.write_text(json.dumps(header) + "\n" + json.dumps(entry) + "\n")
    logged.write_text(json.dumps({**sample(0, "bicycle", "a bike", 0.0), "filtered_resps": "a bike"}) + "\n")
    with JudgeServer(knows) as judge:
        command = ["judge", str(journal), "--url", judge.url, *QUICK, "-o", str(out)]
        assert cli.main(command) == 2
        assert "does not say which answer is wanted for spots/test/0" in capsys.readouterr().err
        assert cli.main([*command, "--samples", str(tmp_path)]) == 0
        assert [pair_in(asked.text) for asked in judge.asked] == [("bicycle", "a bike")]
    (found,) = json.loads(out.read_text())["tasks"].values()
    assert found["right"] == 1
    assert found["stock"]["relaxed_overall"]["mean"] == 0


def test_what_cannot_be_judged_is_said(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = ["--url", "http://127.0.0.1:9/v1", *QUICK]
    assert cli.main(["judge", *server]) == 2
    assert cli.main(["judge", str(samples), "--audit", *server]) == 2
    hidden = tmp_path / "samples_hidden.jsonl"
    hidden.write_text(json.dumps(sample(0, "", "x", 0.0)) + "\n")
    assert cli.main(["judge", str(hidden), *server]) == 2
    assert "hidden/0 has no wanted answer" in capsys.readouterr().err
    broken = tmp_path / "samples_broken.jsonl"
    broken.write_text(json.dumps({**SAMPLES[0], "filtered_resps": [[-1.0, True]]}) + "\n")
    assert cli.main(["judge", str(broken), *server]) == 2
    assert "samples_broken.jsonl, line 1" in capsys.readouterr().err
