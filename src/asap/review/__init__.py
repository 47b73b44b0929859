"""The review page: what was removed from every trace and why, in one file that works offline."""

from asap.review.page import write_review

__all__ = ["write_review"]
