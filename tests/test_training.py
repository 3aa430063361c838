"""Training: the recipe's seeds, draws and loss, and a runner that never leaves half a file."""

import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file

from compactproofs import load_network
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.opening.forward import logits
from compactproofs.system.files import write_atomically
from killing import JOBS, kill_often

torch = pytest.importorskip("torch", reason="training needs the extra `train`, that is PyTorch")

from compactproofs import training  # noqa: E402
from compactproofs.training import (  # noqa: E402
    RECIPE,
    TrainingConfig,
    derive_seeds,
    recipe,
    runner,
    train,
    train_one,
)
from compactproofs.training.files import read_metadata  # noqa: E402

PAPER = TrainingConfig(n_ctx=4, d_vocab=64)
TINY = TrainingConfig(n_ctx=3, d_vocab=5, d_model=6, d_head=4, steps=3, batch_size=7)


def files_in(directory: Path) -> dict[str, str]:
    """Every file of a directory, hidden ones too, with the hash of its bytes."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


# --- the package ---


def test_public_names() -> None:
    """The public names are these and no others."""
    assert training.__all__ == [
        "CHEAPEST",
        "RECIPE",
        "NotTrainable",
        "Tightening",
        "TrainedModel",
        "TrainingConfig",
        "TrainingReport",
        "derive_seeds",
        "tighten",
        "train",
        "train_one",
    ]
    assert all(getattr(training, name).__module__.startswith("compactproofs.training") for name in training.__all__[2:])


@pytest.mark.parametrize("missing", ["torch", "safetensors"])
def test_without_torch_the_message_says_what_to_install(missing: str) -> None:
    """Without PyTorch, or what writes its files, the import fails with the install line."""
    code = f"import sys; sys.modules['{missing}'] = None; import compactproofs.training"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert result.returncode == 1
    assert 'ImportError: training needs PyTorch and safetensors: pip install "compactproofs[train]"' in result.stderr


# --- seeds and draws ---


@pytest.mark.parametrize(
    ("seed", "derived"),
    [(123, (613947648, 1914904320, 3402695680)), (50, (736526336, 1372813824, 1621452544))],
)
def test_derived_seeds(seed: int, derived: tuple[int, int, int]) -> None:
    """The model, dataset and train seeds are the published ones."""
    assert derive_seeds(seed) == derived


@pytest.mark.parametrize("seed", [-1, 1.0, True, "123", None])
def test_seed_must_be_a_natural_number(seed: object) -> None:
    """Anything but an int of at least 0 is refused."""
    with pytest.raises(ValueError, match="seed: expected an integer of at least 0, got "):
        derive_seeds(seed)  # type: ignore[arg-type]


def test_first_weights_of_seed_123() -> None:
    """First entries of each matrix, in the order of the draws, for model seed 613947648."""
    expected = {
        "embed.W_E": [0.066903286, 0.01658329, 0.071442679],
        "pos_embed.W_pos": [-0.11558039, -0.17876837, 0.086124115],
        "blocks.0.attn.W_Q": [-0.22096074, 0.037451666, 0.039262548],
        "blocks.0.attn.W_K": [0.21382658, 0.090036593, 0.020639177],
        "blocks.0.attn.W_V": [0.018617906, 0.10131548, -0.11500765],
        "blocks.0.attn.W_O": [-0.12449056, -0.082751065, 0.072262689],
        "unembed.W_U": [0.12582104, -0.016986815, -0.15603606],
    }
    weights = recipe.initial_weights(PAPER, 613947648)

    assert list(weights) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(weights[name].flatten()[:3].numpy(), values, rtol=1e-5, err_msg=name)
    assert {name: tuple(value.shape) for name, value in weights.items()} == {
        "embed.W_E": (64, 32),
        "pos_embed.W_pos": (4, 32),
        "blocks.0.attn.W_Q": (1, 32, 32),
        "blocks.0.attn.W_K": (1, 32, 32),
        "blocks.0.attn.W_V": (1, 32, 32),
        "blocks.0.attn.W_O": (1, 32, 32),
        "unembed.W_U": (32, 64),
    }


@pytest.mark.parametrize("config", [PAPER, TINY, TrainingConfig(2, 3, d_model=2, d_head=2)])
def test_weights_are_those_of_the_global_generator(config: TrainingConfig) -> None:
    """Our generator gives, bit for bit, what PyTorch's global one gives after manual_seed, and leaves it alone."""
    v, n, d, h = config.d_vocab, config.n_ctx, config.d_model, config.d_head
    shapes = [(v, d), (n, d), (1, d, h), (1, d, h), (1, d, h), (1, h, d), (d, v)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4711)
        expected = [torch.nn.init.normal_(torch.empty(shape), std=0.8 / math.sqrt(d)) for shape in shapes]
        before = torch.random.get_rng_state()
        weights = recipe.initial_weights(config, 4711)

        assert torch.equal(before, torch.random.get_rng_state())
    for ours, theirs in zip(weights.values(), expected, strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(theirs, ours)


def test_first_data_of_seed_123() -> None:
    """The first sequences for train seed 3402695680."""
    first = next(recipe.batches(PAPER, 3402695680))

    assert first.shape == (128, 4)
    assert first[:3].tolist() == [[6, 56, 58, 62], [11, 27, 36, 58], [20, 1, 11, 26]]


@pytest.mark.parametrize("config", [PAPER, TINY, TrainingConfig(10, 128), TrainingConfig(20, 100, batch_size=3)])
def test_a_batch_is_its_sequences_drawn_one_by_one(config: TrainingConfig) -> None:
    """Three batches hold the same tokens as a sequence-by-sequence draw."""
    generator = torch.Generator().manual_seed(99)
    drawn = recipe.batches(config, 99)
    for _ in range(3):
        one_by_one = torch.stack(
            [torch.randint(0, config.d_vocab, (config.n_ctx,), generator=generator) for _ in range(config.batch_size)]
        )

        assert torch.equal(one_by_one, next(drawn))


# --- the model and the loss ---


def test_forward_is_the_textbook_transformer() -> None:
    """The last position's logits agree with a plain causal forward pass in float64."""
    weights = {name: value.double() for name, value in recipe.initial_weights(TINY, 8).items()}
    tokens = torch.randint(0, 5, (11, 3), generator=torch.Generator().manual_seed(8))
    q, k, v, o = (weights[f"blocks.0.attn.W_{letter}"][0] for letter in "QKVO")
    residual = weights["embed.W_E"][tokens] + weights["pos_embed.W_pos"]
    scores = (residual @ q) @ (residual @ k).transpose(1, 2) / 2.0  # √d_head = 2
    scores = scores.masked_fill(torch.ones(3, 3, dtype=torch.bool).triu(1), -math.inf)
    logits = (residual + torch.softmax(scores, dim=-1) @ (residual @ v) @ o) @ weights["unembed.W_U"]

    torch.testing.assert_close(recipe.forward(weights, tokens), logits[:, -1], rtol=1e-12, atol=1e-12)


def test_several_heads(tmp_path: Path) -> None:
    """What heads write is added up, as in the networks that proofs are about; a single head is not spoken of."""
    config = replace(TINY, n_heads=3)
    (file,) = train(config, [1], tmp_path).trained
    network = load_network(file)
    assert isinstance(network, ManyHeads)
    assert (network.n_heads, network.d_head) == (3, TINY.d_head)
    tokens = np.array([[0, 1, 2], [4, 4, 0]])
    weights = {name: torch.from_numpy(weight) for name, weight in load_file(file).items()}
    found = recipe.forward(weights, torch.from_numpy(tokens)).numpy()
    assert np.allclose(logits(network, tokens), found, atol=1e-5)
    assert config.as_dict()["n_heads"] == 3
    assert "n_heads" not in TINY.as_dict()


def test_loss_is_the_cross_entropy() -> None:
    """On ordinary logits the loss is PyTorch's own."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(50, 9, generator=generator, dtype=torch.float64) * 5
    labels = torch.randint(0, 9, (50,), generator=generator)

    torch.testing.assert_close(
        recipe.cross_entropy(logits, labels), torch.nn.functional.cross_entropy(logits, labels), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize(
    ("logits", "loss"),
    [
        ([30.0, 0.0, 0.0], math.log1p(2 * math.exp(-30))),
        ([80.0, 0.0, 1.0], math.exp(-80) + math.exp(-79)),
        ([0.0, 0.0, 0.0], math.log(3)),
        ([0.0, 200.0, 0.0], 200.0),
        ([-300.0, 200.0, 200.0], 500 + math.log(2)),
    ],
)
def test_loss_is_accurate_at_both_ends(logits: list[float], loss: float) -> None:
    """In float32 tiny losses do not vanish, large ones do not overflow, and both have finite gradients."""
    x = torch.tensor([logits], requires_grad=True)
    value = recipe.cross_entropy(x, torch.tensor([0]))
    value.backward()

    assert value.item() == pytest.approx(loss, rel=1e-5)
    assert torch.isfinite(x.grad).all()
    assert x.grad[0, 0] < 0


def test_training_learns() -> None:
    """A small model learns a small task."""
    config = replace(TINY, d_model=16, d_head=16, steps=400, batch_size=64, learning_rate=0.01)

    assert train_one(config, 1).final_loss < 0.1 < train_one(replace(config, steps=1), 1).final_loss


def test_training_leaves_global_state_alone() -> None:
    """Neither the global generator nor the number of threads changes."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        before = torch.random.get_rng_state()
        train_one(TINY, 3)

        assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads


# --- configurations ---


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n_ctx", 0, "n_ctx: expected an integer of at least 1, got 0"),
        ("d_vocab", 1, "d_vocab: expected an integer of at least 2, got 1"),
        ("d_model", 32.0, "d_model: expected an integer of at least 1, got 32.0"),
        ("d_head", True, "d_head: expected an integer of at least 1, got True"),
        ("steps", -3, "steps: expected an integer of at least 1, got -3"),
        ("batch_size", "9", "batch_size: expected an integer of at least 1, got '9'"),
        ("learning_rate", 0, "learning_rate: expected a finite number, more than 0, got 0"),
        ("learning_rate", math.nan, "learning_rate: expected a finite number, more than 0, got nan"),
        ("weight_decay", -0.1, "weight_decay: expected a finite number, 0 or more, got -0.1"),
        ("weight_decay", math.inf, "weight_decay: expected a finite number, 0 or more, got inf"),
    ],
)
def test_bad_config(field: str, value: object, message: str) -> None:
    """The message names the field, what it should be and what it is."""
    with pytest.raises(ValueError, match=f"^TrainingConfig.{message}$"):
        replace(PAPER, **{field: value})  # type: ignore[arg-type]


