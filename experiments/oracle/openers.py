"""The words that steps begin with, and how often: by kind of step as in DeepSeek-R1's traces, or alike for all kinds.

`openers.json` holds the counts, with the command that measured them (`measure_openers.py`).
"""

import json
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal, get_args

Label = Literal["necessary", "restated", "verification", "dead-end"]
Setting = Literal["independent", "r1"]
LABELS: tuple[Label, ...] = get_args(Label)
SETTINGS: tuple[Setting, ...] = get_args(Setting)
COUNTS = Path(__file__).with_name("openers.json")
NONE = "none"
WRITTEN: Mapping[str, str] = {
    NONE: "",
    "So": "So ",
    "Wait": "Wait, ",
    "But": "But ",
    "Thus": "Thus ",
    "Then": "Then ",
    "Yes": "Yes, ",
    "Now": "Now ",
    "Let": "Let me see, ",
    "Okay": "Okay, ",
    "Hmm": "Hmm, ",
    "First": "First, ",
    "Next": "Next, ",
    "Therefore": "Therefore ",
    "Alternatively": "Alternatively, ",
}
"""The openers, by the first word of an R1 step, and how our steps begin with them."""


@cache
def frequencies() -> Mapping[Label, list[int]]:
    """How often R1's steps of each kind begin with each opener, in the order of `WRITTEN`."""
    counts = json.loads(COUNTS.read_text("utf-8"))["counts"]
    return {label: [counts[label].get(opener, 0) for opener in WRITTEN] for label in LABELS}


def draw_opener(chance: random.Random, label: Label, setting: Setting) -> str:
    """How a step of this kind begins."""
    table = frequencies()
    kind = label if setting == "r1" else chance.choices(LABELS, [sum(table[one]) for one in LABELS])[0]
    return chance.choices(list(WRITTEN.values()), table[kind])[0]
