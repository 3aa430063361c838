"""The zoo: every model is there, is what the table says, and is as good as the table says."""

import dataclasses
import hashlib
import json
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import safetensors
from safetensors.numpy import load_file

import compactproofs as cp
from compactproofs import zoo
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.opening.pairs import task_for

TIGHTENED = [row for row in zoo.table() if row.name.startswith("max-of-4-tightened/")]
ROWS = [row for row in zoo.table() if row not in TIGHTENED]
CERTIFICATES = Path(__file__).parent.parent / "docs" / "tighten" / "certificates"
SOME_NAMES = [
    "max-of-4/50",
    "max-of-4/123",
    "max-of-4/32382",
    "max-of-5/123",
    "max-of-10/123",
    "max-of-10-v128/50",
    "max-of-20/742",
    "max-of-20-v512/50",
]


def logits(weights: dict[str, npt.NDArray[np.float32]], tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """A plain forward pass at the last position in float64: tokens (B, K) to logits (B, v)."""
    w_e, w_pos, w_u = (weights[name].astype(float) for name in ("embed.W_E", "pos_embed.W_pos", "unembed.W_U"))
    q, k, v, o = (weights[f"blocks.0.attn.W_{letter}"][0].astype(float) for letter in "QKVO")
    residual = w_e[tokens] + w_pos
    scores = np.einsum("bh,bph->bp", residual[:, -1] @ q, residual @ k) / math.sqrt(q.shape[1])
    pattern = np.exp(scores - scores.max(axis=1, keepdims=True))
    pattern /= pattern.sum(axis=1, keepdims=True)
    written = np.einsum("bp,bph->bh", pattern, residual @ v) @ o
    return np.asarray((residual[:, -1] + written) @ w_u)


def test_public_names() -> None:
    """The public names are these and no others."""
    assert zoo.__all__ == [
        "UnknownModel",
        "ZooRow",
        "known_correct",
        "load_model",
        "names",
        "pair_table",
        "path",
        "table",
    ]


def test_no_torch() -> None:
    """Neither the package nor the zoo imports PyTorch."""
    code = "import sys; from compactproofs import zoo; zoo.path(zoo.names()[0]); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names() -> None:
    """151 models of the main experiment, as many tightened and of K = 5, some of other families, each name once."""
    names = [row.name for row in zoo.table()]
    families = [name.split("/")[0] for name in names]

    assert len(set(names)) == len(names) == 518
    assert {family: families.count(family) for family in families} == {
        "max-of-4": 151,
        "max-of-5": 151,
        "max-of-10": 20,
        "max-of-10-v128": 20,
        "max-of-20": 20,
        "max-of-20-v512": 5,
        "max-of-4-tightened": 151,
    }
    assert zoo.names() == names + [row.name for row in zoo.pair_table()]


def test_files_are_those_of_the_table() -> None:
    """Each row has its file, and there is no other."""
    models = zoo.path("max-of-4/123").parent.parent
    files = {path.relative_to(models).with_suffix("").as_posix() for path in models.rglob("*") if path.is_file()}

    assert files == {row.name for row in zoo.table()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_file(row: zoo.ZooRow) -> None:
    """The weights, shapes and metadata are those of the row."""
    path = zoo.path(row.name)
    weights = load_file(path)
    v, n, d, h = row.d_vocab, row.n_ctx, row.d_model, row.d_head
    with safetensors.safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["compactproofs.training"])

    assert zoo.load_model(row.name).sha256 == row.model_sha256
    assert {name: value.shape for name, value in weights.items()} == {
        "embed.W_E": (v, d),
        "pos_embed.W_pos": (n, d),
        "blocks.0.attn.W_Q": (1, d, h),
        "blocks.0.attn.W_K": (1, d, h),
        "blocks.0.attn.W_V": (1, d, h),
        "blocks.0.attn.W_O": (1, h, d),
        "unembed.W_U": (d, v),
    }
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in weights.values())
    assert row.name.endswith(f"/{row.seed}")
    assert about["seed"] == row.seed
    assert about["final_loss"] == row.final_loss
    assert about["config"] == {
        "n_ctx": n,
        "d_vocab": v,
        "d_model": d,
        "d_head": h,
        "steps": row.steps,
        "batch_size": 128,
        "learning_rate": 0.001,
        "weight_decay": 0.01,
    }


def test_rows() -> None:
    """Numbers are plausible, and there is either an exact count or a sampled accuracy."""
    for row in ROWS:
        plausible(row)


