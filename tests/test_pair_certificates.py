"""Certificates about networks of two arguments: both checkers, the command line, and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flint import ctx
from safetensors.numpy import save

import compactproofs as cp
import pair_sums
from compactproofs import Certificate
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.opening.configuration import KEY, as_text
from compactproofs.opening.pairs import network_of as network_of_file
from compactproofs.opening.tables import LabelTable
from compactproofs.search.budget import prove_within
from compactproofs.search.builtin import get_strategy
from compactproofs.search.choice import certify_within
from compactproofs.search.prover import Prover, feasible_strategies
from compactproofs.tasks.pairs import Pairs, add_mod, group_products, pair_table
from compactproofs.tasks.tables import Table
from compactproofs.testing import KINDS, hostile_hints
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.pair_sum.halves import HALVES
from compactproofs.theorems.pair_sum.low_rank import LOW_RANK
from compactproofs.theorems.pair_sum.thin import THIN
from exactcheck import checking, reading
from exactcheck import pair_sums as second
from exactcheck.balls import Decisions
from limited import Limited, limited
from test_corpus import CORPUS
from test_pair_sum import CYCLIC, PLANNED, STRATEGIES, TABLES, drawn, network_of, table_of


def test_nothing_is_tried_that_says_nothing() -> None:
    """Thin halves are about transformers, and distances about networks with an output for each element of the group."""
    task, thin, distance = group_products("S3"), "pair-sum/thin-halves", "pair-sum/equivariant-distance"
    kinds = set()
    for seed in range(4):
        for make in (pair_sums.mlp, pair_sums.transformer):
            network, tried = PairSum(make(np.random.default_rng(seed), task.table, 0.05)), list[str]()
            left_out = ({thin} if make is pair_sums.mlp else set()) | ({distance} if network.outputs > 6 else set())
            kinds.add(frozenset(left_out))
            assert {thin, distance} - set(feasible_strategies(network, task)) == left_out
            certify_within(Prover(network, task), 60.0, tried.append)
            assert left_out.isdisjoint(tried)
            assert [Prover(network, task).prove(each).certificate.certified for each in left_out] == [0] * len(left_out)
    assert len(kinds) > 2


def test_budget() -> None:
    """Every strategy below the budget is tried, and low rank with fewer directions; the least budget buys nothing."""
    task = group_products("S3")
    prover = Prover(PairSum(pair_sums.mlp(np.random.default_rng(0), task.table, 0.05)), task)
    best = prover.prove("pair-sum/low-rank")
    dear = prove_within(prover, best.cost.flops).best
    assert dear.cost.flops <= best.cost.flops
    assert dear.certificate.certified >= best.certificate.certified > 0
    directions = len(best.certificate.hints["factors"])
    factors = best.certificate.hints["factors"]
    costs = [
        prover.cost(get_strategy("pair-sum/low-rank"), {**best.certificate.hints, "factors": factors[:count]}).flops
        for count in range(directions)
    ]
    assert costs == sorted(costs)
    tried: list[str] = []
    fewer = prove_within(prover, costs[-1], tried.append).best
    assert fewer.cost.flops <= costs[-1]
    assert tried[tried.index("pair-sum/low-rank") + 1] == "pair-sum/low-rank with fewer directions"
    assert prove_within(prover, 10).best.certificate.strategy == "pair-sum/trivial"


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("S3", "found: pair sum (perceptron), 36 neurons, 6 outputs; prove, verify, show and explain can be used"),
        ("two-heads", "found: attention-only model of one layer with 2 heads; prove, verify, show and explain can be"),
    ],
)
def test_commands_about_one_head(command: Limited, tmp_path: Path, model: str, found: str) -> None:
    """They say in a line what a network of another kind is, and do nothing."""
    path = CORPUS / "models" / f"{model}.safetensors"
    for words in (("sample", path), ("export", path, "--coq", tmp_path / "coq"), ("formal-check", path)):
        outcome = command.run(*words)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith(f"error: {path}: expected an attention-only model of one layer and one head, ")
        assert found in outcome.err
        assert outcome.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def command() -> Iterator[Limited]:
    """The command line under limits."""
    with limited(forks=False) as process:
        yield process


@pytest.mark.parametrize("kind", ["mlp", "two", "three", "aligned", "opposite"])
def test_second_checker(tmp_path: Path, kind: str) -> None:
    """It accepts what is proved, rejects what is not, and finds no less than the package for any hints."""
    rng = np.random.default_rng(1)
    weights = drawn(rng, kind, 0.1)
    table, network = table_of(weights, kind), network_of(weights)
    data, task = save(dict(network.tensors)), pair_table(table)
    truth, prover = pair_sums.exact_correct(network, table), Prover(network, task)
    for strategy in STRATEGIES:
        certificate, upper = prover.prove(strategy.id).certificate, strategy.claim == "at most"
        near = {claimed + more for claimed in (0, certificate.certified, truth, task.total) for more in (-1, 0, 1)}
        for claimed in sorted(near & {*range(task.total + 1)}):
            replace(certificate, certified=claimed).save(tmp_path / "c")
            read = reading.read_certificate((tmp_path / "c").read_bytes())
            accepted, _ = second.verdict(read, data, table.ravel().tolist(), Table(table).sha256)
            if accepted:
                assert claimed >= truth if upper else claimed <= truth
            else:
                assert claimed < certificate.certified if upper else claimed > certificate.certified
    work: Workspace[PairSum, Pairs] = Workspace(Problem(network, task))
    forward = second.Forward(second.read_network(data))
    for strategy in (LOW_RANK, HALVES, THIN):
        for hint_kind in KINDS[2:]:
            hints = hostile_hints(strategy, Problem(network, task), hint_kind, rng)
            given = {
                name: reading.Hint("float64", hint.shape, tuple(hint.ravel().tolist())) for name, hint in hints.items()
            }
            found = second.COUNTS[strategy.id](forward, table.tolist(), given, Decisions())
            assert strategy.bound(work, hints) <= found <= truth


@pytest.fixture(autouse=True)
def precise() -> Iterator[None]:
    """Balls as the second checker uses them."""
    with ctx.workprec(second.PRECISIONS[1]):
        yield


@pytest.mark.parametrize("kind", CYCLIC)
def test_second_checker_of_ideal_networks(tmp_path: Path, kind: str) -> None:
    """It agrees about which networks are ideal, and finds no less than the package."""
    rng, strategy, proved = np.random.default_rng(3), BUILT_IN.strategy("pair-sum/equivariant-distance"), 0
    for _ in range(4):
        network = network_of(drawn(rng, kind))
        task, forward = add_mod(network.n), second.Forward(second.read_network(save(dict(network.tensors))))
        problem = Problem(network, task)
        for hints in (PLANNED[kind], *(hostile_hints(strategy, problem, way, rng) for way in KINDS[2:])):
            given = {
                k: reading.Hint(hint.dtype.name, hint.shape, tuple(hint.ravel().tolist())) for k, hint in hints.items()
            }
            work: Workspace[PairSum, Pairs] = Workspace(problem)
            ours = strategy.bound(work, hints)
            if second.is_ideal(task.table.tolist(), second.read_network(save(dict(network.tensors))), given):
                found = second.equivariant(forward, task.table.tolist(), given, Decisions())
                assert ours <= found <= pair_sums.exact_correct(network, task.table)
                proved += ours
            else:
                assert ours == 0
    assert kind == "sparse" or (proved > 0) == (kind in ("cyclic", "uneven"))
    certificate = Prover(network, task).prove(strategy.id).certificate
    certificate.save(tmp_path / "c")
    read = reading.read_certificate((tmp_path / "c").read_bytes())
    assert second.verdict(read, save(dict(network.tensors)), [], "")[0]


def test_groups() -> None:
    """Both have the same tables of groups."""
    for name in ("S4", "A4", "D5", "F5"):
        task = group_products(name)
        assert second.table_of(task.record, [], "") == task.table.tolist()


def test_a_table(command: Limited, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A transformer and a table in a file: prove, verify, show, the second checker, and what is not given."""
    table = TABLES[5]
    file, other, model = (tmp_path / f"{name}.safetensors" for name in ("table", "other", "model"))
    LabelTable(table).save(file)
    LabelTable(table.T).save(other)
    unused = {"blocks.0.attn.W_Q": np.ones((2, 9, 3)), "blocks.0.attn.W_K": np.ones((2, 9, 3))}
    model.write_bytes(save({**pair_sums.transformer(np.random.default_rng(0), table, 0.01), **unused}))
    options = ("--family", "pair-sum", "--task", f"table:{file}")
    outcome = command.run("prove", model, *options, "--all", "--out", tmp_path / "out")
    assert outcome.code == 0
    assert "a table of 3 rows" in outcome.out
    assert "read with constant attention, since --family pair-sum says so" in outcome.err
    outcome = command.run("verify", tmp_path / "out", model, "--table", other, "--table", file)
    assert (outcome.code, outcome.err.count("does not say how it is used; read here as a pair sum (transf")) == (0, 1)
    proved = tmp_path / "out" / "pair-sum--low-rank.cert.json"
    for given in ((), ("--table", other)):
        outcome = command.run("verify", proved, model, *given)
        assert (outcome.code, outcome.out.count("give its file by --table FILE")) == (2, 1)
    assert "pair-table, n 3, table" in command.run("show", proved).out
    assert checking.main([str(proved), str(model), str(file)]) == 0
    assert checking.main([str(proved), str(model), str(other)]) == 2
    assert checking.main([str(proved), str(model)]) == 2
    capsys.readouterr()


