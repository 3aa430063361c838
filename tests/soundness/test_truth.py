"""The truth that everything is measured against, checked by three other ways to compute it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactproofs.opening.models import Model

from .models import (
    BIASES,
    Case,
    Weights,
    all_cases,
    cases,
    float_margins,
    random_weights,
    weights_of,
    with_biases,
    working_weights,
)
from .truth import all_inputs, exact_correct, exact_correct_set


def logits_by_the_book(model: Model, tokens: tuple[int, ...]) -> np.ndarray:
    """One forward pass, one step after the other, in float64."""
    x = model.W_E[list(tokens)] + model.W_pos
    scores = (x[-1] @ model.W_Q + model.b_Q) @ (x @ model.W_K + model.b_K).T / np.sqrt(model.d_head)
    attention = np.exp(scores - scores.max())
    attention = attention / attention.sum()
    head = attention @ (x @ model.W_V + model.b_V) @ model.W_O + model.b_O
    return np.asarray((x[-1] + head) @ model.W_U + model.b_U)


@st.composite
def any_weights(draw: st.DrawFn) -> Weights:
    """Random or working models of moderate scale, some with biases."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    v, n = draw(st.sampled_from([(2, 1), (2, 3), (3, 2), (3, 3), (4, 2), (6, 2), (2, 5)]))
    h = draw(st.integers(1, 4))
    if draw(st.booleans()):
        weights = random_weights(rng, v, n, draw(st.integers(1, 6)), h, draw(st.sampled_from([0.1, 1.0, 2.0])))
    else:
        noise = draw(st.sampled_from([0.0, 0.2]))
        weights = working_weights(rng, v, n, h, sharpness=draw(st.floats(0.5, 8)), noise=noise)
    if draw(st.booleans()):
        weights = with_biases(rng, weights)
        weights[draw(st.sampled_from(BIASES))] *= 1.5
    return weights


@settings(max_examples=60, deadline=None, derandomize=True)
@given(any_weights())
def test_truth_agrees_with_plain_forward_passes(weights: Weights) -> None:
    """Wherever float64 leaves no doubt, it says the same."""
    model = Model(**weights)
    truth = exact_correct_set(model)
    for tokens, right in zip(all_inputs(model), truth, strict=True):
        logits = logits_by_the_book(model, tokens)
        label = max(tokens)
        margin = logits[label] - np.delete(logits, label).max()
        if abs(margin) > 1e-9 * np.abs(logits).max():
            assert right == (margin > 0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(any_weights())
def test_batched_margins_agree_with_plain_forward_passes(weights: Weights) -> None:
    """The float64 margins that guide the search belong to the same inputs."""
    model = Model(**weights)
    logits = np.array([logits_by_the_book(model, tokens) for tokens in all_inputs(model)])
    labels = [max(tokens) for tokens in all_inputs(model)]
    margins = [row[m] - np.delete(row, m).max() for row, m in zip(logits, labels, strict=True)]

    np.testing.assert_allclose(float_margins(weights), margins / np.abs(logits).max(), atol=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_truth_is_exact_for_rational_logits(seed: int) -> None:
    """Without attention scores the logits are rational, so fractions decide every input, ties included."""
    rng = np.random.default_rng(seed)
    v, n = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    weights = {**random_weights(rng, v, n, 2, 2, 1.0, integers=seed % 3 != 0), "W_Q": np.zeros((2, 2))}
    if seed % 2:
        shapes = {"b_K": 2, "b_V": 2, "b_O": 2, "b_U": v}
        weights |= {name: rng.integers(-1, 2, length) / 2.0 for name, length in shapes.items()}
    model = Model(**weights)
    E, P, V, W_O, U, b_V, b_O, b_U = (
        np.vectorize(Fraction, otypes=[object])(getattr(model, name))
        for name in ("W_E", "W_pos", "W_V", "W_O", "W_U", "b_V", "b_O", "b_U")
    )

    for tokens, right in zip(all_inputs(model), exact_correct_set(model), strict=True):
        x = E[list(tokens)] + P
        values = x.dot(V) + b_V
        logits = list((x[-1] + (values.sum(axis=0) / Fraction(n)).dot(W_O) + b_O).dot(U) + b_U)
        label = max(tokens)
        assert right == all(logits[label] > other for o, other in enumerate(logits) if o != label)


def test_margin_of_1e_minus_500_is_decided() -> None:
    """Two tokens, three positions, attention e^-1152 to what decides: far below float64."""
    weights = working_weights(np.random.default_rng(0), 2, 2, rotate=False)
    for name in weights:
        weights[name][:] = 0.0
    weights["W_E"][:, 0] = [0.0, 1.0]
    weights["W_pos"][:, 1] = 1.0
    weights["W_Q"][1, 0], weights["W_K"][0, 0] = 1.0, -1152.0
    weights["W_V"][0, 0], weights["W_O"][0, 2], weights["W_U"][2, 1] = 1.0, 1.0, 1.0
    # Attention avoids token 1, and only what is read from it speaks for output 1: (0, 0) ties.
    assert exact_correct_set(Model(**weights)).tolist() == [False, True, True, True]
    # Now output 0 leads by 1e-490 or so (two factors of 1e-245), more than e^-1152 = 1e-500.
    weights["W_E"][:, 3], weights["W_U"][3, 0] = 1e-245, 1e-245

    assert exact_correct_set(Model(**weights)).tolist() == [True, False, False, True]


def test_ties_are_wrong() -> None:
    """Equal logits are a wrong answer, and an undecided input counts as wrong."""
    for case in cases("ties"):
        if "all zero" in case.name:
            assert exact_correct(case.model) == 0


def test_hidden_ties_fool_float64() -> None:
    """These models look right to floating point on inputs where the exact logits tie."""
    hidden = [case for case in cases("ties") if "hidden" in case.name]
    fooled = [c for c in hidden if int((float_margins(weights_of(c.model)) > 0).sum()) > exact_correct(c.model)]

    assert fooled


def test_the_brink_fools_float64() -> None:
    """Some models there look better to floating point than they are, and others worse."""
    seen = {
        np.sign(int((float_margins(weights_of(c.model)) > 0).sum()) - exact_correct(c.model)) for c in cases("brink")
    }

    assert seen == {-1, 0, 1}


@pytest.mark.parametrize("family", ["working", "positions", "moderate"])
def test_working_models_work(family: str) -> None:
    """The models are worth attacking: many are right often, and many are wrong somewhere."""
    shares = [exact_correct(c.model) / c.model.d_vocab**c.model.n_ctx for c in cases(family)]

    assert np.mean(shares) > 0.6
    assert any(share < 1 for share in shares)


def test_cases_are_the_same_every_time() -> None:
    """A failure can be reproduced from its name and seed."""
    names = [case.name for case in all_cases()]
    hashes = [case.model.sha256 for case in all_cases()]
    cases.cache_clear()

    assert names == [case.name for case in all_cases()]
    assert hashes == [case.model.sha256 for case in all_cases()]
    assert all(isinstance(case, Case) for case in all_cases(seed=1))
