"""Stock lmms-eval as its users start it, on real images and the shipped policy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.warm_lmms_eval import WarmStarts

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "recipes" / "tiny"
POLICY = TINY / "policy"
TINY_ZOOM = {
    "prompts": str(TINY / "prompts.yaml"),
    "coarse_tokens": 16,
    "crop_tokens": 16,
    "zoom_new_tokens": 24,
    "answer_new_tokens": 24,
    "resample": "box",
}
"""Model arguments that go with the shipped policy."""

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
}

_STARTS = WarmStarts()


@dataclass(frozen=True)
class Run:
    """A finished lmms-eval run."""

    folder: Path
    exit_code: int
    log: str

    @property
    def results(self) -> dict[str, Any]:
        """lmms-eval's aggregated results."""
        (path,) = self.folder.rglob("*_results.json")
        return json.loads(path.read_text())

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Samples of the journal, in the order in which they ended."""
        return journal_entries(self.folder / "journal.jsonl")

    @property
    def by_doc(self) -> dict[int, dict[str, Any]]:
        """Samples of the journal by document."""
        entries = {entry["doc_id"]: entry for entry in self.entries}
        assert len(entries) == len(self.entries), "a sample stands in the journal twice"
        return entries


def journal_entries(path: Path) -> list[dict[str, Any]]:
    """Samples of a journal, its header left out."""
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def lmms_eval_command(model: str, tasks: Path, folder: Path, /, **arguments: Any) -> list[str]:
    """The command line of a run that keeps its journal and results in ``folder``."""
    given = {**TINY_ZOOM, "journal": folder / "journal.jsonl", **arguments}
    model_args = ",".join(f"{name}={value}" for name, value in given.items())
    command = f"{sys.executable} -m lmms_eval --model {model} --batch_size 4 --tasks ergo_panels --log_samples"
    return [*command.split(), "--model_args", model_args, "--include_path", str(tasks), "--output_path", str(folder)]


def environment_of() -> dict[str, str]:
    """Variables of a run."""
    return {**os.environ, **OFFLINE}


def lmms_eval(model: str, tasks: Path, folder: Path, /, **arguments: Any) -> Run:
    """Run stock lmms-eval on ``ergo_panels`` in a process of its own, to its end."""
    return run_to_its_end(lmms_eval_command(model, tasks, folder, **arguments), folder)


def run_to_its_end(command: list[str], folder: Path, installed: Path | None = None) -> Run:
    """A run of `lmms_eval_command`'s kind with the usual variables; what it printed is kept in ``folder/log.txt``.

    Args:
        installed: a folder with more packages.
    """
    folder.mkdir(parents=True, exist_ok=True)
    assert command[1:3] == ["-m", "lmms_eval"]
    log = folder / "log.txt"
    more = {} if installed is None else {"PYTHONPATH": str(installed)}
    exit_code = _STARTS.run(command[3:], str(ROOT), str(log), environment_of() | more)
    return Run(folder, exit_code, log.read_text())


def make_panels(folder: Path, samples: int) -> Path:
    """Real panels and their task in a folder."""
    command = [sys.executable, "-m", "ergo_plugins.panels.make_data", "--samples", str(samples), "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **OFFLINE}, check=True, capture_output=True, timeout=300)
    return folder
