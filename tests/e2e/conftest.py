"""Fixtures of the end-to-end tests: images and runs that several of them look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.lmms_runs import POLICY, Run, lmms_eval, make_panels


@pytest.fixture(scope="session")
def panels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of twelve panels images and the task that reads them."""
    return make_panels(tmp_path_factory.mktemp("panels"), samples=12)


@pytest.fixture(scope="session")
def hf_run(panels: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The shipped policy on the panels through transformers."""
    run = lmms_eval("ergo_hf", panels, tmp_path_factory.mktemp("hf"), model=POLICY)
    assert run.exit_code == 0, run.log
    return run