def plausible(row: zoo.ZooRow) -> None:
    """The numbers can be true."""
    assert row.total == row.d_vocab**row.n_ctx
    assert row.final_loss is not None
    assert 0 < row.final_loss < 1
    if row.exact_correct is None:
        assert row.n_ctx > 5
        assert row.samples == 1_000_000
        assert row.sampled_accuracy is not None
        assert 0.97 < row.sampled_accuracy <= 1
    else:
        assert row.samples is None
        assert row.sampled_accuracy is None
        assert 0.97 * row.total < row.exact_correct <= row.total


def test_mean_accuracy_is_the_papers() -> None:
    """The main experiment's accuracy is the published 0.9992 ± 0.0015 within three standard errors."""
    main = [row for row in ROWS if row.name.startswith("max-of-4/")]
    accuracies = [row.exact_correct / row.total for row in main if row.exact_correct is not None]

    assert len(accuracies) == 151
    assert abs(float(np.mean(accuracies)) - 0.9992) < 3 * 0.0015 / math.sqrt(151)


def test_tightened() -> None:
    """Each goes back to the model of the main experiment with its seed, and is right as often or more."""
    before = {row.seed: row for row in ROWS if row.name.startswith("max-of-4/")}
    assert [row.seed for row in TIGHTENED] == list(before)
    for row in TIGHTENED:
        with safetensors.safe_open(zoo.path(row.name), framework="numpy") as file:
            about = json.loads(file.metadata()["compactproofs.training"])
        first = before[row.seed]
        assert about["recipe"] == "trained toward a proof"
        assert about["from_sha256"] == first.model_sha256
        assert about["settings"]["steps"] == row.steps
        assert zoo.load_model(row.name).sha256 == row.model_sha256
        assert row.final_loss is None
        assert first.exact_correct is not None
        assert row.exact_correct is not None
        assert first.exact_correct < row.exact_correct <= row.total == 64**4


@pytest.mark.parametrize("row", random.Random(4).sample(TIGHTENED, 5), ids=lambda row: row.name)
def test_tightened_models_are_proved(row: zoo.ZooRow) -> None:
    """The cheapest strategy proves at least 0.99999 and no more than is true; the stored certificate holds."""
    with safetensors.safe_open(zoo.path(row.name), framework="numpy") as file:
        strategy = json.loads(file.metadata()["compactproofs.training"])["settings"]["strategy"]
    model = zoo.load_model(row.name)
    proof = cp.Prover(model).prove(strategy)
    stored = cp.Certificate.load(CERTIFICATES / f"{row.seed}.cert.json")

    assert row.exact_correct is not None
    assert 0.99999 * row.total <= proof.certificate.certified <= row.exact_correct
    assert cp.verify(proof.certificate, model).accepted
    assert stored.strategy == strategy
    assert stored.certified >= 0.99999 * row.total
    assert cp.verify(stored, model).accepted
    assert not cp.verify(stored, zoo.load_model(f"max-of-4/{row.seed}")).accepted


def test_pairs() -> None:
    """Each network of two arguments has its file, whose hash and notes are those of the row, and there is no other."""
    rows = zoo.pair_table()
    models = zoo.path("S5/0").parent.parent

    assert len({row.name for row in rows}) == len(rows) == 53
    assert {row.name for row in rows} == {
        path.relative_to(models).with_suffix("").as_posix() for path in models.rglob("*") if path.is_file()
    }
    for row in rows:
        path = zoo.path(row.name)
        with safetensors.safe_open(path, framework="numpy") as file:
            about = json.loads(file.metadata()["compactproofs.training"])
        assert row.name == f"{row.task}/{row.seed}"
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row.sha256
        assert (about["family"], about["task"]) == ("pair-sum", row.task)
        assert (about["seed"], about["epochs"]) == (row.seed, row.epochs)
        assert row.test_accuracy == about["test_accuracy"] == about["train_accuracy"] == 1.0
        assert about["least_margin"] > 0


def test_pairs_are_proved_by_name() -> None:
    """A name is enough for loading and proving, and the certificate is about all pairs."""
    network = cp.load_network("S4/0")
    assert isinstance(network, PairSum)
    proof = cp.Prover(network, task_for(network, "S4")).prove("pair-sum/brute-force")

    assert proof.certificate.certified == proof.certificate.total == 24**2
    assert cp.verify(proof.certificate, network).accepted


