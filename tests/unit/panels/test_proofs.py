"""Folders of runs become the tables that are shipped: runs are laid out as their scripts leave them, and read again."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ergo_plugins.panels import proof
from ergo_plugins.panels import prove as panels
from ergo_plugins.panels.asking import prove as asking
from ergo_plugins.panels.context import prove as context
from ergo_plugins.panels.locate import prove as locate
from ergo_plugins.panels.zooming import prove as zooming

TINY = Path(__file__).resolve().parents[3] / "recipes" / "tiny"


def of_one_seed(row: dict[str, Any], number: int) -> dict[str, Any]:
    """The figures of a run, by way of measuring."""
    figures: dict[str, Any] = {"n": row["n"]}
    for name, figure in row.items():
        if isinstance(figure, dict):
            way, _, what = name.rpartition(" ")
            figures.setdefault(way, {})[what] = figure["values"][number]
    return figures


@pytest.mark.parametrize(
    ("world", "kept"),
    [(asking, "visionthink"), (zooming, "tool_zoom"), (context, "context")],
    ids=lambda part: str(part),
)
def test_runs_become_the_shipped_table(world: ModuleType, kept: str, tmp_path: Path) -> None:
    kept_in = TINY / f"proof_{kept}"
    results = json.loads((kept_in / "results.json").read_text(encoding="utf-8"))
    before = results["before"]
    for experiment, row in results["experiments"].items():
        for number, seed in enumerate(row["seeds"]):
            folder = tmp_path / f"{experiment}_{seed}"
            folder.mkdir()
            (folder / "after.json").write_text(json.dumps(of_one_seed(row, number)))
            first = before if "n" in before else before["from_90" if experiment.endswith("_90") else "shipped"]
            (folder / "before.json").write_text(json.dumps(first))
    (tmp_path / "full_9").mkdir()  # a run that has not ended counts for nothing
    read, table = world.read(tmp_path)
    assert read["experiments"] == results["experiments"]
    assert read["before"] == before
    assert table == (kept_in / "table.md").read_text(encoding="utf-8")


def test_boxes_and_panels_have_their_own_figures(tmp_path: Path) -> None:
    egm = json.loads((TINY / "proof_egm" / "results.json").read_text(encoding="utf-8"))
    for experiment, row in egm.items():
        kind = locate.EXPERIMENTS[experiment][1]
        for number, seed in enumerate(row["seeds"]):
            folder = tmp_path / "egm" / f"{experiment}_{seed}"
            folder.mkdir(parents=True)
            for when in ("before", "after"):
                figures = of_one_seed({**row[when], "n": row["n"]}, number)
                (folder / f"{when}.json").write_text(json.dumps({"n": figures.pop("n"), kind: figures}))
    assert locate.read(tmp_path / "egm") == (egm, (TINY / "proof_egm" / "table.md").read_text(encoding="utf-8"))

    first = json.loads((TINY / "proof" / "results.json").read_text(encoding="utf-8"))
    for experiment, row in first["experiments"].items():
        for number, seed in enumerate(row["seeds"]):
            folder = tmp_path / "panels" / f"{experiment}_{seed}"
            folder.mkdir(parents=True)
            figures = {name: row[name]["values"][number] for name in panels.FIGURES}
            (folder / "figures.json").write_text(json.dumps({"n": row["n"], **figures}))
    assert panels.collect(tmp_path / "panels") == first["experiments"]


def test_one_seed_has_no_interval_and_three_have_students() -> None:
    assert proof.interval([0.5]) == {"mean": 0.5, "half_width": None, "values": [0.5]}
    assert proof.cell(proof.interval([0.5])) == "0.500"
    # t of 0.975 with two degrees of freedom is 4.3027; the deviation 0.1
    assert proof.cell(proof.interval([0.4, 0.5, 0.6])) == "0.500 ± 0.248"
