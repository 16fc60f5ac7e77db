"""Two runs, their figures and the training between them become one safe page, and what is unusable is said."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ergo_plugins.cli import main
from ergo_plugins.report.figures import read_figures
from ergo_plugins.report.lines import Line, apart, lines, steps_of, ticks_of
from ergo_plugins.report.pairs import Pair, changes, chosen, join
from ergo_plugins.report.plots import WIDTH
from ergo_plugins.report.read.metrics import points, read_training, running_mean
from ergo_plugins.report.read.rows import Row, UnreadableInput
from tests.unit.report.journals import (
    HEADER,
    PageReader,
    entry,
    outcome,
    sample,
    write_journal,
    write_previews,
    write_samples,
)

ATTACK = """</pre></article><script>alert(1)</script><img src=x onerror=alert(2)>"'&lt;b&gt;"""
BEFORE = {"region_sampled": 0.47, "region_greedy": 0.58, "accuracy": 0.61, "format": 1.0, "area": 0.37, "n": 512}
AFTER = {"region_sampled": 0.97, "region_greedy": 0.98, "accuracy": 0.96, "format": 0.99, "area": 0.08, "n": 512}


def write_run(folder: Path, *verdicts: float, header: dict[str, Any] = HEADER, **changes: Any) -> tuple[Path, Path]:
    """A run of as many samples as verdicts, its journal and its samples."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (entry(i, previews=write_previews(folder, str(i)), **changes) for i in range(len(verdicts)))
    scored = (sample(i, "B" if verdict else "A", acc=verdict) for i, verdict in enumerate(verdicts))
    return write_journal(folder, *lines, header=header), write_samples(folder, *scored)


def write_json(path: Path, plain: object) -> Path:
    path.write_text(json.dumps(plain))
    return path


def write_metrics(path: Path, *steps: tuple[int, dict[str, Any]], tail: str = "") -> Path:
    path.write_text("".join(json.dumps({"step": step, "data": data}) + "\n" for step, data in steps) + tail)
    return path


def trained(step: int, **changes: float) -> tuple[int, dict[str, Any]]:
    parts = {"ergo/region": 0.5, "ergo/box": 0.75, "ergo/accuracy": 0.6, "ergo/format": 1.0, "ergo/area_ratio": 0.4}
    named = {f"ergo/{name}": value for name, value in changes.items()}
    return step, {"training/global_step": step, "critic/rewards/mean": 2.5, **parts, **named}


class Runs:
    """Two runs in a folder, and the command over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before = write_run(folder / "before", 0.0, 1.0, 0.0, 1.0)
        self.after = write_run(folder / "after", 1.0, 0.0, 0.0, 1.0)
        self.page = folder / "pages" / "compare.html"

    def compare(self, *options: str | Path) -> int:
        journals = [self.before[0], self.after[0]]
        samples = ["--samples-before", self.before[1], "--samples-after", self.after[1]]
        return main(["compare", *map(str, (*journals, *samples, *options, "-o", self.page))])

    def read(self, *options: str | Path) -> tuple[PageReader, str]:
        assert self.compare(*options) == 0
        html = self.page.read_text()
        return PageReader(html), html


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def test_both_runs_stand_side_by_side(runs: Runs) -> None:
    read, html = runs.read()
    assert re.findall(r'<span class="chip \w+">([^<]+)</span>\n<a href="#p\d">spots/test/(\d)', html) == [
        ("wrong → right", "0"),
        ("right → wrong", "1"),
        ("both wrong", "2"),
        ("both right", "3"),
    ]
    assert len(read.all("section", class_="side")) == 8
    assert len(read.all("img")) == 16
    assert len(read.all("rect", class_="box")) == 8
    assert read.text.count("<zoom>[10, 10, 20, 15]</zoom>") == 8
    first = html.split("<article")[1]
    assert re.findall(r'<h3>(\w+) <span class="chip \w+">(\w+)', first) == [("Before", "wrong"), ("After", "correct")]
    assert "Answered <b>B</b>, wanted <b>A</b>" in first.split("<h3>After")[0]
    assert "Answered <b>B</b>, wanted <b>B</b>" in first.split("<h3>After")[1]
    assert "trained" not in read.text
    assert "<h1>Before and after</h1>" in html


