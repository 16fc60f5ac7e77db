"""One ``summary.json`` of a quickstart: what lmms-eval found in the end, figures before and after, training, control.

    python recipes/tiny/quickstart_summary.py runs/quickstart

Top-level figures are those of ``ergo summary`` on the trained policy.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ergo_plugins.methods.ergo import RewardConfig

RECORDED = Path(__file__).parent / "proof" / "control.json"
"""The control that prove.sh ran, for quickstarts that run none."""

SHOWN = ("region_sampled", "region_greedy", "accuracy", "format", "area", "n")


def summarise(out: Path) -> dict[str, Any]:
    """The whole summary.

    Raises:
        OSError: a part is missing.
    """
    control = out / "control" / "figures.json"
    summary = {
        **_read(out / "after" / "summary.json"),
        "before": _read(out / "before" / "figures.json"),
        "after": _read(out / "after" / "figures.json"),
        "control": {**_read(control), "recorded": False} if control.exists() else _read(RECORDED),
        "training": _read(out / "training" / "summary.json"),
        "gamma": RewardConfig().gamma,
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
    return json.loads(path.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder of the quickstart")
    out = parser.parse_args().out
    summary = summarise(out)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(table(summary))


if __name__ == "__main__":
    main()
