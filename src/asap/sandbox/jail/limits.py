"""What a message between processes may hold, and the errors for what may not."""

MAX_NODES = 2_000_000
MAX_DEPTH = 100
MAX_HEX = 1_000_000  # digits of one integer: 4 million bits


class BadValue(Exception):
    """Data that no honest encoder sends."""


class TooLarge(Exception):
    """A value or message over the limits."""
