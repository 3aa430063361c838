"""Export models of the zoo, have coqc check them, and add a row for each to measured.csv; goes on where it ended.

usage: python formal/measure.py NAME... | python formal/measure.py --family max-of-4
"""

import argparse
import csv
import tempfile
import time
from pathlib import Path

from compactproofs import zoo
from compactproofs.formal.check import LIBRARY, check
from compactproofs.formal.export import export

COLUMNS = ("model", "at_least", "at_most", "total", "export_seconds", "coqc_seconds", "accepted", "axioms")


def main() -> None:
    """What the shell calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--family")
    parser.add_argument("--library", type=Path, default=LIBRARY)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "measured.csv")
    options = parser.parse_args()
    names = options.names + [name for name in zoo.names() if name.startswith(f"{options.family}/")]
    if not options.out.exists():
        options.out.write_text(",".join(COLUMNS) + "\n", encoding="ascii")
    with options.out.open(newline="", encoding="ascii") as stream:
        done = {row["model"] for row in csv.DictReader(stream)}
    for name in dict.fromkeys(names):
        if name in done:
            continue
        with tempfile.TemporaryDirectory() as directory:
            start = time.process_time()
            claims = export(zoo.load_model(name), Path(directory))
            exported = time.process_time() - start
            verdict = check(Path(directory), options.library)
        numbers = (claims.at_least, claims.at_most, claims.total, f"{exported:.1f}", f"{verdict.seconds:.1f}")
        with options.out.open("a", newline="", encoding="ascii") as stream:
            csv.writer(stream, lineterminator="\n").writerow((name, *numbers, verdict.accepted, len(verdict.axioms)))


if __name__ == "__main__":
    main()
