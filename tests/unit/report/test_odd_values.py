"""Whatever stands in a dump, a journal or a samples file: a report and a summary are made, or a sentence says why."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from ergo_plugins.cli import main
from tests.unit.report.journals import HEADER, entry, sample, write_journal, write_samples
from tests.unit.report.test_rollouts import rollout, write_dump

ODD = (None, math.nan, 0, 10**400, "x\0", [1, 2])
AT_A_PLACE = len(ODD) if os.environ.get("SLOW") else 1
"""Of these, so many stand in each place; the next ones in the next place."""


def places(plain: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value, the whole included."""
    yield path
    inner = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


def variants(plain: Any) -> Iterator[Any]:
    """The same with one value replaced by an odd one."""
    odds = cycle(ODD)
    for path in places(plain):
        for odd in islice(odds, AT_A_PLACE):
            if not path:
                yield odd
                continue
            changed = copy.deepcopy(plain)
            place = changed
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = odd
            yield changed


def check(capsys: pytest.CaptureFixture[str], *inputs: str) -> int:
    """How many of the two commands went well; the other one said a sentence.

    Raises:
        Whatever else a command raises.
    """
    out = Path(inputs[0]).parent / "out"
    well = 0
    for command in ("report", "summary"):
        try:
            code = main([command, *inputs, "-o", str(out)])
        except SystemExit as ended:
            code = 0 if ended.code is None else 1
        said = capsys.readouterr()
        assert code == 0 or (said.err.startswith("ergo") and "Traceback" not in said.err), said.err
        well += code == 0
        if code == 0 and command == "summary":
            json.loads(out.read_text(), parse_constant=pytest.fail)
    return well


def test_a_dump(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = rollout()
    record = json.loads(line["ergo_record"])
    lines = [changed for changed in variants(line) if isinstance(changed, dict)]
    lines += [rollout(ergo_record=json.dumps(changed)) for changed in variants(record)]
    went_well = [check(capsys, str(write_dump(tmp_path, line, changed))) for changed in lines]
    assert set(went_well) == {0, 2}


def test_a_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = entry(0, previews={"look": "a.jpg"})
    went_well = [check(capsys, str(write_journal(tmp_path, line, changed))) for changed in variants(line)]
    went_well += [check(capsys, str(write_journal(tmp_path, line, header=changed))) for changed in variants(HEADER)]
    assert set(went_well) == {0, 2}


def test_a_samples_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = write_journal(tmp_path, entry(0))
    line = sample(0, "B", acc=1.0, target_coverage=0.5, gpt={"score": 1})
    went_well = [
        check(capsys, str(journal), "--samples", str(write_samples(tmp_path, changed))) for changed in variants(line)
    ]
    assert set(went_well) == {0, 2}


@pytest.mark.parametrize("said", [None, "missing"])
def test_an_original_that_came_as_bytes_is_an_outline(tmp_path: Path, said: Any) -> None:
    record = json.loads(rollout()["ergo_record"])
    record |= {"image_path": None}
    if said == "missing":
        del record["image_path"]
    dump = write_dump(tmp_path, rollout(ergo_record=json.dumps(record)))
    assert main(["report", str(dump), "-o", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "The originals of 1 of 1 rollouts came as bytes or pixels and not as files" in page
    assert "<img" not in page


def test_what_no_file_can_be_called_is_no_original(tmp_path: Path) -> None:
    for name in ("/" + "x" * 5000, "x\0", str(tmp_path), "/dev/null"):
        dump = write_dump(tmp_path, rollout(name))
        assert main(["report", str(dump), "-o", str(tmp_path / "page.html")]) == 0
        assert "The originals of 1 of 1 rollouts are not where they were" in (tmp_path / "page.html").read_text()


def test_numbers_that_verl_had_none_for_are_unknown(tmp_path: Path) -> None:
    odd = rollout(coverage=math.nan, accuracy=math.nan, region=math.nan, score=math.nan)
    dump = write_dump(tmp_path, odd)
    assert main(["summary", str(dump), "-o", str(tmp_path / "figures.json")]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["judged"], figures["accuracy"], figures["target_coverage"]) == (0, None, None)
