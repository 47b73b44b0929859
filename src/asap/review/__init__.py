"""The review page: what was cut from every trace and why, in one file that needs no network."""

from asap.review.page import write_review

__all__ = ["write_review"]
