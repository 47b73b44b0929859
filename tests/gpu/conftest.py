"""The scripts of benchmarks/gpu are imported by their names, as they run; tiny models come from tests/train."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS.parent / "benchmarks" / "gpu"), str(TESTS / "train")]
