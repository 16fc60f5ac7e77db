"""docs/zoom.ipynb runs from top to bottom as it stands, and what is stored in it is small and of its own cells."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.contract.command_rules import files_of
from tests.contract.documents import parsed
from tests.e2e.lmms_runs import OFFLINE, ROOT

PAGE = ROOT / "docs" / "zoom.ipynb"
OUTPUT_BYTES, PAGE_BYTES = 4_000, 32_000
"""What one stored output and the whole file may take."""
MACHINE = re.compile(r"site-packages|/(home|root|tmp|work)/|Traceback|Warning")
"""What of the machine that ran it has no place on the page."""


@pytest.fixture(scope="module")
def stored() -> NotebookNode:
    return nbformat.read(PAGE, as_version=4)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The notebook, run in a kernel of this environment."""
    path = tmp_path_factory.mktemp("notebook") / "executed.ipynb"
    environment = {**os.environ, **OFFLINE, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, ROOT / "docs/run_notebook.py", path], env=environment, check=True)
    return nbformat.read(path, as_version=4)


def cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell: NotebookNode) -> list[tuple[str, ...]]:
    """What a cell puts out: names of streams, and media types."""
    return [
        (output.output_type, output.name) if "name" in output else (output.output_type, *sorted(output.data))
        for output in cell.outputs
    ]


def printed(cell: NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def words(cell: NotebookNode) -> str:
    """What is printed, without figures and letters of answers."""
    return re.sub(r"\d+|\b[A-D]\b", "#", printed(cell))


def test_it_is_stored_as_it_ran_from_top_to_bottom(stored: NotebookNode) -> None:
    nbformat.validate(stored)
    assert [cell.execution_count for cell in cells(stored)] == list(range(1, len(cells(stored)) + 1))


def test_it_does_what_is_stored(stored: NotebookNode, executed: NotebookNode) -> None:
    """The same kinds of outputs, cell by cell, and the same words; on another processor a close answer may differ."""
    assert [kinds(cell) for cell in cells(executed)] == [kinds(cell) for cell in cells(stored)]
    assert [words(cell) for cell in cells(executed)] == [words(cell) for cell in cells(stored)]


def test_it_shows_what_it_is_about(executed: NotebookNode) -> None:
    said = "\n".join(printed(cell) for cell in cells(executed))
    pictures = [kind for cell in cells(executed) for kind in kinds(cell) if "image/png" in kind]
    assert len(pictures) == 3, "the picture, the picture with its box, and the crop"
    (table,) = (
        output.data["text/markdown"]
        for cell in cells(executed)
        for output in cell.outputs
        if "text/markdown" in output.get("data", {})
    )
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:]] == ["ergo", "visionthink", r"tool\_zoom"]
    assert re.search(r"answer [A-D], right is [A-D]; looked at Box\(", said)
    (watched,) = (cell for cell in cells(executed) if "model.watch(" in cell.source)
    look, answer, _ = watched.outputs
    assert re.fullmatch(r"look, shown 112 x 112: <think>.*</zoom>", look.data["text/plain"])
    assert re.fullmatch(r"answer, shown 112 x 112: <think>.*</answer>", answer.data["text/plain"])
    assert re.search(r"ergo +\d of 8 right, 32 visual tokens each\nmiddle +\d of 8 right, 16 visual", said)


def test_what_is_stored_is_small_and_of_no_machine(stored: NotebookNode) -> None:
    assert PAGE.stat().st_size < PAGE_BYTES
    outputs = [json.dumps(output) for cell in cells(stored) for output in cell.outputs]
    assert max(map(len, outputs)) < OUTPUT_BYTES
    assert [output for output in outputs if MACHINE.search(output)] == []
    assert [cell.id for cell in stored.cells if "execution" in cell.metadata] == []


def test_its_links_and_commands_lead_somewhere(stored: NotebookNode) -> None:
    text = " ".join(cell.source for cell in stored.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert [link for link in links if not (PAGE.parent / Path(link)).exists()] == []
    commands = [
        command
        for said in re.findall(r"`((?:bash|ergo) [^`]+)`", text)
        for command in parsed(said, PAGE, 0, inline=True)
    ]
    assert len(commands) >= 2
    for command in commands:
        files_of(command)
