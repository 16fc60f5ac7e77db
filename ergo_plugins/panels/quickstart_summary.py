"""One ``summary.json`` of a quickstart: what lmms-eval found in the end, figures before and after, training, control.

    python -m ergo_plugins.panels.quickstart_summary runs/quickstart --recorded recipes/tiny/proof/control.json

Top-level figures are those of ``ergo summary`` on the trained policy.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..methods import method_named

SHOWN = ("region_sampled", "region_greedy", "accuracy", "format", "area", "n")


def summarise(out: Path, recorded: Path) -> dict[str, Any]:
    """The whole summary.

    Args:
        out: folder of the quickstart.
        recorded: figures of an earlier control, for quickstarts that ran none.

    Raises:
        OSError: a part is missing.
    """
    control = out / "control" / "figures.json"
    summary = {
        **_read(out / "after" / "summary.json"),
        "before": _read(out / "before" / "figures.json"),
        "after": _read(out / "after" / "figures.json"),
        "control": {**_read(control), "recorded": False} if control.exists() else _read(recorded),
        "training": _read(out / "training" / "summary.json"),
        "gamma": method_named("ergo").reward().gamma,
    }
    return summary


def table(summary: dict[str, Any]) -> str:
    """Before, after and control side by side."""
    control = "control (recorded)" if summary["control"].get("recorded") else "control"
    columns = {"before": summary["before"], "after": summary["after"], control: summary["control"]}
    lines = ["".join(["figure".ljust(18), *(name.rjust(20) for name in columns)])]
    for figure in SHOWN:
        values = (column[figure] for column in columns.values())
        lines.append(figure.ljust(18) + "".join((f"{v:,}" if figure == "n" else f"{v:.1%}").rjust(20) for v in values))
    return "\n".join(lines)


def _read(path: Path) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(path.read_text())
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder of the quickstart")
    parser.add_argument("--recorded", type=Path, required=True, help="figures of the control, where none was run")
    given = parser.parse_args()
    out = given.out
    summary = summarise(out, given.recorded)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(table(summary))


if __name__ == "__main__":
    main()
