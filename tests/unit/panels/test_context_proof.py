"""What recipes/tiny/context.md says of its runs is what their results say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TINY = Path(__file__).resolve().parents[3] / "recipes" / "tiny"
TEXT = (TINY / "context.md").read_text(encoding="utf-8")
KEPT = TINY / "proof_context"
PROOF = KEPT / "first_design"
TRIED: dict[str, Any] = json.loads((KEPT / "tried.json").read_text(encoding="utf-8"))
RESULTS: dict[str, Any] = json.loads((PROOF / "results.json").read_text(encoding="utf-8"))
FOUND: dict[str, Any] = json.loads((KEPT / "results.json").read_text(encoding="utf-8"))
TAUGHT: dict[str, Any] = json.loads((TINY / "context_policy" / "training.json").read_text(encoding="utf-8"))


def values(experiment: str, figure: str) -> list[float]:
    """By seed, of the runs of the design that is shipped."""
    return list(FOUND["experiments"][experiment][figure]["values"])


def told(values: Sequence[float]) -> str:
    """As the text lists them."""
    *first, last = (f"{value:.3f}" for value in values)
    return f"{', '.join(first)} and {last}"


def test_the_tables_are_those_that_were_made_from_the_results() -> None:
    for folder in (KEPT, *(KEPT / name for name in ("first_design", "fourth_design", "float32_reference", "ablation"))):
        assert (folder / "table.md").read_text(encoding="utf-8").strip() in TEXT


def test_hidden_patterns_are_found_in_every_seed_and_by_those_alone_that_were_trained_on_them() -> None:
    start, found = FOUND["before"]["greedy"]["coverage"], values("full", "greedy coverage")
    assert len(found) == 3
    assert min(found) > start + 0.3
    assert min(found) > max(values("visible", "greedy coverage")) + 0.3
    wide, narrow = values("full", "greedy area_wide"), values("full", "greedy area_narrow")
    assert all(w > 1.5 * n for w, n in zip(wide, narrow, strict=True))


def test_figures_of_the_shipped_design_in_words_are_those_of_its_runs() -> None:
    words, before = " ".join(TEXT.split()), FOUND["before"]
    for figure in ("greedy coverage", "greedy region", "greedy accuracy", "greedy ambiguity"):
        way, name = figure.split()
        assert f"from {before[way][name]:.3f} to {told(values('full', figure))}" in words
    wide, narrow = values("full", "greedy area_wide"), values("full", "greedy area_narrow")
    ratios = [w / n for w, n in zip(wide, narrow, strict=True)]
    assert f"By a slab they take {told(wide)} of the image, by a post {told(narrow)}: {told(ratios)} times" in words
    assert f"become {min(ratios):.1f} to {max(ratios):.1f} times as large" in words
    post, slab, shown = (values("visible", f"greedy {name}")[0] for name in ("area_narrow", "area_wide", "region"))
    assert f"ends with {values('visible', 'greedy coverage')[0]:.3f} of the hidden ones" in words
    assert f"{post:.3f} of the image by a post and {slab:.3f} by a slab; it shows {shown:.3f} of the hidden" in words
    assert f"sampled, coverage is {told(values('full', 'sampled coverage'))}" in words
    assert f"in {told(values('full', 'visible region'))} of scenes, from {before['visible']['region']:.3f}" in words
    for step in ("1", "40"):
        assert told([FOUND["words"][f"full_{seed}"][step]["by_the_mark"] for seed in range(3)]) in words


def test_runs_with_an_exact_reference_are_told_as_they_came() -> None:
    words = " ".join(TEXT.split())
    kept = json.loads((KEPT / "float32_reference" / "results.json").read_text(encoding="utf-8"))
    full, shuffled = (kept["experiments"][name] for name in ("full", "shuffled"))
    end = {name: full[f"greedy {name}"]["values"][0] for name in ("coverage", "region", "area_wide", "area_narrow")}
    times = end["area_wide"] / end["area_narrow"]
    assert f"came to {end['coverage']:.3f} and {times:.1f} times" in words
    assert f"from 0.214 to {end['coverage']:.3f}, region from 0.149 to {end['region']:.3f}" in words
    areas = f"{end['area_wide']:.3f} of the image, by a post {end['area_narrow']:.3f}, {times:.1f} times as much"
    assert f"crops by a slab take {areas}" in words
    assert f"correlation ends at {full['greedy ambiguity']['values'][0]:.3f}" in words
    above = end["coverage"] - values("visible", "greedy coverage")[0]
    assert f"The coverage is {above:.3f} above" in words
    assert end["coverage"] > FOUND["before"]["greedy"]["coverage"] + 0.3
    last = kept["words"]["full_0"]["40"]
    shapes = {"slab": 0, "post": 0}
    for pair, looks in last["extents"].items():
        shape = pair.partition(" ")[0]
        shapes[shape] = shapes.get(shape, 0) + looks
    fours = [f"{last['extents'][f'{shape} four']} of {shapes[shape]}" for shape in ("slab", "post")]
    assert f"*four* is said by {fours[0]} slabs and {fours[1]} posts in step 40" in words
    assert f"step 1 {kept['words']['full_0']['1']['by_the_mark']:.3f}, of step 40 {last['by_the_mark']:.3f}" in words
    coverage, region = (shuffled[f"greedy {name}"]["values"][0] for name in ("coverage", "region"))
    follow = kept["words"]["shuffled_0"]["40"]["by_the_mark"]
    assert f"coverage {coverage:.3f} and region {region:.3f}, and {follow:.3f} of step 40's looks" in words
    assert abs(coverage - FOUND["before"]["greedy"]["coverage"]) < 0.05, "the control does not move"


def test_the_ablation_is_told_as_it_came() -> None:
    words = " ".join(TEXT.split())
    kept = json.loads((KEPT / "ablation" / "results.json").read_text(encoding="utf-8"))
    runs, before = kept["experiments"], kept["before"]
    rows = {"A": "a_accuracy", "B": "b_region", "C": "c_region_box", "D": "d_weighted", "E": "full"}

    def of(figure: str, row: str) -> float:
        return float(runs[rows[row]][figure]["values"][0])

    def pair(figure: str, one: str, other: str) -> str:
        return f"{of(figure, one):.3f} and {of(figure, other):.3f}"

    assert {tuple(run["seeds"]) for run in runs.values()} == {(0,)}
    assert {run["n"] for run in runs.values()} == {1024}
    coverage, accuracy, area = "greedy coverage", "greedy accuracy", "sampled area"
    assert f"Coverage is {pair(coverage, 'A', 'C')}, accuracy {pair(accuracy, 'A', 'C')}" in words
    assert f"for coverage**, {pair(coverage, 'C', 'D')}, **and not in answers**, {pair(accuracy, 'C', 'D')}" in words
    assert (
        f"in answers**, {pair(accuracy, 'D', 'E')}, **and is turned round for coverage**, {pair(coverage, 'D', 'E')}"
        in words
    )
    assert max(rows, key=lambda row: of(accuracy, row)) == "E"
    assert f"start's {before['greedy']['accuracy']:.3f} all the same" in words
    assert f"take {of(area, 'B'):.3f} of the image, less than the start's {before['sampled']['area']:.3f}" in words
    assert max(rows, key=lambda row: of(area, row)) == "B"
    assert f"{of(area, 'C'):.3f} in C, {of(area, 'D'):.3f} in D" in words
    follow = {row: kept["words"][f"{name}_0"]["20"]["by_the_mark"] for row, name in rows.items()}
    alone = follow.pop("A")
    assert f"({alone:.3f} of step 20's looks" in words
    assert f"of the others' {min(follow.values()):.3f} to {max(follow.values()):.3f})" in words


def test_the_fourth_design_is_told_as_it_came() -> None:
    words = " ".join(TEXT.split())
    runs = json.loads((KEPT / "fourth_design" / "results.json").read_text(encoding="utf-8"))["experiments"]["full"]
    coverage, wide, narrow = (runs[f"greedy {name}"]["values"] for name in ("coverage", "area_wide", "area_narrow"))
    assert f"coverage came to {told(coverage)}" in words
    assert f"seed 1 ({wide[1]:.3f} of the image by a slab, {narrow[1]:.3f} by a post)" in words
    assert f"in seed 0 ({wide[0]:.3f} and {narrow[0]:.3f}) *one* had won" in words
    for loop in TRIED["loops"]["fourth_design"]:
        end = [row for row in loop["measured"] if row["way"] == "greedy"][-1]
        cells = (end[name] for name in ("by_the_mark", "coverage", "area_narrow", "area_wide"))
        assert f"| {loop['seed']} | {end['step']} | {' | '.join(f'{cell:.3f}' for cell in cells)} |" in TEXT


def test_figures_in_words_are_those_of_the_results() -> None:
    before, full = RESULTS["before"], RESULTS["experiments"]["full"]
    for way, name in (("sampled", "coverage"), ("sampled", "region"), ("sampled", "accuracy"), ("greedy", "coverage")):
        start, end = before[way][name], full[f"{way} {name}"]["mean"]
        assert f"{start:.3f} to {end:.3f}" in " ".join(TEXT.split()), f"{way} {name}"
    narrow, wide = (full[f"sampled area_{kind}"]["mean"] for kind in ("narrow", "wide"))
    assert f"{narrow:.3f} of the image by a post and {wide:.3f} by a slab" in " ".join(TEXT.split())


def test_words_of_looks_are_those_that_were_counted() -> None:
    counted = json.loads((PROOF / "words.json").read_text(encoding="utf-8"))
    for step in ("1", "2", "6"):
        assert f"{counted[step]['directions']['southeast']} of {counted[step]['said']}" in " ".join(TEXT.split())


def test_the_policy_begins_without_the_rule() -> None:
    sampled = TAUGHT["test"]["sampled"]
    assert abs(sampled["ambiguity"]) < 0.2
    assert sampled["region"] < 0.25, "what who cannot read landmarks sees at most"


def test_where_it_starts_is_what_was_measured() -> None:
    for way, said in (
        ("sampled", "hidden, sampled"),
        ("greedy", "hidden, best guess"),
        ("visible", "visible, best guess"),
    ):
        names = ("format", "coverage", "region", "accuracy", "area")
        cells = " | ".join(f"{TAUGHT['test'][way][name]:.3f}" for name in names)
        assert f"| {said} | {cells} |" in TEXT
    seen = TAUGHT["test"]["visible"]
    assert f"by a post it shows {seen['region_narrow']:.3f}, by a slab {seen['region_wide']:.3f}" in TEXT


def test_what_the_reward_pays_is_what_was_found() -> None:
    rows = {(row["shape"], row["extent"], row["direction"]): row for row in TRIED["signal"]["rows"]}
    for shape in ("post", "slab"):
        for extent in ("one", "four"):
            cells = (rows[shape, extent, direction] for direction in ("right", "wrong"))
            paid = " | ".join(f"{row['reward']:.3f} ± {row['standard_error']:.3f}" for row in cells)
            assert f"| {shape}, *{extent}* | {paid} |" in TEXT


def test_what_guesses_show_is_what_was_enumerated() -> None:
    shown = TRIED["shown_while_guessing"]
    for sizes, said in (("first", "sizes of the first two designs"), ("present", "sizes as they are now")):
        looks = (f"{shape} {extent}" for shape in ("post", "slab") for extent in ("one", "four"))
        cells = " | ".join(f"{shown[sizes][look][0]:.3f}" for look in looks)
        assert f"| {said} | {cells} |" in TEXT


def test_loops_outside_verl_are_told_as_they_went() -> None:
    second, third = (TRIED["loops"][name] for name in ("second_design", "third_design"))
    words = " ".join(TEXT.split())
    hidden = {(row["way"], row["step"]): row for row in second["measured"] if row["target"] == "hidden"}
    names = ("by_the_mark", "coverage", "region", "area_narrow", "area_wide", "named")
    for step in (0, 8, 16):
        cells = " | ".join(f"{hidden['greedy', step][name]:.3f}" for name in names)
        assert f"| {step} | {cells} |" in TEXT
    start, end = hidden["sampled", 0], hidden["sampled", 16]
    assert f"{start['by_the_mark']:.3f} of directions follow it before and {end['by_the_mark']:.3f} after" in words
    assert f"sampled, coverage goes from {start['coverage']:.3f} to {end['coverage']:.3f}" in words
    fours = {row["step"]: row["one_four_all"][1] for row in second["steps"]}
    assert f"of 128 looks of step 8, {fours[8]} say *four*, of step 14 {fours[14]} do" in words
    last = third["steps"][-1]
    assert last["step"] == 6
    assert f"{last['by_the_mark']:.3f} of directions follow the mark, {last['one_four_all'][0]} of 128 looks" in words
    assert f"{last['directions'][2]} say *southwest*" in words
