"""The page that compares two runs: what was done, what came of it, and samples of both side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Template
from typing import Any

from .. import __version__
from ..core.paired import difference
from ..core.statistics import mean
from ..methods import story_of_all
from .curves import training_plots
from .figures import Figures, figures_table, runs_table, table
from .markup import count, escaped, percent
from .overview import tokens_plot
from .page import model_name, notes_of, part, setting
from .pair_card import KINDS, pair_card
from .pairs import Joined, Pair, changes, chosen
from .pictures import embed_all, local_images
from .read.metrics import Steps
from .read.rows import Row, Run
from .read.verdicts import TARGET_HIT
from .summary import summarise


def comparison(
    before: Run, after: Run, joined: Joined, *, steps: Steps | None, figures: Figures | None, previews: int
) -> str:
    """Two runs as HTML.

    Args:
        before, after: the runs.
        joined: their rows in pairs, at least one.
        steps: numbers by step of the training between them; None without one.
        figures: what was measured on other scenes; None to take it from the pairs.
        previews: at most so many pairs are shown.
    """
    pairs = joined.pairs
    summaries = {
        "before": _summarise([pair.before for pair in pairs]),
        "after": _summarise([pair.after for pair in pairs]),
    }
    story = story_of_all(row.outcome.method for pair in pairs for row in reversed(_rows(pair)))
    shown = chosen(pairs, previews)
    cards, unreadable = _cards(shown)
    notes = [f"Run {name}: {note}" for name, run in (("before", before), ("after", after)) for note in run.notes]
    notes.append(local_images([row for pair in shown for row in _rows(pair)], 2 * len(shown)))
    plots = training_plots(steps, gamma=figures.gamma if figures else None) if steps else []
    return Template(part("compare.html")).substitute(
        title=escaped(f"{model_name(before)} → {model_name(after)}"),
        heading="Before and after training" if steps else "Before and after",
        before=escaped(model_name(before)),
        after=escaped(model_name(after)),
        tasks=escaped(", ".join(sorted({pair.before.task for pair in pairs}))),
        lead=f"{story.lead}<p>{_lead(len(pairs), steps)}</p>",
        result=_result(summaries, figures) + _by_sample(pairs),
        notes=notes_of([*joined.notes, *notes], unreadable),
        table=figures_table(figures) if figures else runs_table(summaries),
        plots="".join([*plots, tokens_plot(summaries, story)]),
        changes=_changes(pairs),
        shown=_shown(shown, len(pairs)),
        cards=cards,
        settings=_settings(before.settings, after.settings),
        version=escaped(__version__),
        css=part("page.css") + part("compare.css"),
    )


def _rows(pair: Pair) -> tuple[Row, Row]:
    return pair.before, pair.after


def _summarise(rows: Sequence[Row]) -> dict[str, Any]:
    hits = [row.metrics[TARGET_HIT] for row in rows if TARGET_HIT in row.metrics]
    return {**summarise(rows), TARGET_HIT: mean(hits)}


def _lead(samples: int, steps: Steps | None) -> str:
    if steps:
        return (
            f"Between “before” and “after” it was <b>trained by trial and reward</b> in {len(steps):,} "
            f"{'step' if len(steps) == 1 else 'steps'}: it tried each question several times, and what earned more "
            "reward than the other tries became likelier."
        )
    return f"“Before” and “after” are two runs over the same {samples:,} questions."


def _result(summaries: Mapping[str, Mapping[str, Any]], figures: Figures | None) -> str:
    """The one line to take home: the first thing that is known of both runs."""
    if figures:
        sources, candidates = (figures.before, figures.after), _RESULTS_OF_FIGURES
    else:
        sources, candidates = (summaries["before"], summaries["after"]), _RESULTS_OF_RUNS
    for key, sentence in candidates:
        before, after = (source.get(key) for source in sources)
        if before is not None and after is not None:
            said = sentence.format(after=f"<b>{percent(after)}</b>", before=f"<b>{percent(before)}</b>")
            control = figures.control.get(key) if figures and figures.control else None
            if control is not None:
                said += f" With rewards handed out at random it is {percent(control)}."
            return f'<p class="result">{said}</p>'
    return ""


def _by_sample(pairs: Sequence[Pair]) -> str:
    """What was gained in right answers with its interval, reckoned sample by sample; nothing without verdicts."""
    judged = [(pair.before.correct, pair.after.correct) for pair in pairs if pair.change != "not judged"]
    if len(judged) < 2:
        return ""
    gain = difference([float(bool(before)) for before, _ in judged], [float(bool(after)) for _, after in judged])
    assert gain.half is not None  # of two samples and more
    said = "more than chance" if gain.excludes_zero else "within what chance does"
    return (
        f'<p class="meaning">Right answers, sample by sample: {100 * gain.mean:+.1f} ± {100 * gain.half:.1f} points '
        f"over {count(len(judged))} samples (95 % interval), {said}.</p>"
    )


_PLACE = "The right place is now shown in {after} of cases; before it was {before}."
_ANSWER = "Answers are now right in {after} of cases; before it was {before}."
_RESULTS_OF_FIGURES = (("region_sampled", _PLACE), ("region_greedy", _PLACE), ("accuracy", _ANSWER))
_RESULTS_OF_RUNS = (
    (TARGET_HIT, _PLACE),
    ("accuracy", _ANSWER),
    ("target_coverage", "The close-up now holds {after} of the evidence; before it was {before}."),
)


def _changes(pairs: Sequence[Pair]) -> str:
    """How many samples there are of each kind, shown or not."""
    items = "".join(
        f'<li><span class="chip {KINDS.get(change, "open")}">{change}</span> <b>{number:,}</b></li>'
        for change, number in changes(pairs).items()
    )
    return f'<ul class="changes">{items}</ul>'


def _shown(shown: Sequence[Pair], total: int) -> str:
    if len(shown) < total:
        said = (
            f"{count(len(shown))} of {count(total)} samples are shown (<code>--previews</code>): those that became "
            "right first, then those that became wrong, then others."
        )
    else:
        said = f"All {count(total)} samples are shown: those that became right first, then those that became wrong."
    rows = [row for pair in shown for row in _rows(pair)]
    if rows and not any(row.previews for row in rows):
        said += " The runs kept no pictures; boxes are drawn on outlines."
    if any(row.target_box_source for row in rows):
        said += ' Where it is known, the <span class="ink-target">dashed green box</span> marks the evidence.'
    return said


def _cards(shown: Sequence[Pair]) -> tuple[str, int]:
    """``(the cards, how many pictures could not be shown)``."""
    rows = [row for pair in shown for row in _rows(pair)]
    pictures, unreadable = embed_all(rows, len(rows))
    cards = (pair_card(i, pair, pictures.get(2 * i, {}), pictures.get(2 * i + 1, {})) for i, pair in enumerate(shown))
    return "\n".join(cards), unreadable


def _settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The settings that differ, as a table."""
    missing = object()
    differing = [name for name in {**before, **after} if before.get(name, missing) != after.get(name, missing)]
    if not differing:
        return '<p class="none">Both runs were made with the same settings.</p>'
    body = {
        escaped(name): [setting(settings[name]) if name in settings else "not set" for settings in (before, after)]
        for name in differing
    }
    return table(["before", "after"], body, "Settings that differ")
