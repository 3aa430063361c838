"""Coverage-guided fuzzing with atheris, from the repository's root:

    python tests/fuzz certificate|model|verify [--minutes 10] [--found DIRECTORY]

It starts from the corpus in tests/certificates and keeps what reaches new code in DIRECTORY, where it goes on the next
time.  It stops at the first violation, leaves the bytes in a file named crash-..., and tells so; such a file belongs
into tests/certificates/fuzzed/TARGET once the cause is mended.  Needs `pip install atheris` and the extra `dev`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

with atheris.instrument_imports(include=["compactproofs"]):
    from fuzz.seeds import seeds
    from fuzz.targets import TARGETS


def main() -> None:
    """Parse, write the seeds, fuzz."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--found", type=Path, default=None, help="where inputs that reach new code are kept")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = chosen.found or Path(folder) / "found"
        start = Path(folder) / "seeds"
        for directory in (found, start):
            directory.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(seeds(chosen.target)):
            (start / str(number)).write_bytes(data)
        limits = [f"-max_total_time={round(60 * chosen.minutes)}", "-timeout=5", "-rss_limit_mb=1024", "-max_len=65536"]
        atheris.Setup([sys.argv[0], *limits, str(found), str(start)], TARGETS[chosen.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
