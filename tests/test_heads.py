"""Networks with several heads: files, bounds against exact truths, agreement with one head, and planted errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import compactproofs as cp
from compactproofs.kernel.problem import Problem, Strategy
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening import forward
from compactproofs.opening.models import write_tensors
from compactproofs.search import effort
from compactproofs.search.allowance import Allowance, allowing
from compactproofs.search.builtin import get_strategy
from compactproofs.search.choice import in_patience
from compactproofs.search.prover import Infeasible
from compactproofs.search.workspaces import MeasuredWorkspace
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.tasks.orders import LargestInOrder, MinOfK, WeightedLargest, order_of
from compactproofs.theorems import BUILT_IN
from compactproofs.theorems.max_of_k.branching.branch_and_bound import decide_inputs as decide_one_head
from compactproofs.theorems.max_of_k.heads.branch_and_bound import decide_inputs
from exactcheck import checking
from soundness.heads import OF_HEADS, HeadsCase, alone, halved, head_of, heads_cases, of_heads, right_and_ties
from soundness.models import NAMES, cases, one_hot_weights, working_weights
from soundness.planting import Change, Planted, showing
from soundness.truth import exact_correct
from test_weights import near_the_limit

TWO_HEADS = Path(__file__).parent / "cases" / "two_heads_max3_v10.safetensors"
HEADS = [strategy for strategy in BUILT_IN.strategies.values() if strategy.family == ManyHeads.family]
LOWER = [s for s in HEADS if s.claim == "at least" and s.id != "heads/trivial"]
EXACT = ("heads/brute-force", "heads/branch-and-bound", "heads/branch-and-bound-upper")


def work_of(network: ManyHeads, reading: Any = "check") -> Any:
    """A workspace for the question how often it names the largest token; for a check, as verification makes one."""
    return Workspace(max_of_k(network)) if reading == "check" else MeasuredWorkspace(max_of_k(network), reading)


def tensors(network: ManyHeads) -> dict[str, Any]:
    """The network as a state dict of TransformerLens."""
    places = {"W_E": "embed", "W_pos": "pos_embed", "W_U": "unembed"}
    return {f"{places.get(name, 'blocks.0.attn')}.{name}": network.weight(name) for name in NAMES}


def small(seed: int = 0, heads: int = 2, v: int = 4, n: int = 3, scale: float = 1.0) -> ManyHeads:
    """Heads that work, each differently, so that most answers are right."""
    rng = np.random.default_rng(seed)
    first = one_hot_weights(rng, v, n, v, sharpness=3.0, gain=4.0, noise=0.1)
    model = cp.Model(**first)
    others = [
        {name: first[name] + scale * 0.3 * rng.normal(size=first[name].shape) for name in OF_HEADS}
        for _ in range(heads - 1)
    ]
    return of_heads(model, head_of(model), *others)


def test_the_network() -> None:
    """Its heads share embeddings; logits are those of the definition; the hash tells families and heads apart."""
    network = small(heads=3)
    tokens = np.array([[0, 1, 2], [3, 3, 1]])
    direct = (network.W_E[tokens[:, -1]] + network.W_pos[-1]) @ network.W_U
    found = direct.copy()
    for h in range(3):
        x = network.W_E[tokens] + network.W_pos
        scores = np.einsum("ih,iph->ip", x[:, -1] @ network.W_Q[h], x @ network.W_K[h]) / network.d_head**0.5
        attention = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        found += np.einsum("ip,ipd->id", attention, x) @ network.W_V[h] @ network.W_O[h] @ network.W_U

    assert np.allclose(forward.logits(network, tokens), found)
    assert (network.n_heads, network.d_vocab, network.n_ctx) == (3, 4, 3)
    swapped = ManyHeads(
        **{name: network.weight(name)[::-1] if name in OF_HEADS else network.weight(name) for name in NAMES}
    )
    single = cases("working")[0].model
    assert len({network.sha256, swapped.sha256, alone(single).sha256, single.sha256}) == 4
    assert not network.W_Q.flags.writeable


def test_files(tmp_path: Path) -> None:
    """A state dict is read, with masks and biases of zero, and as float32 if that is exact; hashes agree."""
    network = small()
    zeros = {"blocks.0.attn.b_Q": np.zeros((2, 4)), "unembed.b_U": np.zeros(4), "blocks.0.attn.IGNORE": np.zeros(())}
    path = tmp_path / "heads.safetensors"
    path.write_bytes(write_tensors({**tensors(network), **zeros}))
    found = cp.load_network(path)
    assert isinstance(found, ManyHeads)
    assert found.sha256 == network.sha256
    with pytest.raises(InvalidModel, match="expected"):
        cp.load_model(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks.0.attn.W_K": np.zeros((3, 4, 4))}, "W_K has n_heads = 3, but W_Q has n_heads = 2"),
        ({"blocks.0.attn.W_Q": np.zeros((0, 4, 4))}, "W_Q has shape"),
        ({"blocks.0.attn.W_V": np.zeros((2, 5, 4))}, "d_model"),
        ({"blocks.0.attn.W_O": np.full((2, 4, 4), np.inf)}, "NaN or infinity"),
        ({"unembed.b_U": np.ones(4)}, "unembed.b_U"),
        ({"unembed.b_U": np.array([0.0, 9.0, 0.0, -9.0])}, "unembed.b_U"),
        ({"blocks.0.attn.b_K": np.array([[0.0] * 4, [0.0, 0.0, 0.0, -1e-300]])}, "attn.b_K"),
        ({"blocks.0.attn.b_O": np.zeros(5)}, "b_O has d_model = 5"),
        ({"ln_final.w": np.ones(4)}, "unknown tensor ln_final.w"),
        ({"embed.W_E": None}, "no tensor named embed.W_E"),
    ],
)
def test_what_is_no_such_network(changes: dict[str, Any], message: str) -> None:
    """The message says what is wrong."""
    found = {name: tensor for name, tensor in {**tensors(small()), **changes}.items() if tensor is not None}
    with pytest.raises(InvalidModel, match=message):
        ManyHeads.from_bytes(write_tensors(found))


def assert_sound(case: HeadsCase, strategy: Strategy) -> None:
    """A check stays within the truth, and a claim within the check."""
    right, _ = right_and_ties(case.model)
    checked, claimed = (strategy.bound(work_of(case.model, reading), {}) for reading in ("check", "claim"))
    where = f"{strategy.id} on {case.name}"
    if strategy.claim == "at least":
        assert 0 <= claimed <= checked <= right, where
    else:
        assert right <= checked <= claimed <= max_of_k(case.model).task.total, where


@pytest.mark.parametrize("strategy", HEADS, ids=lambda strategy: strategy.id)
def test_never_more_than_the_truth(strategy: Strategy) -> None:
    """Networks with 1 to 3 heads made of all families of hostile models."""
    for case in heads_cases(every=4)[HEADS.index(strategy) % 7 :: 7]:
        assert_sound(case, strategy)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("strategy", HEADS, ids=lambda strategy: strategy.id)
def test_never_more_than_the_truth_at_length(strategy: Strategy, seed: int) -> None:
    """All of them, from other collections."""
    for case in heads_cases(seed):
        assert_sound(case, strategy)


def random_networks(number: int) -> Iterator[HeadsCase]:
    """Moderate weights of every size, all heads at random."""
    rng = np.random.default_rng(5)
    for i in range(number):
        v, n, heads, d, h = (int(rng.integers(a, b)) for a, b in ((3, 6), (2, 4), (1, 4), (3, 6), (1, 4)))
        shapes = {"W_E": (v, d), "W_pos": (n, d), "W_U": (d, v), "W_O": (heads, h, d)}
        size = float(rng.choice([0.5, 1.0, 2.0]))
        weights = {name: size * rng.normal(size=shapes.get(name, (heads, d, h))) for name in NAMES}
        yield HeadsCase(f"random {i}", ManyHeads(**weights))


def test_exact_on_moderate_networks() -> None:
    """Brute force and branch and bound find the truth, from both sides.

    In the last two the largest box of some class shows of some outputs, and not of the last ones, that they never win.
    """
    networks = list(random_networks(44))
    for case in (*networks[:15], networks[32], networks[43]):
        right, ties = right_and_ties(case.model)
        assert ties == 0
        work = work_of(case.model)
        for strategy in EXACT:
            assert get_strategy(strategy).bound(work, {}) == right, f"{strategy} on {case.name}"


def test_cubic_is_worth_something() -> None:
    """On networks that work it certifies most of what is right."""
    for heads in (1, 2, 3):
        network = small(heads=heads, v=6, scale=0.3)
        right, _ = right_and_ties(network)
        assert get_strategy("heads/cubic").bound(work_of(network), {}) > 0.7 * right > 0.5 * 6**3


@pytest.mark.parametrize("family", ["working", "positions", "moderate", "contrary"])
def test_one_head_and_two_halves(family: str) -> None:
    """A single head, and two that write a half each, do what the one-head network does."""
    for case in cases(family)[::6]:
        right = exact_correct(case.model)
        assert right_and_ties(alone(case.model))[0] == right
        one = decide_one_head(MeasuredWorkspace(max_of_k(case.model), "check"))
        for network in (alone(case.model), halved(case.model)):
            work = work_of(network)
            many = decide_inputs(work)
            assert (many.wrong, many.undecided) == (one.wrong, one.undecided), case.name
            assert get_strategy("heads/brute-force").bound(work, {}) == right


def test_the_largest_floats() -> None:
    """What Newton's method finds may be as large as floats are; bounds say little then, and no check breaks off."""
    zero, one = np.zeros((2, 1, 1)), np.ones((2, 1, 1))
    network = ManyHeads(  # the second output has the logit 1.7e308, of which one head takes as much as the other gives
        W_E=np.ones((2, 1)),
        W_pos=np.zeros((2, 1)),
        W_Q=zero,
        W_K=zero,
        W_V=one,
        W_O=np.array([[[-1.0]], [[1.0]]]),
        W_U=np.array([[0.0, 1.7e308]]),
    )
    for strategy in HEADS:
        assert_sound(HeadsCase("large", network), strategy)


