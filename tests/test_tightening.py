"""Training toward a proof: the differentiable reading is the strategy's own program, and what it moves is proved."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the extra `train`, that is PyTorch")

import compactproofs as cp  # noqa: E402
from compactproofs import training  # noqa: E402
from compactproofs.__main__ import run as command_line  # noqa: E402
from compactproofs.kernel.problem import Problem  # noqa: E402
from compactproofs.networks.attention_only.model import WEIGHTS  # noqa: E402
from compactproofs.networks.pair_sum.circuits import tables  # noqa: E402
from compactproofs.networks.pair_sum.model import PairSum  # noqa: E402
from compactproofs.runs.inputs import open_file  # noqa: E402
from compactproofs.search.families.few_dimensions import coordinates  # noqa: E402
from compactproofs.search.workspaces import MeasuredWorkspace, workspace  # noqa: E402
from compactproofs.system.files import write_atomically  # noqa: E402
from compactproofs.tasks.max_of_k import max_of_k  # noqa: E402
from compactproofs.tasks.pairs import add_mod  # noqa: E402
from compactproofs.theorems import BUILT_IN  # noqa: E402
from compactproofs.theorems.max_of_k.few_dimensions import number_line, subspace  # noqa: E402
from compactproofs.theorems.max_of_k.subcubic.gaps import CHOICES, Classes, pairs, possible_gaps  # noqa: E402
from compactproofs.training import few_directions, tightened  # noqa: E402
from compactproofs.training.command import within  # noqa: E402
from compactproofs.training.conditions import conditions, known_hints  # noqa: E402
from compactproofs.training.few_directions import FewDirections, as_float32, keep_few  # noqa: E402
from compactproofs.training.files import read_metadata, to_bytes  # noqa: E402
from compactproofs.training.gradients import DifferentiableWorkspace  # noqa: E402
from compactproofs.training.parameters import InSubspace, OnLine, network_of  # noqa: E402
from compactproofs.training.tightened import tighten_models  # noqa: E402

STRATEGIES = [*sorted(CHOICES)[::7], training.CHEAPEST]


def small_model(seed: int, v: int = 6, n: int = 3, d: int = 5) -> cp.Model:
    """Random weights that copy tokens, larger ones more, so that some classes are certified and some are not."""
    rng = np.random.default_rng(seed)
    E = rng.normal(size=(v, d))
    weights: dict[str, Any] = {"W_E": E, "W_pos": 0.1 * rng.normal(size=(n, d)), "W_Q": rng.normal(size=(d, d))}
    weights |= {
        "W_K": 0.3 * rng.normal(size=(d, d)),
        "W_V": np.eye(d),
        "W_O": 4.0 * np.eye(d),
        "W_U": np.linalg.pinv(E),
    }
    return cp.Model(**{name: weight.astype(np.float32) for name, weight in weights.items()})


def tensors(model: cp.Model, *, grad: bool = False) -> dict[str, Any]:
    """The weights in float64."""
    return {name: torch.tensor(getattr(model, name), dtype=torch.float64, requires_grad=grad) for name in WEIGHTS}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", [0, 1])
def test_leads_are_negative_exactly_where_the_program_certifies(strategy: str, seed: int) -> None:
    """The condition, read as plain numbers, and the leads, read as tensors, agree on every class."""
    model = small_model(seed)
    values = workspace(model, "value")
    hints = known_hints(BUILT_IN.strategy(strategy), values)
    leads, shares = conditions(strategy, DifferentiableWorkspace(max_of_k(model), tensors(model)), hints)
    classes, (_, m) = Classes(values, CHOICES[strategy], hints), pairs(6)
    certified = [classes.without_others()]
    for gap in (1, 2):
        allowed, gaps = possible_gaps(values.task, np.full((len(m), 2), gap))
        certified.append(classes.with_others(gaps)[allowed])
    assert ((leads < 0).numpy() == np.concatenate(certified)).all()
    assert shares.sum() == pytest.approx(1.0)
    assert (shares > 0).all()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_gradients_are_slopes(strategy: str) -> None:
    """Along a random line the penalty changes as its gradient says."""
    model = small_model(2)
    hints = known_hints(BUILT_IN.strategy(strategy), workspace(model, "value"))
    weights = tensors(model, grad=True)
    draws = torch.Generator().manual_seed(1)
    direction = {name: torch.randn(w.shape, generator=draws).double() for name, w in weights.items()}

    def penalty(step: float) -> Any:
        moved = {name: w + step * direction[name] for name, w in weights.items()}
        leads, shares = conditions(strategy, DifferentiableWorkspace(max_of_k(model), moved), hints)
        return (shares * torch.log1p((leads + 0.5).clamp(min=0))).sum()

    penalty(0.0).backward()
    slope = sum(float((w.grad * direction[name]).sum()) for name, w in weights.items() if w.grad is not None)
    h = 1e-6
    assert slope == pytest.approx((penalty(h) - penalty(-h)).item() / (2 * h), rel=1e-3, abs=1e-6)


def test_the_reading_refuses_what_it_does_not_know() -> None:
    """No conversion that loses the gradient, and no function whose meaning here nobody wrote down."""
    model = small_model(0)
    table = DifferentiableWorkspace(max_of_k(model), tensors(model)).weight("W_E")
    for wrong in (lambda: np.asarray(table), lambda: np.cumsum(table), lambda: np.sin(table), lambda: bool(table)):
        with pytest.raises(TypeError):
            wrong()


def test_training_raises_the_bound_and_the_certificates_are_accepted(tmp_path: Path) -> None:
    """On a small network: more is proved than before, and than after as many steps without the penalty."""
    config = training.TrainingConfig(n_ctx=3, d_vocab=8, d_model=8, d_head=8, steps=300)
    training.train(config, [1], tmp_path / "zoo")
    how = training.Tightening(steps=150, batch_size=64)
    model = tmp_path / "zoo/1.safetensors"
    (result,) = tighten_models([str(model)], tmp_path / "out", how, also=["failing-sets"])
    change = result["changes"][0]
    assert change["after"] > change["before"]
    assert change["control"] is not None
    assert change["after"] > change["control"]
    after = tmp_path / "out/models/1.safetensors"
    assert cp.load_model(after).sha256 == result["sha256_after"]
    assert json.loads(next((tmp_path / "out/results").iterdir()).read_text())["result"] == result
    for which, network in (("before", model), ("after", after)):
        folder = tmp_path / f"out/certificates/1/{which}"
        assert len(list(folder.iterdir())) == 2
        assert command_line(["verify", str(folder), str(network)]) == 0
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}
    assert tighten_models([str(model)], tmp_path / "out", how, also=["failing-sets"]) == [result]
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}


def test_long_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is proved besides is left out where inputs are too many for it."""
    monkeypatch.setattr(tightened, "_exactly", lambda prover: None)  # branch and bound is slow on such a model
    small_model(1, n=12).save(tmp_path / "long.safetensors")
    (result,) = tighten_models(
        [str(tmp_path / "long.safetensors")], tmp_path / "out", training.Tightening(steps=2), control=False
    )
    proved = [change["strategy"] for change in result["changes"]]
    assert proved == [training.CHEAPEST, "sub-cubic/max_diff_exact/mean_query+diff/svd"]


