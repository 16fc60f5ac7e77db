"""The tiny README says of its experiments what their results say: the table, and what is claimed of it in words."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean

TINY = Path(__file__).resolve().parents[3] / "recipes" / "tiny"
README = (TINY / "README.md").read_text(encoding="utf-8")
EXPERIMENTS = json.loads((TINY / "proof" / "results.json").read_text(encoding="utf-8"))["experiments"]
A, B, C, D, E = ("a_accuracy", "b_region", "c_region_box", "d_weighted", "full")


def values(name: str, figure: str) -> list[float]:
    """By seed."""
    return list(EXPERIMENTS[name][figure]["values"])


def test_the_table_is_the_one_that_was_made_from_the_results() -> None:
    table = (TINY / "proof" / "table.md").read_text(encoding="utf-8").strip()
    assert table in README
    for experiment in EXPERIMENTS.values():
        for figure in ("region_sampled", "region_greedy", "accuracy", "format", "area_sampled", "area"):
            kept = experiment[figure]
            assert abs(kept["mean"] - mean(kept["values"])) < 1e-4, figure
            assert f"{kept['mean']:.3f} ± {kept['half_width']:.3f}" in table


def test_the_ablation_is_told_as_it_came_out() -> None:
    assert "does not have the paper's order" in README
    assert values(A, "accuracy") == values(E, "accuracy") == [1.0] * 3
    others = [value for name in (B, C, D) for value in values(name, "accuracy")]
    assert (round(min(others), 2), round(max(others), 2)) == (0.71, 0.95)
    assert (
        mean(values(A, "accuracy")) > mean(values(C, "accuracy")) > mean(values(D, "accuracy"))
    )  # the paper: A < C < D
    assert mean(values(A, "area_sampled")) < mean(values(E, "area_sampled"))
    b, c, d = (values(name, "area_sampled") for name in (B, C, D))
    assert all(with_box < without for with_box, without in zip(c, b, strict=True))
    assert (round(mean(b), 3), round(mean(c), 3), round(mean(d), 3)) == (0.120, 0.098, 0.114)
    assert sorted(round(value, 3) for value in d)[1:] == [0.134, 0.134]
    assert (round(min(b), 3), round(max(b), 3)) == (0.107, 0.137)


def test_the_third_seed_of_the_control_is_told_as_it_ended() -> None:
    before = json.loads((TINY / "proof" / "results.json").read_text(encoding="utf-8"))["before"]
    for figure, told in (
        ("region_sampled", "0.537, from 0.495"),
        ("area_sampled", "0.255, from"),
        ("accuracy", "0.667"),
    ):
        assert told in README, figure
    assert round(values("shuffled", "region_sampled")[0], 3) == 0.537
    assert round(values("shuffled", "area_sampled")[0], 3) == 0.255
    assert round(values("shuffled", "accuracy")[0], 3) == 0.667
    assert (round(before["region_sampled"], 3), round(before["area_sampled"], 3)) == (0.495, 0.363)
    assert round(before["accuracy"], 3) == 0.763


def test_the_curves_to_expect_are_those_of_the_proof() -> None:
    page = (TINY.parents[1] / "docs" / "train.md").read_text(encoding="utf-8")
    curves = json.loads((TINY / "proof" / "curves.json").read_text(encoding="utf-8"))
    for figure in ("region", "accuracy", "area_ratio", "format"):
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `ergo/{figure}`"))
        for step, cell in zip((1, 5, 16), row.split(" | ")[1:], strict=True):
            values = [curves[f"full_{seed}"][f"ergo/{figure}"][step - 1] for seed in range(3)]
            assert cell.removesuffix(" |") == f"{min(values):.2f} to {max(values):.2f}", (figure, step)
