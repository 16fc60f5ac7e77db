"""Make docs/demo.jpg: the page of recipes/demo.sh, after a picture of its gallery was asked about.

bash recipes/demo.sh --port 7860 &      # in an environment that tests/run.sh made
python docs/demo_picture.py http://127.0.0.1:7860
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(
        executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
    )
    page = browser.new_page(viewport={"width": 1200, "height": 1380})
    page.goto(sys.argv[1])
    page.locator("#gallery button.thumbnail-item").first.click()
    expect(page.locator("#where img")).to_be_visible()
    page.locator("#ask").click()
    expect(page.locator("#status")).to_contain_text("would take", timeout=120_000)
    page.screenshot(path=Path(__file__).with_name("demo.jpg"), type="jpeg", quality=80)
    browser.close()
