"""The review page: what was removed from every trace and why, in one file that works offline."""

from asap.review.page import check_page, write_review

__all__ = ["check_page", "write_review"]
