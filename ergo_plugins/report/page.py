"""The page: one HTML file that holds everything it shows and asks no server for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from .. import __version__
from ..core.outcome import CROP
from ..methods import story_of_all
from .cards import card
from .markup import count, escaped
from .overview import plots, tasks_table, tiles
from .pictures import embed_all, local_images
from .read.rows import Run
from .summary import by_task, summarise

LONGEST_SETTING = 2000


def page(run: Run, *, previews: int) -> str:
    """A run as HTML.

    Args:
        run: what to show.
        previews: pictures of at most so many samples are put into the page.
    """
    rows = run.rows
    zoomed = any(CROP in row.outcome.boxes for row in rows)
    pictures, unreadable = embed_all(rows, previews)
    story = story_of_all(row.outcome.method for row in rows)
    summary, script = summarise(rows), part("page.js")
    return Template(part("page.html")).substitute(
        title=escaped(" · ".join([model_name(run), *run.tasks])),
        model=escaped(model_name(run)),
        method=escaped(", ".join(sorted({row.outcome.method for row in rows})) or "unknown"),
        tasks=escaped(", ".join(run.tasks) or "unknown"),
        name=escaped(run.name),
        version=escaped(__version__),
        lead=story.lead + _CARDS,
        notes=notes_of([*run.notes, local_images(rows, previews)], unreadable),
        settings=_settings(run),
        tiles=tiles(summary, story, zoomed=zoomed),
        plots=plots(rows, summary, story),
        tasks_table=tasks_table(by_task(rows), zoomed=zoomed),
        pictures_note=_pictures_note(run, len(pictures)),
        task_options=_options(sorted({row.task for row in rows})),
        problem_options=_options(sorted(summary["failures"])),
        total=count(len(rows)),
        cards="\n".join(card(i, row, pictures.get(i, {})) for i, row in enumerate(rows)),
        css=part("page.css"),
        js=script,
        js_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


_CARDS = """<p>Each card below is one question: what the model was shown, turn by turn, and where it pointed; then the
question and its answer. <b>Image tokens</b> are the pieces a picture is cut into for the model: fewer of them cost less
time and memory.</p>"""


def part(name: str) -> str:
    """The text of a file that pages are made of."""
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def model_name(run: Run) -> str:
    """What the model of a run is called, for a title."""
    named = run.settings.get("model")
    return "/".join(str(named).rstrip("/").split("/")[-2:]) if named else run.name


def notes_of(notes: Sequence[str], unreadable: int) -> str:
    """What a reader has to know about the input, and how many pictures could not be shown."""
    if unreadable:
        notes = [*notes, f"{unreadable} preview pictures named in the input are missing or damaged."]
    return "".join(f'<p class="note">{escaped(note)}</p>' for note in notes if note)


def _settings(run: Run) -> str:
    shown = []
    for name, value in run.settings.items():
        shown.append(f"<div><dt>{escaped(name)}</dt><dd>{setting(value)}</dd></div>")
    return "".join(shown) or "<div><dt>none recorded</dt><dd></dd></div>"


def setting(value: object) -> str:
    """The value of a setting, cut at `LONGEST_SETTING` characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return escaped(text[:LONGEST_SETTING])


def _pictures_note(run: Run, shown: int) -> str:
    said = _pictures_said(run, shown)
    if any(row.target_box_source for row in run.rows):
        said += ' Where it is known, the <span class="ink-target">dashed green box</span> marks the evidence.'
    return said


def _pictures_said(run: Run, shown: int) -> str:
    total = len(run.rows)
    if shown == total:
        return f"Pictures of all {total:,} samples are included."
    if not any(row.previews for row in run.rows):
        return "This run kept no pictures; boxes are drawn on outlines."
    return (
        f"Pictures of {shown:,} of {total:,} samples are included (<code>--previews</code>); "
        "of the others only outlines are drawn. Up to half of them are of samples that went wrong."
    )


def _options(names: list[str]) -> str:
    return "".join(f'<option value="{escaped(name)}">{escaped(name)}</option>' for name in names)
