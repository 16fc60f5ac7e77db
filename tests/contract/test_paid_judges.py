"""Tasks whose only score is a paid judge's are not run to their end for nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ergo_plugins.lmms_plugin.values import WrongArgument
from ergo_plugins.lmms_plugin.wishes import refuse_judges_without_keys


class Task:
    """Where lmms-eval keeps the command line: on the task whose method a request brings along."""

    def __init__(self, **typed: Any) -> None:
        self.args = SimpleNamespace(**typed)

    def doc_to_messages(self, doc: Any) -> Any:
        return doc


def request(name: str, **typed: Any) -> Any:
    return SimpleNamespace(args=("text", Task(**typed).doc_to_messages, {}, 0, name, "test"))


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "JUDGE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("task", ["mmvet", "mathvista_testmini_cot", "mathverse_testmini_vision_only"])
def test_without_a_key_it_is_refused_by_name(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongArgument, match=f"^{task}: .*OPENAI_API_KEY is not set"):
        refuse_judges_without_keys([request("chartqa"), request(task)])
    refuse_judges_without_keys([request(task, predict_only=True)])
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    refuse_judges_without_keys([request(task)])


@pytest.mark.parametrize("task", ["chartqa", "mmbench_en_test", "mmmu_val", "mme", "pope", "realworldqa", "docvqa_val"])
def test_tasks_with_scores_of_their_own_are_run(task: str) -> None:
    refuse_judges_without_keys([request(task)])
