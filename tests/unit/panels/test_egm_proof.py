"""What recipes/tiny/egm.md says of its runs is what their results say."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean

TINY = Path(__file__).resolve().parents[3] / "recipes" / "tiny"
TEXT = (TINY / "egm.md").read_text(encoding="utf-8")
RESULTS = json.loads((TINY / "proof_egm" / "results.json").read_text(encoding="utf-8"))


def values(experiment: str, figure: str, when: str = "after") -> list[float]:
    """By seed."""
    return list(RESULTS[experiment][when][figure]["values"])


def test_the_table_is_the_one_that_was_made_from_the_results() -> None:
    table = (TINY / "proof_egm" / "table.md").read_text(encoding="utf-8").strip()
    assert table in TEXT
    for experiment in RESULTS.values():
        for when in ("before", "after"):
            for figure in experiment[when].values():
                assert abs(figure["mean"] - mean(figure["values"])) < 1e-4
    assert all(found["n"] == 1024 for found in RESULTS.values())


def test_both_conventions_are_learned_in_every_seed() -> None:
    for experiment in ("thousandths", "pixels"):
        assert len(values(experiment, "greedy iou")) == 3
        assert max(values(experiment, "sampled iou", "before")) < 0.3
    assert [round(value, 3) for value in sorted(values("pixels", "greedy iou"))] == [0.994, 0.999, 1.0]
    assert [round(value, 3) for value in sorted(values("thousandths", "greedy right"))] == [0.979, 0.981, 0.993]
    assert "0.979, 0.981 and 0.993 of the boxes" in TEXT
    assert f"IoU {min(values('thousandths', 'greedy iou')):.3f}" in TEXT


def test_all_ways_of_training_thousandths_are_told() -> None:
    tried = json.loads((TINY / "proof_egm" / "thousandths_tried.json").read_text(encoding="utf-8"))
    words = " ".join(TEXT.split())
    for way, told in (
        ("24", "24 steps {}"),
        ("32", "32 steps {}"),
        ("48", "48 steps (shipped) {}"),
        ("48", "cosine {}"),
    ):
        (found,) = (
            figures for name, figures in tried.items() if way in name and ("cosine" in name) == ("cosine" in told)
        )
        means = [f"{mean(found[figure]):.3f}" for figure in ("IoU", "Acc@0.5")]
        assert told.format(" and ".join(means)) in words
    shipped = tried["48 steps, learning rate 2e-4"]["IoU"]
    assert shipped == [round(value, 4) for value in values("thousandths", "greedy iou")]
    assert all(min(found["Acc@0.5"]) < 0.98 for found in tried.values())


def test_figures_in_words_are_those_of_the_runs() -> None:
    told = {
        "0.152": values("shuffled", "sampled iou"),
        "0.162": values("dotted", "greedy, no thought iou", "before"),
        "0.798": values("dotted", "greedy, thought iou", "before"),
        "0.231": values("dotted", "greedy iou", "before"),
        "0.631": values("dotted", "greedy iou"),
        "0.725": values("covered", "sampled iou_whole", "before"),
        "0.957": values("covered", "sampled iou_whole"),
    }
    for words, (value,) in told.items():
        assert words in TEXT
        assert round(value, 3) == float(words)


def test_controls_do_not_learn() -> None:
    for control in ("shuffled", "rate_0"):
        assert max(values(control, "sampled iou")) <= max(values(control, "sampled iou", "before")) + 0.02


def test_every_shape_of_the_reward_teaches_it() -> None:
    ends = [value for shape in ("pixels", "iou", "indicator", "sigmoid") for value in values(shape, "greedy iou")]
    assert f"{min(ends):.3f} and {max(ends):.3f}" == "0.994 and 1.000"
    assert "end between 0.994 and 1.000" in TEXT


def test_a_thought_helps_and_the_policy_comes_to_think() -> None:
    thought, none = (values("dotted", f"greedy, {way} iou", "before") for way in ("thought", "no thought"))
    assert min(thought) - max(none) > 0.5
    assert max(values("dotted", "greedy thinks", "before")) < 0.2
    assert min(values("dotted", "greedy thinks")) > 0.99
    assert min(values("dotted", "greedy iou")) > max(values("dotted", "greedy iou", "before")) + 0.3


def test_the_hidden_half_is_known() -> None:
    assert min(values("covered", "sampled iou_whole")) > 0.9 > max(values("covered", "sampled iou_whole", "before"))
