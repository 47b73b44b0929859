"""The browser that opens the page of a comparison."""

from browsing import browser, visit

__all__ = ["browser", "visit"]
