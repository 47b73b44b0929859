"""A real browser for the tests of the pages, and a watch on what a page must never do."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NO_BROWSER = (
    "NO BROWSER, so the pages were NOT tested: install Chromium (Debian and Ubuntu: apt-get install chromium) "
    'and the driver (pip install -e ".[test]")'
)
WAIT_MS = 600_000  # for a machine that is busy

CONTRAST = """(queries) => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = (colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of ['white', ...colours]) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const grounds = (node) => node ? [...grounds(node.parentElement), getComputedStyle(node).backgroundColor] : [];
  return Object.fromEntries(queries.map(query => {
    const node = document.querySelector(query);
    if (!node) return [query, 0];
    const ground = grounds(node);
    const [a, b] = [light([...ground, getComputedStyle(node).color]), light(ground)].sort((x, y) => y - x);
    return [query, (a + 0.05) / (b + 0.05)];
  }));
}"""
"""The contrast (WCAG) of the text of the first element for each query, against all the grounds behind it; 0 for one that is not there."""


@pytest.fixture(scope="module")  # no longer: while it is open, an event loop runs in this thread
def browser() -> Iterator[Any]:
    path = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip(NO_BROWSER)
    if path is None:
        pytest.skip(NO_BROWSER)
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=path)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a file and wait until it is drawn. No page may write to its console, ask the network for anything, or open a dialog."""
    contexts, wrong = list[Any](), list[str]()

    def open_page(
        path: Path, address: str = "", *, width: int = 1280, height: int = 820, scheme: str = "light", drawn: str = "#app:not([aria-busy])"
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: None if request.url.startswith(path.as_uri()) else wrong.append(f"request: {request.url}"))
        page.goto(path.as_uri() + address)
        page.wait_for_selector(drawn)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []
