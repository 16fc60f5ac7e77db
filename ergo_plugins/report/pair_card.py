"""One sample as two runs played it: the question above, what each run saw and said side by side below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .cards import VERDICTS, answered, figures, question
from .markup import escaped, passage, percent
from .pairs import Change, Pair
from .pictures import Picture
from .read.rows import Row
from .read.verdicts import TARGET_HIT

KINDS: Mapping[Change, str] = {"wrong → right": "good", "right → wrong": "bad"}
"""Class of a change; those of others are open."""


def pair_card(
    number: int, pair: Pair, pictures_before: Mapping[str, Picture], pictures_after: Mapping[str, Picture]
) -> str:
    """The card of a pair.

    Args:
        number: its place in the page, from 0.
        pair: the sample.
        pictures_before, pictures_after: turn name to the picture of its view; those that are missing become outlines.
    """
    before, after = pair.before, pair.after
    return f"""<article class="card pair" id="p{number}">
<div class="said">
<p class="head"><span class="chip {KINDS.get(pair.change, "open")}">{pair.change}</span>
<a href="#p{number}">{escaped(before.key)}</a></p>
{question(before, {"before": before.returned, "after": after.returned})}
</div>
<div class="sides">{_side("Before", before, pictures_before)}{_side("After", after, pictures_after)}</div>
</article>"""


def _side(name: str, row: Row, pictures: Mapping[str, Picture]) -> str:
    kind, verdict = VERDICTS[row.correct]
    outcome = row.outcome
    facts = "".join(f"<li>{fact}</li>" for fact in _facts(row))
    problems = "".join(f"<li>{escaped(problem)}</li>" for problem in outcome.problems)
    first = outcome.turns[0].reply if outcome.turns else ""
    return f"""<section class="side">
<h3>{name} <span class="chip {kind}">{verdict}</span></h3>
<div class="pictures">{"".join(figures(outcome, pictures, row.target_box_source))}</div>
<p class="reply">{answered(row)}</p>
{f'<ul class="facts">{facts}</ul>' if facts else ""}
{f'<ul class="problems">{problems}</ul>' if problems else ""}
<h4>First reply</h4>{passage(first)}
</section>"""


def _facts(row: Row) -> Iterator[str]:
    """Where the close-up was, as far as it is known."""
    if TARGET_HIT in row.metrics:
        yield ("The right place, legible" if row.metrics[TARGET_HIT] == 1 else "Not the right place, or not legible")
    if row.target_coverage is not None:
        yield f"{percent(row.target_coverage)} of the evidence in the close-up"
