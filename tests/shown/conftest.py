"""The tiny models, servers and experiments of other tests can be imported here."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("golden", "lm", "reproduce")]
