"""Histograms whose search is as fine as one likes: class by class, on all cores, kept in a folder, and gone on with.

    python benchmarks/large_k_finer.py MODEL FOLDER [--finer F] [--side lower|upper] [--from M]

What is not worth the trouble is F times less than `prove` takes it to be.  With M, nothing is searched about inputs
whose largest token is below M, of which there are few: from below those count as wrong that screening does not prove
right, from above all count as right.  Hints are kept for some classes at a time, so that a search that was interrupted
goes on where it was.  A folder is for one model; what is there is not searched again, whatever F it was searched with.
In the end there are certificates in the folder, and a line for each with its bound, the seconds of the search on one
core, those of the check, and FLOPs.
"""

import argparse
from collections.abc import Iterator
from concurrent.futures import as_completed
from io import BytesIO
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

import compactproofs as cp
from compactproofs.search.companions import HintArrays
from compactproofs.search.families import counting, on_all_cores
from compactproofs.search.prover import Prover
from compactproofs.system.files import write_atomically
from compactproofs.system.processes import cores, local_processes, submit
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems.max_of_k.counting.histogram import HISTOGRAM, HISTOGRAM_UPPER

QUERIES = 8  # of vocabularies of 64 that are searched together with one maximum


def pieces(v: int, least: int) -> Iterator[tuple[int, range]]:
    """A maximum and some queries, all of them one after the other; most of the work comes first."""
    number = max(QUERIES, QUERIES * v // 64)
    for m in reversed(range(least, v)):
        for first in range(0, m + 1, number):
            yield m, range(first, min(first + number, m + 1))


def searched(model: cp.Model, finer: float, over: bool, m: int, queries: range, path: Path) -> None:
    """What another process does: find these hints, and keep them with the seconds that it took."""
    start = process_time()
    hints = on_all_cores.of_classes(counting.plan, max_of_k(model), over, 1.0 / finer, m, queries)
    file = BytesIO()
    arrays: dict[str, Any] = {**hints, "seconds": np.array(process_time() - start)}
    np.savez_compressed(file, **arrays)
    write_atomically(path, file.getvalue())


def kept(path: Path) -> tuple[HintArrays, float]:
    """Hints, and the seconds that it took to find them."""
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files if name != "seconds"}, float(arrays["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--finer", type=float, default=1.0)
    parser.add_argument("--side", choices=("lower", "upper"))
    parser.add_argument("--from", type=int, default=0, dest="least")
    options = parser.parse_args()
    model = cp.load_model(options.model)
    if not 0.0 < options.finer < float("inf"):
        parser.error(f"--finer: expected a positive number, found {options.finer}")
    if not 0 <= options.least < model.d_vocab:
        parser.error(f"--from: expected a token, 0 to {model.d_vocab - 1}, found {options.least}")
    options.folder.mkdir(parents=True, exist_ok=True)
    whose = options.folder / "model_sha256"
    if whose.exists() and whose.read_text() != model.sha256:
        parser.error(f"{options.folder} holds a search of another model: choose another folder")
    write_atomically(whose, model.sha256.encode())
    strategies = {"lower": HISTOGRAM, "upper": HISTOGRAM_UPPER}
    sides = [options.side] if options.side else list(strategies)
    files = {
        (side, m, queries): options.folder / f"{side}-{m}-{queries.start}.npz"
        for m, queries in pieces(model.d_vocab, options.least)
        for side in sides
    }
    with local_processes(cores()) as executor:
        begun = [
            submit(executor, searched, model, options.finer, side == "lower", m, queries, path)
            for (side, m, queries), path in files.items()
            if not path.exists()
        ]
        for number, one in enumerate(as_completed(begun), 1):
            one.result()
            if number % 16 == 0 or number == len(begun):
                print(f"{number} of {len(begun)} pieces", flush=True)
    for side in sides:
        found = [kept(path) for (of, _, _), path in reversed(files.items()) if of == side]
        seconds = sum(each for _, each in found)
        hints = on_all_cores.joined([hints for hints, _ in found])
        if options.least > 0:
            below = np.array([[-1, options.least, *[0] * 9]])
            hints["steps"] = np.concatenate([hints["steps"], below])
        proof = Prover(model).certify(strategies[side], hints, seconds)
        proof.certificate.save(options.folder / f"{side}.cert.json")
        claim = proof.certificate
        print(
            f"{options.model} {side} {claim.certified} of {claim.total}: {float(proof.bound):.9f}",
            f"search {seconds:.0f} s, check {proof.verify_seconds:.0f} s, {proof.cost.flops:.1e} FLOPs",
            flush=True,
        )


if __name__ == "__main__":
    main()