def test_what_was_gained_stands_with_its_interval_by_sample(runs: Runs) -> None:
    # differences 1 -1 0 0: mean 0, sample variance 2/3, 1.96 * sqrt(1/6)
    assert "Right answers, sample by sample: +0.0 ± 80.0 points over 4 samples (95 % interval), within what" in (
        runs.read()[0].text
    )
    runs.after = write_run(runs.folder / "after", 1.0, 1.0, 1.0, 1.0)
    runs.before = write_run(runs.folder / "before", 0.0, 0.0, 0.0, 1.0)
    # differences 1 1 1 0: mean 3/4, sample variance 1/4, 1.96 * .25
    assert "+75.0 ± 49.0 points over 4 samples (95 % interval), more than chance" in runs.read()[0].text


def test_each_side_has_the_pictures_of_its_own_run(runs: Runs) -> None:
    for number, (journal, _) in enumerate((runs.before, runs.after)):
        for place, turn in enumerate(("look", "answer")):
            Image.new("RGB", (10 + number, 10 + place)).save(journal.parent / "views" / f"2-{turn}.jpg")
    _, html = runs.read()
    card = next(card for card in html.split("<article") if "spots/test/2" in card)
    shown = re.findall(r'<h3>(\w+)|<img [^>]*width="(\d+)" height="(\d+)"', card)
    assert ["".join(one) for one in shown] == ["Before", "1010", "1011", "After", "1110", "1111"]


def test_all_kinds_are_counted_however_few_are_shown(runs: Runs) -> None:
    read, html = runs.read("--previews", "1")
    counts = re.findall(r'<li><span class="chip \w+">([^<]+)</span> <b>(\d+)</b>', html)
    assert counts == [("wrong → right", "1"), ("right → wrong", "1"), ("both wrong", "1"), ("both right", "1")]
    assert len(read.all("article")) == 1
    assert "1 of 4 samples are shown" in read.text
    assert not runs.read("--previews", "0")[0].all("article")


def test_without_figures_the_table_is_of_the_runs(runs: Runs) -> None:
    runs.after = write_run(runs.folder / "after", 1.0, 1.0, 1.0, 0.0)
    read, html = runs.read()
    assert "Answers are now right in 75.0% of cases; before it was 50.0%." in read.text
    rows = re.findall(r'<tr><th scope="row">(before|after)</th>(.*?)</tr>', html)
    cells = {name: re.findall("<td>(.*?)</td>", row) for name, row in rows}
    assert cells == {
        "before": ["50.0%", "100%", "1.0%", "12", "4"],
        "after": ["75.0%", "100%", "1.0%", "12", "4"],
    }
    assert "right place" not in read.text, "nobody knows where it is"


def test_a_known_target_comes_first(runs: Runs) -> None:
    for (_, samples), hit in ((runs.before, 0.0), (runs.after, 1.0)):
        write_samples(samples.parent, *(sample(i, acc=1.0, target_hit=hit, target_coverage=1.0) for i in range(4)))
    read, _ = runs.read()
    assert "The right place is now shown in 100% of cases; before it was 0%." in read.text
    assert read.text.count("The right place, legible") == 4
    assert read.text.count("Not the right place") == 4


def test_figures_of_before_after_and_a_recorded_control(runs: Runs) -> None:
    control = {**BEFORE, "region_sampled": 0.455, "recorded": True, "source": f"prove.sh {ATTACK}", "region_error": 0.7}
    figures = write_json(runs.folder / "f.json", {"before": BEFORE, "after": AFTER, "control": control, "steps": [1]})
    read, html = runs.read("--figures", figures)
    assert "The right place is now shown in 97.0% of cases; before it was 47.0%." in read.text
    assert "With rewards handed out at random it is 45.5%." in read.text
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    assert re.findall(r'<th scope="row">(.*?)</th>', body) == ["before", "after", "control, recorded"]
    assert re.findall("<td>(.*?)</td>", body)[6:12] == ["97.0%", "98.0%", "96.0%", "99.0%", "8.0%", "512"]
    assert len(re.findall("<td>", body)) == 18
    assert "what such a run gains was not learned from the reward" in read.text
    assert f"recorded earlier and not run now (prove.sh {ATTACK})" in read.text


