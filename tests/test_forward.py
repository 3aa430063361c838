"""The plain forward pass: right, within its own error bounds, and honest where it has no answer."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from compactproofs import Model, load_model
from compactproofs.opening.forward import answers, logits, logits_within, some_inputs


def random_model(rng: np.random.Generator, scale: float, dtype: npt.DTypeLike, **sizes: int) -> Model:
    """Normal weights of this size that the type holds; some models have biases, some larger ones."""
    v, n, d, h = ({letter: int(rng.integers(2, 12)) for letter in "vndh"} | sizes).values()
    shapes = {"W_E": (v, d), "W_pos": (n, d), "W_Q": (d, h), "W_K": (d, h), "W_V": (d, h), "W_O": (h, d), "W_U": (d, v)}
    weights = {name: (rng.normal(size=shape) * scale).astype(dtype) for name, shape in shapes.items()}
    if rng.random() < 0.6:
        of_biases = {"b_Q": h, "b_K": h, "b_V": h, "b_O": d, "b_U": v}
        size = scale * float(rng.choice([0.1, 1.0, 10.0]))
        weights |= {name: (rng.normal(size=length) * size).astype(dtype) for name, length in of_biases.items()}
    return Model(**weights)


def step_by_step(model: Model, tokens: npt.NDArray[np.int64], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Another program: every step of the model in this type, one after the other as TransformerLens does."""
    E, P, Q, K, V, OUT, U = (getattr(model, f"W_{name}").astype(dtype) for name in ("E", "pos", *"QKVOU"))
    b_Q, b_K, b_V, b_O, b_U = (getattr(model, f"b_{name}").astype(dtype) for name in "QKVOU")
    x = E[tokens] + P
    q, k, v = x[:, -1:] @ Q + b_Q, x @ K + b_K, x @ V + b_V
    scores = (q @ k.transpose(0, 2, 1)) / np.asarray(np.sqrt(model.d_head), dtype)
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    head = (weights / weights.sum(axis=2, keepdims=True)) @ v @ OUT + b_O
    result = (x[:, -1:] + head) @ U + b_U
    assert result.dtype == dtype
    return np.asarray(result[:, 0], np.float64)


def models() -> Iterator[tuple[Model, type[np.floating]]]:
    """Weights from those that underflow to those whose scores decide everything, in both types."""
    rng = np.random.default_rng(1)
    for scale in (1e-30, 1e-20, 1e-12, 1e-6, 1e-3, 0.1, 0.3, 1.0, 2.0, 5.0, 30.0, 1e3, 1e5):
        for dtype in (np.float32, np.float64):
            for sizes in ({}, {"d": 40, "h": 30}, {"n": 1}, {"d": 1, "h": 1}):
                yield random_model(rng, scale, dtype, **sizes), dtype


def test_both_agree_with_the_definition() -> None:
    """In float64 all ways give the same, up to the bound for it."""
    rng = np.random.default_rng(2)
    for model, _ in models():
        tokens = some_inputs(model, 50, rng)
        value, within = logits_within(model, tokens, np.float64)
        assert (abs(value - step_by_step(model, tokens, np.float64)) <= within).all()
        assert (abs(value - logits(model, tokens)) <= within).all()


def test_float32_is_within_its_bound() -> None:
    """No honest program is off by more, whatever the size of the weights, and underflow is counted."""
    rng, closest = np.random.default_rng(3), 0.0
    for model, dtype in models():
        tokens = some_inputs(model, 100, rng)
        value, within = logits_within(model, tokens, dtype)
        found = step_by_step(model, tokens, dtype)
        assert np.isfinite(found).all()
        assert (abs(found - value) <= within).all()
        closest = max(closest, float((abs(found - value) / within).max()))
    assert closest > 0.05  # a bound that is never approached would hide much


@pytest.mark.parametrize("name", ["max-of-4/123", "max-of-10-v128/50", "max-of-20/50"])
def test_bounds_are_small_for_trained_models(name: str) -> None:
    """A difference of a thousandth of an input's largest logit is always more than rounding."""
    model = load_model(name)
    value, within = logits_within(model, some_inputs(model, 300, np.random.default_rng(4)), np.float32)
    assert (within < 1e-3 * value.max(axis=1, keepdims=True)).all()


def test_some_inputs() -> None:
    """All where there are few, otherwise every token at every place; nobody else's random numbers are touched."""
    rng = np.random.default_rng(5)
    state = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    few = some_inputs(random_model(rng, 1.0, np.float64, v=3, n=4), 81, rng)
    assert len(np.unique(few, axis=0)) == len(few) == 81
    many = some_inputs(random_model(rng, 1.0, np.float64, v=5, n=40), 100, rng)
    assert all((np.bincount(column) == 20).all() for column in many.T)
    large = some_inputs(random_model(rng, 1.0, np.float64, v=500, n=3), 10, rng)
    assert large.shape == (10, 3)
    assert large.max() > 10
    assert (np.random.get_state(legacy=False)["state"]["key"] == state).all()  # noqa: NPY002


def test_answers() -> None:
    """The largest logit; none where two are equal or one is no number."""
    model = load_model("max-of-4/123")
    tokens = some_inputs(model, 1000, np.random.default_rng(6))
    assert np.mean(answers(model, tokens) == tokens.max(axis=1)) > 0.99
    rng = np.random.default_rng(7)
    for scale in (0.0, 1e300):
        tied = random_model(rng, scale, np.float64)
        assert (answers(tied, some_inputs(tied, 20, rng)) == -1).all()
