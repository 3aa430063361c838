"""Build the zoo: train every model that ships with the package, count how often it is right, write the table.

    python tools/build_zoo.py [--jobs 2] [FAMILY ...]
    python tools/build_zoo.py --tightened DIR

needs the extra `train`. The first takes about an hour on two cores. It can be stopped at any time and started
again: models whose file is there are not trained again, and rows of the table that belong to an unchanged file are
kept. To build a model anew, delete its file. The second takes over what `compactproofs tighten --seeds all --out DIR`
made.

Families of K=4 are counted over all inputs in plain float64 without error bounds: that says what to expect and
certifies nothing. The counts of K=5 are proved by branch and bound from both sides, and so were those of tightened
models by `tighten`. For longer ones the accuracy over a fixed random sample is noted instead.
"""

import argparse
import csv
import io
import itertools
import json
import math
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

import compactproofs as cp
from compactproofs import zoo
from compactproofs.opening.models import Model
from compactproofs.system.files import write_atomically
from compactproofs.training import TrainingConfig, train
from compactproofs.training.files import read_metadata

Table = npt.NDArray[np.float64]

# fmt: off
SEEDS = (
    50, 104, 123, 519, 742, 913, 1185, 1283, 1412, 1490, 1681, 1696, 1895, 1951, 2236, 2306, 2345, 2549, 2743, 2773,
    3175, 3254, 3284, 4157, 4305, 4430, 4647, 4729, 4800, 4810, 5358, 5615, 5781, 5928, 6082, 6155, 6159, 6204, 6532,
    6549, 6589, 6910, 7098, 7238, 7310, 7467, 7790, 7884, 8048, 8299, 8721, 8745, 8840, 8893, 9132, 9134, 9504, 9816,
    10248, 11124, 11130, 11498, 11598, 11611, 12141, 12287, 12457, 12493, 12552, 12561, 13036, 13293, 13468, 13654,
    13716, 14095, 14929, 15043, 15399, 15622, 15662, 16069, 16149, 16197, 16284, 17080, 17096, 17194, 17197, 18146,
    18289, 18668, 19004, 19093, 19451, 19488, 19538, 19917, 20013, 20294, 20338, 20415, 20539, 20751, 20754, 20976,
    21317, 21598, 22261, 22286, 22401, 22545, 23241, 23367, 23447, 23633, 23696, 24144, 24173, 24202, 24262, 24438,
    24566, 25516, 26278, 26374, 26829, 26932, 27300, 27484, 27584, 27671, 27714, 28090, 28716, 28778, 29022, 29052,
    29110, 29195, 29565, 29725, 29726, 30371, 30463, 30684, 30899, 31308, 32103, 32374, 32382,
)
# fmt: on
SAMPLES = 1_000_000
SAMPLE_SEED = 20240618
LONGEST_COUNTED = 4  # the largest K for which all inputs are gone through
LONGEST_PROVED = 5  # and for which branch and bound decides them

FAMILIES = {
    "max-of-4": (TrainingConfig(n_ctx=4, d_vocab=64), SEEDS),
    "max-of-5": (TrainingConfig(n_ctx=5, d_vocab=64), SEEDS),
    "max-of-10": (TrainingConfig(n_ctx=10, d_vocab=64), SEEDS[:20]),
    "max-of-10-v128": (TrainingConfig(n_ctx=10, d_vocab=128), SEEDS[:20]),
    "max-of-20": (TrainingConfig(n_ctx=20, d_vocab=64), SEEDS[:20]),
    "max-of-20-v512": (TrainingConfig(n_ctx=20, d_vocab=512), SEEDS[:5]),
}
ORIGINALS = "max-of-4"
TIGHTENED = "max-of-4-tightened"  # the same models after training toward a proof


@dataclass(frozen=True)
class Tables:
    """The model in float64, as tables over query q, token t, position p and output o.

    scores (v, K, v) by q, p, t; direct (v, v) by q, o; by_token (v, v) by t, o; by_position (K, v) by p, o.
    """

    scores: Table
    direct: Table
    by_token: Table
    by_position: Table


