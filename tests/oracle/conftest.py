"""The scripts of experiments/ are imported as `experiments.…`, from the repository's root."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