# --- files ---


def test_model_file(tmp_path: Path) -> None:
    """A file holds float32 arrays of TransformerLens's names and shapes, and says how it came about."""
    report = train(TINY, [123], tmp_path / "new" / "directory")
    path = tmp_path / "new" / "directory" / "123.safetensors"

    assert report == training.TrainingReport(trained=(path,), skipped=())
    weights = load_file(path)
    assert {name: value.shape for name, value in weights.items()} == {
        "embed.W_E": (5, 6),
        "pos_embed.W_pos": (3, 6),
        "blocks.0.attn.W_Q": (1, 6, 4),
        "blocks.0.attn.W_K": (1, 6, 4),
        "blocks.0.attn.W_V": (1, 6, 4),
        "blocks.0.attn.W_O": (1, 4, 6),
        "unembed.W_U": (6, 5),
    }
    assert {value.dtype for value in weights.values()} == {np.dtype(np.float32)}
    with safetensors.safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["compactproofs.training"])
    model = train_one(TINY, 123)
    assert about.pop("version")
    assert about == {"seed": 123, "recipe": RECIPE, "config": TINY.as_dict(), "final_loss": model.final_loss}
    for name, value in model.weights.items():
        np.testing.assert_array_equal(weights[name], value)


def test_a_model_depends_on_its_seed_alone(tmp_path: Path) -> None:
    """Neither the other seeds, nor their order, nor the processes change one byte."""
    train(TINY, [5, 6, 7, 8], tmp_path / "one")
    train(TINY, [8, 7, 5], tmp_path / "two", jobs=2)
    train(TINY, [6], tmp_path / "two")

    assert files_in(tmp_path / "one") == files_in(tmp_path / "two")
    assert len(set(files_in(tmp_path / "one").values())) == 4


