"""What this package certifies of the models that `ask_auto_lirpa.py` is asked about.

    python benchmarks/beside_auto_lirpa.py --out docs/comparison/ours.csv

Certified inputs, operations to check, and seconds of the processor to find a certificate and to check it, with one
thread if the environment says so; nothing is shared between strategies.  The file is written anew.
"""

import argparse
import csv
import time
from pathlib import Path

import compactproofs as cp
from compactproofs.networks.decoder.model import Decoder
from compactproofs.search.prover import Prover

ATTENTION_ONLY = ("brute-force", "branch-and-bound", "failing-sets", "cubic")
ASKED = {
    "tests/cases/good.safetensors": ATTENTION_ONLY,
    "tests/cases/max2-v64-s0.safetensors": ATTENTION_ONLY,
    "tests/cases/mlp_max3_v10.safetensors": ("enumerate",),
    "tests/cases/backdoor1e18.safetensors": ("brute-force",),
    "tests/cases/leak1e18.safetensors": ("brute-force",),
    "max-of-4/123": ATTENTION_ONLY,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with options.out.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(("model", "strategy", "certified", "inputs", "flops", "find_seconds", "check_seconds"))
        for name, strategies in ASKED.items():
            model = cp.load_network(name)
            task = cp.task_for(model) if isinstance(model, Decoder) else None  # the largest, as it is for others
            for strategy in strategies:
                start = time.process_time()
                proof = Prover(model, task).prove(strategy)
                found = time.process_time()
                assert cp.verify(proof.certificate, model).accepted
                seconds = f"{found - start:.2f}", f"{time.process_time() - found:.2f}"
                certificate = proof.certificate
                short = "/".join(Path(name).with_suffix("").parts[-2:])
                row = (short, strategy, certificate.certified, certificate.total, proof.cost.flops, *seconds)
                print(*row, flush=True)
                lines.writerow(row)


if __name__ == "__main__":
    main()
