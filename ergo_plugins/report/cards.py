"""One sample as a card: what the model saw, what it pointed at, what it answered, and what that cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core.answers import NO_CHOICE
from ..core.geometry import Box, whole
from ..core.outcome import CROP, Outcome, Shown, TurnRecord
from ..core.plain import LARGEST_PX
from ..core.questions import split_question
from ..core.record import image_name
from ..core.statistics import failure_kinds
from ..methods import story_of
from .markup import count, escaped, passage, percent, seconds, size
from .pictures import Picture, boxes_over
from .read.rows import Row

VERDICTS = {True: ("good", "correct"), False: ("bad", "wrong"), None: ("open", "not judged")}
"""Class and word for what a verdict may be."""

_REWARD = ("reward", "region", "box", "format")
"""Metrics of a rollout that a verdict does not tell."""

_COLUMNS = ("turn", "picture", "image tokens", "prompt tokens", "from cache", "tokens written", "time", "ended by")


def card(number: int, row: Row, pictures: Mapping[str, Picture]) -> str:
    """The card of a sample.

    Args:
        number: its place in the run, from 0.
        row: the sample.
        pictures: turn name to the picture of its view; those that are missing become outlines.
    """
    kind, verdict = VERDICTS[row.correct]
    outcome = row.outcome
    facts = [f"{count(outcome.visual_tokens)} image tokens"]
    if outcome.seconds is not None:
        facts.append(seconds(outcome.seconds))
    if row.target_coverage is not None:
        facts.append(f"{percent(row.target_coverage)} of the evidence in the close-up")
    if row.overlap is not None:
        facts.append(f"{percent(row.overlap)} in common with the true box")
    shown = row.metrics if row.correct is None else [name for name in _REWARD if name in row.metrics]
    facts += [f"{escaped(name)} {row.metrics[name]:g}" for name in shown]
    problems = "".join(f"<li>{escaped(problem)}</li>" for problem in outcome.problems)
    return f"""<article class="card" id="s{number}" {_data(sort_keys(number, row))}>
<div class="pictures">{"".join(figures(outcome, pictures, row.target_box_source))}</div>
<div class="said">
<p class="head"><span class="chip {kind}">{verdict}</span> <a href="#s{number}">{escaped(row.key)}</a></p>
{question(row, {"chosen": row.returned})}
<p class="reply">{answered(row)}</p>
<ul class="facts">{"".join(f"<li>{fact}</li>" for fact in facts)}</ul>
{f'<ul class="problems">{problems}</ul>' if problems else ""}
</div>
<details><summary>Replies in full, tokens and times</summary>{_details(row)}</details>
</article>"""


def sort_keys(number: int, row: Row) -> dict[str, object]:
    """What the page's script sorts and filters by; an unknown number is left out."""
    outcome = row.outcome
    keys: dict[str, object] = {
        "number": number,
        "task": row.task,
        "verdict": VERDICTS[row.correct][1],
        "problems": " ".join(sorted(failure_kinds(outcome))),
        "box": "yes" if outcome.pointed_at else "no",
        "tokens": outcome.visual_tokens,
        "seconds": outcome.seconds,
        "area": outcome.area_ratio,
        "overlap": row.overlap,
    }
    return {name: value for name, value in keys.items() if value is not None}


def _data(keys: Mapping[str, object]) -> str:
    return " ".join(f'data-{name}="{escaped(value)}"' for name, value in keys.items())


def question(row: Row, chosen: Mapping[str, str]) -> str:
    """What is asked, and the choices as a list with the chosen and the wanted one marked.

    Args:
        row: whose question it is.
        chosen: answers to mark, by the word that marks them.
    """
    if not row.question.strip():
        return '<p class="empty">The question could not be read.</p>'
    asked = split_question(row.question)
    items = ""
    for option in asked.options:
        marks = [name for name, letter in chosen.items() if letter == option.letter]
        is_wanted = row.target == option.letter
        kind = "good" if is_wanted else "bad" if marks and row.target is not None else "open"
        marks += ["wanted"] if is_wanted else []
        said = f' <span class="mark">{" and ".join(marks)}</span>' if marks else ""
        items += f'<li class="{kind if marks else ""}">{option.letter}. {escaped(option.text[:200])}{said}</li>'
    options = f'<ul class="options" dir="auto">{items}</ul>' if items else ""
    return f'<p class="question" dir="auto">{escaped(asked.stem[:600])}</p>{options}'


def answered(row: Row) -> str:
    """What was answered, and what was wanted if that is known."""
    if row.returned == NO_CHOICE and not row.outcome.answer:
        said = f"Answered <b>nothing</b> (handed over as {NO_CHOICE})"
    else:
        said = f"Answered <b>{escaped(row.returned[:200]) or 'nothing'}</b>"
    return said if row.target is None else f"{said}, wanted <b>{escaped(row.target[:200])}</b>"