def test_ties_are_never_decided() -> None:
    """Two equal outputs: wrong answers, which are left open from both sides."""
    model = cp.Model(**working_weights(np.random.default_rng(0), 3, 2, 2, sharpness=3.0))
    tied = cp.Model(**{**{name: getattr(model, name) for name in NAMES}, "W_U": model.W_U[:, [0, 1, 1]]})
    network = halved(tied)
    right, _ = right_and_ties(network)
    lower, upper = (get_strategy(f"heads/branch-and-bound{end}").bound(work_of(network), {}) for end in ("", "-upper"))
    assert lower == get_strategy("heads/brute-force").bound(work_of(network), {}) == right
    assert right < upper


def test_work_is_declared() -> None:
    """Checks do no more than was declared."""
    networks = [small(heads=heads, v=v, n=n) for heads in (1, 3) for v, n in ((3, 1), (5, 2), (4, 3))]
    for network in [*networks, *(case.model for case in heads_cases(every=4)[::8])]:
        for strategy in HEADS:
            allowance = Allowance()
            with allowing(allowance):
                strategy.bound(Workspace(max_of_k(network)), {})
            assert allowance.spent <= effort.declared(strategy, max_of_k(network), {}).operations, strategy.id


def test_a_file_from_the_outside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two trained heads, 973 of 1000: proved, verified, shown; another family's strategies are refused."""
    from compactproofs.__main__ import run

    def says(*arguments: str) -> tuple[int, str]:
        code = run([*arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    proofs = str(tmp_path / "proofs")
    code, said = says("prove", str(TWO_HEADS), "--all", "--out", proofs)
    assert code == 0
    assert "2 heads, max of 3, 10 tokens, 1000 inputs" in said
    assert "at most 973 of 1000 by heads/branch-and-bound-upper" in said
    assert "normalised: ?" not in said
    code, said = says("verify", proofs, str(TWO_HEADS))
    assert (code, said.count("accepted: at least 973")) == (0, 2)
    one_head = cp.prove(cp.load_model("max-of-4/123"), "trivial").certificate
    one_head.save(tmp_path / "one.cert.json")
    assert says("verify", str(tmp_path / "one.cert.json"), str(TWO_HEADS))[0] == 1
    assert says("verify", f"{proofs}/heads--cubic.cert.json", "max-of-4/123")[0] == 1
    assert "n_heads 2" in says("show", str(TWO_HEADS))[1]
    code, said = says("prove", str(TWO_HEADS), "--strategy", "cubic")
    assert (code, "use heads/brute-force" in said) == (2, True)


def test_the_second_checker_agrees(tmp_path: Path) -> None:
    """It accepts what the package proves, and rejects one more, by balls and code of its own."""
    path, file = tmp_path / "heads.safetensors", tmp_path / "claim.cert.json"
    for network in (small(heads=2), small(heads=3, n=2), *(case.model for case in random_networks(4))):
        if network.n_heads < 2:
            continue
        path.write_bytes(write_tensors(tensors(network)))
        prover = cp.Prover(network)
        for strategy in HEADS:
            certificate = prover.prove(strategy.id).certificate
            more = certificate.certified + (1 if strategy.claim == "at least" else -1)
            for claim in (certificate, replace(certificate, certified=more)):
                if 0 <= claim.certified <= claim.total:
                    claim.save(file)
                    code = checking.main([str(file), str(path)])
                    assert code == (0 if claim is certificate else 1), f"{strategy.id}: {claim}"


def some_task(rng: np.random.Generator, network: ManyHeads, large: bool = False) -> MaxOfK:
    """The smallest token, or the largest in an order, with weights or without."""
    n, v = network.n_ctx, network.d_vocab
    order = tuple(rng.permutation(v).tolist())
    weights = tuple((rng.choice([0, 1, 1, 2, 3, 17], v) + (order[0] == np.arange(v))).tolist())
    weights = near_the_limit(rng, v, n) if large else weights
    tasks: list[MaxOfK] = [MinOfK(n, v), LargestInOrder(n, v, order), WeightedLargest(n, v, order, weights)]
    return tasks[int(rng.integers(len(tasks)))]


def moved(network: ManyHeads, task: MaxOfK) -> ManyHeads:
    """The network that does of the order what this one does of the tokens as they are."""
    back = np.argsort(order_of(task))
    weights = {name: network.weight(name) for name in NAMES}
    return ManyHeads(**weights | {"W_E": network.W_E[back], "W_U": network.W_U[:, back]})


@pytest.mark.parametrize("strategy", HEADS, ids=lambda strategy: strategy.id)
def test_other_orders_and_weights(strategy: Strategy) -> None:
    """No bound exceeds what is true from the definition of the network, and exact strategies find it."""
    rng = np.random.default_rng(HEADS.index(strategy))
    moderate = list(random_networks(8))
    for case in (*moderate, *heads_cases(every=4)[HEADS.index(strategy) :: 17]):
        task = some_task(rng, case.model)
        if task.name not in strategy.tasks:
            continue
        network = moved(case.model, task) if rng.random() < 0.7 else case.model
        (right, ties), where = right_and_ties(network, task), f"{strategy.id}, {task.name}, {case.name}"
        problem: Any = Problem(network, task)
        works: tuple[Any, ...] = (Workspace(problem), MeasuredWorkspace(problem, "claim"))
        checked, claimed = (strategy.bound(work, {}) for work in works)
        if strategy.claim == "at least":
            assert 0 <= claimed <= checked <= right, where
        else:
            assert right <= checked <= claimed <= task.total, where
        if case in moderate and strategy.id in EXACT and not ties:
            assert checked == right, where


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_weight_of_each_position(n: int) -> None:
    """An input counts the product of the weights of all of its tokens, some of which are 0."""
    network = small(n=n, v=3)
    for weights in ((2, 3, 5), (0, 3, 5), (2, 0, 5), (2, 3, 0)):
        task = WeightedLargest(n, 3, (0, 1, 2), weights)
        right, ties = right_and_ties(network, task)
        assert ties == 0 < right
        for strategy in EXACT:
            assert get_strategy(strategy).bound(Workspace(Problem(network, task)), {}) == right, (strategy, weights)


@pytest.mark.parametrize("strategy", HEADS, ids=lambda strategy: strategy.id)
def test_weights_near_the_limit(strategy: Strategy) -> None:
    """Where the sums and products of 64 bits are as large as they get, no bound is false."""
    rng = np.random.default_rng(7)
    for case in [case for case in heads_cases(every=4) if case.model.n_ctx > 2][HEADS.index(strategy) :: 6]:
        task = some_task(rng, case.model, large=True)
        work: Any = Workspace(Problem(case.model, task))
        found, (right, _) = strategy.bound(work, {}), right_and_ties(case.model, task)
        assert 0 <= found <= right if strategy.claim == "at least" else right <= found <= task.total, case.name


def test_both_checkers_about_other_tasks(tmp_path: Path) -> None:
    """What is proved of an order, with weights or without, is accepted by both; one more, and other tasks, are not."""
    path, file = tmp_path / "heads.safetensors", tmp_path / "claim.cert.json"
    rng = np.random.default_rng(1)
    for case in (HeadsCase("small", small()), *random_networks(3)):
        if case.model.n_heads < 2:
            continue
        task = some_task(rng, case.model)
        network = moved(case.model, task)
        path.write_bytes(write_tensors(tensors(network)))
        prover = cp.Prover(network, task)
        for strategy in HEADS:
            if task.name not in strategy.tasks:
                with pytest.raises(Infeasible, match="is about"):
                    prover.prove(strategy.id)
                continue
            certificate = prover.prove(strategy.id).certificate
            more = certificate.certified + (1 if strategy.claim == "at least" else -1)
            for claim in (certificate, replace(certificate, certified=more)):
                if 0 <= claim.certified <= claim.total:
                    claim.save(file)
                    accepted = cp.verify(cp.Certificate.load(file), network).accepted
                    assert accepted == (claim is certificate)
                    assert checking.main([str(file), str(path)]) == (not accepted), f"{strategy.id}: {claim}"


def test_another_task(tmp_path: Path) -> None:
    """What is proved of the largest token, as a claim about the smallest, is false to both checkers."""
    network = small()
    path, file = tmp_path / "heads.safetensors", tmp_path / "claim.cert.json"
    path.write_bytes(write_tensors(tensors(network)))
    for strategy in LOWER:
        proved = cp.Prover(network).prove(strategy.id).certificate
        claim = replace(proved, task={**proved.task, "name": "min-of-k"})
        claim.save(file)
        assert "certified: " in cp.verify(claim, network).reason
        assert checking.main([str(file), str(path)]) == 1


#: A strategy that shows it, the module, what stands there, and what is put there instead.
OF_TASKS: dict[str, tuple[str, Change]] = {
    "tokens as they are": (
        "heads/brute-force",
        ("heads.averages", "Problem(self.network, self.task)", "Problem(self.network, None)"),
    ),
    "the number of good tokens": (
        "heads/cubic",
        ("heads.cubic", "counts[order].cumsum(axis=1)", "counts[order].clip(1).cumsum(axis=1)"),
    ),
    "weights of others": ("heads/cubic", ("heads.cubic", "counts[order].cumsum", "counts[order + 1].cumsum")),
    "the query's weight": (
        "heads/cubic",
        ("heads.cubic", "- 1, c, counts[queries], counts[m])", "- 1, c, counts.max(), counts[m])"),
    ),
    "the weight of the only maximum": (
        "heads/cubic",
        ("heads.cubic", "counts[queries][right], counts[m])", "counts[queries][right], counts.max())"),
    ),
}


@pytest.mark.parametrize("error", OF_TASKS)
def test_planted_error_about_tasks(error: str) -> None:
    """Each makes the strategy claim more than the truth on some network."""
    strategy_id, change = OF_TASKS[error]
    planted = Planted(change)
    library, rng = planted.module("theorems").BUILT_IN, np.random.default_rng(3)
    strategy = library.strategies[strategy_id]
    for case in (*random_networks(40), HeadsCase("small", small()), *heads_cases(every=4)):
        task = some_task(rng, case.model)
        if task.name in strategy.tasks:
            network, copy = moved(case.model, task), library.task(task.record)
            work: Any = planted.module("kernel.workspace").Workspace(Problem(network, copy))
            if strategy.bound(work, {}) > right_and_ties(network, task)[0]:
                return
    raise AssertionError("no network shows it")


def test_one_head_is_another_family(tmp_path: Path) -> None:
    """Both checkers reject a certificate about several heads whose hash is that of a file with one."""
    model = cases("working")[0].model
    claim = replace(cp.Prover(alone(model)).prove("heads/cubic").certificate, model_sha256=model.sha256)
    model.save(tmp_path / "one.safetensors")
    claim.save(tmp_path / "claim.cert.json")
    assert "family" in str(cp.verify(claim, model))
    assert checking.main([str(tmp_path / "claim.cert.json"), str(tmp_path / "one.safetensors")]) == 1


def test_what_takes_long_is_left_out_of_all() -> None:
    """And it is said what it takes, and how to ask for it; where everything takes long nothing is left out."""
    large = cp.Prover(small(v=64, n=4))
    kept, said = in_patience(large, [strategy.id for strategy in HEADS])
    assert kept == [strategy.id for strategy in HEADS if strategy.id != "heads/brute-force"]
    assert re.fullmatch(
        "heads/brute-force may take 1[0-9]{2} s and was left out; ask for it by --strategy heads/brute-force", said[0]
    )
    assert in_patience(large, ["heads/brute-force"]) == (["heads/brute-force"], [])
    assert in_patience(cp.Prover(small()), kept) == (kept, [])


CUBIC, BRUTE, MARGINS = "heads.cubic", "heads.brute_force", "heads.class_margins"
ERRORS: dict[str, tuple[str, *tuple[Change, ...]]] = {
    "denominators of two heads mixed": (
        "heads/cubic",
        (CUBIC, "logits = logits + written / (total + of_query)[:, None]", "logits = logits + written / total.max()"),
    ),
    "heads averaged instead of added": (
        "heads/brute-force",
        (BRUTE, "logits = logits + table.average(prefixes)", "logits = logits + table.average(prefixes) / len(tables)"),
    ),
    "only one head counts": (
        "heads/cubic",
        (CUBIC, "        for r in worst:", "        for r in worst[:1]:"),
    ),
    "what the query writes is left out": (
        "heads/cubic",
        (CUBIC, "(at_query + of_token * lead[:m])", "(of_token * lead[:m])"),
    ),
    "the query has no weight": (
        "heads/cubic",
        (CUBIC, "(of_maximum + of_query + of_token))", "(of_maximum + of_token))"),
    ),
    "classes without a maximum": (
        "heads/cubic",
        (CUBIC, "if c <= n - 2 else np.array([m])", "if c <= n - 1 else np.array([m])"),
    ),
    "one token too many": (
        "heads/cubic",
        (CUBIC, "(allowed * work.task.counts", "(allowed * (1 + work.task.counts)"),
    ),
    "the least of a set instead of the largest": (
        "heads/cubic",
        (CUBIC, "np.maximum.accumulate(np.take_along_axis", "np.minimum.accumulate(np.take_along_axis"),
    ),
    "maxima in the places of most attention only": (
        "heads/cubic",
        (CUBIC, "largest: Array = np.maximum(*quotients)", "largest: Array = quotients[1]"),
    ),
    "positions write nothing": (
        "heads/cubic",
        (CUBIC, " + (positions - positions[:, m, None]).max(axis=0)", ""),
    ),
    "a cubic tie counts": (
        "heads/cubic",
        (
            CUBIC,
            "right = certainly_positive(logits[:, m] - rivals)",
            "right = ~certainly_positive(rivals - logits[:, m])",
        ),
    ),
    "a tie counts": (
        "heads/brute-force",
        (BRUTE, "right = certainly_positive(lead)", "right = ~certainly_positive(-lead)"),
    ),
    "the query is not among the maxima": (
        "heads/brute-force",
        (BRUTE, "prefixes.max(axis=1, initial=query)", "prefixes.max(axis=1, initial=0)"),
    ),
    "the query's position is not attended to": (
        "heads/brute-force",
        (
            BRUTE,
            "weight, written = self.weights[n - 1, None, self.query]",
            "weight, written = 0.0 * self.weights[n - 1, None, 0]",
        ),
    ),
    "a head that is not known to be above": (
        "heads/branch-and-bound",
        (MARGINS, "safe &= certainly_positive(places.least", "certainly_positive(places.least"),
    ),
    "thresholds of one head only": (
        "heads/branch-and-bound",
        (MARGINS, "            total = total + threshold\n", "            total = of_query[queries] + threshold\n"),
        (MARGINS, "s - spare, s))", "s - spare - 0.1, s))"),
    ),
    "the maximum is always there": (
        "heads/branch-and-bound",
        (MARGINS, "np.where((queries < m)[:, None], before.min", "np.where((queries <= m)[:, None], before.min"),
    ),
    "best positions instead of worst": (
        "heads/branch-and-bound",
        (MARGINS, "tokens + least_position", "tokens + _"),
    ),
    "between the thresholds, the upper one": (
        "heads/branch-and-bound",
        (MARGINS, "return start + (end - start) * z,", "return start + (end - start) * (z / z),"),
    ),
    "sums that are too small are known": (
        "heads/branch-and-bound",
        (MARGINS, "(first >= 0) | (second >= 0)", "np.ones(first.shape, np.bool_)"),
    ),
    "one head decides": (
        "heads/branch-and-bound",
        (MARGINS, "self.direct + above.sum(axis=1)", "self.direct + above.max(axis=1) * above.shape[1]"),
    ),
    "from above, one head decides": (
        "heads/branch-and-bound-upper",
        (MARGINS, "below.sum(axis=1) - self.direct", "below.max(axis=1) * below.shape[1] - self.direct"),
    ),
    "from above, from the wrong end": (
        "heads/branch-and-bound-upper",
        (MARGINS, "-np.flip(most, axis=1)", "-np.flip(least, axis=1)"),
    ),
    "single inputs by the heads' products": (
        "heads/branch-and-bound",
        (MARGINS, "(written.sum(axis=1) / weights.sum(axis=1)).sum(axis=1)", "written.sum(axis=1).sum(axis=1)"),
    ),
    "weights of another head": (
        "heads/branch-and-bound",
        ("heads.averages", "work.network.heads[number], work.task", "work.network.heads[0], work.task"),
    ),
}


@cache
def hostile() -> tuple[HeadsCase, ...]:
    """Networks that show errors."""
    return (*random_networks(25), *heads_cases(every=4))


def found_by(changes: Iterable[Change], strategy_id: str, every: int = 1, error: str = "") -> str | None:
    """A network on which the strategy with this error is wrong."""
    planted = Planted(*changes)
    strategy = planted.module("theorems").BUILT_IN.strategies[strategy_id]

    def wrong(case: HeadsCase) -> Iterator[str]:
        bound = strategy.bound(planted.module("search.workspaces").workspace(case.model, "check"), {})
        truth = right_and_ties(case.model)[0]
        if bound > truth if strategy.claim == "at least" else bound < truth:
            yield case.name

    return next(showing(hostile()[::every], wrong, error), None)


@pytest.mark.parametrize("error", ERRORS)
def test_planted_error_is_caught(error: str) -> None:
    """The same networks show each error that is made on purpose."""
    strategy_id, *changes = ERRORS[error]
    assert found_by(changes, strategy_id, error=error) is not None


def test_copy_without_error_is_sound() -> None:
    """What finds the errors is the errors, not the copying."""
    text = "certified = 0\n"
    assert found_by([(CUBIC, text, text)], "heads/cubic", every=8) is None
