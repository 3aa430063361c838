"""How cost grows: time, memory and operations of each family of strategies against tokens v and positions K.

    compactproofs train --out MODELS/K4-v128 --seed 123 --n-ctx 4 --d-vocab 128   # and so on
    python benchmarks/scaling.py measure MODELS --out docs/scaling.csv [--limit 120]
    python benchmarks/scaling.py draw docs/scaling.csv --out docs/figures/scaling

Each proof has a process of its own, and its check another one, whose peak memory is taken; what takes longer than the
limit gets a row without numbers.  Rows that are there are left alone.  Exponents are fitted to the logarithms of the
larger half of the sizes.
"""

import csv
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import matplotlib
import numpy as np
import typer
from matplotlib.figure import Figure

import compactproofs as cp
from compactproofs.search.families import companion_of
from compactproofs.search.prover import Prover
from compactproofs.system.files import write_atomically

STRATEGIES = {
    "brute-force": "#000000",
    "cubic": "#0072B2",
    "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact": "#56B4E9",
    "sub-cubic/mean_query+max_diff/mean_query+diff/mean_recursive+max_diff_subproduct_recursive": "#009E73",
    "failing-sets": "#D55E00",
    "branch-and-bound": "#E69F00",
    "histogram": "#CC79A7",
}
SHORT = {name: name.split("/")[0] for name in STRATEGIES} | {
    list(STRATEGIES)[2]: "sub-cubic",
    list(STRATEGIES)[3]: "sub-cubic, quadratic QK&EU",
}
MOST_INPUTS = 2**26  # for brute force
FIELDS = ("n_ctx", "d_vocab", "strategy", "bound", "flops", "int_ops", "prove_seconds", "verify_seconds", "verify_mib")

app = typer.Typer(add_completion=False)


@app.command()
def prove(model: str, strategy: str, out: Path) -> None:
    """Prove once, in this process: prints the numbers as JSON."""
    start = time.process_time()
    proof = Prover(cp.load_model(model)).prove(strategy)
    seconds = time.process_time() - start
    proof.certificate.save(out)
    bound = proof.certificate.certified / proof.certificate.total
    numbers = {"bound": bound, "flops": proof.cost.flops, "int_ops": proof.cost.int_ops, "prove_seconds": seconds}
    print(json.dumps(numbers))


@app.command()
def verify(model: str, certificate: Path) -> None:
    """Verify once, in this process: prints seconds and the peak memory in MiB as JSON."""
    start = time.process_time()
    assert cp.verify(cp.Certificate.load(certificate), cp.load_model(model)).accepted
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"verify_seconds": time.process_time() - start, "verify_mib": peak}))


def _child(limit: float, *words: str) -> dict[str, Any] | None:
    """What another process of this program prints; None if it takes too long or fails."""
    try:
        done = subprocess.run(
            [sys.executable, __file__, *words], capture_output=True, text=True, timeout=limit, check=True
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@app.command()
def measure(models: Path, out: Annotated[Path, typer.Option()], limit: float = 120.0) -> None:
    """Prove and verify by each strategy for all models in the folders of this one, the smallest first."""
    rows: list[dict[str, Any]] = list(csv.DictReader(out.open())) if out.exists() else []
    files = [(cp.load_model(str(path)), path) for path in models.glob("*/*.safetensors")]
    for model, path in sorted(files, key=lambda each: (each[0].n_ctx, each[0].d_vocab)):
        for strategy in STRATEGIES:
            size = {"n_ctx": str(model.n_ctx), "d_vocab": str(model.d_vocab), "strategy": strategy}
            if any(all(row[key] == value for key, value in size.items()) for row in rows):
                continue
            if strategy == "brute-force" and model.d_vocab**model.n_ctx > MOST_INPUTS:
                continue
            with tempfile.TemporaryDirectory() as folder:
                proof = f"{folder}/p.cert.json"
                proved = _child(limit, "prove", str(path), strategy, proof)
                checked = _child(limit, "verify", str(path), proof) if proved else None
            rows.append({**dict.fromkeys(FIELDS, ""), **size, **(proved or {}), **(checked or {})})
            lines = [",".join(FIELDS), *(",".join(_text(row[name]) for name in FIELDS) for row in rows)]
            write_atomically(out, ("\n".join(lines) + "\n").encode())
            print(size, proved, checked, flush=True)


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def points(rows: list[dict[str, str]], strategy: str, axis: str, field: str) -> tuple[list[float], list[float]]:
    """Sizes and numbers of a strategy, along tokens at K = 4 or along positions at v = 64."""
    fixed, value = ("n_ctx", "4") if axis == "d_vocab" else ("d_vocab", "64")
    kept = [row for row in rows if row["strategy"] == strategy and row[fixed] == value and row[field]]
    kept.sort(key=lambda row: int(row[axis]))
    return [float(row[axis]) for row in kept], [float(row[field]) for row in kept]


def exponent(x: list[float], y: list[float]) -> float | None:
    """The slope of the logarithms over the larger half of the sizes; None where there are fewer than three."""
    half = max(3, (len(x) + 1) // 2)
    if len(x) < 3:
        return None
    return float(np.polyfit(np.log(x[-half:]), np.log(y[-half:]), 1)[0])


PANELS = (
    ("d_vocab", "flops", "operations of verification", "tokens v, K = 4"),
    ("d_vocab", "verify_seconds", "seconds of verification", "tokens v, K = 4"),
    ("d_vocab", "verify_mib", "peak memory of verification, MiB", "tokens v, K = 4"),
    ("n_ctx", "flops", "operations of verification", "positions K, v = 64"),
    ("n_ctx", "verify_seconds", "seconds of verification", "positions K, v = 64"),
    ("n_ctx", "bound", "share that is certified", "positions K, v = 64"),
)


@app.command()
def draw(table: Path, out: Annotated[Path, typer.Option()]) -> None:
    """Draw how they grow, and print a table of exponents."""
    matplotlib.rcParams["svg.hashsalt"] = "scaling"  # so that the file is the same each time
    rows = list(csv.DictReader(table.open()))
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    for index, (axis, field, ylabel, xlabel) in enumerate(PANELS):
        axes = figure.add_subplot(2, 3, index + 1)
        for mark, (strategy, colour) in zip("ov^sDPX", STRATEGIES.items(), strict=True):
            x, y = points(rows, strategy, axis, field)
            axes.plot(x, y, marker=mark, markersize=5, color=colour, label=SHORT[strategy], linewidth=1.2)
        axes.set_xscale("log", base=2)
        if field != "bound":
            axes.set_yscale("log", base=2 if field == "flops" else 10)
        ticks = (16, 32, 64, 128, 256, 512) if axis == "d_vocab" else (2, 3, 4, 5, 7, 10, 14, 20)
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    for suffix in ("png", "svg"):
        figure.savefig(out.with_suffix(f".{suffix}"), dpi=110, metadata={"Date": None} if suffix == "svg" else None)
    print("\n".join(table_of_exponents(rows)))


def table_of_exponents(rows: list[dict[str, str]]) -> list[str]:
    """Fitted exponents beside what the theorems say, as lines of Markdown."""
    lines = [
        "| strategy | complexity of the theorem | operations in v | seconds in v | memory in v | operations in K |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for strategy in STRATEGIES:
        fits = [
            exponent(*points(rows, strategy, axis, field))
            for axis, field in (("d_vocab", "flops"), ("d_vocab", "verify_seconds"), ("d_vocab", "verify_mib"))
        ]
        fits.append(exponent(*points(rows, strategy, "n_ctx", "flops")))
        cells = ["" if fit is None or not math.isfinite(fit) else f"{fit:.2f}" for fit in fits]
        lines.append(
            f"| {SHORT[strategy]} | {companion_of(cp.STRATEGIES[strategy]).complexity} | {' | '.join(cells)} |"
        )
    return lines


if __name__ == "__main__":
    app()
