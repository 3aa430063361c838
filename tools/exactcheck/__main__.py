"""Check one certificate: exit code 0 accepted, 1 rejected, 2 an input is malformed, 3 undecided."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from exactcheck.checking import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
