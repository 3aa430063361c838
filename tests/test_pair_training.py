"""Training on tables of pairs: the tables, the recipes, batches of seeds, and runs that stop and resume."""

import contextlib
import importlib.util
import itertools
import json
import math
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

torch = pytest.importorskip("torch", reason="training needs the extra `train`, that is PyTorch")

from compactproofs.__main__ import run  # noqa: E402
from compactproofs.system.files import write_atomically  # noqa: E402
from compactproofs.training import pair_sum  # noqa: E402
from compactproofs.training.files import read_metadata  # noqa: E402
from compactproofs.training.pair_sum import Batch, config_for, table, train_pairs  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
ADD = config_for("add-7", epochs=60, width=16, neurons=24, heads=2)
S3 = config_for("S3", epochs=60, width=8, neurons=16)
BOTH = pytest.mark.parametrize("config", [ADD, S3], ids=["add-7", "S3"])


# --- tables ---


@pytest.mark.parametrize(("task", "order"), [("S1", 0), ("S3", 6), ("S4", 24), ("A4", 12), ("A5", 60), ("D5", 10)])
def test_groups(task: str, order: int) -> None:
    """Each table is a group's, with the identity first."""
    if not order:
        with pytest.raises(ValueError, match=r"task: expected .*: unknown group S1"):
            table(task)
        return
    products = table(task)
    assert products.shape == (order, order)
    np.testing.assert_array_equal(products[0], np.arange(order))
    np.testing.assert_array_equal(products[:, 0], np.arange(order))
    np.testing.assert_array_equal(np.sort(products, axis=1), np.tile(np.arange(order), (order, 1)))
    np.testing.assert_array_equal(products[products], products[:, products])  # (xy)z and x(yz)


def test_products_of_permutations() -> None:
    """In lexicographic order, the right factor first; an alternating group is the even ones of its symmetric group."""
    elements = list(itertools.permutations(range(4)))
    products = table("S4")
    for x, y in itertools.product(range(24), repeat=2):
        assert elements[products[x, y]] == tuple(elements[x][elements[y][i]] for i in range(4))
    even = [
        x for x, element in enumerate(elements) if sum(a > b for a, b in itertools.combinations(element, 2)) % 2 == 0
    ]
    np.testing.assert_array_equal(np.array(even)[table("A4")], products[np.ix_(even, even)])


def test_products_of_a_dihedral_group() -> None:
    """As matrices: r turns by a fifth, s reflects, and r^k s is s first."""
    angle = 2 * math.pi / 5
    turns = [
        np.array([[math.cos(k * angle), -math.sin(k * angle)], [math.sin(k * angle), math.cos(k * angle)]])
        for k in range(5)
    ]
    elements = np.array([*turns, *(turn @ np.diag([1.0, -1.0]) for turn in turns)])
    np.testing.assert_allclose(elements[:, None] @ elements, elements[table("D5")], atol=1e-12)


def test_sums() -> None:
    """Addition, under both of its names."""
    assert table("add-59")[58, 3] == 2
    np.testing.assert_array_equal(table("C59"), table("add-59"))


def test_frobenius_groups() -> None:
    """Maps i -> a i + b, one after the other."""
    maps = np.array([[(a * i + b) % 5 for i in range(5)] for a in range(1, 5) for b in range(5)])
    np.testing.assert_array_equal(maps[table("F5")], maps[:, maps])


@pytest.mark.parametrize(
    "task", ["", "S", "S0", "F4", "F37", "B5", "add-0", "add-1", "S9", "D600", "add-10000", "S5 ", "add59"]
)
def test_no_tasks(task: str) -> None:
    """Names that are none, and groups that are too large or too small."""
    with pytest.raises(ValueError, match=r"task: expected "):
        config_for(task)


# --- recipes ---


