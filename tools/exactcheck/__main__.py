"""Check one certificate: exit code 0 if it is accepted, 1 if it is rejected, 2 if an input is malformed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from exactcheck.checking import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
