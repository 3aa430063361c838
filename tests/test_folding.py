"""Biases: what proofs find about models that have them is true, and errors in folding them are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compactproofs.opening.models import Model
from compactproofs.opening.networks import load_decoder, task_for
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.effort import verify
from compactproofs.search.prover import Prover
from compactproofs.search.workspaces import workspace
from compactproofs.tasks.max_of_k import max_of_k
from soundness.models import BIASES, cases, random_weights, weights_of, with_biases
from soundness.planting import Planted
from soundness.truth import exact_correct
from test_planted_errors import Error, broken_on

FOLDED = cases("folded")
EXACT = ("brute-force", "branch-and-bound", "branch-and-bound-upper")
BIASED = "networks.attention_only.biases"
CIRCUITS = "networks.attention_only.circuits"

ERRORS = (
    Error("no b_Q", ((BIASED, "[[W_Q], [b_Q]]", "[[W_Q], [0.0 * b_Q]]"),)),
    Error("b_Q for keys", ((BIASED, "[[W_Q], [b_Q]]", "[[W_Q], [b_K]]"),)),
    Error("no b_V", ((BIASED, "[b_V, 1.0]", "[0.0 * b_V, 1.0]"),)),
    Error("b_V for each position", ((BIASED, "[b_V, 1.0]", "[len(W_E) * b_V, 1.0]"),)),
    Error("no b_O", ((BIASED, "[b_V, 1.0]", "[b_V, 0.0]"),)),
    Error("b_O for each position", ((BIASED, "[b_V, 1.0]", "[b_V, 1.0 * len(W_E)]"),)),
    Error("the head writes the ones again", ((BIASED, "[b_O, 0.0]", "[b_O, 1.0]"),)),
    Error("no b_U", ((BIASED, "[[W_U], [b_U]]", "[[W_U], [0.0 * b_U]]"),)),
    Error("positions bring a second one", ((BIASED, "np.zeros((len(W_pos), 1))", "np.ones((len(W_pos), 1))"),)),
    Error("the root of the wider head", ((CIRCUITS, "work.network.d_head", "work.network.weight('W_V').shape[1]"),)),
)


def test_exact_strategies_find_the_truth() -> None:
    """Forward passes in ball arithmetic, from the definition with biases, give the same number."""
    for case in FOLDED:
        work = workspace(case.model, "check")
        for key in EXACT:
            assert STRATEGIES[key].bound(work, {}) == exact_correct(case.model), (case.name, key)


def test_failing_sets_find_the_truth() -> None:
    """With searched hints, where tables are exact."""
    for case in (case for case in FOLDED[::3] if case.model.n_ctx > 1):
        prover = Prover(case.model)
        for key in ("failing-sets", "failing-sets/low-rank-QK+EU"):
            certificate = prover.prove(key).certificate
            assert certificate.certified == exact_correct(case.model), (case.name, key)
            assert verify(certificate, case.model).accepted


def test_decoders_answer_alike(tmp_path: Path) -> None:
    """The other family, which adds biases where they stand, enumerates as many right answers in the same file."""
    for case in FOLDED[::5]:
        case.model.save(tmp_path / "m.safetensors")
        decoder = load_decoder(tmp_path / "m.safetensors", normalization_type=None, attn_only=True)
        proof = Prover(decoder, task_for(decoder)).prove("enumerate")
        assert proof.certificate.certified == exact_correct(case.model), case.name


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.name)
def test_planted_errors_are_found(error: Error) -> None:
    """Each makes brute force claim more than the truth."""
    assert next(broken_on(Planted(*error.changes), "brute-force", FOLDED, error.name), None) is not None


def test_the_bias_of_keys_has_no_part() -> None:
    """It adds the same to all scores of a query: with any other b_K a model answers the same, and is another model."""
    rng = np.random.default_rng(0)
    for case in FOLDED[::8]:
        weights = weights_of(case.model)
        changed = Model(**weights | {"b_K": rng.normal(size=case.model.d_head)})
        assert changed.sha256 != case.model.sha256
        assert exact_correct(changed) == exact_correct(case.model)
        assert STRATEGIES["brute-force"].bound(workspace(changed, "check"), {}) == exact_correct(case.model)


def test_hints_are_as_wide_as_the_folded_model() -> None:
    """Hints for directions of the residual stream have an entry for the ones."""
    rng = np.random.default_rng(1)
    plain = random_weights(rng, 4, 3, 5, 2)
    for weights, width in ((plain, 5), (with_biases(rng, plain), 6)):
        problem = max_of_k(Model(**weights))
        specs = [spec for strategy in STRATEGIES.values() for spec in strategy.hints(problem).items()]
        for name, spec in specs:
            if name in ("of_Q", "of_K", "centre"):
                assert spec.shape == (width,)
            if name.endswith("_directions"):
                assert spec.shape == (2, width, None)


@pytest.mark.parametrize("name", BIASES)
def test_one_bias_is_enough(name: str) -> None:
    """A certificate about a model is not about the one without this bias, nor the other way round."""
    case = next(case for case in FOLDED if f"{name} alone v=3 K=2" in case.name)
    without = Model(**{key: w for key, w in weights_of(case.model).items() if key not in BIASES})
    for about, other in ((case.model, without), (without, case.model)):
        certificate = Prover(about).prove("brute-force").certificate
        assert verify(certificate, about).accepted
        assert not verify(certificate, other).accepted
