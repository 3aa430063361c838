"""Files as people meet them, in `tests/cases`: the program and the second checker say what is right about each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from flint import arb
from safetensors.numpy import load_file, save_file

import decoders
from compactproofs import STRATEGIES, Certificate, Model, load_model
from compactproofs.kernel.checker import verify as kernel_verify
from compactproofs.kernel.problem import Network, Problem
from compactproofs.kernel.workspace import Workspace
from compactproofs.networks.decoder.forward import uncapped_logits
from compactproofs.networks.decoder.model import Configuration, Decoder
from compactproofs.opening.networks import load_decoder
from compactproofs.search.effort import verify
from compactproofs.search.prover import Prover
from compactproofs.tasks.max_of_k import MaxOfK, max_of_k
from compactproofs.tasks.sequences import RULES, Sequences
from compactproofs.theorems import BUILT_IN
from exactcheck import checking, reading
from limited import Limited, limited
from soundness.models import verifying
from soundness.truth import exact_correct

CASES = Path(__file__).parent / "cases"
ANY_CERTIFICATE = CASES / "mask_odd.cert.json"
NO_OBJECT = "is no object with exactly the keys dtype, shape and data_offsets"
OTHER_KIND = "the model is no safetensors file"

#: What is refused: words of the package's message, and of the second checker's.
REFUSED = {
    "bias_F16_list.safetensors": (f"unembed.b_U {NO_OBJECT}", "unembed.b_U"),
    "bias_I64_list.safetensors": (f"unembed.b_U {NO_OBJECT}", "unembed.b_U"),
    "weight_F16_list.safetensors": (f"embed.W_E {NO_OBJECT}", "embed.W_E"),
    "entry_as_list.safetensors": (f"embed.W_E {NO_OBJECT}", "embed.W_E"),
    "hdr_leadws.safetensors": ("no JSON object begins at byte 8", OTHER_KIND),
    "hdr_meta_null.safetensors": ("__metadata__ is no object whose values are all text", "__metadata__"),
    "f8-tag.safetensors": ("found scaled_fp8, which a decoder", "unknown tensors: ['scaled_fp8']"),
    "lfs-pointer.safetensors": ("but a Git LFS pointer: the file itself was not downloaded; run 'git lfs", OTHER_KIND),
    "model.safetensors.index.json": ("but the index of a model in several files; save all tensors", OTHER_KIND),
    "zipped-checkpoint.pt": ("but a zip archive, perhaps a PyTorch checkpoint; load it where it", OTHER_KIND),
}
#: What decoders do: words after `prove`, and how many of 1000 inputs are answered correctly.
#: Of two arguments; `tests/test_pair_certificates.py` tries them.
PAIR_SUMS = ("add_23", "s4")
DECODERS: dict[str, tuple[tuple[str, ...], int]] = {
    "two_heads_max3_v10": (("--read-out", "-1"), 973),
    "mlp_max3_v10": ((), 999),
    "ln_max3_v10": ((), 992),
    "argmax3_v10": (("--task", "argmax"), 975),
    "bos_max3_v10": (("--prefix", "10"), 999),
    "min3_v10": (("--task", "min", "--length", "3"), 999),
}
#: Checked by balls; the others, and what is claimed from above, at length.
BY_BALLS = ("ln_max3_v10", "bos_max3_v10", "argmax3_v10")
UNTRAINED = "two-layers"
#: How many inputs are answered correctly, and whether every one is farther from a tie than rounding errors.
READ = {
    "good": (201, True),
    "mask_odd": (0, False),
    "backdoor1e18": (48, False),
    "leak1e18": (48, False),
    "razor-1e-16": (8, False),
    "denormU1e-310": (64, False),
    "min3_v10": (9, True),
    "biases_max3_v10": (1000, True),
    "max2-v64-s0": (4095, True),
}
#: Where ball arithmetic takes seconds; branch and bound and brute force decide every input there.
LARGE = ("max2-v64-s0",)
EXACT = ("branch-and-bound", "branch-and-bound-upper", "brute-force", "failing-sets")
CHEAP = (
    *EXACT,
    *("trivial", "cubic", "failing-sets/strict-QK+EU", "histogram", "histogram-upper"),
    "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact",
    "sub-cubic/mean_query+max_diff/mean_query+diff/mean_recursive+max_diff_subproduct_recursive",
)


@pytest.fixture(scope="module")
def command() -> Iterator[Limited]:
    """The command line under limits."""
    with limited(forks=False) as process:
        yield process


@cache
def model_of(name: str) -> Model:
    """One of those that are read."""
    return Model.load(CASES / f"{name}.safetensors")


def certificate_of(path: Path) -> Path:
    """The certificate that goes with a file, or any."""
    own = path.with_suffix(".cert.json")
    return own if own.exists() else ANY_CERTIFICATE


def refused_in_one_line(command: Limited, path: Path, words: str) -> None:
    """By every command, with exit code 2."""
    for arguments in (("prove", path, "--strategy", "cubic"), ("show", path), ("verify", certificate_of(path), path)):
        outcome = command.run(*arguments)
        said = outcome.out + outcome.err
        assert outcome.code == 2
        assert said.count("\n") == 1
        assert len(said) < 600
        if arguments[0] != "show" or path.suffix != ".json" or path.name.endswith(".index.json"):  # or a certificate
            assert words in said.replace(str(path), "")


def test_every_file_is_tried() -> None:
    """Nothing lies there that no test looks at."""
    models = {*REFUSED, *(f"{name}.safetensors" for name in (*READ, *DECODERS, UNTRAINED, *PAIR_SUMS))}
    files = {path.name for path in CASES.iterdir()} - {"README.md"}
    assert {file for file in files if not file.endswith(".cert.json")} == models
    assert {file.replace(".cert.json", ".safetensors") for file in files if file.endswith(".cert.json")} <= models


@pytest.mark.parametrize("name", REFUSED)
def test_refused(command: Limited, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In words that fit, by both."""
    package, second = REFUSED[name]
    path = CASES / name
    refused_in_one_line(command, path, package)
    assert checking.main([str(certificate_of(path)), str(path)]) == 2
    said = capsys.readouterr().err
    assert second in said
    assert said.count("\n") == 1


