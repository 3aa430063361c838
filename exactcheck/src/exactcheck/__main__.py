"""Check one certificate: exit code 0 accepted, 1 rejected, 2 an input is malformed, 3 undecided."""

import sys

from exactcheck.checking import main as check


def main() -> None:
    """The program `exactcheck`."""
    sys.exit(check(sys.argv[1:]))


if __name__ == "__main__":
    main()