def test_a_group(command: Limited, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A perceptron whose file says what it is, and questions that do not go with it."""
    model, proved, file = tmp_path / "m.safetensors", tmp_path / "s3.json", tmp_path / "t.safetensors"
    weights = pair_sums.mlp(np.random.default_rng(0), group_products("S3").table, 0.01)
    about = '{"family": "pair-sum", "task": "S3", "loss": 0.5}'
    model.write_bytes(save(weights, metadata={"compactproofs.training": about}))
    outcome = command.run("prove", model, "--strategy", "pair-sum/low-rank", "--out", proved)
    assert (outcome.code, outcome.out.count("products in the group S3, 6 elements, 36 inputs")) == (0, 1)
    assert Certificate.load(proved).certified == 36
    outcome = command.run("verify", proved, model)
    assert (outcome.code, outcome.err.count("does not say how")) == (0, 0)
    assert "its file says S3" in command.run("show", model).out
    assert checking.main([str(proved), str(model)]) == 0
    capsys.readouterr()
    LabelTable(TABLES[5]).save(file)
    for options, message in (
        (("--task", "S4"), "its arguments are 0 to 23, the model's 0 to 5"),
        (("--task", "max"), "unknown task max for a network of two arguments"),
        (("--task", f"table:{file}"), "its arguments are 0 to 2"),
        (("--prefix", "3"), "by --task alone"),
        (("--family", "decoder"), "--family: expected pair-sum"),
        (("--strategy", "enumerate"), "use pair-sum/brute-force"),
    ):
        outcome = command.run("prove", model, *options, "--strategy", "pair-sum/low-rank")
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert message in outcome.err


@pytest.mark.parametrize(("name", "right"), [("add_23", 521), ("s4", 576)])
def test_trained(tmp_path: Path, name: str, right: int) -> None:
    """Two trained networks, of which low rank proves all that is right; both checkers agree."""
    path = Path(__file__).parent / "cases" / f"{name}.safetensors"
    found = cp.certify(path)
    assert (found.exact, found.certificate.certified) == (True, right)
    for strategy in ("pair-sum/low-rank", "pair-sum/equivariant-distance"):
        proof = Prover(found.network, BUILT_IN.task(found.certificate.task)).prove(strategy)
        assert proof.certificate.certified == right or strategy.endswith("distance")
        proof.certificate.save(tmp_path / "c")
        read = reading.read_certificate((tmp_path / "c").read_bytes())
        assert second.verdict(read, path.read_bytes(), [], "")[0]


def test_settings() -> None:
    """A file whose configuration is that of another network is refused, and one that says it is right is not."""
    weights = pair_sums.transformer(np.random.default_rng(0), TABLES[1], 0.01)
    fits = {"n_layers": 1, "act_fn": "relu", "normalization_type": None, "attn_only": False}
    network_of_file(save(weights, metadata={KEY: as_text(fits)}))
    for other in ({"act_fn": "gelu"}, {"normalization_type": "LNPre"}, {"output_logits_soft_cap": 3.0}):
        with pytest.raises(ValueError, match=next(iter(other))):
            network_of_file(save(weights, metadata={KEY: as_text({**fits, **other})}))


def test_outputs_that_are_alike() -> None:
    """Both checkers see that what is left of two equal columns is at no distance, though neither is known exactly."""
    third = {"factors": np.zeros((0, 3)), "scales": np.array([3.0])}
    weights = {"W_x": np.eye(2), "W_y": np.eye(2), "W": np.ones((4, 1)), "W_U": np.full((1, 2), 0.1)}
    network = PairSum({**weights, "b": np.array([1.0, 0.0])})  # which answers 0
    prover = Prover(network, add_mod(2))
    for strategy in (get_strategy("pair-sum/low-rank"), HALVES):
        certificate = prover.certify(strategy, third).certificate
        found = second.verdict(reading.read_certificate(certificate.to_bytes()), save(dict(network.tensors)), [], "")
        assert (certificate.certified, found[0]) == (2, True), strategy.id


def test_networks_without_a_task() -> None:
    """Are not asked for the largest token; what it is that is lacking is said."""
    network: Any = cp.load_network(str(CORPUS / "models" / "S3.safetensors"))
    assert len(repr(network)) < 80  # and not all of its numbers
    lacking = "^task: expected one that goes with a network of the family pair-sum"
    for call in (lambda: cp.Prover(network), lambda: cp.prove(network, "pair-sum/low-rank")):
        with pytest.raises(cp.CompactProofsError, match=lacking):
            call()