def test_pairs_are_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is missing, its names say what to install, and everything else is as it was."""
    monkeypatch.setitem(sys.modules, "compactproofs_zoo", None)

    assert zoo.pair_table() == []
    assert zoo.names() == [row.name for row in zoo.table()]
    assert zoo.path("max-of-4/123").is_file()
    with pytest.raises(zoo.UnknownModel, match=r"'S5/0': .* is not installed: pip install \./zoo-pairs"):
        zoo.path("S5/0")
    with pytest.raises(zoo.UnknownModel, match="names look like"):
        zoo.path("s5/0")


def test_what_reads_other_networks(tmp_path: Path) -> None:
    """Networks of two arguments by name, and others, say what reads them; what is no safetensors file does not."""
    with pytest.raises(cp.InvalidModel, match=r"S5/0.* a network of two arguments: load_network reads it, and certify"):
        zoo.load_model("S5/0")
    with pytest.raises(cp.InvalidModel, match=r"no LayerNorm, .*; load_network reads networks of other kinds$"):
        zoo.load_model(Path(__file__).parent / "cases/ln_max3_v10.safetensors")
    (tmp_path / "text").write_text("nothing of the kind")
    with pytest.raises(cp.InvalidModel, match=r"not a safetensors file: no JSON object begins at byte 8 of 19 bytes$"):
        zoo.load_model(tmp_path / "text")


def test_unknown_pairs() -> None:
    """An unknown seed is answered with those that are there."""
    with pytest.raises(zoo.UnknownModel, match="did you mean"):
        zoo.path("S5/123")


@pytest.mark.parametrize("name", SOME_NAMES)
def test_accuracy_is_the_tables(name: str) -> None:
    """A plain forward pass on other random inputs agrees with the table within five standard errors."""
    row = next(row for row in ROWS if row.name == name)
    accuracy = row.exact_correct / row.total if row.exact_correct is not None else row.sampled_accuracy
    assert accuracy is not None
    inputs = np.random.default_rng(7).integers(row.d_vocab, size=(40_000, row.n_ctx))
    output = logits(load_file(zoo.path(name)), inputs)
    labels = inputs.max(axis=1)
    at_label = output[np.arange(len(inputs)), labels]
    correct = np.count_nonzero(output >= at_label[:, None], axis=1) == 1

    assert abs(correct.mean() - accuracy) < 5 * math.sqrt(accuracy * (1 - accuracy) / len(inputs)) + 5 / len(inputs)


def test_path_is_a_file() -> None:
    """A path is a plain path to an existing file."""
    path = zoo.path("max-of-10-v128/123")

    assert isinstance(path, Path)
    assert path.is_file()


@pytest.mark.parametrize(
    ("name", "close", "text"),
    [
        ("max-of-4/0123", "max-of-4/123", "'max-of-4/0123': did you mean "),
        ("max_of_20/50", "max-of-20/50", "did you mean "),
        ("MAX-OF-4/123", "max-of-4/123", "did you mean "),
        ("max-of-5", "max-of-5/50", "did you mean max-of-5/50 or max-of-5/"),
        ("max-of-4/123.safetensors", "max-of-4/123", "did you mean max-of-4/123 or "),
        ("../../secret", None, "names look like max-of-4/123"),
        ("", None, "names look like max-of-4/123"),
    ],
)
def test_unknown_names(name: str, close: str | None, text: str) -> None:
    """An unknown name is a ValueError that lists close ones."""
    with pytest.raises(zoo.UnknownModel) as caught:
        zoo.path(name)

    assert isinstance(caught.value, ValueError)
    assert caught.value.name == name
    assert text in str(caught.value)
    assert str(caught.value).startswith(f"there is no file and no model of the zoo named {name!r}: ")
    assert str(caught.value).endswith(" 'compactproofs zoo' lists all of them")
    assert (close in caught.value.close) if close else not caught.value.close


def test_tables_are_independent() -> None:
    """Changing a returned list changes no later one, and rows cannot be changed."""
    zoo.table().clear()

    assert len(zoo.table()) == 518
    with pytest.raises(dataclasses.FrozenInstanceError):
        zoo.table()[0].seed = 1  # type: ignore[misc]


def test_known_correct_recognises_a_model_by_its_weights() -> None:
    """The exact count is found for a model of the zoo, and is None where only a sample is known."""
    row = next(row for row in ROWS if row.name == "max-of-4/50")

    assert zoo.known_correct(zoo.load_model("max-of-4/50")) == row.exact_correct
    assert zoo.known_correct(zoo.load_model(zoo.path("max-of-4/50"))) == row.exact_correct
    assert zoo.known_correct(zoo.load_model("max-of-20/50")) is None