@BOTH
def test_the_form_is_the_network(config: pair_sum.PairConfig) -> None:
    """Logits agree, in float64, with the network written down plainly, position by position."""
    batch = Batch(config, [3, 4], "cpu")
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: torch.randn(value.shape, generator=generator, dtype=torch.float64)
        for name, value in batch.weights().items()
    }
    n = len(batch.table)
    answers = pair_sum.logits(batch.recipe.form(weights), batch.chosen.double())
    for s, (x, y) in itertools.product(range(2), [(0, 1), (2, 2), (n - 1, 3)]):
        w = {name: value[s] for name, value in weights.items()}
        if config.task == "S3":
            hidden = torch.relu(torch.cat([w["W_x"][x], w["W_y"][y]]) @ w["W"])
            expected = hidden @ w["W_U"] + w["b"]
        else:
            residual = w["embed.W_E"][[x, y]] + w["pos_embed.W_pos"]
            heads = [residual @ w["blocks.0.attn.W_V"][h] @ w["blocks.0.attn.W_O"][h] for h in range(2)]
            middle = residual[1] + sum(head.mean(dim=0) for head in heads)
            hidden = torch.relu(middle @ w["blocks.0.mlp.W_in"] + w["blocks.0.mlp.b_in"])
            last = middle + hidden @ w["blocks.0.mlp.W_out"] + w["blocks.0.mlp.b_out"]
            expected = last @ w["unembed.W_U"]
        chosen = torch.zeros(2, 1, 2 * n, dtype=torch.float64)
        chosen[:, 0, x] = chosen[:, 0, n + y] = 1
        torch.testing.assert_close(pair_sum.logits(batch.recipe.form(weights), chosen)[s, 0], expected)
    places = torch.stack([batch.pairs // n, n + batch.pairs % n], dim=2)
    assert torch.equal(batch.chosen.nonzero()[:, 2].view(places.shape), places)
    assert answers.shape == (2, batch.pairs.shape[1], n)


@BOTH
def test_epochs_are_pytorchs(config: pair_sum.PairConfig) -> None:
    """Thirty epochs are, in float64, those of PyTorch's Adam and AdamW with the recipe's decay and warm-up."""
    batch = Batch(config, [5], "cpu")
    for name in ("mean", "square", "chosen", "decay"):
        setattr(batch, name, getattr(batch, name).double())
    batch.parameters = batch.parameters.detach().double().requires_grad_()
    batch.recipe = recipe = replace(batch.recipe, loss_type=torch.float64)

    weights = {name: torch.nn.Parameter(value.detach().clone()) for name, value in batch.weights().items()}
    groups: list[dict[str, Any]] = [
        {"params": [value for name, value in weights.items() if name not in recipe.spared]},
        {"params": [weights[name] for name in recipe.spared], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if recipe.decoupled else torch.optim.Adam
    optimiser = kind([g for g in groups if g["params"]], lr=recipe.rate, betas=(0.9, 0.98), weight_decay=recipe.decay)
    for epoch in range(30):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * (min(epoch / 10, 1) if recipe.warmup else 1)
        answers = pair_sum.logits(recipe.form(weights), batch.chosen)[0]
        optimiser.zero_grad()
        (
            torch.nn.functional.cross_entropy(answers, batch.labels) + sum(0 * w.sum() for w in weights.values())
        ).backward()
        optimiser.step()
        batch.step()
    for name, value in batch.weights().items():
        torch.testing.assert_close(value, weights[name], rtol=1e-7, atol=1e-8)


def test_first_weights_and_pairs() -> None:
    """The recipes' sizes and spreads, and the number of training pairs."""
    batch = Batch(config_for("add-59"), [0], "cpu")
    assert batch.pairs.shape == (1, 2784)
    assert batch.chosen.sum() == 2 * 2784
    assert all(
        w.std().item() == pytest.approx(0.8 / math.sqrt(128), rel=0.1) for n, w in batch.weights().items() if "W_" in n
    )
    assert not any(w.any() for n, w in batch.weights().items() if "b_" in n)

    batch = Batch(config_for("S5"), [0], "cpu")
    weights = batch.weights()
    assert batch.pairs.shape == (1, 5760)
    assert weights["W_x"].std().item() == pytest.approx(1, rel=0.02)
    assert weights["W"].abs().max().item() == pytest.approx(1 / math.sqrt(512), rel=0.001)
    assert weights["W_U"].abs().max().item() == pytest.approx(1 / math.sqrt(128), rel=0.001)


@BOTH
def test_seeds_are_independent(config: pair_sum.PairConfig) -> None:
    """A seed begins with the same bits and ends, up to rounding, with the same weights in any batch."""
    many, one = Batch(config, [0, 1, 2], "cpu"), Batch(config, [1], "cpu")
    assert torch.equal(many.parameters[1], one.parameters[0])
    assert torch.equal(many.pairs[1], one.pairs[0])
    assert not torch.equal(many.pairs[0], many.pairs[1])
    for _ in range(15):
        many.step()
        one.step()
    torch.testing.assert_close(many.parameters[1], one.parameters[0], rtol=1e-4, atol=1e-5)
    assert (many.parameters[1] - many.parameters[0]).abs().max() > 0.1


def test_it_learns() -> None:
    """The training pairs of a small group, and what is measured is what the logits say."""
    batch = Batch(config_for("S3", fraction=0.9), [0, 1], "cpu")
    before = batch.measure()
    for _ in range(120):
        batch.step()
    for s, (first, last) in enumerate(zip(before, batch.measure(), strict=True)):
        assert last.loss < 0.1 < first.loss
        assert last.train_accuracy == 1
        answers = pair_sum.logits(batch.recipe.form(batch.weights()), batch.chosen)[s]
        labels = batch.labels.view(2, -1)[s]
        assert last.loss == pytest.approx(torch.nn.functional.cross_entropy(answers, labels).item(), rel=1e-3)
        assert (last.least_margin > 0) == (last.test_accuracy == 1)


# --- runs ---


def test_files(tmp_path: Path) -> None:
    """Names, shapes and notes of both kinds of model; nothing else is left, and a second run finds them finished."""
    for config in (ADD, S3):
        report = train_pairs(config, [0, 7], tmp_path / config.task)
        assert sorted((tmp_path / config.task).iterdir()) == list(report.trained)
        assert report.epochs == 60
        again = train_pairs(config, [7, 0], tmp_path / config.task)
        assert (again.trained, again.skipped) == ((), report.trained[::-1])
        about = read_metadata(report.trained[1])
        found = report.history[-1][2][1]
        assert {name: about[name] for name in ("family", "task", "seed", "epochs")} == {
            "family": "pair-sum",
            "task": config.task,
            "seed": 7,
            "epochs": 60,
        }
        assert about["recipe"] == pair_sum.recipe_of(config.task).name
        assert about["config"] == config.as_dict()
        assert (about["train_accuracy"], about["test_accuracy"]) == (found.train_accuracy, found.test_accuracy)
    weights = load_file(tmp_path / "S3" / "7.safetensors")
    assert {name: value.shape for name, value in weights.items()} == {
        "W_x": (6, 8), "W_y": (6, 8), "W": (16, 16), "W_U": (16, 6), "b": (6,)
    }  # fmt: skip
    assert all(value.dtype == np.float32 for value in weights.values())
    weights = load_file(tmp_path / "add-7" / "7.safetensors")
    attention = {f"blocks.0.attn.{kind}_{letter}" for kind in "Wb" for letter in "QKVO"}
    mlp = {f"blocks.0.mlp.{kind}_{place}" for kind in "Wb" for place in ("in", "out")}
    assert set(weights) == attention | mlp | {"embed.W_E", "pos_embed.W_pos", "unembed.W_U", "unembed.b_U"}
    assert weights["blocks.0.attn.W_V"].shape == (2, 16, 8)
    assert weights["blocks.0.attn.b_V"].shape == (2, 8)
    assert weights["unembed.b_U"].shape == (7,)


@BOTH
def test_a_stopped_run_resumes(config: pair_sum.PairConfig, tmp_path: Path) -> None:
    """Stopped for want of time it leaves what it has, and goes on from there, also for some of its seeds only."""
    whole = train_pairs(config, [0, 1, 2], tmp_path / "whole", every=25)
    first = train_pairs(config, [0, 1, 2], tmp_path / "parts", every=25, seconds=0)
    assert (first.epochs, [read_metadata(path)["epochs"] for path in first.trained]) == (25, [25] * 3)
    with pytest.raises(ValueError, match=r"without \[9\]; train those first"):
        train_pairs(config, [0, 9], tmp_path / "parts")
    second = train_pairs(config, [0, 1, 2], tmp_path / "parts", every=25, seconds=0)
    third = train_pairs(config, [0, 1, 2], tmp_path / "parts", every=25)
    assert (second.epochs, third.epochs) == (50, 60)
    assert sorted((tmp_path / "parts").iterdir()) == list(third.trained)
    for ours, theirs in zip(third.trained, whole.trained, strict=True):
        assert ours.read_bytes() == theirs.read_bytes()

    train_pairs(config, [0, 1, 2], tmp_path / "some", every=25, seconds=0)
    for path, ours in zip(train_pairs(config, [2, 1], tmp_path / "some").trained, whole.trained[:0:-1], strict=True):
        for name, value in load_file(path).items():
            np.testing.assert_allclose(value, load_file(ours)[name], rtol=1e-2, atol=1e-3)


def test_killed_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finished files stay, the others come from the last checkpoint, and then it is deleted."""

    def killed(path: Path, data: bytes) -> None:
        if path.name == "1.safetensors":
            raise KeyboardInterrupt
        write_atomically(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(pair_sum, "write_atomically", killed)
        with pytest.raises(KeyboardInterrupt):
            train_pairs(S3, [0, 1], tmp_path, every=25)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.safetensors", pair_sum.CHECKPOINT]
    report = train_pairs(S3, [0, 1], tmp_path)
    assert [path.name for path in (*report.trained, *report.skipped)] == ["1.safetensors", "0.safetensors"]
    assert [epochs for epochs, *_ in report.history] == [60]
    assert not (tmp_path / pair_sum.CHECKPOINT).exists()


@pytest.mark.parametrize("fault", [None, "capture", "replay"])
def test_graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str | None) -> None:
    """What is trained with a graph is what is trained without one, also if there is none or it does something else.

    Here a graph is imitated: a capture that leaves no trace, and replays that are steps.
    """
    batches: list[Batch] = []
    replays: list[int] = []

    class Graph:
        def replay(self) -> None:
            replays.append(1)
            if fault != "replay":
                batches[-1].step()

    @contextlib.contextmanager
    def capture(graph: Graph) -> Iterator[None]:
        before = {name: value.clone() for name, value in batches[-1].state().items()}
        yield
        batches[-1].restore(before)
        if fault == "capture":
            raise RuntimeError("no capture here")

    class Stream:
        def wait_stream(self, other: object) -> None:
            pass

    class Noted(Batch):
        def __init__(self, config: pair_sum.PairConfig, seeds: list[int], device: str) -> None:
            super().__init__(config, seeds, "cpu")
            batches.append(self)

    monkeypatch.setattr(torch, "cuda", SimpleNamespace(
        CUDAGraph=Graph, graph=capture, Stream=Stream, current_stream=Stream, stream=contextlib.nullcontext,
        synchronize=lambda: None, is_available=lambda: True,
    ))  # fmt: skip
    monkeypatch.setattr(pair_sum, "Batch", Noted)
    lines: list[str] = []
    with_graph = train_pairs(S3, [1, 2], tmp_path / "with", device="cuda", every=25, tell=lines.append)
    without = train_pairs(S3, [1, 2], tmp_path / "without", device="cuda", every=25, graph=False)
    assert with_graph.epochs == without.epochs == batches[0].epoch.item() == 60
    assert [path.read_bytes() for path in with_graph.trained] == [path.read_bytes() for path in without.trained]
    assert len(replays) == {None: 37, "capture": 0, "replay": 1}[fault]
    said = {"capture": "S3: no CUDA graph: no capture here", "replay": "S3: no CUDA graph: a replayed epoch is "}
    without_graph = [line for line in lines if "no CUDA graph" in line]
    assert len(without_graph) == (fault is not None)
    assert all(line.startswith(said[fault or ""]) for line in without_graph)


def test_refused(tmp_path: Path) -> None:
    """Unusable arguments, and files of other models."""
    wrong: tuple[dict[str, Any], ...] = ({"epochs": 0}, {"width": 3}, {"heads": True}, {"fraction": 0}, {"fraction": 2})
    for fields in wrong:
        with pytest.raises(ValueError, match="PairConfig"):
            replace(ADD, **fields)
    for changes, message in (
        ({"seeds": [1, 1]}, "repeated: \\[1\\]"),
        ({"seeds": [-1]}, "seed: expected an integer"),
        ({"every": 0}, "every: expected"),
        ({"device": "tpu"}, "device: expected cpu"),
        ({"out_dir": __file__}, "is a file, expected a directory"),
    ):
        arguments: dict[str, Any] = {"seeds": [1], "out_dir": tmp_path / "models", **changes}
        with pytest.raises(ValueError, match=message):
            train_pairs(S3, **arguments)
    assert not (tmp_path / "models").exists()

    train_pairs(S3, [0], tmp_path / "models", every=25, seconds=0)
    for path in (tmp_path / "models" / "0.safetensors", tmp_path / "models" / pair_sum.CHECKPOINT):
        with pytest.raises(ValueError, match=f"{path.name} holds another model: its config is"):
            train_pairs(replace(S3, neurons=4), [0], tmp_path / "models")
        path.unlink()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`compactproofs train-pairs`, its progress on stderr, and what it says of wrong words."""
    words = ["train-pairs", "S3", "--seed", "0", "--seed", "4", "--epochs", "5", "--out", str(tmp_path / "models")]
    assert run(words) == 0
    printed = capsys.readouterr()
    assert printed.out == f"2 trained, 0 already there, in {tmp_path / 'models'}\n"
    assert "S3: 5 of 5 epochs" in printed.err
    assert read_metadata(tmp_path / "models" / "4.safetensors")["config"] == config_for("S3", epochs=5).as_dict()
    for wrong, message in (
        (["train-pairs", "B3", *words[2:]], "task: expected add-N"),
        ([*words, "--device", "gpu"], "device: expected cpu"),
        ([*words, "--fraction", "2"], "PairConfig.fraction: expected"),
    ):
        assert run(wrong) == 2
        assert message in capsys.readouterr().err


# --- the tool ---


def tool() -> ModuleType:
    """`tools/train_pairs.py`."""
    spec = importlib.util.spec_from_file_location("train_pairs", ROOT / "tools" / "train_pairs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_tool_needs_pytorch_and_safetensors_only(tmp_path: Path) -> None:
    """It does its smoke test where nothing else of what the package needs can be imported."""
    blocked = ("loky", "psutil", "rich", "typer", "jinja2", "matplotlib", "polars", "scipy")
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nfor name in {blocked}: sys.modules[name] = None\n")
    program = [sys.executable, str(ROOT / "tools" / "train_pairs.py"), "--smoke", "--every", "30"]
    program += ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    path = os.pathsep.join([str(tmp_path), str(ROOT / "src")])
    done = subprocess.run(program, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 entries on cpu" in done.stdout
    log = json.loads((tmp_path / "out" / "log.json").read_text())
    assert [(entry["task"], entry["trained"], entry["done"]) for entry in log["entries"]] == [
        ("add-7", [0, 1], 60),
        ("S3", [0, 2, 3], 60),
    ]
    assert [step["epochs"] for step in log["entries"][1]["history"]] == [30, 60]
    with tarfile.open(tmp_path / "out" / "S3-60.tar") as archive:
        assert archive.getnames() == [f"S3-60/{seed}.safetensors" for seed in (0, 2, 3)]
        member = archive.extractfile("S3-60/2.safetensors")
        assert member is not None
        assert member.read() == (tmp_path / "work" / "S3-60" / "2.safetensors").read_bytes()


def test_the_tools_entries_and_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an entry says, and archives in parts that keep within the limit."""
    module = tool()
    assert module.entry_of("S5:0-2,7::60:0.5") == module.Entry("S5", (0, 1, 2, 7), None, 60, 0.5)
    assert module.entry_of("add-59:5:100:60:").name == "add-59-100"
    for wrong in ("S5", "S5:a::3:", "S5:0::3", "B5:0::3:"):
        with pytest.raises(ValueError, match=r"expected|an entry is"):
            module.entry_of(wrong)
    assert len({module.entry_of(text).name for text in module.ENTRIES}) == len(module.ENTRIES)

    monkeypatch.setattr(module, "LARGEST", 100_000)
    paths = [tmp_path / f"{number}.safetensors" for number in range(5)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(20_000 + number))
    parts = list(module.archives("S5", paths))
    assert [name for name, _ in parts] == ["S5.tar", "S5-part-2.tar"]
    assert all(len(data) <= 100_000 for _, data in parts)
