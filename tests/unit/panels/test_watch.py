"""A line a step out of verl's console output; everything into the log."""

from pathlib import Path

from ergo_plugins.panels.watch import short, watch

STEP = (
    "\x1b[36m(TaskRunnerV1 pid=7)\x1b[0m step:3 - actor/entropy:0.15 - critic/rewards/mean:2.6614 - "
    "ergo/region:0.546875 - ergo/box:1.0 - ergo/accuracy:0.65 - ergo/area_ratio:1.25e-01 - "
    "timing_s/step:29.91 - perf/throughput:1e3\n"
)
SHOWN = "step   3/16   reward 2.66   right place  55%   small box 100%   right answer  65%   crop's area  12%     30 s"


def test_a_training_step_is_one_short_line() -> None:
    assert short(STEP, 16) == SHOWN


def test_other_lines_show_nothing() -> None:
    for line in ("", "step:", "Training Progress: 3/16", "step:0 - val-core/panels/acc/mean@1:0.5\n"):
        assert short(line, 16) is None


def test_a_metric_that_is_missing_is_left_out() -> None:
    assert short("step:1 - critic/rewards/mean:-0.5\n", 4) == "step   1/4   reward -0.50       nan s"


def test_all_of_it_is_in_the_log(tmp_path: Path) -> None:
    lines = ["starting\n", STEP, "what a model wrote: ä\n"]
    assert list(watch(lines, tmp_path / "log.txt", 16)) == [SHOWN]
    assert (tmp_path / "log.txt").read_text(encoding="utf-8") == "".join(lines)
