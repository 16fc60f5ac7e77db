"""The figures of a run against ones counted by hand."""

import json
from dataclasses import replace

import pytest

from ergo_plugins.core.outcome import Outcome
from ergo_plugins.core.statistics import percentile
from ergo_plugins.report.read.rows import Row
from ergo_plugins.report.summary import by_task, summarise, table
from tests.unit.report.journals import outcome

UNREADABLE = Outcome(method="ergo", problems=("image: OSError: truncated",))


def row(doc_id: int, played: Outcome, **known: object) -> Row:
    return Row("spots", "test", doc_id, "Which?", "B", played, **known)


ROWS = [
    row(0, outcome(seconds=1.0), correct=True, target_coverage=1.0),
    row(1, outcome(box=(0, 0, 500, 500), seconds=3.0, cached=100), correct=False, target_coverage=0.5),
    row(
        2, outcome(box=None, seconds=2.0, cached=None, problems=("look: no <zoom>",)), correct=True, target_coverage=0.0
    ),
    row(3, UNREADABLE, correct=False),
]


def test_figures() -> None:
    summary = summarise(ROWS)
    assert summary == {
        "samples": 4,
        "judged": 4,
        "accuracy": 0.5,
        "target_coverage": 0.5,
        "zoom_success": 0.5,  # an image that cannot be read counts
        "area_ratio": pytest.approx((0.01 + 0.5) / 2),
        "visual_tokens_look": 8,
        "visual_tokens_answer": 4,
        "visual_tokens": 9,  # 12, 12, 12 and none
        "single_pass_tokens": 75,
        "visual_token_share": pytest.approx(0.12),
        "latency_s_p50": 2.0,
        "latency_s_p95": 3.0,
        "latency_s_mean": 2.0,
        "cached_share_turn2": pytest.approx((0.75 + 1.0) / 2),  # of the 80 prompted and 20 written before
        "prompt_tokens": 115,
        "new_tokens": 30,
        "failures": {"image": 1, "look": 1},
        "failed_samples": ["spots/test/2", "spots/test/3"],
    }
    assert json.loads(json.dumps(summary)) == summary


def test_what_is_not_known_is_none_and_not_zero() -> None:
    nothing = summarise([])
    assert nothing["samples"] == nothing["judged"] == 0
    assert nothing["failures"] == {}
    assert {
        value for key, value in nothing.items() if key not in ("samples", "judged", "failures", "failed_samples")
    } == {None}
    unjudged = summarise([row(0, outcome(seconds=None, cached=None))])
    for key in ("accuracy", "target_coverage", "latency_s_p50", "cached_share_turn2"):
        assert unjudged[key] is None


def test_accuracy_says_how_many_it_is_of() -> None:
    summary = summarise([row(0, outcome(), correct=True), row(1, outcome())])
    assert (summary["accuracy"], summary["judged"], summary["samples"]) == (1.0, 1, 2)


def test_tasks_stand_apart_and_the_table_lines_up() -> None:
    rows = [*ROWS, replace(ROWS[0], task="dots")]
    summaries = by_task(rows)
    assert {task: summary["samples"] for task, summary in summaries.items()} == {"dots": 1, "spots": 4}
    lines = table({"all": summarise(rows), **summaries}).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["all", "dots", "spots"]
    assert next(line for line in lines if "correct" in line).split()[-3:] == ["60.0%", "100.0%", "50.0%"]
    assert next(line for line in lines if "look" in line and "problems" in line).split()[-3:] == ["1", "0", "1"]
    assert "–" in table({"all": summarise([])})


@pytest.mark.parametrize(
    ("count", "percent", "value"),
    [(20, 95, 19), (20, 50, 10), (20, 100, 20), (20, 5, 1), (20, 96, 20), (1, 95, 1), (3, 50, 2), (3, 95, 3)],
)
def test_a_percentile_is_the_smallest_value_that_enough_do_not_exceed(count: int, percent: int, value: int) -> None:
    assert percentile(list(range(count, 0, -1)), percent) == value


def test_latencies_of_twenty_samples() -> None:
    summary = summarise([row(i, outcome(seconds=float(i + 1))) for i in range(20)])
    assert (summary["latency_s_p50"], summary["latency_s_p95"]) == (10.0, 19.0)
