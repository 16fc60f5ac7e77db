"""ERGO does to the last token what it did at commit 2bbc803; see `golden`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ergo_plugins.core.outcome import Outcome
from tests.contract.golden import golden, of_first_version

RECORDED = Path(__file__).with_name("golden_2bbc803.jsonl")


def differences(was: Any, now: Any, where: str) -> list[str]:
    """Where two plain values differ; keys that only ``now`` has are additions and no difference."""
    if isinstance(was, dict) and isinstance(now, dict):
        return [d for key, value in was.items() for d in differences(value, now.get(key, "(gone)"), f"{where}.{key}")]
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return [d for i, pair in enumerate(zip(was, now, strict=True)) for d in differences(*pair, f"{where}[{i}]")]
    return [] if was == now else [f"{where}: {was!r} -> {now!r}"]


def test_words_views_tokens_boxes_answers_and_rewards_are_as_they_were() -> None:
    lines = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 200
    found = [
        difference
        for was, now in zip(lines, golden(), strict=True)
        for difference in differences(was, now, f"sample {was['index']}")
    ]
    assert not found, "\n".join(found[:20])


def test_records_of_the_first_version_are_read() -> None:
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        was = json.loads(line)["outcome"]
        assert not differences(was, of_first_version(Outcome.from_json(was)), "outcome")
