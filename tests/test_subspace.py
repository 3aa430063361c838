"""Embeddings of few dimensions: bounds against exact truths on networks made for them, and planted errors."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pytest

import compactproofs as cp
from compactproofs.kernel.problem import Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.opening.models import Model
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.hints import search_hints
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.tasks.orders import LargestInOrder, WeightedLargest
from compactproofs.testing import Trial
from compactproofs.theorems.max_of_k.few_dimensions import subspace
from exactcheck import checking, reading
from soundness.models import Weights, float_margins, verifying, with_biases
from soundness.planting import Planted
from soundness.truth import exact_correct

SUBSPACE = STRATEGIES["subspace"]
SHIPPED = Path(__file__).parent.parent / "docs" / "tighten" / "subspace"
Hints: TypeAlias = dict[str, Any]
NOTHING: Mapping[str, float] = MappingProxyType({})

OPTIONS: dict[str, list[float]] = {
    "order": [1.0, 1.0, 1.0, 1.0, 0.0],  # whether attention grows with the token, if queries are alike
    "steep": [-0.2, 0.3, 1.0, 2.0, 4.0],
    "turn": [0.0, 0.0, 0.0, -0.3, 0.3],  # how much steeper scores are for larger queries
    "own scores": [0.0, 0.0, 0.0, 0.3, 1.0],  # what each query wants of
    "own keys": [0.0, 1.0],  # tokens besides
    "own places": [0.0, 1.0],  # and of places
    "copies": [0.3, 1.0, 3.0],  # the lead of the token that is attended to
    "noise": [0.0, 0.1, 0.5, 2.0],  # what else is written
    "direct": [0.0, 0.0, 0.1, 0.5],
    "places": [0.0, 0.0, 0.1, 1.0],  # how different positions are
    "place scores": [0.0, 1.0],
    "place writes": [0.0, 0.0, 0.3, 1.0],
    "last place": [0.0, 0.0, 1.0],  # what the query's own place does to scores
    "last writes": [0.0, 0.0, 1.0],  # and to outputs
    "off": [0.0, 0.0, 1e-3, 0.03, 0.3],  # what tokens are besides
    "places off": [0.0, 0.0, 1e-3, 0.03, 0.3],  # what positions are besides
    "off scores": [0.0, 0.0, 3.0],  # and what that does, to scores and to outputs
    "off writes": [0.0, 0.0, 3.0],
    "off direct": [0.0, 0.0, 3.0],
    "other axes": [0.0, 0.0, 0.5],
    "fewer": [0.0, 0.0, 1.0],  # whether some maxima are to hold beside few tokens only
}
#: Where no option is given.
ZERO = dict.fromkeys(OPTIONS, 0.0) | {"order": 1.0, "steep": 1.0, "copies": 1.0}
EXACT = {**ZERO, "steep": 4.0}
SIZES = [(2, 1), (2, 2), (2, 3), (2, 5), (3, 2), (3, 3), (4, 2)]


def in_subspace(rng: np.random.Generator, fixed: Mapping[str, float] = NOTHING) -> tuple[Weights, Hints]:
    """A network whose embeddings are in a subspace and near it, with tables of any entries; and the subspace.

    Coordinates: 0 constant, 1 grows with the token, then one for each token, one for places, and one that only the last
    place has; 2 outside of the subspace, of tokens and of places; and one for each output, which the head writes.
    """
    is_ = {name: float(rng.choice(choices)) for name, choices in OPTIONS.items()} | dict(fixed)
    v, n = SIZES[int(rng.integers(len(SIZES)))]
    r = v + 4
    token, place, last, off, places_off, write = slice(2, v + 2), v + 2, v + 3, r, r + 1, slice(r + 2, r + 2 + v)
    d = r + 2 + v

    def noise(name: str, *shape: int) -> Any:
        return is_[name] * rng.normal(size=shape)

    E, P = np.zeros((v, d)), np.zeros((n, d))
    growing = rng.choice([0.05, 0.3, 1.0, 1.0], v).cumsum()
    E[:, 0], E[:, 1], E[:, token] = 1.0, growing if is_["order"] else rng.permutation(growing), np.eye(v)
    P[:, place], P[-1, last] = noise("places", n), 1.0
    E[:, off], P[:, places_off] = noise("off", v), noise("places off", n)
    Q, K = np.zeros((d, v)), np.zeros((d, v))
    Q[[0, 1, last], 0], Q[token, 1] = (is_["steep"], is_["turn"], *noise("last place", 1)), noise("own scores", v)
    K[1, 0], K[token, 1], K[place, :2] = 1.0, noise("own keys", v), (is_["place scores"], is_["own places"])
    Q[[off, places_off], 0], K[[off, places_off], 0] = noise("off scores", 2), noise("off scores", 2)
    V, W_O, U = np.zeros((d, v)), np.zeros((v, d)), np.zeros((d, v))
    V[token], V[place], V[[off, places_off]] = np.eye(v), noise("place writes", v), noise("off writes", 2, v)
    W_O[:, write] = np.eye(v)
    U[write] = is_["copies"] * np.eye(v) + noise("noise", v, v)
    direct = noise("direct", v, v) * rng.choice([0.0, 1.0, 1.0], (v, 1))
    U[token], U[last], U[[off, places_off]] = direct, noise("last writes", v), noise("off direct", 2, v)
    weights: Weights = {
        **{"W_E": E, "W_pos": P, "W_Q": np.sqrt(v) * Q, "W_K": K},
        **{"W_V": V, "W_O": W_O, "W_U": U},
    }
    tokens, positions, axes = E[:, :r], P[:, :r], np.eye(d)[:r]
    if rng.random() < 0.15:  # what biases put back is one more axis, along which all tokens are alike
        weights = with_biases(rng, weights)
        more = np.append(weights["W_E"][0] - E[0], 1.0)
        axes = np.concatenate([np.pad(axes, ((0, 0), (0, 1))), more[None]])
        tokens, positions = np.append(tokens, np.ones((v, 1)), axis=1), np.append(positions, np.zeros((n, 1)), axis=1)
    turn = np.eye(len(axes)) + noise("other axes", len(axes), len(axes))
    coordinates = np.concatenate([tokens @ turn, positions @ turn, (np.linalg.inv(turn) @ axes).T])
    below = rng.integers(0, v + 1, v) if is_["fewer"] else np.arange(v)
    return weights, {"coordinates": coordinates, "below": below.astype(np.uint16)}


def trial() -> Trial:
    """The strategy against the truth about such networks."""
    return Trial(
        strategy=SUBSPACE,
        draw=lambda rng: in_subspace(rng)[0],
        network=Model,
        task=lambda network: max_of_k(network).task,
        truth=exact_correct,
        search=search_hints,
        margins=float_margins,
    )


def violation(
    bound: Callable[[Model, Hints], int], seeds: Iterable[int], fixed: Mapping[str, float] = NOTHING
) -> str | None:
    """Among networks in and near a subspace, with that one as a hint, one of which `bound` says more than the truth."""
    for seed in seeds:
        weights, hints = in_subspace(np.random.default_rng(seed), fixed)
        model = Model(**weights)
        found = bound(model, hints)
        if found > (float_margins(weights) > 1e-6).sum() and found > exact_correct(model):
            return f"seed {seed}: {found} claimed, {exact_correct(model)} are right"
    return None


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_never_more_than_the_truth(times: int) -> None:
    """Networks made for the proof; spoiled, with all kinds of hints; and a climb to where an input just fails."""
    assert violation(lambda model, hints: SUBSPACE.bound(verifying(model), hints), range(500 * times)) is None
    trial().assert_sound(14 * times)
    found = trial().attack(60 * times)
    assert found.gap <= 0, f"{found} with {found.weights} and {found.hints}"


def test_what_is_left_out_of_scores() -> None:
    """Where all that the lemma bounds points the same way, scores are off by all of tau, or nearly with positions."""
    one = np.ones((1, 1))
    for place, most in ((0.0, 1.126), (0.5, 1.626)):
        model = cp.Model(
            W_E=np.array([[1.25], [-1.25]]),
            W_pos=np.full((2, 1), place),
            W_Q=one,
            W_K=one,
            W_V=one,
            W_O=one,
            W_U=one * [1, -1],
        )
        work = verifying(model)
        hint = np.array([[1.0], [-1.0], [place], [place], [1.0]])
        tau: Any = subspace.Subspace(work, subspace.coordinates_of(work, hint))._tau
        off = (1.25 + place) * 2.5 - (1.0 + place) * 2.0  # the first token over the second, as the first one sees them
        assert off <= tau.mid + tau.rad < most


def test_bounds_are_worth_something() -> None:
    """All inputs of networks that are in a subspace and right, and on average many of those near it."""
    for seed in range(8):
        model = Model(**in_subspace(np.random.default_rng(seed), {**EXACT, "steep": 30.0})[0])
        assert cp.prove(model, "subspace").certificate.certified == max_of_k(model).task.total
    shares = []
    for seed in range(100):
        weights, hints = in_subspace(np.random.default_rng(seed))
        model = Model(**weights)
        shares.append(SUBSPACE.bound(verifying(model), hints) / max_of_k(model).task.total)
    assert np.mean(shares) > 0.05


PLACE = "few_dimensions.subspace"
ERRORS: dict[str, tuple[str, str, dict[str, float]]] = {
    "what is outside is not attended to": (
        "np.exp(self._tau - rise)",
        "np.exp(0.0 - rise)",
        {**ZERO, "off": 0.003, "off scores": 100.0},
    ),
    "only tokens are outside": ("+ longest(P - C @ B)", "+ 0.0 * longest(P - C @ B)", {}),
    "only places are outside": ("longest(E - self._A @ B) +", "0.0 * longest(E - self._A @ B) +", {}),
    "what is outside writes nothing": ("longest(U.T)", "0.0", {}),
    "what is outside is not written by the head": (
        "(1.0 + size(V) * size(W_O))",
        "1.0",
        {**ZERO, "off": 0.1, "off writes": 5.0},
    ),
    "scores grow with the head": ("((B @ Q) / root)", "(B @ Q)", {**ZERO, "own scores": 1.0, "own keys": 1.0}),
    "the first place is the query's": ("(self._A + C[-1]) @", "(self._A + C[0]) @", {**ZERO, "last place": 3.0}),
    "one other place less": (".max() - 1.0", ".max() - 2.0", {}),
    "the average query sees the places": (
        ".sum(axis=1).max() - 1.0",
        ".sum(axis=1).mean(axis=0) - 1.0",
        {**ZERO, "own scores": 2.0, "own places": 1.0, "places": 1.0, "steep": 2.0},
    ),
    "the maximum is at the best place": ("places.min(axis=1, keepdims=True)", "places.max(axis=1, keepdims=True)", {}),
    "the query's place writes nothing": ("np.stack([mean + C[-1], middle])", "np.stack([mean, middle])", {}),
    "places write nothing on average": (
        "np.stack([mean + C[-1], middle])",
        "np.stack([mean + C[-1], 0.0 * middle])",
        {**ZERO, "places": 1.0, "place writes": 1.0},
    ),
    "places write alike": (
        "np.abs(C - middle)",
        "0.0 * np.abs(C - middle)",
        {**EXACT, "places": 1.0, "place writes": 1.0},
    ),
    "queries write alike": ("np.abs(self._A - mean)", "0.0 * np.abs(self._A - mean)", {**EXACT, "direct": 1.0}),
    "the maximum's own query": (
        "np.maximum.accumulate(of_query, axis=0)",
        "of_query",
        {**EXACT, "direct": 1.0, "copies": 2.0},
    ),
    "the average rival": ("D = max_of_others(G) - G", "D = G.mean(axis=1, keepdims=True) - G", {}),
    "the largest of other tokens is the worst": (
        "self._worst = np.maximum.accumulate(D, axis=0)",
        "self._worst = D",
        {**ZERO, "noise": 2.0, "copies": 3.0},
    ),
    "other tokens can only help": ("self._own + others, self._own", "self._own, self._own", {}),
    "what helps is certain": (
        "np.maximum(self._worst[last, m] + self._slack, 0.0)",
        "(self._worst[last, m] + self._slack)",
        {**ZERO, "noise": 2.0, "direct": 0.5},
    ),
    "queries at their best": (
        "np.minimum(rows * low, rows * high)",
        "np.maximum(rows * low, rows * high)",
        {**ZERO, "own scores": 1.0, "own keys": 1.0},
    ),
    "the average place among the others": ("self._kappa * np.exp", "np.exp", {}),
    "only the maximum as a query": (
        "np.minimum.accumulate(z, axis=0), np.maximum.accumulate(z, axis=0)",
        "z, z",
        {**ZERO, "own scores": 1.0, "own keys": 1.0},
    ),
    "scores in any order": ("in_order[below] & certainly", "certainly", {**ZERO, "order": 0.0, "steep": 2.0}),
    "the order of all tokens but the last": (
        "np.append([True, True],",
        "np.append([True, True, True],",
        {**ZERO, "order": 0.0, "steep": 2.0},
    ),
    "the smallest of other tokens is the nearest": ("np.maximum(below - 1, 0)", "np.maximum(below - 2, 0)", {}),
    "more tokens than there are below": ("below <= m\n", "below <= m + 1\n", {}),
}


#: Seeds of networks that show errors which few others do.
SOON = (250, 237, 224, 175, 86, 70, 65, 58, 43, 31, 25, 20, 19, 18, 9, 5, 4)


def caught(old: str, new: str, fixed: Mapping[str, float], number: int = 10_000) -> bool:
    """Whether a copy with this error claims too much on one of these networks."""
    copy, seeds = Planted((PLACE, old, new)), (*SOON, *range(number))
    return violation(lambda model, hints: copy.bound(SUBSPACE.id, model, hints=hints), seeds, fixed) is not None


@pytest.mark.parametrize("error", ERRORS)
def test_planted_error_is_caught(error: str) -> None:
    """Each error that is made on purpose is found."""
    assert caught(*ERRORS[error])


def test_copy_without_error_is_sound() -> None:
    """What finds the errors is the errors, not the copying."""
    assert not caught("below <= m", "below <= m", {}, 50)


def test_hints_that_say_nothing_prove_nothing() -> None:
    """No axes, none that are real, coordinates of others, and more tokens than there are: no inputs and no error."""
    weights, hints = in_subspace(np.random.default_rng(0), EXACT)
    work, found = verifying(Model(**weights)), hints["coordinates"]
    assert SUBSPACE.bound(work, hints) > 0
    for wrong in (found[:, :0], np.full_like(found, np.nan), found[::-1]):
        assert SUBSPACE.bound(work, {**hints, "coordinates": wrong}) == 0
    assert SUBSPACE.bound(work, {**hints, "below": np.full_like(hints["below"], 2**16 - 1)}) == 0
    more = np.concatenate([found, np.zeros((len(found), 40))], axis=1)  # columns beyond the width are not looked at
    assert SUBSPACE.bound(work, {**hints, "coordinates": more}) == SUBSPACE.bound(work, hints)


def test_the_second_checker_agrees(tmp_path: Path) -> None:
    """It finds the same number on networks near a subspace, by balls and code of its own."""
    found = []
    for seed in range(60):
        weights, hints = in_subspace(np.random.default_rng(seed))
        model = Model(**weights)
        model.save(tmp_path / "model.safetensors")
        by_floats = {
            name: reading.Hint(hint.dtype.name, hint.shape, tuple(hint.reshape(-1).tolist()))
            for name, hint in hints.items()
        }
        exact = checking.derive(
            SUBSPACE.id, reading.read_weights((tmp_path / "model.safetensors").read_bytes()), by_floats
        )
        found.append(SUBSPACE.bound(verifying(model), hints))
        assert exact == checking.Result(found[-1], 0, 256), f"seed {seed}"
    assert sum(number > 0 for number in found) > 10


def test_orders_and_weights_of_tokens() -> None:
    """In another order of tokens it is the same network; weights count what their inputs count."""
    weights, hints = in_subspace(np.random.default_rng(3), {**EXACT, "steep": 30.0})
    model, order = Model(**weights), np.random.default_rng(1).permutation(len(hints["below"]))
    v, n = model.d_vocab, model.n_ctx
    moved = {name: np.array(matrix) for name, matrix in weights.items()}
    moved["W_E"][order], moved["W_U"][:, order] = weights["W_E"], weights["W_U"]
    places, counts = tuple(map(int, order)), tuple(range(1, v + 1))
    for task in (LargestInOrder(n, v, places), WeightedLargest(n, v, places, counts)):
        assert SUBSPACE.bound(Workspace(Problem(Model(**moved), task)), hints) == task.total
    fewer = {**hints, "below": np.minimum(hints["below"], 1)}  # beside a maximum only the first token of the order
    shares, weight = SUBSPACE.bound(Workspace(Problem(Model(**moved), task)), fewer), np.array(counts)[order]
    assert shares == weight[0] ** n + sum((weight[0] + w) ** n - weight[0] ** n for w in weight[1:].tolist())


def test_networks_trained_for_it_are_proved() -> None:
    """The networks and certificates that come with the documentation, as its table says."""
    with (SHIPPED / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(list(SHIPPED.glob("*/*.safetensors"))) >= 10
    for row in rows:
        place = SHIPPED / row["dimensions"] / row["seed"]
        certificate = cp.Certificate.load(place.with_suffix(".cert.json"))
        assert certificate.strategy == SUBSPACE.id
        assert certificate.certified == int(row["proved"]) <= int(row["right_after"])
        assert certificate.hints["coordinates"].shape[1] == int(row["dimensions"])
        assert cp.verify(certificate, cp.load_model(place.with_suffix(".safetensors"))).accepted
        assert not cp.verify(certificate, cp.load_model(f"max-of-4/{row['seed']}")).accepted
