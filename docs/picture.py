"""Make the pictures of the review page: docs/review.png and docs/review-dark.png, from the run of `make demo`.

Usage: python docs/picture.py [FOLDER] [TRACE]. Needs playwright (`pip install -e ".[test]"`) and a Chromium on PATH.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from asap.review import write_review

SHOWN = 8  # pixels between the bar at the top and the first step


def main(folder: str = "out/demo", trace: str = "cable-car") -> None:
    """Photograph the steps of one trace, in light and in dark."""
    from playwright.sync_api import sync_playwright

    path = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    if path is None:
        raise SystemExit("no Chromium on PATH; on Debian and Ubuntu: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="asap-picture-") as scratch, sync_playwright() as driver:
        page_file = Path(scratch) / "review.html"
        write_review(Path(folder), page_file)
        browser = driver.chromium.launch(executable_path=path)
        for scheme, name in (("light", "review.png"), ("dark", "review-dark.png")):
            page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
            page.goto(page_file.as_uri())
            page.locator(".search").fill(trace)
            page.locator(".found", has_text="1 of ").wait_for()
            page.locator(".item a").click()
            page.locator(".step .body").first.wait_for()
            dock = page.locator(".dock").bounding_box()["height"]
            page.evaluate(f"scrollBy(0, document.querySelector('.steps').getBoundingClientRect().top - {dock + SHOWN})")
            page.wait_for_timeout(500)
            page.screenshot(path=Path(__file__).with_name(name))
            print(f"written: docs/{name}")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
