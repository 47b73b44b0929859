"""`python -m asap`, and the command `asap`."""

import os
import sys


def main() -> None:
    """Run the command line and exit with its exit code."""
    _fill_standard_streams()
    from asap.cli import run

    sys.exit(run(sys.argv[1:]))


def _fill_standard_streams() -> None:
    """Open what is closed of stdin, stdout and stderr on nothing, so that no file gets their numbers and what libraries print into them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