def read_tables(path: Path) -> Tables:
    """Multiply the weights out."""
    weights = {name: value.astype(np.float64) for name, value in load_file(path).items()}
    tokens, positions, unembed = weights["embed.W_E"], weights["pos_embed.W_pos"], weights["unembed.W_U"]
    query, key, value, output = (weights[f"blocks.0.attn.W_{letter}"][0] for letter in "QKVO")
    last = tokens + positions[-1]
    query_key = last @ query @ key.T / math.sqrt(query.shape[1])
    return Tables(
        scores=(query_key @ positions.T)[:, :, None] + (query_key @ tokens.T)[:, None, :],
        direct=last @ unembed,
        by_token=tokens @ value @ output @ unembed,
        by_position=positions @ value @ output @ unembed,
    )


def exact_correct(tables: Tables) -> int:
    """The number of inputs whose largest token has a logit strictly above all others, for K of at least 3.

    It goes through all v^K inputs. Times the softmax's denominator, the logits are a sum over positions of table
    entries, so an input costs one addition and one maximum per output.
    """
    v, n, _ = tables.scores.shape
    token = np.arange(v)
    last_two = np.maximum(token[:, None], token)  # the larger of the tokens at positions n-3 and n-2
    rows = np.arange(v * v)
    written = tables.by_token[None] + tables.by_position[:, None]  # (K, v, v) by p, t, o
    correct = 0
    for q in range(v):
        weight = np.exp(tables.scores[q] - tables.scores[q].max())
        terms = weight[:, :, None] * (tables.direct[q] + written)  # (K, v, v)
        pairs = (terms[n - 3][:, None] + terms[n - 2]).reshape(v * v, v)
        for prefix in itertools.product(range(v), repeat=n - 3):
            logits = pairs + (terms[n - 1, q] + sum(terms[p, t] for p, t in enumerate(prefix)))
            labels = np.maximum(last_two, max(q, *prefix) if prefix else q).reshape(-1)
            at_label = logits[rows, labels]
            logits[rows, labels] = -np.inf
            correct += int(np.count_nonzero(at_label > logits.max(axis=1)))
    return correct


def proved_correct(model: Model) -> int | None:
    """The number of correct answers, if branch and bound finds the same from below and from above."""
    prover = cp.Prover(model)
    least, most = (prover.prove(f"branch-and-bound{side}").certificate.certified for side in ("", "-upper"))
    return least if least == most else None


def sampled_correct(tables: Tables, samples: int, seed: int) -> int:
    """The number of correct answers on `samples` uniform inputs from a generator seeded with `seed`."""
    v, n, _ = tables.scores.shape
    rng = np.random.default_rng(seed)
    correct = 0
    for size in (min(4096, samples - start) for start in range(0, samples, 4096)):
        inputs = rng.integers(v, size=(size, n))
        queries, labels, rows = inputs[:, -1], inputs.max(axis=1), np.arange(size)
        scores = tables.scores[queries[:, None], np.arange(n), inputs]
        pattern = np.exp(scores - scores.max(axis=1, keepdims=True))
        pattern /= pattern.sum(axis=1, keepdims=True)
        logits = tables.direct[queries] + pattern @ tables.by_position
        for p in range(n):
            logits += pattern[:, p, None] * tables.by_token[inputs[:, p]]
        at_label = logits[rows, labels]
        logits[rows, labels] = -np.inf
        correct += int(np.count_nonzero(at_label > logits.max(axis=1)))
    return correct


def evaluate(family: str, seed: int, path: Path) -> zoo.ZooRow:
    """The row of one model."""
    about = read_metadata(path)
    config = TrainingConfig(**about["config"])
    exact = sampled = samples = None
    tables = read_tables(path)
    if config.n_ctx <= LONGEST_COUNTED:
        exact = exact_correct(tables)
    elif config.n_ctx <= LONGEST_PROVED:
        exact = proved_correct(Model.load(path))
    if exact is None:
        samples = SAMPLES
        sampled = sampled_correct(tables, samples, SAMPLE_SEED) / samples
    return zoo.ZooRow(
        name=f"{family}/{seed}",
        seed=seed,
        n_ctx=config.n_ctx,
        d_vocab=config.d_vocab,
        d_model=config.d_model,
        d_head=config.d_head,
        steps=config.steps,
        final_loss=about["final_loss"],
        exact_correct=exact,
        total=config.d_vocab**config.n_ctx,
        sampled_accuracy=sampled,
        samples=samples,
        model_sha256=Model.load(path).sha256,
    )