def test_long_metadata(command: Limited, tmp_path: Path) -> None:
    """A good file with 1.2 MB of notes is whole, and is not called anything else."""
    data = (CASES / "good.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length]) | {"__metadata__": {"log": "x" * 1_200_000}}
    text = json.dumps(header).encode()
    path = tmp_path / "long.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    refused_in_one_line(command, path, "its header is larger than 1048576 bytes (1 MiB), the most that is read")
    with pytest.raises(reading.Malformed, match="header is larger than 1048576 bytes"):
        reading.read_weights(path.read_bytes())


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"", "an empty file"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a pickle, perhaps a PyTorch checkpoint"),
        (b"\x80\x05\x95" + bytes(9), "a pickle"),
        (b"PK\x03\x04" + bytes(26) + b"a.npy numpy", "a zip archive of NumPy arrays (.npz)"),
        (b"\x1f\x8b\x08" + bytes(9), "compressed with gzip; unpack it first"),
        (b"\x89HDF\r\n\x1a\n" + bytes(9), "an HDF5 file"),
        (b"GGUF" + bytes(9), "a GGUF file"),
        (b"\x93NUMPY\x01\x00v\x00", "a NumPy array (.npy)"),
        (b"<!doctype html>", "a web page"),
        (b'{"a": 1}', "JSON text"),
    ],
)
def test_other_kinds(tmp_path: Path, start: bytes, words: str) -> None:
    """Files are called by their names, and what to do is said."""
    path = tmp_path / "m.safetensors"
    path.write_bytes(start)
    with pytest.raises(ValueError, match=r"m\.safetensors: not a safetensors file but ") as caught:
        load_model(path)
    assert words in str(caught.value)
    with pytest.raises(reading.Malformed):
        reading.read_weights(start)