def test_finished_seeds_are_skipped(tmp_path: Path) -> None:
    """A second run trains only what is missing and touches nothing else."""
    train(TINY, [5, 6], tmp_path)
    before = (tmp_path / "5.safetensors").stat().st_mtime_ns
    report = train(TINY, [6, 9, 5], tmp_path, progress=True)

    assert report.trained == (tmp_path / "9.safetensors",)
    assert report.skipped == (tmp_path / "6.safetensors", tmp_path / "5.safetensors")
    assert (tmp_path / "5.safetensors").stat().st_mtime_ns == before


def test_files_of_another_model_are_refused(tmp_path: Path) -> None:
    """A directory of other models is an error, not a mixture."""
    train(TINY, [5], tmp_path)
    with pytest.raises(ValueError, match=r"5\.safetensors holds another model: its config is .*choose another out_dir"):
        train(replace(TINY, steps=4), [5], tmp_path)
    (tmp_path / "6.safetensors").write_bytes((tmp_path / "5.safetensors").read_bytes())
    with pytest.raises(ValueError, match="holds another model: its seed is 5, expected 6"):
        train(TINY, [6], tmp_path)
    (tmp_path / "8.safetensors").mkdir()
    with pytest.raises(ValueError, match=r"8\.safetensors is not a file"):
        train(TINY, [8], tmp_path)
    (tmp_path / "7.safetensors").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"7\.safetensors is not a model written by this package"):
        train(TINY, [7], tmp_path)


