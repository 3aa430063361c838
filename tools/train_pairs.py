"""Train networks on tables of pairs, task after task within a limit of time, and pack them.

    PYTHONPATH=src python tools/train_pairs.py --work DIR --out DIR [--device cuda] [--seconds 540] [ENTRY ...]

needs PyTorch and safetensors, nothing else of what the package needs. An ENTRY is TASK:SEEDS:EPOCHS:SECONDS:FRACTION,
such as `S5:0-11:25000:120:` or `S4:0,5,7::60:0.8`; EPOCHS and FRACTION, the part of all pairs that is trained on, may
be empty, for those of the recipe. Entries are trained in their order, each for its own time at most and all of them for
`--seconds`, and one that fails does not stop the others.

Models and checkpoints go to the work folder, so that the same call goes on where it was stopped. The other one gets a
tar archive for each entry, in parts of 16 MiB at most, and `log.json` with times and measurements.
"""

import argparse
import io
import json
import math
import re
import sys
import tarfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from compactproofs.system.files import write_atomically
from compactproofs.training.pair_sum import PairReport, config_for, table, train_pairs

# The most important first. The seeds of modular addition are the first of its published ones; from two fifths of its
# pairs the smallest group is hardly ever learned.
ENTRIES = (
    "add-59:50,104,123,519,742,913,1185,1283,1412,1490::150:",
    "S5:0-11::120:",
    "A5:0-11::80:",
    "D59:0-11::120:",
    "add-113:50,104,123::80:",
    "S4:0-11::60:0.8",
    "add-59:50,104,123,519,742,913,1185,1283,1412,1490:50000:150:",
)
SMOKE = ("add-7:0-1:60:60:", "S3:0,2,3:60:60:0.8")
LARGEST = 16 * 2**20

_ENTRY = re.compile(r"([A-Za-z0-9-]+):([0-9,-]+):([0-9]*):([0-9]+):([0-9.]*)", re.ASCII)


@dataclass(frozen=True)
class Entry:
    """What to train, and for how many seconds at most."""

    task: str
    seeds: tuple[int, ...]
    epochs: int | None
    seconds: int
    fraction: float | None

    @property
    def name(self) -> str:
        """Of its folder and archive: the task, and the epochs if they are not the recipe's."""
        return self.task if self.epochs is None else f"{self.task}-{self.epochs}"


def entry_of(text: str) -> Entry:
    """What an entry says. Raises ValueError if it is none."""
    match = _ENTRY.fullmatch(text)
    if match is None:
        raise ValueError(f"an entry is TASK:SEEDS:EPOCHS:SECONDS:FRACTION, such as S5:0-11::120:, and not {text!r}")
    task, listed, epochs, seconds, fraction = match.groups()
    seeds: list[int] = []
    for part in listed.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    table(task)
    return Entry(task, tuple(seeds), int(epochs or 0) or None, int(seconds), float(fraction or 0) or None)


def archives(name: str, paths: list[Path]) -> Iterator[tuple[str, bytes]]:
    """The files in archives of at most `LARGEST` bytes, with their names; equal files give equal archives."""
    parts: list[list[Path]] = [[]]
    room = float(LARGEST)
    for path in paths:
        taken = path.stat().st_size + 2048  # a header and filling
        if taken > room - 2 * tarfile.RECORDSIZE:
            parts.append([])
            room = LARGEST
        parts[-1].append(path)
        room -= taken
    for number, part in enumerate(filter(None, parts), 1):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path in part:
                data = path.read_bytes()
                header = tarfile.TarInfo(f"{name}/{path.name}")
                header.size = len(data)
                archive.addfile(header, io.BytesIO(data))
        yield f"{name}.tar" if number == 1 else f"{name}-part-{number}.tar", stream.getvalue()


def logged(entry: Entry, report: PairReport) -> dict[str, Any]:
    """What the log says of an entry."""
    history = [
        {"epochs": epochs, "seconds": round(seconds, 2), "measured": [asdict(each) for each in found]}
        for epochs, seconds, found in report.history
    ]
    seeds = [int(path.stem) for path in report.trained]
    return {
        **asdict(entry),
        "trained": seeds,
        "done": report.epochs,
        "took": round(report.seconds, 2),
        "history": history,
    }


def main() -> int:
    """Train, pack, write the log; 1 if an entry failed."""
    parser = argparse.ArgumentParser(description="Train networks on tables of pairs, and pack them.")
    parser.add_argument(
        "entries", nargs="*", metavar="ENTRY", help="TASK:SEEDS:EPOCHS:SECONDS:FRACTION; default: a long list"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for models and checkpoints")
    parser.add_argument("--out", type=Path, required=True, help="folder for archives and the log")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="for all entries together")
    parser.add_argument("--every", type=int, default=None, help="epochs between measurements and checkpoints")
    parser.add_argument("--no-graph", action="store_true", help="on a GPU, launch each kernel by itself")
    parser.add_argument("--smoke", action="store_true", help="two tiny entries, to see whether everything works")
    options = parser.parse_args()
    try:
        entries = [entry_of(text) for text in options.entries or (SMOKE if options.smoke else ENTRIES)]
    except ValueError as error:
        parser.error(str(error))
    if len({entry.name for entry in entries}) != len(entries):
        parser.error("two entries have the same task and epochs")

    began, failed = time.monotonic(), 0
    lines: list[dict[str, Any]] = []
    on = torch.cuda.get_device_name() if options.device != "cpu" and torch.cuda.is_available() else options.device
    about: dict[str, Any] = {"torch": torch.__version__, "device": on, "entries": lines}
    for entry in entries:
        left = options.seconds - (time.monotonic() - began)
        if left <= 0:
            print(f"{entry.name}: no time left", flush=True)
            continue
        folder = options.work / entry.name
        try:
            report = train_pairs(
                config_for(entry.task, epochs=entry.epochs, fraction=entry.fraction),
                entry.seeds,
                folder,
                device=options.device,
                graph=not options.no_graph,
                every=options.every or (25 if options.smoke else 2500),
                seconds=min(entry.seconds, left),
                tell=lambda line: print(line, flush=True),
            )
            lines.append(logged(entry, report))
            paths = [folder / f"{seed}.safetensors" for seed in entry.seeds]
            options.out.mkdir(parents=True, exist_ok=True)
            for name, data in archives(entry.name, paths):
                write_atomically(options.out / name, data)
                print(f"{name}: {len(data):,} bytes", flush=True)
        except Exception as error:
            traceback.print_exc()
            lines.append({**asdict(entry), "error": repr(error)})
            failed = 1
        options.out.mkdir(parents=True, exist_ok=True)
        about["seconds"] = round(time.monotonic() - began, 2)
        write_atomically(options.out / "log.json", json.dumps(about).encode())
    print(f"{len(lines)} of {len(entries)} entries on {on} in {time.monotonic() - began:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