def figures(outcome: Outcome, pictures: Mapping[str, Picture], target: Box | None) -> Iterator[str]:
    """The pictures of the turns, in order; the first has the boxes on it."""
    source = outcome.source
    if source is None or not outcome.turns:
        yield '<p class="empty">The image could not be read.</p>'
        return
    story = story_of(outcome.method)
    for number, turn in enumerate(outcome.turns):
        for at, shown in enumerate(turn.shown):
            is_part = shown.region_source is not None and shown.region_source != whole(source)
            points_back = CROP in outcome.boxes and number > 0
            is_other = shown.region_source is None
            over = "" if is_part or is_other or points_back else boxes_over(source, outcome.pointed_at, target)
            title = story.shown.get(turn.name, turn.name).capitalize() if len(outcome.turns) > 1 else "The picture"
            if shown.region_source is not None and is_part:
                said = f"<b>{escaped(title)}</b> {percent(shown.region_source.area / source.area)} of the picture"
            elif is_other and len(turn.shown) > 1:
                said = f"<b>{escaped(title)}</b> image {at + 1}, shown as {size(shown.view)}"
            elif points_back and outcome.box_source is None:
                said = f"<b>No usable box</b> so the whole picture again, as {size(shown.view)}"
            else:
                said = f"<b>{escaped(title)}</b> {size(source)} shown as {size(shown.view)}"
            picture = pictures.get(image_name(turn.name, at))
            yield f"<figure>{_shot(turn, shown, picture, over)}<figcaption>{said}</figcaption></figure>"


def _shot(turn: TurnRecord, shown: Shown, picture: Picture | None, over: str) -> str:
    px = picture.size if picture else shown.view
    shape = f'style="--ratio:{px.width / px.height:.4f}"'
    if picture is None:
        return f'<div class="shot outline" {shape}><span>no picture</span>{over}</div>'
    return (
        f'<div class="shot" {shape}><img src="{picture.data_url}" width="{px.width}" height="{px.height}" '
        f'loading="lazy" decoding="async" alt="What the model saw in the turn “{escaped(turn.name)}”">{over}</div>'
    )


def _details(row: Row) -> str:
    outcome, titles = row.outcome, story_of(row.outcome.method).turns
    replies = "".join(
        f'<section class="turn"><h4>{escaped(titles.get(turn.name, turn.name))}</h4>{passage(turn.reply)}</section>'
        for turn in outcome.turns
    )
    facts = [
        ("Answer read from the reply", escaped(outcome.answer[:2000]) or "(none)"),
        ("Handed over for scoring", escaped(row.returned[:2000]) or "(nothing)"),
        ("Box the model wrote", _box(_box_view(outcome), "of the first view")),
        ("Box that was cut out", _box(outcome.box_source, "of the original")),
        ("Mended", escaped("; ".join(outcome.repairs)) or "nothing"),
        ("One full-detail pass", f"{count(outcome.single_pass_tokens)} image tokens"),
    ]
    facts += [
        (escaped(said), _value(outcome.values[name]))
        for name, said in story_of(outcome.method).values.items()
        if outcome.values.get(name) is not None
    ]
    facts += [(escaped(name), f"{value:g}") for name, value in row.metrics.items()]
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    return (
        f'<section class="turn asked"><h4>Question in full</h4>{passage(row.question)}</section>'
        f'<div class="turns">{replies}</div>{_turns_table(outcome)}<dl class="facts-list">{listed}</dl>'
    )


def _value(value: object) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else escaped(str(value)[:200])


def _turns_table(outcome: Outcome) -> str:
    if not outcome.turns:
        return ""
    body = ""
    for turn in outcome.turns:
        cells = (
            size(turn.view) if turn.view else "none",
            count(turn.visual_tokens),
            count(turn.prompt_tokens),
            count(turn.cached_tokens),
            count(turn.new_tokens),
            seconds(turn.seconds),
            "itself" if turn.finish == "stop" else f"{escaped(turn.finish)} limit",
        )
        body += f'<tr><th scope="row">{escaped(turn.name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
    head = "".join(f'<th scope="col">{heading}</th>' for heading in _COLUMNS)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _box_view(outcome: Outcome) -> Box | None:
    """Where the model pointed, in the first view; None if the method kept no such thing, or something else there."""
    corners = outcome.values.get("box_view")
    if not isinstance(corners, list) or len(corners) != 4:
        return None
    are_pixels = all(isinstance(corner, int | float) and abs(corner) <= LARGEST_PX for corner in corners)
    return Box(*corners) if are_pixels else None


def _box(box: Box | None, frame: str) -> str:
    if box is None:
        return "none"
    corners = ", ".join(f"{round(corner, 1):g}" for corner in box.as_tuple())
    return f"[{corners}] px {frame}"
