"""Make the pictures of the pages: docs/review.png and docs/report.png, each also dark.

    python docs/picture.py review [FOLDER] [TRACE]   from the run of `make demo`
    python docs/picture.py report FILE               from a report.html; docs/report.md has the command of the one shown

Needs playwright (`pip install -e ".[test]"`) and a Chromium on PATH.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asap.review import write_review

SHOWN = 8  # pixels between the bar at the top and the first step


def review(folder: str = "out/demo", trace: str = "cable-car") -> None:
    """Photograph the steps of one trace."""

    def find(page: Any) -> None:
        page.locator(".search").fill(trace)
        page.locator(".found", has_text="1 of ").wait_for()
        page.locator(".item a").click()
        page.locator(".step .body").first.wait_for()
        dock = page.locator(".dock").bounding_box()["height"]
        page.evaluate(f"scrollBy(0, document.querySelector('.steps').getBoundingClientRect().top - {dock + SHOWN})")

    with tempfile.TemporaryDirectory(prefix="asap-picture-") as scratch:
        write_review(Path(folder), Path(scratch) / "review.html")
        photograph(Path(scratch) / "review.html", "review", find)


def report(file: str) -> None:
    """Photograph the first view of a report."""
    photograph(Path(file).resolve(), "report", lambda page: page.locator(".verdict").wait_for())


def photograph(file: Path, name: str, prepare: Callable[[Any], None]) -> None:
    """Take the pictures of a page in light and in dark."""
    from playwright.sync_api import sync_playwright

    path = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    if path is None:
        raise SystemExit("no Chromium on PATH; on Debian and Ubuntu: apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path)
        for scheme, suffix in (("light", ""), ("dark", "-dark")):
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
            page.goto(file.as_uri())
            prepare(page)
            page.wait_for_timeout(500)
            page.screenshot(path=Path(__file__).with_name(f"{name}{suffix}.png"))
            print(f"written: docs/{name}{suffix}.png")
        browser.close()


if __name__ == "__main__":
    {"review": review, "report": report}[sys.argv[1]](*sys.argv[2:])