def test_training_toward_number_line(tmp_path: Path) -> None:
    """On a small network: of what begins as its best line little is proved, and everything after training."""
    config = training.TrainingConfig(n_ctx=3, d_vocab=8, d_model=8, d_head=8, steps=300)
    training.train(config, [1], tmp_path / "zoo")
    how = training.Tightening(strategy="number-line", steps=300, batch_size=64)
    assert how.distance_penalty == 10.0
    (result,) = tighten_models([str(tmp_path / "zoo/1.safetensors")], tmp_path / "out", how, also=[], control=False)
    assert (result["changes"][0]["before"], result["changes"][0]["after"]) == (0.0, 1.0)
    after = tmp_path / "out/models/1.safetensors"
    assert command_line(["verify", str(tmp_path / "out/certificates/1/after"), str(after)]) == 0
    assert np.linalg.matrix_rank(np.diff(cp.load_model(after).W_E, axis=0), tol=1e-4) == 1


def test_conditions_on_a_line_are_those_of_the_proof() -> None:
    """Outputs of neighbours cross where they are to, and what training sees is what the proof will."""
    with torch.enable_grad():
        line = OnLine(cp.load_model("max-of-4/123"))
        weights = line.weights()
        leads, shares = line.conditions(weights, 0)
        leads.sum().backward()
    assert shares.sum() == pytest.approx(1.0)
    assert all(torch.isfinite(part.grad).all() for part in line.tensors() if part.grad is not None)
    work = workspace(network_of(weights), "value")
    e0, b, c = (part.detach().numpy().astype(np.float64) for part in line._line())
    room = np.concatenate([np.reshape(x, -1) for x in number_line.room_on_line(work, number_line.Line(e0, b, c))])
    assert leads.detach().numpy() * 0.04 == pytest.approx(-room, rel=1e-2, abs=1e-2)
    assert (room[1:64] > 0).all()  # outputs below the maximum; scores do not yet rise enough for those above


