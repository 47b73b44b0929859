"""`python -m asap`, and the command `asap`."""

import sys


def main() -> None:
    """Run the command line and exit with its exit code."""
    from asap.cli import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
