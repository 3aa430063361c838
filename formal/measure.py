"""Measure theorems about models of the zoo; goes on where it ended.

usage: python formal/measure.py [--argument cubic] NAME... | --family max-of-4    coqc, a row for each in measured.csv
       python formal/measure.py --program [--argument cubic] ...                  the extracted program, in program.csv
"""

import argparse
import csv
import re
import tempfile
import time
from pathlib import Path
from typing import get_args

from compactproofs import zoo
from compactproofs.formal import extracted
from compactproofs.formal.check import LIBRARY, check
from compactproofs.formal.dyadic import exact_weights
from compactproofs.formal.export import Claims, export
from compactproofs.formal.extracted import Answer
from compactproofs.formal.hints import Argument, find_hints
from compactproofs.opening.models import Model
from compactproofs.search.certificates import Certificate
from compactproofs.tasks.max_of_k import max_of_k

HERE = Path(__file__).parent
BY_COQC = (
    *("model", "argument", "at_least", "at_most", "total"),
    *("export_seconds", "coqc_seconds", "accepted", "axioms"),
)
BY_PROGRAM = ("model", "argument", "at_least", "at_most", "total", "hints_seconds", "program_seconds")


def by_program(model: Model, argument: Argument) -> tuple[int, int, float, Answer]:
    """The bounds that the extracted program finds, the seconds for hints, and all that it says."""
    task = max_of_k(model).task
    start = time.process_time()
    hints = find_hints(exact_weights(model), argument)
    seconds = time.process_time() - start
    claim = Certificate(  # of more than is true, so that the bounds are printed
        *(task.record, model.sha256, "brute-force" if argument == "boxes" else argument, "", task.total, task.total),
        family=model.family,
    )
    with tempfile.TemporaryDirectory() as directory:
        model.save(Path(directory) / "m.safetensors")
        answer = extracted.answer(claim.to_bytes(), (Path(directory) / "m.safetensors").read_bytes(), hints)
    found = re.fullmatch(r"shown is only (\d+) <= correct_count <= (\d+)", answer.reason)
    at_least, at_most = (int(found[1]), int(found[2])) if found else (task.total, task.total)
    return at_least, at_most, seconds, answer


def program_row(model: Model, argument: Argument) -> tuple[object, ...]:
    """What the extracted program finds, and how fast."""
    at_least, at_most, seconds, answer = by_program(model, argument)
    return at_least, at_most, max_of_k(model).task.total, f"{seconds:.1f}", f"{answer.seconds:.1f}"


def coqc_row(model: Model, argument: Argument) -> tuple[object, ...]:
    """Whether Coq's kernel accepts the best theorem, and how fast."""
    claims = None
    if argument != "boxes":
        claims = Claims(max_of_k(model).task.total, by_program(model, argument)[0], argument=argument)
    with tempfile.TemporaryDirectory() as directory:
        start = time.process_time()
        claims = export(model, Path(directory), claims)
        exported = time.process_time() - start
        verdict = check(Path(directory), LIBRARY)
    numbers = (claims.at_least, claims.at_most, claims.total, f"{exported:.1f}", f"{verdict.seconds:.1f}")
    return *numbers, verdict.accepted, len(verdict.axioms)


def main() -> None:
    """What the shell calls."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--family")
    parser.add_argument(
        "--argument", choices=get_args(Argument), default="boxes", help="by boxes, or that of a strategy"
    )
    parser.add_argument("--program", action="store_true", help="by the extracted program, not by coqc")
    options = parser.parse_args()
    out, columns, row = (
        (HERE / "program.csv", BY_PROGRAM, program_row)
        if options.program
        else (HERE / "measured.csv", BY_COQC, coqc_row)
    )
    if not out.exists():
        out.write_text(",".join(columns) + "\n", encoding="ascii")
    with out.open(newline="", encoding="ascii") as stream:
        done = {(row["model"], row["argument"]) for row in csv.DictReader(stream)}
    names = options.names + [name for name in zoo.names() if name.startswith(f"{options.family}/")]
    for name in dict.fromkeys(names):
        if (name, options.argument) not in done:
            found = (name, options.argument, *row(zoo.load_model(name), options.argument))
            with out.open("a", newline="", encoding="ascii") as stream:
                csv.writer(stream, lineterminator="\n").writerow(found)


if __name__ == "__main__":
    main()
