"""What a user of lmms-eval finds after a run: figures in its results, outcomes in its samples file, clear refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ergo_plugins.core.outcome import Outcome
from tests.e2e.lmms_runs import POLICY, Run, lmms_eval


def samples_of(run: Run) -> list[dict[str, Any]]:
    """lines of lmms-eval's own samples file."""
    (path,) = run.folder.rglob("*_samples_ergo_panels.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_figures_stand_in_the_results(hf_run: Run) -> None:
    figures = hf_run.results["throughput"]
    outcomes = [Outcome.from_json(_without_derived(entry["outcome"])) for entry in hf_run.entries]
    assert figures["avg_ergo_samples"] == 12
    assert figures["avg_ergo_visual_tokens"] == 32
    share = sum(o.visual_tokens for o in outcomes) / sum(o.single_pass_tokens for o in outcomes)
    assert figures["avg_ergo_visual_token_share"] == pytest.approx(share)
    assert figures["avg_ergo_zoom_success"] == sum(o.box_source is not None for o in outcomes) / 12
    assert figures["total_gen_tokens"] == sum(turn.new_tokens or 0 for o in outcomes for turn in o.turns)
    assert 0 < figures["avg_ergo_latency_s_p50"] <= figures["avg_ergo_latency_s_p95"]


def test_the_samples_file_holds_the_journals_outcomes(hf_run: Run) -> None:
    kept = {entry["doc_id"]: entry["outcome"] for entry in hf_run.entries}
    logged = {sample["doc_id"]: sample["token_counts"][0]["ergo"] for sample in samples_of(hf_run)}
    assert logged == kept


def test_each_sample_has_its_views_beside_the_journal(hf_run: Run) -> None:
    for entry in hf_run.entries:
        assert set(entry["previews"]) == {"look", "answer"}
        assert all((hf_run.folder / file).stat().st_size > 500 for file in entry["previews"].values())


def test_the_single_pass_baseline_is_one_flag(panels: Path, tmp_path: Path) -> None:
    run = lmms_eval("ergo_hf", panels, tmp_path, model=POLICY, zoom="off", coarse_tokens=64)
    assert run.exit_code == 0, run.log
    assert len(run.by_doc) == 12
    for entry in run.entries:
        (turn,) = entry["outcome"]["turns"]
        assert turn["name"] == "answer"
        assert turn["shown"][0]["tokens"] == 64
    assert "target_coverage,none" not in run.results["results"]["ergo_panels"], "nobody was asked where to look"


def test_a_wrong_argument_ends_the_run_with_a_sentence(panels: Path, tmp_path: Path) -> None:
    run = lmms_eval("ergo_hf", panels, tmp_path, model=POLICY, coarse_token=640)
    assert run.exit_code != 0
    assert "ergo_hf has no argument coarse_token; known are " in run.log
    assert "Traceback" not in run.log


def _without_derived(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if key not in ("area_ratio", "visual_tokens")}
