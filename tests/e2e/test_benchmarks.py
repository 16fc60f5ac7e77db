"""Benchmarks in stock lmms-eval: all tasks in one run, through a server that looks twice and answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ergo_plugins.tasks.make_benchmark import write_tasks
from tests.e2e.lmms_runs import run_to_its_end
from tests.e2e.scripted_server import serving
from tests.unit.tasks import published as p

CALL = '{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [0, 0, 500, 500], "label": "it", "img_idx": 0}}'


def reply(body: dict[str, Any], _number: int) -> tuple[int, str]:
    if len(body["messages"]) == 2:
        return 200, f"<think>closer</think>\n<tool_call>\n{CALL}\n</tool_call>"
    return 200, "<think>so</think><answer>B</answer>"


def test_all_of_them_in_one_run(tmp_path: Path) -> None:
    tasks = tmp_path / "tasks"
    (tmp_path / "vstar").mkdir()
    write_tasks("treebench", p.write_treebench(tmp_path, p.TREEBENCH), None, tasks)
    write_tasks("visualprobe_hard", p.write_visualprobe(tmp_path, p.VISUALPROBE), None, tasks)
    write_tasks("zoombench", p.write_zoombench(tmp_path, p.ZOOMBENCH, p.ZOOMBENCH_OPEN), None, tasks)
    write_tasks("o3_bench", p.write_o3(tmp_path, p.O3), None, tasks)
    write_tasks("vstar_boxes", p.write_vstar(tmp_path / "vstar", p.VSTAR), None, tasks)
    names = sorted(path.stem for path in tasks.glob("*.yaml"))
    with serving(reply) as server:
        arguments = (
            f"model=m,base_url={server.base_url},grid=qwen2.5-vl,view_tokens=64,journal={tmp_path / 'journal.jsonl'}"
        )
        command = [sys.executable, "-m", "lmms_eval", "--model", "tool_zoom_openai", "--model_args", arguments]
        command += ["--include_path", str(tasks), "--tasks", ",".join(names), "--log_samples"]
        run = run_to_its_end([*command, "--output_path", str(tmp_path / "out")], tmp_path)
    assert run.exit_code == 0, run.log
    results = {
        task: {name.partition(",")[0]: value for name, value in values.items()}
        for task, values in run.results["results"].items()
    }
    assert sorted(results) == names
    accuracy = {task: values.get("accuracy", values.get("exact_match")) for task, values in results.items()}
    assert accuracy == {
        **{"treebench": 1, "visualprobe_hard": 0, "zoombench": 0, "zoombench_crop": 0, "o3_bench": 0},
        **{"vstar_boxes": 1, "vstar_boxes_occluded": 1},
    }
    # the part that is shown is the upper left quarter: it holds the first target of TreeBench's row, not the second
    assert results["treebench"]["target_coverage"] == 0.5
    assert results["vstar_boxes"]["target_coverage"] == 1
    assert results["treebench"]["miou_official"] == 0 < results["treebench"]["box_precision"]
