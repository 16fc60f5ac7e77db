"""What recipes/tiny/visionthink.md says of its runs is what their results say."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean

TINY = Path(__file__).resolve().parents[3] / "recipes" / "tiny"
TEXT = (TINY / "visionthink.md").read_text(encoding="utf-8")
FOUND = json.loads((TINY / "proof_visionthink" / "results.json").read_text(encoding="utf-8"))
RESULTS, SHIPPED = FOUND["experiments"], FOUND["before"]["shipped"]["greedy"]


def values(experiment: str, figure: str) -> list[float]:
    """By seed."""
    return list(RESULTS[experiment][figure]["values"])


def test_the_table_is_the_one_that_was_made_from_the_results() -> None:
    assert (TINY / "proof_visionthink" / "table.md").read_text(encoding="utf-8").strip() in TEXT
    for experiment in RESULTS.values():
        assert experiment["n"] == 1024
        for figure in experiment.values():
            if isinstance(figure, dict):
                assert abs(figure["mean"] - mean(figure["values"])) < 1e-4


def test_the_rule_ends_with_calls_where_they_are_needed() -> None:
    assert values("conditional", "greedy asks_needed") == [1, 1, 1]
    assert [f"{value:.3f}" for value in values("conditional", "greedy accuracy")] == ["1.000", "0.997", "1.000"]
    assert "are right in 1.000, 0.997 and 1.000" in TEXT
    assert max(values("conditional", "greedy asks_not_needed")) == 0
    assert SHIPPED["asks_not_needed"] == 1
    oracle = values("conditional", "greedy oracle_tokens")[0]
    assert abs(mean(values("conditional", "greedy visual_tokens")) - oracle) < 0.1 * oracle


def test_figures_in_words_are_those_of_the_runs() -> None:
    told = {
        "0.381": values("shuffled", "greedy asks_needed"),
        "0.794": values("shuffled", "greedy asks_not_needed"),
        "0.928": values("no_penalty", "greedy asks_not_needed"),
        "0.003": values("all_calls", "greedy asks_needed"),
        "0.298": values("all_calls", "greedy accuracy_needed"),
        "0.931": values("code", "greedy accuracy_not_needed"),
        "0.745": [FOUND["before"]["shipped"]["sampled"]["asks_not_needed"]],
        "0.986": [FOUND["before"]["from_90"]["sampled"]["asks_not_needed"]],
        "0.968": values("theta_50", "greedy accuracy_not_needed"),
        "0.999": values("paper_90", "greedy accuracy_not_needed"),
        "0.970": values("theta_0", "greedy asks_needed"),
        "0.993": values("conditional_90", "greedy asks_needed"),
        "0.967": values("code_90", "greedy asks_needed"),
    }
    for words, (value,) in told.items():
        assert words in TEXT
        assert round(value, 3) == float(words)


def test_all_that_was_tried_of_theta_is_told() -> None:
    tried = json.loads((TINY / "proof_visionthink" / "theta_tried.json").read_text(encoding="utf-8"))
    words = " ".join(TEXT.split())
    for way, needed in tried.items():
        if "0.8" not in way:
            assert ", ".join(f"{value:.3f}" for value in needed) in words
    assert tried["theta 0.8, 24 steps"] == values("conditional", "greedy asks_needed")


def test_controls_do_not_learn_to_ask_where_it_is_needed_alone() -> None:
    apart = {
        name: min(values(name, "greedy asks_needed")) - max(values(name, "greedy asks_not_needed"))
        for name in ("conditional", "shuffled", "no_penalty", "all_calls")
    }
    assert apart["conditional"] > 0.85
    assert max(value for name, value in apart.items() if name != "conditional") < 0.1


def test_the_papers_rule_runs_away_and_the_others_do_not() -> None:
    for name in ("theta_50", "theta_1", "paper_90"):
        assert values(name, "greedy asks_not_needed") == [1]
        assert values(name, "greedy visual_tokens") == [80]
    assert values("theta_1", "greedy accuracy_not_needed") == [1]
    for name in ("conditional_90", "code_90", "paper", "theta_0"):
        assert values(name, "greedy asks_not_needed") == [0]
    assert FOUND["before"]["from_90"]["sampled"]["asks_not_needed"] > 0.9
    for name in ("conditional_90", "code_90"):
        assert min(values(name, "greedy asks_needed")) > 0.95
