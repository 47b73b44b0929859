"""Records what the golden runs write.

    python tests/golden/record.py             rewrites tests/golden/expected, after a change of the output that is wanted
    python tests/golden/record.py --to DIR    writes the files whole into a new folder DIR, to compare two commits on one machine

For the second use, run it once for each commit, each time with that commit's `src` in PYTHONPATH, and `diff -r` the folders. Only
what varies from run to run is masked there (VARIES in golden_files.py); other packages and other CPUs make other bytes.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from golden_runs import EXPECTED, for_comparison, make_runs, write_files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, metavar="DIR")
    to = parser.parse_args().to
    if to is not None and to.exists():
        parser.error(f"{to} exists already")
    with tempfile.TemporaryDirectory() as scratch:
        runs = make_runs(Path(scratch) / "golden")
    if to is None:
        shutil.rmtree(EXPECTED, ignore_errors=True)
        runs = {name: for_comparison(files) for name, files in runs.items()}
    write_files(to or EXPECTED, runs)


if __name__ == "__main__":
    main()
