"""Prints constraints for everything that pip resolved but this package: a line for each, without the build of torch.

Usage: python .ci/constraints.py REPORT, which `pip install --dry-run --report REPORT` wrote.
"""

import json
import sys
from pathlib import Path


def lines(report: str) -> list[str]:
    """`name==version` of each package in pip's report."""
    found = json.loads(report)["install"]
    about = [one["metadata"] for one in found if not one["download_info"].get("dir_info", {}).get("editable")]
    return sorted((f"{one['name']}=={one['version'].partition('+')[0]}" for one in about), key=str.lower)


if __name__ == "__main__":
    print("\n".join(lines(Path(sys.argv[1]).read_text("utf-8"))))
