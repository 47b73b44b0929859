"""Functional steps: those that verify, try another way or correct, told by the words that they begin with.

PIR (arXiv:2505.19187) tells such steps from those that bring the solution forward, has an LLM name them, and removes no others. Here
a list of words does it, ours and made from how R1 and QwQ begin their steps, so it takes some steps wrongly and misses others.
"""

import re
from typing import Literal

FunctionalClass = Literal["verification", "alternative", "correction"]

OPENERS: dict[FunctionalClass, str] = {
    "verification": (
        "check|checking|double-check|double check|verify|verifying|to verify|to check|to confirm|to make sure|to be sure|just to"
        "|test|testing|let me check|let me double|let me verify|let me test|let me confirm|let me make sure|let me recheck"
        "|let me re-check|let me just check|let's check|let's double|let's verify|let's test|let's confirm|let's make sure"
        "|let's recheck|let's just check|another test|another example|another case|another check|another edge|edge case"
        "|edge cases|what about|sample input|test case|test cases|which is correct|which is right|which matches|that's correct"
        "|that's right|that is correct|that seems correct|that seems right|this is correct|this seems correct|seems correct"
        "|correct|yes|yep|looks good|makes sense"
    ),
    "alternative": (
        "alternatively|alternately|another way|another approach|another method|another idea|another thought|another option"
        "|another possibility|another solution|a different approach|a different way|instead|on the other hand|or maybe|or perhaps"
        "|maybe|perhaps|what if|is there another|is there a better|is there a way|could there be|other approach|other approaches"
    ),
    "correction": (
        "wait|hold on|hmm|no|actually|oh|oops|ah|but no|that's wrong|that's not|that is wrong|that is not|this is wrong"
        "|this is not right|i made a mistake|i think i made|my mistake|let me correct|let me fix|let me reconsider|let me rethink"
        "|let me think again|let's correct|let's fix|let's reconsider|let's rethink"
    ),
}
"""The words that a step of each class begins with; a vertical bar stands between two openers."""

_BEFORE = r"[\W_]*(?:(?:okay|ok|alright|so|but|and|now|then|well|wait|hold on|hmm+|oh|ah)\b[\W_]*)*"
_BEGINS = {kind: re.compile(rf"{_BEFORE}(?:{openers})\b", re.IGNORECASE) for kind, openers in OPENERS.items()}


def functional_class(step: str) -> FunctionalClass | None:
    """The first class with an opener that the step begins with, be it behind words such as "So", "But" or "Wait"; None for no class."""
    start = step.lstrip()[:200].replace("’", "'")
    return next((kind for kind, begins in _BEGINS.items() if begins.match(start)), None)
