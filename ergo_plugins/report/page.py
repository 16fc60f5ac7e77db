"""The page: one HTML file that holds everything it shows and asks no server for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
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
from .shelf import A_PAGE, LONGEST_LAID_OUT, shelf
from .summary import by_task, summarise

LONGEST_SETTING = 2000


def page(run: Run, *, previews: int) -> str:
    """A run as HTML, in one piece; see `pieces`."""
    return "".join(pieces(run, previews=previews))


def pieces(run: Run, *, previews: int) -> Iterator[str]:
    """A run as HTML, piece by piece: the cards of a long one together would take much memory.

    Args:
        run: what to show.
        previews: pictures of at most so many samples are put into the page.
    """
    rows = run.rows
    zoomed = any(CROP in row.outcome.boxes for row in rows)
    pictures, unreadable = embed_all(rows, previews)
    is_long = len(rows) > LONGEST_LAID_OUT
    story = story_of_all(row.outcome.method for row in rows)
    summary = summarise(rows)
    script = part("controls.js") + part("shelf.js" if is_long else "page.js")
    head, tail = part("page.html").split("$cards\n")
    words = {
        "title": escaped(" · ".join([model_name(run), *run.tasks])),
        "model": escaped(model_name(run)),
        "method": escaped(", ".join(sorted({row.outcome.method for row in rows})) or "unknown"),
        "tasks": escaped(", ".join(run.tasks) or "unknown"),
        "name": escaped(run.name),
        "version": escaped(__version__),
        "lead": story.lead + _CARDS,
        "notes": notes_of([*run.notes, local_images(rows, previews)], unreadable),
        "settings": _settings(run),
        "tiles": tiles(summary, story, zoomed=zoomed),
        "plots": plots(rows, summary, story),
        "tasks_table": tasks_table(by_task(rows), zoomed=zoomed),
        "pictures_note": _pictures_note(run, len(pictures)),
        "task_options": _options(sorted({row.task for row in rows})),
        "problem_options": _options(sorted(summary["failures"])),
        "total": count(len(rows)),
        "pager": _PAGER if is_long else "",
        "without_script": _without_script(len(rows)) if is_long else "",
        "css": part("page.css"),
        "js": script,
        "js_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    }
    yield Template(head).substitute(words)
    for number, row in enumerate(rows[:A_PAGE] if is_long else rows):
        yield card(number, row, pictures.get(number, {})) + "\n"
    before_script, script_and_end = tail.split("$shelf\n")
    yield Template(before_script).substitute(words)
    if is_long:
        yield from shelf(rows, pictures)
    yield Template(script_and_end).substitute(words)


_PAGER = """<nav class="pager" aria-label="Pages of samples" hidden>
<button type="button" data-by="-1">Back</button> <output></output> <button type="button" data-by="1">On</button>
</nav>"""


def _without_script(total: int) -> str:
    said = f"Without its script this page shows the first {A_PAGE} of {total:,} samples."
    return f'<p class="note" id="unread">{said}</p>'


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