def test_figures_without_a_control_and_with_gaps(runs: Runs) -> None:
    figures = write_json(runs.folder / "f.json", {"before": {"accuracy": 0.5}, "after": {"accuracy": 0.75, "n": None}})
    read, html = runs.read("--figures", figures)
    assert "Answers are now right in 75.0%" in read.text
    assert "Control" not in read.text
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    assert re.findall("<td>(.*?)</td>", body) == ["–", "–", "50.0%", "–", "–", "–", "–", "–", "75.0%", "–", "–", "–"]


def test_a_control_that_was_run_now_is_not_called_recorded(runs: Runs) -> None:
    plain = {"before": BEFORE, "after": AFTER, "control": {**BEFORE, "recorded": False}}
    read, _ = runs.read("--figures", write_json(runs.folder / "f.json", plain))
    assert "Control" in read.text
    assert "recorded" not in read.text


def test_the_training_is_drawn(runs: Runs) -> None:
    metrics = write_metrics(runs.folder / "m.jsonl", trained(1), trained(2, region=0.9, area_ratio=0.1))
    figures = write_json(runs.folder / "f.json", {"before": BEFORE, "after": AFTER, "gamma": 0.3})
    read, html = runs.read("--metrics", metrics, "--figures", figures)
    assert "<h1>Before and after training</h1>" in html
    assert "in 2 steps" in read.text
    said = [plot["aria-label"] or "" for plot in read.all("svg", role="img")]
    assert [one.split(" by ")[0] for one in said[:3]] == [
        "Parts of the reward",
        "Mean share of the image inside the close-up",
        "Mean reward",
    ]
    assert "right place 50.0% → 90.0%" in said[0]
    assert "from 40.0% to 10.0%" in said[1]
    assert "limit 30%" in read.text
    assert said[3] == "Image tokens per question: before 12, after 12, one pass in full detail 100."
    kinds = {kind for drawn in read.all("g", class_="line") for kind in (drawn["class"] or "").split()}
    assert {"of-region", "of-box", "of-accuracy", "of-format", "of-area-ratio", "of-rewards", "limit"} <= kinds


def test_long_trainings_are_smoothed_and_short_ones_are_not(runs: Runs) -> None:
    for number, smoothed in ((12, False), (13, True)):
        steps = [trained(step, region=float(step == number)) for step in range(1, number + 1)]
        read, _ = runs.read("--metrics", write_metrics(runs.folder / "m.jsonl", *steps))
        assert ("the mean of 5 steps" in read.text) == smoothed
        assert ("right place 0% → 20.0%" in read.text) == smoothed


def test_whatever_was_written_is_shown_as_text(runs: Runs) -> None:
    header = {"journal": "ergo-plugins/1", "settings": {"model": ATTACK, ATTACK: [ATTACK]}, "tasks": [ATTACK]}
    played = outcome(replies=(ATTACK, ATTACK), problems=(f"look: {ATTACK}",))
    line = entry(0, played, task=ATTACK, question=ATTACK, returned=ATTACK)
    runs.before = write_journal(runs.folder / "before", line, header=header), runs.before[1]
    runs.after = write_journal(runs.folder / "after", line), runs.after[1]
    assert main(["compare", str(runs.before[0]), str(runs.after[0]), "-o", str(runs.page)]) == 0
    read = PageReader(runs.page.read_text())
    assert read.text.count(ATTACK) == 11
    assert not read.all("script")
    assert not read.all("img")
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)


def test_the_page_asks_no_server_for_anything(runs: Runs) -> None:
    read, html = runs.read("--metrics", write_metrics(runs.folder / "m.jsonl", trained(1)))
    for _, attributes in read.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not re.search(r"@import|url\(|<script", html)
    policy = next(meta["content"] or "" for meta in read.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy


def test_settings_that_differ_are_told_and_others_are_not(runs: Runs) -> None:
    header = {**HEADER, "settings": {"engine": "hf", "model": "other/model", "zoom": "on"}}
    runs.after = write_run(runs.folder / "after", 1.0, header=header)
    _, html = runs.read()
    table = html[html.index('<div class="differing">') :]
    assert re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td>', table) == [
        ("model", "some/model", "other/model"),
        ("zoom", "not set", "on"),
    ]
    runs.after = runs.before
    assert "the same settings" in runs.read()[0].text


