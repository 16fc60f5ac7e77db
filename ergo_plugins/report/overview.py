"""The upper half of the page: what the run came to, in tiles, plots and a table of tasks."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from ..methods.base import Story
from .markup import UNKNOWN, count, escaped, percent, seconds
from .plots import Bar, bins, columns, horizontal, scatter
from .read.rows import Row
from .summary import tokens_by_turn

SHADES = 4
"""Colours of turns; all later turns share the last one."""

_AREA_EDGES = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_AREA_LABELS = ("<½%", "½–1", "1–2", "2–5", "5–10", "10–20", "20–50", ">50%")


def tiles(summary: Mapping[str, Any], story: Story, *, zoomed: bool) -> str:
    """One tile a figure: the number, what it is, and what it is made of.

    Args:
        summary: as `summary.summarise` returns it.
        story: the words of the method.
        zoomed: whether the model was asked where to look.
    """
    s = summary
    judged = f"of {count(s['judged'])} with a verdict" if s["judged"] else "no verdicts: none were given with --samples"
    problems = ", ".join(f"{kind} {number:,}" for kind, number in s["failures"].items())
    cost = f"one full-detail pass would take {count(s['single_pass_tokens'])}"
    turns = " + ".join(f"{story.shown.get(name, name)} {count(mean)}" for name, mean in tokens_by_turn(s).items())
    spent = f"{turns}; {cost}" if len(tokens_by_turn(s)) > 1 else cost
    area = f"on average {percent(s['area_ratio'])} of the picture"
    slowest = f"95 in 100 took at most {seconds(s['latency_s_p95'])}"
    shown = [
        _tile(count(s["samples"]), "questions asked", "samples in this run"),
        _tile(percent(s["accuracy"]), "answered correctly", judged),
        _tile(percent(s["zoom_success"]), "pointed at a usable part", area) if zoomed else "",
        *(_tile(percent(v), story.figures.get(name, name), "of all samples") for name, v in s.get("own", {}).items()),
        _known(percent(s.get("overlap")), "of both boxes in common", "intersection over union, mean"),
        _known(percent(s["target_coverage"]), "of the evidence inside the close-up", "target coverage, mean"),
        _tile(count(s["visual_tokens"]), "image tokens per question", spent),
        _known(percent(s["visual_token_share"]), "of the full-detail cost", "image tokens used / those of one pass"),
        _known(seconds(s["latency_s_p50"]), "typical time per question", slowest),
        _tile(count(len(s["failed_samples"])), "samples with problems", problems or "none", bad=bool(problems)),
        _known(percent(s["cached_share_turn2"]), "of turn 1 reused in turn 2", "found in the prefix cache"),
    ]
    return f'<ul class="tiles">{"".join(shown)}</ul>'


def plots(rows: Sequence[Row], summary: Mapping[str, Any], story: Story) -> str:
    """The plots that there is data for."""
    shown = [tokens_plot({"this run": summary}, story)]
    areas = [row.outcome.area_ratio for row in rows if row.outcome.area_ratio is not None]
    if areas:
        shown.append(_area_plot(areas))
    places = [
        (row.target_box_source.area**0.5, row.overlap)
        for row in rows
        if row.target_box_source is not None and row.overlap is not None
    ]
    if places:
        shown.append(_overlap_plot(places))
    times = [row.outcome.seconds for row in rows if row.outcome.seconds is not None]
    if times:
        shown.append(_latency_plot(times, summary))
    shown.append(_problems_plot(summary, story))
    return f'<div class="plots">{"".join(shown)}</div>'


def tasks_table(summaries: Mapping[str, Mapping[str, Any]], *, zoomed: bool) -> str:
    """The figures of each task; nothing for a single one."""
    if len(summaries) < 2:
        return ""
    headings = ["task", "samples", "correct", "image tokens", "of one pass", "typical time", "problems"]
    headings[3:3] = ["usable box"] if zoomed else []
    body = ""
    for task, s in summaries.items():
        cells = (
            count(s["samples"]),
            percent(s["accuracy"]),
            *([percent(s["zoom_success"])] if zoomed else []),
            count(s["visual_tokens"]),
            percent(s["visual_token_share"]),
            seconds(s["latency_s_p50"]),
            count(len(s["failed_samples"])),
        )
        body += f'<tr><th scope="row">{escaped(task)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Figures by task">'
        f'<table class="tasks"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _tile(number: str, label: str, made_of: str, *, bad: bool = False) -> str:
    kind = "tile unknown" if number == UNKNOWN else "tile bad" if bad else "tile"
    return f'<li class="{kind}"><strong>{number}</strong> <b>{label}</b> <small>{escaped(made_of)}</small></li>'


def _known(number: str, label: str, made_of: str) -> str:
    """A tile, if there is anything to tell."""
    return "" if number == UNKNOWN else _tile(number, label, made_of)


def tokens_plot(summaries: Mapping[str, Mapping[str, Any]], story: Story) -> str:
    """What runs over the same images spent on them, and what a single pass would.

    Args:
        summaries: what the runs are called, and what `summary.summarise` says of them.
        story: the words of the methods.
    """
    turns = list(dict.fromkeys(name for summary in summaries.values() for name in tokens_by_turn(summary)))
    shade = {name: f"turn{min(i, SHADES - 1)}" for i, name in enumerate(turns)}
    bars = []
    for name, summary in summaries.items():
        used = summary["visual_tokens"] or 0
        # samples without a turn count in the total but not in the turns' own means, so the parts are scaled to it
        parts = tokens_by_turn(summary)
        scale = used / (sum(parts.values()) or 1)
        bars.append(Bar(name, count(used), [(shade[turn], length * scale) for turn, length in parts.items()]))
    single = max((summary["single_pass_tokens"] or 0 for summary in summaries.values()), default=0)
    bars.append(Bar("one pass in full detail", count(single), [("single", single)]))
    said = ", ".join(f"{bar.label} {bar.shown}" for bar in bars)
    keys = [f'<span class="key {shade[turn]}"></span>{escaped(story.shown.get(turn, turn))}' for turn in turns]
    legend = " ".join(keys) if len(keys) > 1 else ""
    drawn = horizontal(bars, description=f"Image tokens per question: {said}.")
    return panel("Image tokens per question", drawn, f"Mean over all samples. {legend}")


def _area_plot(areas: Sequence[float]) -> str:
    counts = [0] * len(_AREA_LABELS)
    for area in areas:
        counts[bisect_right(_AREA_EDGES, area) - 1] += 1
    ticks = [(i + 0.5, label) for i, label in enumerate(_AREA_LABELS)]
    said = ", ".join(f"{label}: {number}" for label, number in zip(_AREA_LABELS, counts, strict=True))
    drawn = columns(counts, ticks=ticks, description=f"Samples by the close-up's share of the picture. {said}")
    return panel(
        "How much of the picture the close-up shows", drawn, "Samples by the crop's share of the area, in per cent."
    )


def _overlap_plot(places: Sequence[tuple[float, float]]) -> str:
    right = sum(overlap >= 0.5 for _, overlap in places)
    said = f"Overlap with the true box by its size. {right} of {len(places)} reach one half."
    label = "side of the true box, pixels of the original"
    drawn = scatter(places, x_label=label, marks=[(0.5, "one half")], description=said)
    mean = percent(sum(overlap for _, overlap in places) / len(places))
    caption = f"Intersection over union, a dot a sample; mean {mean}; {percent(right / len(places))} reach one half."
    return panel("Overlap by the size of the object", drawn, caption)


def _latency_plot(times: Sequence[float], summary: Mapping[str, Any]) -> str:
    width, counts, is_open = bins(times)
    every = -(-len(counts) // 6)
    last = len(counts) - is_open
    ticks = [(float(i), f"{i * width:g} s") for i in range(0, last + 1, every) if not is_open or last - i >= 1]
    if is_open:
        ticks.append((last + 0.5, f">{last * width:g}"))
    marks = []
    for key, label in (("latency_s_p50", "half"), ("latency_s_p95", "95 in 100")):
        place = min(summary[key] / width, len(counts) - 0.5)
        marks.append((place, f"{label} within {seconds(summary[key])}"))
    description = f"Samples by seconds. {marks[0][1]}, {marks[1][1]}."
    drawn = columns(counts, ticks=ticks, marks=marks, description=description)
    return panel("Time per question", drawn, "Wall time of a sample, waiting for others in its batch included.")


def _problems_plot(summary: Mapping[str, Any], story: Story) -> str:
    failures, samples = summary["failures"], summary["samples"]
    if not failures:
        return panel("Problems", '<p class="none">None. Every reply could be read as it was meant.</p>', "")
    meaning = {**_MEANING, **story.problems}
    ordered = sorted(failures.items(), key=lambda item: -item[1])
    bars = []
    for kind, number in ordered:
        label = f"{kind}: {meaning[kind]}" if kind in meaning else kind
        bars.append(Bar(label, f"{number:,} ({percent(number / samples)})", [("problem", number)]))
    description = "Samples by kind of problem: " + ", ".join(f"{kind} {number}" for kind, number in ordered)
    return panel(
        "Problems",
        horizontal(bars, description=description, full=samples),
        "Share of all samples; one can have several.",
    )


_MEANING = {"image": "could not be read", "truncated": "a reply hit its length limit"}
"""What the kinds of problem mean that every method knows."""


def panel(title: str, drawing: str, caption: str) -> str:
    """A plot with its title and what is to be known about it, both markup."""
    return f'<figure class="panel"><h3>{title}</h3>{drawing}<figcaption>{caption}</figcaption></figure>'