def test_conditions_of_a_subspace_are_those_of_the_proof() -> None:
    """Embeddings have as many dimensions as told, and what training sees is what the proof will, also between axes."""
    model = cp.load_model("max-of-4-tightened/123")
    limited = InSubspace(model, 7)
    with torch.enable_grad():
        limited.conditions(limited.weights(), 0)
        with torch.no_grad():
            for part in limited.tensors():
                part.mul_(1.0 + 0.01 * torch.sin(torch.arange(part.numel())).reshape(part.shape))
        weights = limited.weights()
        assert torch.linalg.matrix_rank(torch.cat([weights["W_E"], weights["W_pos"]])) == 7
        for step in (1, 10):  # in the axes of before, and in new ones
            leads, shares = limited.conditions(weights, step)
        leads.sum().backward()
    assert shares[63:].sum() == pytest.approx(1.0)
    assert all(torch.isfinite(part.grad).all() for part in limited.tensors() if part.grad is not None)
    work = workspace(network_of(weights), "value")
    seen = subspace.Subspace(work, subspace.coordinates_of(work, coordinates(work, 7)))
    steps, rest = seen.room(np.arange(64))
    assert leads.detach().numpy() == pytest.approx(-np.concatenate([steps, rest]), rel=1e-2, abs=1e-2)


def test_training_toward_subspace(tmp_path: Path) -> None:
    """On a small network: more is proved than before, and the embedding has as many dimensions as told."""
    config = training.TrainingConfig(n_ctx=3, d_vocab=8, d_model=8, d_head=8, steps=300)
    training.train(config, [1], tmp_path / "zoo")
    how = training.Tightening(strategy="subspace", steps=300, batch_size=64, dimensions=4)
    (result,) = tighten_models([str(tmp_path / "zoo/1.safetensors")], tmp_path / "out", how, also=[], control=False)
    change = result["changes"][0]
    assert change["after"] > 0.9 > change["before"]
    after = tmp_path / "out/models/1.safetensors"
    assert command_line(["verify", str(tmp_path / "out/certificates/1/after"), str(after)]) == 0
    assert np.linalg.matrix_rank(cp.load_model(after).W_E, tol=1e-4) <= 4


def test_a_budget_chooses_the_strategy() -> None:
    """The first that fits of the cheapest sub-cubic one, more and fewer dimensions, and a line; never a dearer one."""
    zoo, prover = ["max-of-4/123", "max-of-4-tightened/50"], cp.Prover(cp.load_model("max-of-4/123"))
    for budget, chosen in (
        (10**7, (training.CHEAPEST, 6)), (1_292_735, (training.CHEAPEST, 6)), (1_292_734, ("subspace", 32)),
        (231_012, ("subspace", 6)), (231_011, ("subspace", 5)), (60_975, ("number-line", 6)),
    ):  # fmt: skip
        assert within(budget, zoo, None, 6) == chosen
    assert prover.prove("number-line").cost.flops == 60_975
    with pytest.raises(training.NotTrainable, match="at least 60975"):
        within(60_974, zoo, None, 6)
    with pytest.raises(ValueError, match="differ in size"):
        within(231_012, [*zoo, "max-of-10/123"], None, 6)


