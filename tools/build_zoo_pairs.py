"""Collect the models of the distribution compactproofs-zoo: the first that are right on all pairs, and their table.

    python tools/build_zoo_pairs.py DIR

needs the extra `train`. DIR is what `tools/train_pairs.py` wrote: a folder for each task, or its archives unpacked. Of
each task up to ten models are taken, in the order of seeds; whether they are right is computed here, in float64.
"""

import argparse
import csv
import hashlib
import io
import shutil
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load

import compactproofs_zoo
from compactproofs.system.files import write_atomically
from compactproofs.training.files import read_metadata
from compactproofs.training.pair_sum import PairConfig, logits, recipe_of, table, training_pairs

TASKS = ("add-59", "add-113", "S5", "D59", "A5", "S4")
MOST = 10


def row(file: Path) -> compactproofs_zoo.Row | None:
    """The row of a model, or None if some answer is wrong."""
    about = read_metadata(file)
    config = PairConfig(**about["config"])
    data = file.read_bytes()
    weights = {name: value.double()[None] for name, value in load(data).items()}
    answers = torch.from_numpy(table(config.task))
    right, one = answers.reshape(-1), torch.eye(len(answers), dtype=torch.float64)
    pairs = torch.cat([one.repeat_interleave(len(one), dim=0), one.repeat(len(one), 1)], dim=1)
    found = logits(recipe_of(config.task).form(weights), pairs[None])[0]
    at_answer = found.gather(1, right[:, None])
    others = found.scatter(1, right[:, None], -torch.inf)
    correct = (at_answer > others.amax(dim=1, keepdim=True))[:, 0].numpy()
    held_out = np.ones(len(right), bool)
    held_out[training_pairs(config, about["seed"])] = False
    if not correct.all():
        return None
    return compactproofs_zoo.Row(
        name=f"{config.task}/{about['seed']}",
        task=config.task,
        seed=about["seed"],
        epochs=about["epochs"],
        pairs=len(right),
        test_accuracy=float(correct[held_out].mean()),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def main() -> None:
    """Choose, copy, write the table."""
    parser = argparse.ArgumentParser(description="Collect the models of the distribution compactproofs-zoo.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    directory = parser.parse_args().directory
    package = Path(compactproofs_zoo.__file__).parent
    rows = []
    for task in TASKS:
        files = sorted((directory / task).glob("*.safetensors"), key=lambda file: int(file.stem))
        rights = [(file, found) for file in files if (found := row(file)) is not None]
        print(f"{task}: {len(rights)} of {len(files)} models are right on all pairs")
        for file, found in rights[:MOST]:
            target = package / "models" / f"{found.name}.safetensors"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            rows.append(found)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [field.name for field in fields(compactproofs_zoo.Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(found) for found in rows)
    write_atomically(package / "models.csv", stream.getvalue().encode())
    print(f"{len(rows)} models, {sum(path.stat().st_size for path in package.rglob('*.safetensors')):,} bytes")


if __name__ == "__main__":
    main()
