"""The scripts of experiments/ are imported as `experiments.…`, from the repository's root; tiny models come from tests/train."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS / "train")]