def test_samples_of_one_run_alone_are_left_out_and_counted(runs: Runs) -> None:
    runs.after = write_run(runs.folder / "after", 1.0)
    read, _ = runs.read()
    assert "3 samples are only in the run before and left out here." in read.text
    assert "in the run after" not in read.text
    assert len(read.all("article")) == 1
    runs.before, runs.after = runs.after, runs.before
    assert "3 samples are only in the run after and left out here." in runs.read()[0].text


def test_other_questions_under_the_same_number_are_told(runs: Runs) -> None:
    runs.after = write_run(runs.folder / "after", 1.0, 1.0, question="Where is the dog?")
    assert "2 of 2 samples have another question in the run after." in runs.read()[0].text


def test_notes_of_both_inputs_and_missing_pictures_are_told(runs: Runs) -> None:
    runs.before[0].write_text(runs.before[0].read_text() + "{")
    (runs.folder / "after" / "views" / "0-look.jpg").unlink()
    read, _ = runs.read()
    assert "Run before: The last line of the journal is incomplete" in read.text
    assert "Run after" not in read.text
    assert "1 preview pictures named in the input are missing" in read.text


def row(doc_id: int | str, correct: bool | None, repeat: int = 0) -> Row:
    return Row("spots", "test", doc_id, "Which?", "B", outcome(), repeat, correct=correct)


def test_pairs_are_joined_whatever_the_order_of_the_runs() -> None:
    before = [row(10, True), row(9, True), row("x", True), row(9, False, repeat=1), row(4, True)]
    after = [row(9, False, repeat=1), row("x", False), row(9, False), row(10, False), row(5, True), row(6, True)]
    joined = join(before, after)
    shared = ["spots/test/x", "spots/test/9", "spots/test/9#1", "spots/test/10"]
    assert [pair.before.key for pair in joined.pairs] == shared
    assert [pair.after.key for pair in joined.pairs] == shared
    assert (joined.only_before, joined.only_after) == (1, 2)
    assert not join([row(1, True)], [replace(row(1, True), split="train")]).pairs


VERDICTS = [(True, True), (None, True), (True, False), (False, False), (False, True), (True, False), (False, True)]
"""Before and after, of documents 0, 1, 2 and so on."""


def test_what_changed_is_shown_first() -> None:
    pairs = [Pair(row(i, before), row(i, after)) for i, (before, after) in enumerate(VERDICTS)]
    assert [pair.before.doc_id for pair in chosen(pairs, 99)] == [4, 6, 2, 5, 0, 1, 3]
    assert [pair.before.doc_id for pair in chosen(pairs, 3)] == [4, 6, 2]
    assert changes(pairs) == {
        "wrong → right": 2,
        "right → wrong": 2,
        "both wrong": 1,
        "both right": 1,
        "not judged": 1,
    }
    assert "not judged" not in changes(pairs[:1])


def test_metrics_of_several_files_are_merged_by_step(tmp_path: Path) -> None:
    validated = 0, {"val-core/panels/acc/mean@1": 0.4}
    first = write_metrics(
        tmp_path / "a", validated, trained(1), trained(2, region=0.1, judge=7.0), tail='{"step": 3, "d'
    )
    second = write_metrics(tmp_path / "b", (2, {"ergo/region": 0.2}), trained(3, region=0.3), trained(10))
    steps = read_training([first, second])
    assert list(steps) == [1, 2, 3, 10], "a step that only validates is no training step"
    assert points(steps, "ergo/region") == [(1, 0.5), (2, 0.2), (3, 0.3), (10, 0.5)]
    assert points(steps, "ergo/judge") == [(2, 7.0)], "what the later file lacks stays"
    assert points(read_training([second, first]), "ergo/region")[1] == (2, 0.1)


def test_numbers_that_are_none_are_no_points(tmp_path: Path) -> None:
    metrics = write_metrics(tmp_path / "m", trained(1, region=float("nan")), trained(2))
    assert points(read_training([metrics]), "ergo/region") == [(2, 0.5)]


def test_a_running_mean_looks_back() -> None:
    assert running_mean([1.0, 2.0, 6.0, 10.0], 2) == [1.0, 1.5, 4.0, 8.0]


@pytest.mark.parametrize(
    ("line", "words"),
    [("{\n", "line 2, is not JSON"), ('{"step": 1}\n', "line 2, is not"), ('{"step": "x", "data": {}}\n', "line 2")],
)
def test_a_damaged_line_of_metrics_is_an_error_with_its_number(tmp_path: Path, line: str, words: str) -> None:
    metrics = write_metrics(tmp_path / "m", trained(1), tail=line + json.dumps({"step": 2, "data": {}}) + "\n")
    with pytest.raises(UnreadableInput, match=words):
        read_training([metrics])


