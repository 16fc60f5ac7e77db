"""Figures of a policy before and after a training, and of a control: read, and as a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .markup import UNKNOWN, count, escaped, percent
from .read.rows import UnreadableInput
from .read.verdicts import TARGET_HIT

_HEADINGS = {
    "region_sampled": "right place, sampled",
    "region_greedy": "right place, best guess",
    "accuracy": "answers right, best guess",
    "format": "replies well formed",
    "area": "crop’s share of the image",
    "n": "held-out scenes",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured of a policy.

    Attributes:
        before, after: figures by name; shares are 0 to 1, ``n`` counts scenes.
        control: the same of a policy trained with shuffled rewards; None without one.
        gamma: largest share of the image that a crop was rewarded for; None if unknown.
        recorded: whether the control was recorded earlier.
        source: where a recorded control comes from; empty if unknown.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]
    control: Mapping[str, float] | None = None
    gamma: float | None = None
    recorded: bool = False
    source: str = ""


def read_figures(path: Path) -> Figures:
    """The figures in a JSON file.

    Raises:
        OSError: the file cannot be read.
        UnreadableInput: it is no object with the objects ``before`` and ``after``, or a ``control`` that is none.
    """
    try:
        plain = json.loads(path.read_bytes())
    except ValueError as damage:
        raise UnreadableInput(f"{path} is not JSON ({damage})") from damage
    rows = [plain.get(name) for name in ("before", "after")] if isinstance(plain, dict) else [None]
    if not all(isinstance(row, dict) for row in rows):
        raise UnreadableInput(f'{path} is not a JSON object with the objects "before" and "after"')
    control = plain.get("control")
    if control is not None and not isinstance(control, dict):
        raise UnreadableInput(f'the "control" in {path} is not a JSON object')
    return Figures(
        before=_numbers(plain["before"]),
        after=_numbers(plain["after"]),
        control=None if control is None else _numbers(control),
        gamma=_numbers(plain).get("gamma"),
        recorded=control is not None and control.get("recorded") is True,
        source=str(control.get("source") or "") if control else "",
    )


def figures_table(figures: Figures) -> str:
    """The table and, below it, what its words mean."""
    rows = {"before": figures.before, "after": figures.after}
    if figures.control is not None:
        rows["control, recorded" if figures.recorded else "control"] = figures.control
    body = {
        name: [count(row.get(key)) if key == "n" else percent(row.get(key)) for key in _HEADINGS]
        for name, row in rows.items()
    }
    said = [
        _PLACE,
        "<b>Sampled</b>: the model draws each word by chance, likelier words more often, as it does while it learns. "
        "<b>Best guess</b>: it always takes the likeliest word, as in use.",
    ]
    if figures.control is not None:
        said.append(f"<b>Control</b>: {_control_said(figures)}")
    return table(list(_HEADINGS.values()), body, "Figures") + "".join(f'<p class="meaning">{one}</p>' for one in said)


def table(headings: Sequence[str], body: Mapping[str, Sequence[str]], label: str) -> str:
    """A table that scrolls by itself where the page is narrow.

    Args:
        headings: of the columns beside the first, which has the names of the rows. Plain text, as ``label`` is.
        body: a row's name to its cells, both markup.
        label: what the table holds, for those who cannot see it.
    """
    head = "".join(f'<th scope="col">{escaped(heading)}</th>' for heading in headings)
    rows = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        for name, cells in body.items()
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(label)}"><table class="tasks compared">'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def runs_table(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """The same kind of table from the runs themselves, without the columns that nothing is known for.

    Args:
        summaries: names of the runs to what `summary.summarise` says of them, with ``target_hit`` beside.
    """
    cells = {heading: [shown(summary[key]) for summary in summaries.values()] for key, heading, shown in _OF_RUNS}
    columns = [(heading, column) for heading, column in cells.items() if set(column) != {UNKNOWN}]
    body = {name: [column[i] for _, column in columns] for i, name in enumerate(summaries)}
    said = f'<p class="meaning">{_PLACE}</p>' if "right place" in dict(columns) else ""
    return table([heading for heading, _ in columns], body, "Figures of the two runs") + said


_PLACE = "<b>Right place</b>: the close-up shows what the question is about, large enough to be read."

_OF_RUNS = (
    (TARGET_HIT, "right place", percent),
    ("target_coverage", "evidence inside the close-up", percent),
    ("accuracy", "answers right", percent),
    ("zoom_success", "usable box", percent),
    ("area_ratio", "crop’s share of the image", percent),
    ("visual_tokens", "image tokens a question", count),
    ("samples", "questions", count),
)


def _control_said(figures: Figures) -> str:
    said = (
        "the same training with the rewards handed out at random within each group: what such a run gains was not "
        "learned from the reward."
    )
    if figures.recorded:
        said += " It was recorded earlier and not run now"
        said += f" ({escaped(figures.source)})." if figures.source else "."
    return said


def _numbers(plain: Mapping[str, Any]) -> dict[str, float]:
    known = {name: value for name, value in plain.items() if isinstance(value, int | float)}
    return {name: value for name, value in known.items() if not isinstance(value, bool) and math.isfinite(value)}
