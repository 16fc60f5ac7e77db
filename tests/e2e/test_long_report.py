"""Reports of long runs: written in bounded time and memory, opened and used in a real browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from playwright.sync_api import expect as until

from ergo_plugins.report.shelf import A_PAGE, LONGEST_LAID_OUT
from recipes.bench.scripted_run import write
from tests.e2e.lmms_runs import ROOT

LONG = LONGEST_LAID_OUT + 3 * A_PAGE + 7
OPENED_S = 3.0


@dataclass(frozen=True)
class Report:
    """A run and its page.

    Attributes:
        cpu_s, peak_mb: what ``ergo report`` took.
    """

    journal: Path
    page: Path
    cpu_s: float
    peak_mb: float

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.journal.read_text().splitlines()[1:]]


def reported(folder: Path, samples: int) -> Report:
    """A scripted run of so many panels, reported by the command in a process of its own."""
    write(folder, samples)
    page = folder / "report.html"
    command = [sys.executable, "-m", "ergo_plugins.cli", "report", str(folder / "journal.jsonl")]
    process = subprocess.Popen([*command, "--samples", str(folder / "lmms_eval"), "-o", str(page)], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    # what Linux calls a peak is never less than that of the process that started it, which is this one
    return Report(folder / "journal.jsonl", page, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return reported(tmp_path_factory.mktemp("long"), LONG)


@pytest.fixture
def page(browser: Browser, report: Report) -> Iterator[Page]:
    """The report, opened from disk; nothing on it may come from anywhere else, and its script may not fail."""
    opened, asked, failed = browser.new_page(), [], []
    opened.on("request", lambda sent: asked.append(sent.url) if not sent.url.startswith(("file:", "data:")) else None)
    opened.on("pageerror", lambda error: failed.append(str(error)))
    opened.on("console", lambda said: failed.append(said.text) if said.type == "error" else None)
    opened.goto(report.page.as_uri())
    until(shown(opened)).to_have_text(f"{LONG:,} of {LONG:,}")
    yield opened
    assert (asked, failed) == ([], [])
    opened.close()


def shown(page: Page) -> object:
    return page.locator("#shown")


def names(page: Page) -> list[str]:
    """The cards that are there, by the numbers of their documents."""
    return [name.rpartition("/")[2] for name in page.locator(".card .head a").all_text_contents()]


def turn(page: Page, by: str) -> None:
    page.locator(".pager").first.get_by_role("button", name=by).click()


def paged(page: Page, said: str) -> None:
    until(page.locator(".pager output").first).to_have_text(said)


def test_pages_are_turned_and_every_sample_is_on_one(page: Page) -> None:
    pages = -(-LONG // A_PAGE)
    seen = []
    for number in range(1, pages + 1):
        paged(page, f"page {number} of {pages}")
        seen += names(page)
        if number < pages:
            turn(page, "On")
    assert seen == [str(number) for number in range(LONG)]
    assert page.locator(".pager").last.get_by_role("button", name="On").is_disabled()
    turn(page, "Back")
    paged(page, f"page {pages - 1} of {pages}")


def test_a_card_has_all_that_one_of_a_short_run_has(page: Page, report: Report) -> None:
    first = page.locator("#s0")
    assert first.locator("img").count() == 2
    first.scroll_into_view_if_needed()  # a picture is loaded when it comes near
    until(first.locator("img").first).to_have_js_property("naturalWidth", 112)
    assert first.locator("svg.over rect.box").count() == 1
    first.get_by_text("Replies in full").click()
    reply = report.lines[0]["outcome"]["turns"][0]["reply"]  # type: ignore[index]
    until(first.locator("pre").nth(1)).to_have_text(reply)


def test_a_search_finds_what_stands_on_the_last_page(page: Page) -> None:
    page.locator("#search").fill(f"ergo_panels/test/{LONG - 1}")
    until(shown(page)).to_have_text(f"1 of {LONG:,}")
    until(page.locator(".card")).to_have_count(1)
    assert names(page) == [str(LONG - 1)]
    assert page.locator(".pager").first.is_hidden()
    page.locator("#search").fill("no such words anywhere")
    until(page.locator("#nothing")).to_be_visible()


def test_verdicts_and_problems_choose_and_times_sort(page: Page, report: Report) -> None:
    lost = [line for line in report.lines if any("look" in problem for problem in line["outcome"]["problems"])]  # type: ignore[index]
    page.locator("#problem").select_option("look")
    until(shown(page)).to_have_text(f"{len(lost):,} of {LONG:,}")
    page.locator("#sort").select_option("seconds")
    page.locator("#direction").select_option("-1")
    slowest = sorted(lost, key=lambda line: -line["outcome"]["seconds"])  # type: ignore[index]
    until(page.locator(".card .head a").first).to_have_text(f"ergo_panels/test/{slowest[0]['doc_id']}")
    assert names(page) == [str(line["doc_id"]) for line in slowest[:A_PAGE]]
    page.get_by_role("button", name="Show all").first.click()
    until(shown(page)).to_have_text(f"{LONG:,} of {LONG:,}")
    verdicts = set()
    for verdict in ("correct", "wrong"):
        page.locator("#verdict").select_option(verdict)
        until(page.locator(".card .chip").first).to_have_text(verdict)
        verdicts |= set(page.locator(".card .chip").all_text_contents())
    assert verdicts == {"correct", "wrong"}


def test_a_samples_own_address_leads_to_its_page(browser: Browser, report: Report) -> None:
    opened = browser.new_page()
    opened.goto(f"{report.page.as_uri()}#s{LONG - 3}")
    until(opened.locator(f"#s{LONG - 3}")).to_be_in_viewport()
    opened.close()


def test_without_a_script_the_first_hundred_are_there_and_the_page_says_so(browser: Browser, report: Report) -> None:
    opened = browser.new_context(java_script_enabled=False).new_page()
    opened.goto(report.page.as_uri())
    assert opened.locator(".card").count() == A_PAGE
    until(opened.get_by_text(f"this page shows the first {A_PAGE} of {LONG:,} samples")).to_be_visible()
    opened.context.close()


def opened_s(browser: Browser, report: Report, samples: int) -> float:
    """Seconds until the first cards can be used."""
    opened, started = browser.new_page(), time.perf_counter()
    opened.goto(report.page.as_uri())
    until(shown(opened)).to_have_text(f"{samples:,} of {samples:,}", timeout=30_000)
    until(opened.locator(".pager").first).to_be_visible()
    seconds = time.perf_counter() - started
    opened.close()
    return seconds


def test_what_a_report_takes_grows_no_faster_than_its_samples(browser: Browser, report: Report) -> None:
    share = LONG / 20_000
    assert report.cpu_s < 3 + 10 * share, "10 s for 20,000, and what a start takes on a busy machine"
    assert report.page.stat().st_size < 1_000 * LONG + 200 * 2 * 40_000
    assert opened_s(browser, report, LONG) < OPENED_S


@pytest.mark.slow
def test_twenty_thousand_samples(browser: Browser, tmp_path: Path) -> None:
    report = reported(tmp_path, 20_000)
    assert report.cpu_s < 10
    assert report.peak_mb < 1_000
    assert opened_s(browser, report, 20_000) < OPENED_S
