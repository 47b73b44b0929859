"""The plan of the training arms, which is fixed, and committed as plan.json, before anything is trained.

`code` is a digest of what the results depend on in this folder: a run with other code is refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.oracle.openers import Setting

from asap.atomic import replacing
from asap.digest import content_digest
from asap.errors import InputError

FILE = Path(__file__).with_name("plan.json")
_CODE = ("arms", "attempts", "derive", "generate", "openers", "operations", "plan", "program", "results", "trace", "train")


@dataclass(frozen=True, slots=True)
class Plan:
    """Which arms are trained on what and tested on what."""

    arms: Sequence[str]
    seeds: Mapping[str, Sequence[int]]
    """The training seeds of each arm."""
    model: str
    setting: Setting
    train_rows: int
    train_seed: int
    test_rows: int
    test_seed: int
    recipe: Mapping[str, Any]
    """What `asap train --set` changes in its recipe `laptop`."""
    max_new_tokens: int
    batch: int
    """How many answers are written at once."""
    gate: float
    """By how much necessary-only must be above random, as a share of the test programs, with its interval above 0."""
    code: str = ""

    @classmethod
    def read(cls, file: Path) -> "Plan":
        """The plan in a file. Raises InputError if the code is another by now."""
        plan = cls(**json.loads(file.read_text("utf-8")))
        if plan.code != code_digest():
            raise InputError(f"{file} was made with other code ({plan.code}, now {code_digest()}); write and commit a plan first")
        return plan

    def write(self, file: Path) -> None:
        """Write the plan, with the digest of the code."""
        with replacing(file) as text:
            text.write(json.dumps({**asdict(self), "code": code_digest()}, indent=1) + "\n")


def code_digest() -> str:
    """A digest of the code and the counts that rows, arms and results depend on."""
    folder = Path(__file__).parent
    texts = [(folder / f"{name}.py").read_text("utf-8") for name in _CODE]
    return content_digest(*texts, (folder / "openers.json").read_text("utf-8"))[:16]
