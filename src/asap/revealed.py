"""Text from outside made safe to show: what would steer a terminal, reorder a line or hide in it appears as an escape."""

import re

_HIDDEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 and C1 controls
    "\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"  # directions, joiners, marks without a width
    "\u2028\u2029"  # line breaks that are none to most programs
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\uffa0"  # letters and selectors that show nothing
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\ud800-\udfff"  # half a pair, such as a byte of a file name that is not UTF-8
    "\U000e0000-\U000e0fff"  # tags and more selectors: whole hidden texts
    "]"
)


def revealed(text: str, keep: str = "\n\t") -> str:
    """The text with every control, direction and invisible character but those to keep written as an escape such as `\\x1b`."""
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else found[0].encode("unicode_escape").decode("ascii"), text)
