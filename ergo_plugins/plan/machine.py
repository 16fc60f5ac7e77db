"""What of a recipe a machine lacks: GPUs, memory, disk, packages, model, rows, a judge that answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .cards import CARDS, Card
from .checks import problems
from .host import disk_gib, host_parts, total
from .memory import GIB
from .runs import Run

LONGEST_ANSWER_S = 5.0
VERLS_OWN = "~/data/"
"""Where verl's configuration looks for rows that nobody gave: hydra lets a recipe's ``???`` leave its default."""
WEIGHTS = ("*.safetensors", "*.bin")


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that is missing.

    Attributes:
        name: in a word or two.
        said: what there is, and what is wanted.
        fix: what to do; empty if the sentence says it.
    """

    name: str
    said: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is.

    Attributes:
        cards: GiB of each GPU.
        memory_gib: of the whole machine.
        free_disk_gib: of a folder's disk.
        has_package: whether a module can be imported.
        answers: whether a server at a URL does; the sentence of what is wrong, or an empty one.
    """

    cards: tuple[float, ...]
    memory_gib: float
    free_disk_gib: Callable[[Path], float]
    has_package: Callable[[str], bool]
    answers: Callable[[str], str]


def here() -> Machine:
    """This machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return Machine(_cards(), memory, _free_disk_gib, lambda name: find_spec(name) is not None, _answers)


def lacks(run: Run, config: Any, machine: Machine, environment: Mapping[str, str]) -> list[Lack]:
    """All that is missing.

    Args:
        config: the recipe's configuration, for its rows and folders.
        environment: variables that the training scripts read: ``DATA``, ``MODEL``, ``JUDGE_URL``, ``OUT``.
    """
    found = [*_packages(run, machine), *_gpus(run, machine), *_room(run, machine, environment)]
    found += [*_model(run, environment), *_rows(config, environment)]
    return [*found, *_judge(run, machine, environment)]


def _packages(run: Run, machine: Machine) -> Iterator[Lack]:
    wanted = {"verl": "pip install 'ergo-plugins[verl]'", "ray": "pip install 'ergo-plugins[verl]'"}
    if not run.on_cpu:
        flash = "pip install 'setuptools>=77,<81' wheel ninja psutil packaging && pip install flash-attn==2.8.3 "
        wanted["flash_attn"] = flash + "--no-build-isolation"
        if run.rollout:
            wanted["vllm"] = "pip install 'ergo-plugins[vllm]'"
    for name, fix in wanted.items():
        if not machine.has_package(name):
            yield Lack("package", f"{name} is not installed", fix)


def _gpus(run: Run, machine: Machine) -> Iterator[Lack]:
    if run.on_cpu:
        return
    wanted = run.gpus_with_judge // run.nodes if run.judge is None else run.gpus_with_judge
    if len(machine.cards) < wanted:
        each = f"{run.gpus} that learn" + (f" and {run.judge.gpus} of the judge" if run.judge else "")
        said = f"{len(machine.cards)} here, {wanted} wanted ({each})"
        yield Lack("GPUs", said, "trainer.n_gpus_per_node, or more machines: docs/cluster.md")
    if machine.cards:
        least = min(machine.cards)
        for problem in problems(run, replace(_card_like(least), title="GPU here", memory_gib=least)):
            yield Lack("GPU memory", problem.said, problem.change)


def _card_like(memory_gib: float) -> Card:
    return min(CARDS.values(), key=lambda card: abs(card.memory_gib - memory_gib))


def _room(run: Run, machine: Machine, environment: Mapping[str, str]) -> Iterator[Lack]:
    needed = 0.0 if run.on_cpu else total(host_parts(run, run.visual_tokens))
    if machine.memory_gib < needed:
        said = f"{machine.memory_gib:.0f} GiB here, up to {needed:.0f} wanted (ergo plan {run.name} has the parts)"
        yield Lack("memory", said)
    folder, disk = Path(environment.get("OUT", "runs")), disk_gib(run)
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = machine.free_disk_gib(folder)
    if disk is not None and free < disk:
        said = f"{free:.0f} GiB free for checkpoints at {folder}, {disk:.0f} wanted"
        yield Lack("disk", said, "OUT on a larger disk, or fewer checkpoints: trainer.max_actor_ckpt_to_keep")


def _model(run: Run, environment: Mapping[str, str]) -> Iterator[Lack]:
    model = environment.get("MODEL") or run.model
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not any(next(folder.glob(pattern), None) for pattern in WEIGHTS):
            yield Lack("model", f"{model} holds no weights", "actor_rollout_ref.model.path, or MODEL")
    elif not _is_cached(model):
        yield Lack("model", f"{model} is not on this machine", f"hf download {model}, or MODEL=folder")


def _is_cached(model: str) -> bool:
    try:
        from huggingface_hub import try_to_load_from_cache
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return False
    try:
        return isinstance(try_to_load_from_cache(model, "config.json"), str)
    except HFValidationError:  # a path, and no folder
        return False


def _rows(config: Any, environment: Mapping[str, str]) -> Iterator[Lack]:
    from omegaconf import OmegaConf

    data = environment.get("DATA")
    for key, name in (("train_files", "train.parquet"), ("val_files", "validation.parquet")):
        if data:
            files = [str(Path(data) / name)]
        elif OmegaConf.is_missing(config.data, key) or str(config.data[key]).startswith(VERLS_OWN):
            yield Lack(
                "rows", f"data.{key} is not given", f"DATA=folder with {name} (ergo data writes it), or data.{key}"
            )
            continue
        else:
            given = config.data[key]
            files = [] if given is None else [given] if isinstance(given, str) else list(given)
        for file in files:
            if not Path(file).expanduser().is_file():
                yield Lack("rows", f"there is no {file}", "ergo data --help")


def _judge(run: Run, machine: Machine, environment: Mapping[str, str]) -> Iterator[Lack]:
    given = environment.get("JUDGE_URL", "")
    urls = [url for url in given.split(",") if url] if given and run.judge_urls else list(run.judge_urls)
    for url in urls:
        wrong = machine.answers(url)
        if wrong:
            yield Lack("judge", f"{url}: {wrong}", "JUDGE_URL, or bash recipes/serve_judge.sh")


def _cards() -> tuple[float, ...]:
    if shutil.which("nvidia-smi") is None:
        return ()
    asked = subprocess.run(
        ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = asked.stdout.split() if asked.returncode == 0 else []
    return tuple(float(line) / 1024 for line in lines if line.replace(".", "", 1).isdigit())


def _free_disk_gib(folder: Path) -> float:
    return shutil.disk_usage(folder).free / GIB


def _answers(url: str) -> str:
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/models", timeout=LONGEST_ANSWER_S):
            return ""
    except urllib.error.HTTPError:
        return ""  # somebody is there; whether a key is wanted is the judge's to say
    except (OSError, ValueError) as error:
        return f"nobody answers ({error})"
