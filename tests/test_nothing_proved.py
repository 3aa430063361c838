"""Where nothing is proved, a line below the table says of which networks a strategy proves anything, or what does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import compactproofs as cp
import pair_sums
from compactproofs import __main__ as entry
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.search import nothing
from compactproofs.search.budget import Within, prove_within
from compactproofs.search.cost import power
from compactproofs.search.prover import Prover
from compactproofs.tasks.pairs import add_mod, group_products

MODELS = Path(__file__).parent / "certificates/models"
ZOO = "max-of-4/123"
LINE = "networks trained toward it"


def said(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    """The lines of a command about nothing."""
    assert entry.run(["prove", *map(str, words)]) == 0
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith(("nothing", "the best", "number"))]


def test_strategies_for_networks_trained_toward_them(capsys: pytest.CaptureFixture[str]) -> None:
    """The command that trains is given, where there is one that would."""
    names = ("number-line", "subspace", "trivial", "cubic")
    lines = said(capsys, ZOO, *(word for name in names for word in ("--strategy", name)))
    assert lines == [
        f"nothing proved by {name}, which is for {LINE}: compactproofs tighten {ZOO} --strategy {name} --out DIR"
        for name in names[:2]
    ]
    assert said(capsys, ZOO, "--strategy", "number-line", "--json") == []
    assert said(capsys, ZOO, "--strategy", "trivial") == []
    assert said(capsys, ZOO, "--task", "min", "--strategy", "number-line") == []  # it does not do that, as was warned


def test_networks_that_a_strategy_is_not_about(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A perceptron by what is about transformers; a transformer by what asks for training, where it adds."""
    perceptron = said(
        *(capsys, MODELS / "S3.safetensors", "--task", "S3"),
        *("--strategy", "pair-sum/few-directions", "--strategy", "pair-sum/brute-force"),
    )
    assert perceptron == [
        "nothing proved by pair-sum/few-directions, which is for other networks: a transformer that is small outside "
        "of a few directions, computed in these alone"
    ]
    for task, command in ((group_products("S3"), ""), (add_mod(6), ": compactproofs tighten 'a b' --strategy")):
        while True:
            network = PairSum(pair_sums.transformer(np.random.default_rng(len(command)), task.table, 0.05))
            if network.outputs == 6 and network.positions == 2:
                break
        proof = Prover(network, task).prove("pair-sum/few-directions")
        proof = replace(proof, certificate=replace(proof.certificate, certified=0))
        (line,) = nothing.by_strategies([(Prover(network, task), proof)], "a b")
        assert f"{LINE}{command}" in line
        assert ("tighten" in line) == bool(command)


def test_of_others_the_ways_to_ask_are_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Up to three names."""
    flat = {name: np.zeros_like(weight) for name, weight in cp.load_model(ZOO).state_dict().items()}
    prover = Prover(cp.Model.from_state_dict(flat))
    ids = [name for name in cp.STRATEGIES if name.startswith("sub-cubic")][:5]
    lines = nothing.by_strategies([(prover, prover.prove(name)) for name in ids], "flat")
    ways = "the best strategy is looked for without --strategy, and every one tried with --all"
    assert lines == [f"nothing proved by {', '.join(ids[:3])} and 2 more; {ways}"]
    assert nothing.within_budget(prover, Within(prover.prove("trivial"), [], []), 9, "flat") == [
        "nothing proved with 2^3.2 operations; no strategy proves anything of this network"
    ]


def test_budgets_that_buy_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """What proves anything with the fewest operations is named, what proves most, and what to train toward."""
    ladder = MODELS / "ladder.safetensors"
    assert said(capsys, ladder, "--budget", "2^20") == []
    prover = Prover(cp.load_model(ladder))
    tried = [p for p in prove_within(prover, 10).tried if p.certificate.certified]
    least = min(proof.cost.flops for proof in tried)
    assert entry.run(["prove", str(ladder), "--budget", "10"]) == 0
    assert f"\ntried {len(prove_within(prover, 10).tried)}, in " in capsys.readouterr().out
    first, best = said(capsys, ladder, "--budget", "10")
    cheapest = next(proof for proof in tried if proof.cost.flops == least)
    claim = f"at least {cheapest.certificate.certified} of {cheapest.certificate.total}"
    assert first.endswith(f"was found takes {power(least)}: {claim} by {cheapest.certificate.strategy}")
    assert best.startswith("the best one takes 2^")
    assert str(max(proof.certificate.certified for proof in tried)) in best
    prover = Prover(cp.load_model(ZOO))
    found = Within(*(prover.prove("trivial"), [prover.prove(name) for name in ("number-line", "cubic")], []))
    first, *more = nothing.within_budget(prover, found, 2**17, ZOO)
    assert first.endswith(" by cubic")
    (line,) = more
    assert line.startswith("number-line takes 2^15.9, and is for ")
    assert LINE in line
    assert len(nothing.within_budget(prover, found, 2**15, ZOO)) == 1


def test_seconds_that_buy_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """More may prove something."""
    assert said(capsys, ZOO, "--seconds", "0") == ["nothing proved from below in this time; --seconds N gives more"]
