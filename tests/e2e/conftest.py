"""Fixtures of the end-to-end tests: images and runs that several of them look at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.lmms_runs import POLICY, Run, lmms_eval, make_panels

expect.set_options(timeout=30_000)  # what is to come may take its time where the machine is busy


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    assert path, "no Chromium is installed: apt-get install chromium"
    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        chromium = playwright.chromium.launch(executable_path=path, args=quiet)
        yield chromium
        chromium.close()
