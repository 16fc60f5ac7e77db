"""Benchmarks of small things in large images as tasks of lmms-eval, from the files that their authors publish.

    python -m ergo_plugins.tasks.make_benchmark treebench TreeBench.tsv --out runs/treebench

Known are ``treebench`` (its TSV), ``visualprobe_easy``, ``_medium`` and ``_hard`` (val.json), ``zoombench``
(test.parquet; also ``zoombench_crop``, which is given the crop), ``o3_bench`` (test/metadata.jsonl) and ``vstar_boxes``
(the folder of V*; also ``vstar_boxes_occluded``, in which the targets are painted over). ``--include_path`` names the
folder. Open answers have an exact match as their floor; ``ergo judge`` gives a judge's verdict beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..usage import CommandError
from .published import READERS, Files, Row

UTILS = Path(__file__).parent / "benchmark" / "utils.py"
LOOKED = ("target_coverage", "target_centre")


@dataclass(frozen=True, slots=True)
class Task:
    """A task made of a benchmark.

    Attributes:
        results: the function that scores it.
        metrics: what that reports.
        visual: the function that makes its image.
        needs: a column that rows without it are left out for, and counted.
    """

    results: str
    metrics: tuple[str, ...]
    visual: str = "doc_to_visual"
    needs: str | None = None


_OPEN = Task("open_results", ("exact_match",))
_OPTIONS = ("accuracy", *LOOKED)
_MIXED = ("accuracy", "accuracy_option", "accuracy_open")
TASKS: dict[str, dict[str, Task]] = {
    "treebench": {
        "treebench": Task("grounded_results", (*_OPTIONS, "miou", "box_precision", "miou_official")),
    },
    **{f"visualprobe_{level}": {f"visualprobe_{level}": _OPEN} for level in ("easy", "medium", "hard")},
    "zoombench": {
        "zoombench": Task("mixed_results", (*_MIXED, *LOOKED)),
        "zoombench_crop": Task("mixed_results", _MIXED, "doc_to_crop", needs="crop"),
    },
    "o3_bench": {"o3_bench": Task("option_results", _OPTIONS)},
    "vstar_boxes": {
        "vstar_boxes": Task("option_results", _OPTIONS),
        "vstar_boxes_occluded": Task("option_results", _OPTIONS, "doc_to_occluded", needs="target_box"),
    },
}
"""By benchmark, then by task."""


def write_tasks(name: str, file: Path, images: Path | None, out: Path) -> dict[str, int]:
    """Write a benchmark's tasks. Returns the rows of each, and under ``without boxes`` how many have none.

    Raises:
        CommandError: a file is missing, or an entry is not what it should be; the place and what was wanted are named.
    """
    if not file.exists():
        raise CommandError(f"there is no {file}")
    folder = file if file.is_dir() else file.parent
    out.mkdir(parents=True, exist_ok=True)
    try:
        rows = [
            {"question_id": key, **row} for key, row in READERS[name](Files(file, images or folder, out / "images"))
        ]
    except (OSError, ValueError) as error:
        raise CommandError(str(error)) from error
    if not rows:
        raise CommandError(f"{file} has no entries")
    counts = {"without boxes": sum(not row["boxes"] for row in rows)}
    for task, made in TASKS[name].items():
        kept = [row for row in rows if made.needs is None or row.get(made.needs)]
        if not kept:
            continue
        (out / f"{task}.jsonl").write_text(_lines(made, kept), encoding="utf-8")
        (out / f"{task}.yaml").write_text(_yaml(task, made), encoding="utf-8")
        counts[task] = len(kept)
    shutil.copy(UTILS, out / "utils.py")
    return counts


def _lines(task: Task, rows: list[Row]) -> str:
    """The rows of a task; where it is given the crop, boxes on the original mean nothing."""
    if task.needs == "crop":
        rows = [{**row, "boxes": [], "target_box": None} for row in rows]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _yaml(name: str, task: Task) -> str:
    """The task with the functions beside it, which plain yaml cannot name."""
    plain: Mapping[str, Any] = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": f"{name}.jsonl"}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_target": "answer",
        "generation_kwargs": {"max_new_tokens": 4096, "temperature": 0, "do_sample": False},
        "metric_list": [{"metric": one, "aggregation": "mean", "higher_is_better": True} for one in task.metrics],
        "metadata": [{"version": 1.0}],
    }
    functions = {"doc_to_visual": task.visual, "doc_to_text": "doc_to_text", "process_results": task.results}
    lines = "".join(f"{key}: !function utils.{function}\n" for key, function in functions.items())
    return yaml.safe_dump(plain, sort_keys=False) + lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmark", choices=TASKS)
    parser.add_argument("file", type=Path, help="what its authors publish")
    parser.add_argument("--images", type=Path, help="folder that its images are relative to; by default the file's own")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    given = parser.parse_args()
    try:
        counts = write_tasks(given.benchmark, given.file, given.images, given.out)
    except CommandError as error:
        sys.exit(f"make_benchmark: {error}")
    print("\n".join(f"{count:6,} {name}" for name, count in counts.items()))


if __name__ == "__main__":
    main()