def test_what_cannot_be_trained_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says what there is instead, and exit code 2."""
    model = small_model(0)
    biased = cp.Model(**{name: getattr(model, name) for name in WEIGHTS}, b_U=np.ones(6))
    with pytest.raises(training.NotTrainable, match="b_U"):
        training.tighten(biased)
    with pytest.raises(training.NotTrainable, match="failing-sets"):
        training.Tightening(strategy="failing-sets")
    with pytest.raises(training.NotTrainable, match="at most 5"):
        training.tighten(model, training.Tightening(strategy="subspace"))
    for bad in ({"steps": 0}, {"dimensions": 0}, {"learning_rate": math.nan}, {"penalty": -1.0}, {"room": 0.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            training.Tightening(**bad)
    both = ["--strategy", "subspace", "--budget", "300000", "max-of-4/50"]
    few = ["--budget", "1", "max-of-4/50"]
    assert command_line(["tighten", "--out", str(tmp_path / "no"), "--budget", "2^15.5", "max-of-4/50"]) == 2
    assert "--budget: expected at least 60975," in capsys.readouterr().err
    for wrong in (
        ["--steps", "0", "max-of-4/50"], ["--strategy", "cubic", "max-of-4/50"], [], ["--seeds", "152"], both, few,
    ):  # fmt: skip
        assert command_line(["tighten", "--out", str(tmp_path / "no"), *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "no").exists()


def adding(n: int = 7, d: int = 8, m: int = 12, seed: int = 0) -> PairSum:
    """A random transformer on two tokens of n, with two heads."""
    rng = np.random.default_rng(seed)
    shapes = {
        **{"embed.W_E": (n, d), "pos_embed.W_pos": (2, d), "unembed.W_U": (d, n)},
        **{"blocks.0.attn.W_V": (2, d, d // 2), "blocks.0.attn.W_O": (2, d // 2, d)},
        **{"blocks.0.mlp.W_in": (d, m), "blocks.0.mlp.W_out": (m, d)},
    }
    return PairSum({name: rng.normal(size=shape) / math.sqrt(d) for name, shape in shapes.items()})


def test_training_toward_few_directions(tmp_path: Path) -> None:
    """A network of random weights keeps few directions and neurons, and all that it learns in them is proved."""
    path, how = tmp_path / "random.safetensors", FewDirections(steps=400, frequencies=1, dimensions=3, neurons=8)
    write_atomically(path, to_bytes(as_float32(adding()), {"family": "pair-sum", "task": "add-7"}))
    assert command_line(
        [
            *("tighten", str(path), "--strategy", "pair-sum/few-directions", "--out", str(tmp_path / "out")),
            *("--steps", "400", "--frequencies", "1", "--dimensions", "3", "--neurons", "8"),
        ]
    ) == 0  # fmt: skip
    (result,) = tighten_models([str(path)], tmp_path / "out", how)  # is there already
    assert (result["strategy"], result["total"], result["control_distance"]) == (how.strategy, 49, None)
    change = result["changes"][0]
    assert change["before"] < 0.8 < change["after"] == (result["correct_after"] or 0) / 49
    after = tmp_path / "out/models/random.safetensors"
    assert read_metadata(after)["settings"]["neurons"] == 8
    assert command_line(["verify", str(tmp_path / "out/certificates/random/after"), str(after)]) == 0
    network = open_file(str(after)).pair_sum()
    assert network.sha256 == result["sha256_after"]
    assert np.linalg.matrix_rank(network.weight("embed.W_E"), tol=1e-5) == 3
    assert np.linalg.matrix_rank(network.weight("unembed.W_U"), tol=1e-5) == 2
    assert network.weight("blocks.0.mlp.W_out").any(axis=1).sum() == 8
    assert network.weight("blocks.0.attn.W_O").any(axis=2).sum() == 3


def test_what_is_trained_is_what_is_written() -> None:
    """The logits that training sees are those of the network that it returns."""
    network, how = adding(), FewDirections(steps=1, frequencies=2, dimensions=4, neurons=7, learning_rate=1e-12)
    factors, own = few_directions._first(network, how)
    with torch.no_grad():
        seen = few_directions._logits(factors, own).numpy()
    found = tables(MeasuredWorkspace(Problem(keep_few(network, how), add_mod(7)), "value"))
    left, right, out, of_x, of_y = (np.asarray(part) for part in found)
    logits = np.maximum(left[:, None] + right, 0.0) @ out + of_x[:, None] + of_y
    np.testing.assert_allclose(logits.reshape(49, 7), seen, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frequencies": 4}, "frequencies: expected at most 3"),
        ({"dimensions": 9}, "dimensions: expected at most 8"),
        ({"neurons": 13}, "neurons: expected at most 12"),
        ({"neurons": 2}, "neurons: expected at least one for each of 3"),
        ({"steps": 0}, "steps: expected at least 1"),
        ({"learning_rate": math.nan}, "learning_rate: expected a number above 0"),
        ({"decay": -1.0}, "decay: expected 0 or more"),
    ],
)
def test_few_directions_refused(wrong: dict[str, Any], message: str) -> None:
    """Numbers that make no sense, or more than the network has."""
    with pytest.raises(ValueError, match=message):
        keep_few(adding(), FewDirections(**{"neurons": 6, "steps": 1, **wrong}))


def test_few_directions_are_of_addition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Perceptrons, and options that are about max-of-K, are refused with what is expected."""
    mlp = {"W_x": np.eye(3), "W_y": np.eye(3), "W": np.ones((6, 4)), "W_U": np.ones((4, 3)), "b": np.zeros(3)}
    with pytest.raises(training.NotTrainable, match="transformers on two tokens"):
        keep_few(PairSum(mlp), FewDirections())
    words = ["tighten", "add.safetensors", "--strategy", "pair-sum/few-directions", "--out", str(tmp_path / "out")]
    assert command_line([*words, "--distance-penalty", "1"]) == 2
    assert "--distance-penalty are not for pair-sum/few-directions" in capsys.readouterr().err
