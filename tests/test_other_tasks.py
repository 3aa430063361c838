"""A certificate whose task was changed for another one, of its own family or not: both checkers say the same of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import compactproofs as cp
import decoders
from compactproofs import __main__ as entry
from compactproofs.search.prover import Prover
from compactproofs.tasks.by_comparison import POSITION, RANK, ByComparison
from compactproofs.tasks.max_of_k import MaxOfK
from compactproofs.tasks.orders import LargestInOrder, MinOfK, WeightedLargest
from compactproofs.tasks.pairs import add_mod, group_products
from compactproofs.theorems import BUILT_IN
from exactcheck import checking

TESTS = Path(__file__).parent
CORPUS = TESTS / "certificates"


def of_one_head(folder: Path) -> tuple[Path, bytes]:
    """The model's file, and a certificate."""
    path = CORPUS / "models/ladder.safetensors"
    return path, cp.Certificate.load(CORPUS / "accept/ladder--cubic--proved.cert.json").to_bytes()


def of_a_position(folder: Path) -> tuple[Path, bytes]:
    """The same for a network that is asked for its first token."""
    path = CORPUS / "models/ladder.safetensors"
    network = cp.load_model(path)
    task = ByComparison(POSITION, network.n_ctx, network.d_vocab, 0)
    return path, Prover(network, task).prove("by-comparison/branch-and-bound").certificate.to_bytes()


def of_two_heads(folder: Path) -> tuple[Path, bytes]:
    """The same for two heads."""
    path = CORPUS / "models/two-heads.safetensors"
    return path, (CORPUS / "accept/two-heads--heads-cubic--proved.cert.json").read_bytes()


def of_a_decoder(folder: Path) -> tuple[Path, bytes]:
    """The same for a decoder, which answers some inputs right."""
    rng = np.random.default_rng(7)
    while True:
        network = decoders.decoder(rng, layers=1, biased=False)
        task = cp.task_for(network, "max", n=2)
        proof = Prover(network, task).prove("enumerate")
        if 0 < proof.certificate.certified < task.total:
            path = folder / "decoder.safetensors"
            path.write_bytes(save(dict(network.tensors)))
            return path, proof.certificate.to_bytes()


def of_pairs(folder: Path) -> tuple[Path, bytes]:
    """The same for a network of two arguments."""
    path = TESTS / "cases/s4.safetensors"
    (proof,) = cp.certify(path, task="S4", seconds=60).proofs[:1]
    return path, proof.certificate.to_bytes()


def others(own: dict[str, Any]) -> list[dict[str, Any]]:
    """Records of other tasks: the same with each other name or more said, and whole ones of each family."""
    n, v = own.get("n_ctx", own.get("n", 2)), own.get("d_vocab", own.get("v", 3))
    order, weights = tuple(range(v))[::-1], (v, *[0] * (v - 1))
    whole: list[Any] = [MaxOfK(n, v), MinOfK(n, v), LargestInOrder(n, v, order), WeightedLargest(n, v, order, weights)]
    whole += [ByComparison(name, n, v, k) for name in (POSITION, RANK) for k in range(n)]
    whole += [add_mod(max(v, 2)), group_products("S4"), group_products("A4")]
    more: list[dict[str, Any]] = [
        {"order": " ".join(map(str, order))},
        {"weights": " ".join(map(str, weights))},
        {"inputs": "distinct"},
        {"k": 0},
    ]
    changed = [own | {"name": name} for name in BUILT_IN.tasks] + [own | each for each in (*more, {"group": "D12"})]
    return [record for record in (*changed, *(task.record for task in whole)) if record != own]


@pytest.mark.parametrize("make", [of_one_head, of_a_position, of_two_heads, of_a_decoder, of_pairs])
def test_another_task(make: Callable[[Path], tuple[Path, bytes]], tmp_path: Path) -> None:
    """Neither accepts it, but where both do, since the claim is true of that task too.

    The one may say that a claim about a task of another family is false where the other finds it malformed.
    """
    path, data = make(tmp_path)
    proof = tmp_path / "p.cert.json"

    def codes(fields: dict[str, Any]) -> tuple[int, int]:
        proof.write_text(json.dumps(fields))
        return entry.run(["verify", str(proof), str(path)]), checking.main([str(proof), str(path)])

    fields = json.loads(data)
    assert codes(fields) == (0, 0)
    found = {json.dumps(record): codes(fields | {"task": record}) for record in others(fields["task"])}
    assert {record: both for record, both in found.items() if not set(both) <= {1, 2} and both != (0, 0)} == {}
    assert sum(both != (0, 0) for both in found.values()) > 12