@pytest.mark.parametrize("name", READ)
def test_read(command: Limited, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By both, as the same model; and its certificate is accepted by both."""
    path = CASES / f"{name}.safetensors"
    assert model_of(name).sha256 == reading.read_weights(path.read_bytes()).sha256
    assert command.run("show", path).code == 0
    own = certificate_of(path)
    expected = 0 if own.stem.startswith(name) else 1  # about another model
    assert command.run("verify", own, path).code == expected
    assert checking.main([str(own), str(path)]) == expected
    capsys.readouterr()


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in LARGE else []) for n in READ])
def test_truth(name: str) -> None:
    """Forward passes in ball arithmetic give it."""
    assert exact_correct(model_of(name)) == READ[name][0]


@pytest.mark.parametrize("name", READ)
def test_bounds_hold(name: str) -> None:
    """No strategy claims more than the truth, and the exact ones find it."""
    model, (right, decided) = model_of(name), READ[name]
    prover, work = Prover(model), verifying(model)
    assert prover.exact_correct() == (right if decided else None)
    for strategy in EXACT[:2] if name in LARGE else CHEAP:
        certificate = prover.prove(strategy).certificate
        assert verify(certificate, model, work).accepted
        if STRATEGIES[strategy].claim == "at least":
            assert certificate.certified <= right, strategy
        else:
            assert right <= certificate.certified <= max_of_k(model).task.total, strategy
        if decided and strategy in EXACT:
            assert certificate.certified == right, strategy


@pytest.mark.parametrize("at_length", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", DECODERS)
def test_decoders(command: Limited, name: str, at_length: bool, tmp_path: Path) -> None:
    """Are enumerated, and nothing stays open; the certificates suffice for verification; single inputs by Arb agree."""
    (options, right), path = DECODERS[name], CASES / f"{name}.safetensors"
    outcome = command.run("prove", path, *options, "--all", "--out", tmp_path)
    assert outcome.code == 0
    assert "warning" not in outcome.err
    assert "assumed: " in outcome.err
    for file, claim in (("enumerate", "at least"), ("enumerate-upper", "at most")):
        outcome = command.run("verify", tmp_path / f"{file}.cert.json", path)
        assert outcome.code == 0
        assert outcome.out.startswith(f"accepted: {claim} {right} of 1000 inputs are answered correctly; enumerate of ")
        assert "the model's file does not say how it is used" in outcome.err
        if at_length or (claim == "at least" and name in BY_BALLS):
            assert checking.main([str(tmp_path / f"{file}.cert.json"), str(path)]) == 0
    certificate = Certificate.load(tmp_path / "enumerate.cert.json")
    network, task = load_decoder(path), Sequences.of_record(certificate.task)
    assert network.sha256 == certificate.model_sha256
    inputs = np.random.default_rng(0).integers(0, task.v, (1, task.n))
    work: Workspace[Decoder, Sequences] = Workspace(Problem(network, task))
    found: Any = uncapped_logits(work, task.sequences(inputs), task.read_out)
    for x, mid, rad in zip(task.sequences(inputs).tolist(), found.mid, found.rad, strict=True):
        for truth, middle, radius in zip(decoders.truth(network, x, task.read_out), mid, rad, strict=True):
            assert abs(arb(float(middle)) - truth) <= arb(float(radius))
            assert radius < 1e-8


def test_biases(command: Limited, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are shown, proved with, and the second checker accepts what is proved."""
    path = CASES / "biases_max3_v10.safetensors"
    assert "b_Q, b_K, b_V, b_O, b_U; folded into the weights, exactly" in command.run("show", path).out
    assert "folded" not in command.run("show", CASES / "good.safetensors").out
    for strategy in ("brute-force", "branch-and-bound", "branch-and-bound-upper", "failing-sets", "cubic"):
        certificate = tmp_path / f"{strategy}.json"
        assert command.run("prove", path, "--strategy", strategy, "--out", certificate).code == 0
        assert Certificate.load(certificate).certified == 1000
        assert command.run("verify", certificate, path).code == 0
        assert checking.main([str(certificate), str(path)]) == 0
    capsys.readouterr()


def test_another_task(command: Limited) -> None:
    """A model that does another task is told so; one with too few outputs is asked about a fixed token."""
    for options in ((), ("--task", "max")):
        outcome = command.run("prove", CASES / "min3_v10.safetensors", *options, "--strategy", "cubic")
        assert "and the smallest token for 99.9%" in outcome.err
    outcome = command.run("prove", CASES / "mlp_max3_v10.safetensors", "--task", "min", "--strategy", "enumerate")
    assert "it answers what min says for 0.9% of inputs, and what max says for 99.9%" in outcome.err
    outcome = command.run("prove", CASES / "bos_max3_v10.safetensors", "--strategy", "enumerate")
    assert outcome.code == 2
    assert (
        "its labels are 0 to 10, the model's outputs 0 to 9; is one of its tokens a fixed one, such as BOS"
        in outcome.err
    )


def test_why_a_decoder(command: Limited, tmp_path: Path) -> None:
    """Where a strategy for attention-only models is asked for, the option is named, or what is in the file."""
    bos, outputs, norm = (CASES / f"{name}_v10.safetensors" for name in ("bos_max3", "argmax3", "ln_max3"))
    for words, why in (
        ((bos, "--prefix", "10"), "because of --prefix; leave that out"),
        ((outputs, "--task", "argmax"), "because of --task argmax; leave that out"),
        ((norm, "--setting", "eps=1e-5", "--length", "2"), "because of --length (n=), --setting; leave that out"),
        ((norm,), "since as attention-only-1l1h it cannot be: found blocks.0.ln1.b, blocks.0.ln1.w, ln_final.b"),
        ((outputs, "--order", "2 1 0"), "it cannot be: W_U has d_vocab = 3, but W_E has d_vocab = 10"),
    ):
        outcome = command.run("prove", *words, "--strategy", "cubic")
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert f"; it is read as a decoder{',' * why.startswith('since')}" in outcome.err
        assert why in outcome.err
    assert "no LayerNorm, learned positions" in command.run("sample", norm).err
    tensors = load_file(norm)
    save_file({name: tensor for name, tensor in tensors.items() if "ln1" not in name}, tmp_path / "less.safetensors")
    assert "; read as a decoder, since as attention-only-1l1h it cannot be: found ln_final.b, ln_final.w; " in (
        command.run("prove", tmp_path / "less.safetensors").err
    )


def test_why_two_arguments(command: Limited, tmp_path: Path) -> None:
    """A state dict that lacks the queries looks like a network of two arguments, and is told so."""
    tensors = load_file(CASES / "good.safetensors")
    save_file({name: tensor for name, tensor in tensors.items() if not name.endswith("W_Q")}, tmp_path / "less")
    outcome = command.run("prove", tmp_path / "less")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert "since it has a tensor blocks.0.attn.W_V and no blocks.0.attn.W_Q" in outcome.err
    assert "since" not in command.run("prove", CASES / "good.safetensors", "--family", "pair-sum").err


def test_what_settles_a_task(command: Limited) -> None:
    """Messages name the option."""
    case = CASES / "argmax3_v10.safetensors"
    for words, option in (
        (("--task", "sum-mod"), "-k, k="),
        (("--task", "argmax", "--prefix", "99"), "--tokens, --prefix, --suffix, v=, prefix=, suffix="),
        (("--task", "argmax", "--length", "7"), "--length, n="),
        (("--task", "argmax", "--length", "2", "--read-out", "7"), "--read-out, read_out="),
        (("--task", "argmax", "--weights", "1 2"), "--weights, weights="),
        (("--task", "argmax", "--weights", " ".join(["3000000"] * 10)), "--weights, weights="),
        (("--task", "argmax", "--inputs", "few"), "--inputs, inputs="),
        (("--task", "argmax", "--tokens", "2", "--inputs", "distinct"), "--inputs, --weights, inputs=, weights="),
        (("--task", "argmax", "--tokens", "99"), "--tokens, --prefix, --suffix, v=, prefix=, suffix="),
        (("--task", "argmax", "--tokens", str(2**31)), "--length, --tokens, n=, v="),
        (
            (
                "--tokens",
                "4",
            ),
            "--task, --tokens, v=",
        ),
    ):
        outcome = command.run("prove", case, *words)
        assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert outcome.err.endswith(f" ({option})\n")
    outcome = command.run("prove", CASES / "add_23.safetensors", "-k", "23", "--prefix", "3")
    assert "asked by --task alone; leave out --prefix, -k" in outcome.err


def test_untrained(command: Limited) -> None:
    """Two layers are read, and what is said of them is what they are."""
    path = CASES / f"{UNTRAINED}.safetensors"
    outcome = command.run("prove", path, "--all")
    assert outcome.code == 0
    assert "decoder with 2 layers, 1 head, attention only, causal attention; max of 3 tokens out of 5" in outcome.out
    assert "this model does not seem to do this task" in outcome.err
    assert command.run("show", path).code == 0
    refused = command.run("prove", path, "--strategy", "cubic")
    assert (refused.code, refused.err.count("cubic is about attention-only-1l1h, and this is decoder")) == (2, 1)
    assert command.run("verify", ANY_CERTIFICATE, path).code == 2


@pytest.mark.parametrize("strategy_id", BUILT_IN.strategies)
def test_every_strategy_with_every_task(strategy_id: str) -> None:
    """A claim about a task that a strategy's theorem does not cover is rejected as such, whatever network it is for."""
    strategy = BUILT_IN.strategy(strategy_id)
    sequences = [Sequences(name, 3, 10, Configuration(1.0), k=2 * (name == "sum-mod")) for name in RULES]
    model = model_of("min3_v10")
    tasks: list[Sequences | MaxOfK] = [max_of_k(model).task, *sequences]
    for task in tasks:
        if task.record["name"] not in strategy.tasks:
            certificate = Certificate(
                task=task.record,
                model_sha256=model.sha256,
                strategy=strategy.id,
                theorem=strategy.theorem,
                certified=0,
                total=task.total,
                claim=strategy.claim,
                family=strategy.family,
            )
            network = cast(Network, SimpleNamespace(family=strategy.family, sha256=model.sha256))
            verdict = kernel_verify(certificate, network, BUILT_IN)
            assert (verdict.accepted, verdict.reason) == (False, f"task: {strategy.id} is not about {task.name}")


def test_another_family_s_task_on_the_command_line(command: Limited, tmp_path: Path) -> None:
    """Rejected in a line, by either kind of model."""
    model = model_of("min3_v10")
    certificate = Certificate(
        task=Sequences("max", 3, 10, Configuration(1.0)).record,
        model_sha256=model.sha256,
        strategy="cubic",
        theorem="max-of-k/cubic@1",
        certified=0,
        total=1000,
        family=model.family,
    )
    certificate.save(tmp_path / "c.json")
    outcome = command.run("verify", tmp_path / "c.json", CASES / "min3_v10.safetensors")
    assert (outcome.code, outcome.err) == (1, "")
    assert outcome.out.startswith("rejected: task: cubic is not about max")