@pytest.mark.parametrize("plain", [[], {}, {"before": {}}, {"before": 1, "after": {}}, {"before": {}, "after": []}])
def test_figures_need_before_and_after(runs: Runs, capsys: pytest.CaptureFixture[str], plain: object) -> None:
    assert runs.compare("--figures", write_json(runs.folder / "f.json", plain)) == 2
    assert 'f.json is not a JSON object with the objects "before" and "after"' in capsys.readouterr().err
    assert not runs.page.exists()


def test_damaged_figures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text("{")
    with pytest.raises(UnreadableInput, match="is not JSON"):
        read_figures(tmp_path / "f.json")
    with pytest.raises(UnreadableInput, match='"control"'):
        read_figures(write_json(tmp_path / "f.json", {"before": {}, "after": {}, "control": 3}))


def test_what_is_unusable_is_one_sentence(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*options: str | Path) -> str:
        assert runs.compare(*options) == 2
        err = capsys.readouterr().err
        assert err.startswith("ergo compare: ")
        assert err.count("\n") == 1
        return err

    validated = write_metrics(runs.folder / "m.jsonl", (0, {"val-core/panels/acc/mean@1": 0.4}))
    assert "holds no training step" in said("--metrics", validated)
    assert "holds no training step" in said("--metrics", write_metrics(runs.folder / "m.jsonl"))
    assert "--previews is 0 or more, got -1" in said("--previews", "-1")
    for option in ("--metrics", "--figures", "--samples-after"):
        assert f"cannot read {runs.folder}/none: No such file" in said(option, runs.folder / "none")
    there = runs.after
    runs.after = runs.folder / "none", there[1]
    assert f"cannot read {runs.folder}/none: No such file" in said()
    runs.after = write_journal(runs.folder / "after", entry(17)), there[1]
    assert "share no sample" in said()
    assert not runs.page.exists()


@given(st.lists(st.floats(10, 170), max_size=6))
def test_labels_never_overlap_nor_leave_the_plot(places: list[float]) -> None:
    shifted = apart(places)
    assert all(b - a >= 14 - 1e-6 for a, b in zip(sorted(shifted), sorted(shifted)[1:], strict=False))
    assert all(10 - 1e-6 <= place <= 172 for place in shifted)
    assert [i for _, i in sorted(zip(shifted, range(len(places)), strict=True))] == sorted(
        range(len(places)), key=lambda i: places[i]
    )


@given(st.floats(-1e3, 1e3), st.floats(0, 1e3))
def test_ticks_hold_the_values_between_them(low: float, height: float) -> None:
    ticks = ticks_of(low, low + height)
    slack = 1e-6 * (ticks[1] - ticks[0]) + 1e-9  # a value this near to a tick is on it
    assert ticks[0] - slack <= low <= low + height <= ticks[-1] + slack
    assert 2 <= len(ticks) <= 8


def test_ticks_are_round() -> None:
    assert ticks_of(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert ticks_of(0, 3.4) == [0, 1, 2, 3, 4]
    assert steps_of(1, 48) == [1, 10, 20, 30, 40]
    assert steps_of(1, 8) == [1, 2, 4, 6, 8]
    assert steps_of(3, 3) == [3]


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(-50, 50)), min_size=1, max_size=40), st.floats(-60, 60))
def test_lines_are_well_formed_and_inside_their_frame(found: list[tuple[int, float]], limit: float) -> None:
    path = [(float(step), value) for step, value in sorted(dict(found).items())]
    drawn = lines([Line("of-a", "a < b", path, path)], description='"reward" & more', mark=(limit, "limit"))
    tree = ElementTree.fromstring(drawn)
    height = float((tree.get("viewBox") or "").split()[3])
    for circle in tree.iter("circle"):
        assert 0 <= float(circle.get("cx", "nan")) <= WIDTH
        assert 0 <= float(circle.get("cy", "nan")) <= height
    for corners in tree.iter("path"):
        numbers = [float(number) for number in (corners.get("d") or "")[1:].split()]
        assert all(0 <= x <= WIDTH for x in numbers[::2])
        assert all(0 <= y <= height for y in numbers[1::2])
