"""Sources by name: those of the package and those of others, found as an installer leaves them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ergo_plugins.cli import main
from ergo_plugins.data import BUILT_IN, known_sources, reader_named
from ergo_plugins.data.sources import Source, jsonl

MODULE = """
from ergo_plugins.data.sources import jsonl


def captions(source, name, record):
    return jsonl(source, name, {"question": "What is it?", "answer": record["caption"], "image": record["file"]})


def of_one_argument(record):
    return None


a_number = 3
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of somebody's that registers a good source, one under a name of ours, and three that are none."""
    package = tmp_path / "captions-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: captions\nVersion: 1\n")
    names = {"captions": "captions", "jsonl": "captions", "none": "nothing", "number": "a_number"}
    addresses = {**names, "one_argument": "of_one_argument"}
    registered = "\n".join(f"{name} = captions_set:{attribute}" for name, attribute in addresses.items())
    (package / "entry_points.txt").write_text(f"[ergo_plugins.sources]\n{registered}\n")
    (tmp_path / "captions_set.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "captions_set", raising=False)
    return tmp_path


def test_sources_of_others_stand_among_ours() -> None:
    assert known_sources() == sorted({*BUILT_IN, "captions", "none", "number", "one_argument"})
    assert [reader_named(name) for name in BUILT_IN] == list(BUILT_IN.values())
    assert reader_named("jsonl") is jsonl, "the package's own names are its own"


def test_a_source_of_others_reads_an_entry(installed: Path) -> None:
    Image.new("RGB", (10, 10)).save(installed / "a.png")
    source = Source(installed / "set.jsonl", installed, installed / "unpacked")
    sample = source.sample(reader_named("captions"), "set.jsonl 0", {"file": "a.png", "caption": "a cup"})
    assert (sample.question, sample.answer, sample.image.name) == ("What is it?", "a cup", "a.png")


@pytest.mark.parametrize(
    ("name", "attribute", "found"),
    [
        ("none", "nothing", "None"),
        ("number", "a_number", "3"),
        ("one_argument", "of_one_argument", "<function of_one_argument at .*>"),
    ],
)
def test_what_is_no_source_is_refused(name: str, attribute: str, found: str) -> None:
    wanted = r"it has to be a function \(source, name, record\) like those in ergo_plugins\.data\.sources"
    refused = f"^captions_set:{attribute} is registered as the source '{name}' and is {found}; {wanted}$"
    with pytest.raises(ValueError, match=refused):
        reader_named(name)


def test_the_command_says_it_in_one_sentence(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (installed / "set.jsonl").write_text(json.dumps({"file": "a.png", "caption": "a cup"}))
    for name, said in (("number", "captions_set:a_number is registered"), ("tree", "there is no source 'tree'; known")):
        assert main(["data", name, str(installed / "set.jsonl"), "--out", str(installed / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"ergo data: {said}")
        assert "captions" in line
    assert not (installed / "out").exists()


def test_knowing_the_sources_imports_none_of_them_and_no_host() -> None:
    code = "import sys, ergo_plugins.data as d; d.known_sources(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    hosts = {"torch", "transformers", "datasets", "verl", "lmms_eval", "vllm", "ray", "pyarrow"}
    assert not (hosts | {"captions_set"}) & set(done.stdout.split())


def test_a_reader_that_fails_is_named_with_the_entry(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (installed / "set.jsonl").write_text('{"file": "a.png"}\n')
    assert main(["data", "captions", str(installed / "set.jsonl"), "--out", str(installed / "out")]) == 2
    assert "set.jsonl 0: captions_set.captions failed on it (KeyError: 'caption')" in capsys.readouterr().err