def test_bad_arguments(tmp_path: Path) -> None:
    """Nothing is trained or created where an argument is unusable."""
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"repeated: \[4\]"):
        train(TINY, [4, 5, 4], out)
    with pytest.raises(ValueError, match="seed: expected an integer of at least 0, got -4"):
        train(TINY, [5, -4], out)
    with pytest.raises(ValueError, match="jobs: expected an integer of at least 1, got 0"):
        train(TINY, [5], out, jobs=0)
    assert not out.exists()
    out.write_text("")
    with pytest.raises(ValueError, match="out is a file, expected a directory"):
        train(TINY, [5], out)


def test_no_seeds_no_files(tmp_path: Path) -> None:
    """An empty list is fine."""
    assert train(TINY, [], tmp_path, jobs=2, progress=True) == training.TrainingReport((), ())


def test_interrupted_run_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the second seed leaves the first file only; the next run gives what one run gives."""

    def interrupted(config: TrainingConfig, seed: int) -> recipe.TrainedModel:
        if seed == 6:
            raise KeyboardInterrupt
        return train_one(config, seed)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "train_one", interrupted)
        with pytest.raises(
            KeyboardInterrupt, match=r"interrupted: 1 of 3 models are finished in .*stopped; run the same"
        ):
            train(TINY, [5, 6, 7], tmp_path / "stopped", progress=True)
    assert list(files_in(tmp_path / "stopped")) == ["5.safetensors"]

    train(TINY, [5, 6, 7], tmp_path / "stopped")
    train(TINY, [5, 6, 7], tmp_path / "straight")
    assert files_in(tmp_path / "stopped") == files_in(tmp_path / "straight")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process group, which only POSIX systems have")
def test_interrupt_with_processes(tmp_path: Path) -> None:
    """A real Ctrl-C with worker processes ends at once, says what is done and leaves whole files only."""
    script = tmp_path / "script.py"
    script.write_text(
        "from compactproofs.training import TrainingConfig, train\n"
        "config = TrainingConfig(n_ctx=2, d_vocab=3, d_model=2, d_head=2, steps=200, batch_size=2)\n"
        f"train(config, range(2000), {str(tmp_path / 'out')!r}, jobs=2, progress=True)\n"
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it
    try:
        process = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("out/*.safetensors")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    files = list((tmp_path / "out").iterdir())
    assert f"interrupted: {len(files)} of 2000 models are finished" in errors
    assert process.returncode != 0
    for path in files:
        assert read_metadata(path)["seed"] == int(path.stem)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path: Path, kills: int) -> None:
    """Killed outright, with no chance to tidy up: no process is left, no file is half, and a rerun does the rest."""
    assert kill_often(JOBS["train"], tmp_path, kills, random.Random(0)).finished_runs


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_training_reaches_the_caller(tmp_path: Path, jobs: int) -> None:
    """A model that PyTorch cannot make ends the run with PyTorch's error, from a worker process too."""
    with pytest.raises(RuntimeError):
        train(TrainingConfig(n_ctx=2, d_vocab=2**62), [5, 6], tmp_path, jobs=jobs)
    assert not files_in(tmp_path)


# --- atomic writes ---


def test_write_atomically(tmp_path: Path) -> None:
    """The bytes arrive, replace what was there, and nothing else stays behind."""
    path = tmp_path / "file"
    write_atomically(path, b"one")
    write_atomically(str(path), b"two")

    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """If the disk or an interrupt stops a write, the old file stays and the temporary one goes."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, step, stop)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
def test_written_files_have_the_usual_mode(tmp_path: Path) -> None:
    """A written file is as readable as any other new file."""
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "ours", b"")

    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode
