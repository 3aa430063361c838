"""What strategies prove about networks of two arguments, and what that takes: a table and a picture.

    python benchmarks/two_arguments.py measure MODELS... --out docs/strategies/pair-sum.csv
    python benchmarks/two_arguments.py draw docs/strategies/pair-sum.csv --tightened docs/tighten/pairs/results.csv \
        --out docs/figures/pair-sum

MODELS are safetensors files as `compactproofs train-pairs` writes them, TASK/SEED.safetensors; what the table has
already is left alone.  One core takes some ten seconds for a model.
"""

import csv
import math
from pathlib import Path
from statistics import fmean, median
from typing import Annotated

import matplotlib
import typer
from matplotlib.figure import Figure

import compactproofs as cp
from compactproofs.runs.inputs import open_file
from compactproofs.search.prover import Prover
from compactproofs.search.questions import Options, asked
from compactproofs.system.files import write_atomically

STRATEGIES = (
    "pair-sum/brute-force",
    "pair-sum/low-rank",
    "pair-sum/low-rank-separable",
    "pair-sum/low-rank-halves",
    "pair-sum/thin-halves",
    "pair-sum/equivariant-distance",
)
#: Colours that are told apart with any colour vision, and a mark for each strategy.
COLOURS = {
    "add-59": "#0072B2",
    "add-113": "#56B4E9",
    "S4": "#E69F00",
    "A5": "#CC79A7",
    "S5": "#D55E00",
    "D59": "#009E73",
}
MARKS = dict(zip(STRATEGIES, "soD^Pv", strict=True))
TIGHTENED = "few-directions, of networks\ntrained toward it"
#: Those that prove nothing about perceptrons.
OF_TRANSFORMERS = ("pair-sum/thin-halves",)
FIELDS = ("task", "seed", "strategy", "certified", "total", "right", "flops", "int_ops", "verify_seconds")

app = typer.Typer(add_completion=False)


@app.command()
def measure(models: list[Path], out: Annotated[Path, typer.Option()]) -> None:
    """Prove by all strategies, and add the lines to the table."""
    rows = list(csv.DictReader(out.open())) if out.exists() else []
    for path in models:
        task, seed = path.parent.name, path.stem
        known = {row["strategy"]: row for row in rows if (row["task"], row["seed"]) == (task, seed)}
        question = asked(open_file(str(path)), Options())
        perceptron = question.network.architecture == "mlp"
        missing = [s for s in STRATEGIES if s not in known and not (perceptron and s in OF_TRANSFORMERS)]
        if not missing:
            continue
        prover = Prover(question.network, question.task)
        proofs = {strategy: prover.prove(strategy) for strategy in missing}
        every = STRATEGIES[0]
        right = known[every]["right"] if every in known else proofs[every].certificate.certified
        for strategy, proof in proofs.items():
            numbers = (
                proof.certificate.certified,
                proof.certificate.total,
                right,
                proof.cost.flops,
                proof.cost.int_ops,
            )
            rows.append(dict(zip(FIELDS, (task, seed, strategy, *numbers, f"{proof.verify_seconds:.3f}"), strict=True)))
        lines = [",".join(FIELDS), *(",".join(str(row[name]) for name in FIELDS) for row in rows)]
        write_atomically(out, ("\n".join(lines) + "\n").encode())
        print(task, seed, *(f"{s}: {p.certificate.certified}" for s, p in proofs.items()), flush=True)


@app.command()
def draw(table: Path, out: Annotated[Path, typer.Option()], tightened: Annotated[Path, typer.Option()]) -> None:
    """Draw share of the right inputs against operations, and print a table of means.

    `tightened`: what few directions prove about networks that were trained toward it, which have a mark of their own.
    """
    matplotlib.rcParams["svg.hashsalt"] = "pair-sum"  # so that the file is the same each time
    rows = list(csv.DictReader(table.open()))
    figure = Figure(figsize=(8.5, 5), layout="constrained")
    axes = figure.add_subplot()
    for task, colour in COLOURS.items():
        for strategy, mark in MARKS.items():
            part = [row for row in rows if (row["task"], row["strategy"]) == (task, strategy)]
            if not part:
                continue
            shares = [int(row["certified"]) / int(row["right"]) for row in part]
            operations = [int(row["flops"]) for row in part]
            axes.scatter(operations, shares, marker=mark, s=34, color=colour, alpha=0.55, linewidth=0)
            exact = sum(row["certified"] == row["right"] for row in part)
            print(
                f"| {task} | {strategy} | {len(part)} "
                f"| {fmean(shares):.4f} | {sum(x >= 0.95 for x in shares)} | {exact} "
                f"| 2^{math.log2(min(operations)):.2f} | 2^{math.log2(median(operations)):.2f} "
                f"| {fmean(float(row['verify_seconds']) for row in part):.2f} |"
            )
    for task, colour in COLOURS.items():
        axes.scatter([], [], color=colour, label=task)
    for strategy, mark in MARKS.items():
        axes.scatter([], [], color="0.3", marker=mark, label=strategy.removeprefix("pair-sum/"))
    others = list(csv.DictReader(tightened.open()))
    operations = [int(row["flops"]) for row in others]
    shares = [int(row["proved"]) / int(row["correct_after"]) for row in others]
    axes.scatter(operations, shares, marker="*", s=110, facecolor="none", edgecolor=COLOURS["add-59"], label=TIGHTENED)
    axes.annotate(
        f"{len(others)} other networks, trained from\nthose of add-59 toward this proof",
        (max(operations), min(shares)),
        xytext=(0, -14),
        textcoords="offset points",
        ha="left",
        va="top",
        fontsize="small",
        color=COLOURS["add-59"],
    )
    axes.set_xscale("log", base=2)
    axes.set_xlabel("operations of verification")
    axes.set_ylabel("share of the right inputs that is certified")
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="center right")
    for suffix in ("png", "svg"):
        figure.savefig(out.with_suffix(f".{suffix}"), dpi=110, metadata={"Date": None} if suffix == "svg" else None)
    print(f"{out}.png, {out}.svg by compactproofs {cp.__version__}")


if __name__ == "__main__":
    app()
