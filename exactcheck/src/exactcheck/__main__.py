"""Check one certificate: exit code 0 accepted, 1 rejected, 2 malformed input or a check that broke off, 3 undecided."""

import sys

from exactcheck.checking import main as check


def main() -> None:
    """The program `exactcheck`: whatever goes wrong in it, exit code 1 means a rejection, and nothing else."""
    try:
        code = check(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        print(f"the check broke off, which says nothing about the claim: {error!a}", file=sys.stderr)
        code = 2
    sys.exit(code)


if __name__ == "__main__":
    main()