def tightened_row(result: Path, directory: Path, rows: dict[str, zoo.ZooRow]) -> zoo.ZooRow:
    """Take over one model that `compactproofs tighten` made of one of the zoo; its row."""
    found = json.loads(result.read_text(encoding="utf-8"))["result"]
    before = rows[found["model"]]
    file = directory / "models" / f"{before.name}.safetensors"
    if Model.load(file).sha256 != found["sha256_after"] or before.model_sha256 != found["sha256_before"]:
        raise ValueError(f"{result}: is about other weights than {file} or the zoo's {before.name}")
    name = f"{TIGHTENED}/{before.seed}"
    target = Path(zoo.__file__).parent / "models" / f"{name}.safetensors"
    target.parent.mkdir(exist_ok=True)
    write_atomically(target, file.read_bytes())
    return replace(
        before,
        name=name,
        steps=read_metadata(file)["settings"]["steps"],
        final_loss=None,
        exact_correct=found["correct_after"],
        model_sha256=found["sha256_after"],
    )


def take_tightened(directory: Path, rows: dict[str, zoo.ZooRow]) -> None:
    """Take over all models that `compactproofs tighten` made of those of the main experiment."""
    for seed in SEEDS:
        (result,) = (directory / "results").glob(f"{ORIGINALS}-{seed}-*.json")
        row = tightened_row(result, directory, rows)
        rows[row.name] = row


def write_table(path: Path, rows: dict[str, zoo.ZooRow]) -> None:
    """Write the rows in the order of the families and seeds; a missing value is an empty cell."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [field.name for field in fields(zoo.ZooRow)], lineterminator="\n")
    writer.writeheader()
    for family, seeds in [*((family, seeds) for family, (_, seeds) in FAMILIES.items()), (TIGHTENED, SEEDS)]:
        writer.writerows(asdict(rows[name]) for seed in seeds if (name := f"{family}/{seed}") in rows)
    write_atomically(path, stream.getvalue().encode())


def describe(family: str, rows: list[zoo.ZooRow]) -> str:
    """One line on the accuracies of a family."""
    values = [
        row.sampled_accuracy if row.sampled_accuracy is not None else (row.exact_correct or 0) / row.total
        for row in rows
    ]
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    return f"{family}: {len(rows)} models, accuracy {mean:.5f} ± {deviation:.5f}, lowest {min(values):.5f}"


def main() -> None:
    """Train, evaluate, write."""
    parser = argparse.ArgumentParser(description="Train and evaluate the models that ship with the package.")
    parser.add_argument(
        "families", nargs="*", metavar="FAMILY", help=f"one or more of {', '.join(FAMILIES)}; default: all"
    )
    parser.add_argument(
        "--tightened", type=Path, metavar="DIR", help="take over what `compactproofs tighten` made there"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    options = parser.parse_args()
    if unknown := sorted(set(options.families) - set(FAMILIES)):
        parser.error(f"unknown family {unknown[0]!r}; known: {', '.join(FAMILIES)}")

    package = Path(zoo.__file__).parent
    table_path = package / "models.csv"
    rows = {row.name: row for row in zoo.table()} if table_path.exists() else {}
    if options.tightened:
        take_tightened(options.tightened, rows)
        write_table(table_path, rows)
        print(describe(TIGHTENED, [rows[f"{TIGHTENED}/{seed}"] for seed in SEEDS]))
        return
    for family in options.families or FAMILIES:
        config, seeds = FAMILIES[family]
        directory = package / "models" / family
        began = time.monotonic()
        report = train(config, seeds, directory, jobs=options.jobs, progress=True)
        print(f"{family}: trained {len(report.trained)} models in {time.monotonic() - began:.0f} s", flush=True)

        began = time.monotonic()
        with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            waiting = []
            for seed in seeds:
                name, path = f"{family}/{seed}", directory / f"{seed}.safetensors"
                if name not in rows or rows[name].model_sha256 != Model.load(path).sha256:
                    waiting.append(pool.submit(evaluate, family, seed, path))
            for done in as_completed(waiting):
                row = done.result()
                rows[row.name] = row
                write_table(table_path, rows)
        print(f"{family}: evaluated {len(waiting)} models in {time.monotonic() - began:.0f} s")
        print(describe(family, [rows[f"{family}/{seed}"] for seed in seeds]), flush=True)


if __name__ == "__main__":
    main()
