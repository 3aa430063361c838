"""The program that Coq extracts from a proved one, where it is built: it accepts what is true and only that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

import compactproofs as cp
from compactproofs import __main__ as entry
from compactproofs.formal import extracted
from compactproofs.formal.dyadic import exact_weights
from compactproofs.formal.extracted import Answer, answer
from compactproofs.formal.hints import Argument, ClassHint, Hints, argument_for, find_hints
from compactproofs.kernel.certificate import MalformedCertificate
from compactproofs.search.certificates import Certificate
from soundness.truth import exact_correct
from test_corpus import CERTIFICATES, CORPUS, WORDS, model_path
from test_formal import needs, tiny_model


def _is_there() -> bool:
    try:
        return bool(extracted.program())
    except ValueError:
        return False


needs_program = needs(_is_there(), "the program extracted from Coq is not built")


def claim(model: cp.Model, number: int, strategy: str = "brute-force", at: str = "at least") -> bytes:
    """A certificate that claims this number."""
    certificate = cp.prove(model, strategy).certificate.to_bytes().decode()
    found = cp.prove(model, strategy).certificate.certified
    return certificate.replace(f'"{found}"', f'"{number}"', 1).replace('"at least"', f'"{at}"').encode()


def tiny(tmp_path: Path, seed: int = 1, d_vocab: int = 5, n_ctx: int = 3) -> tuple[cp.Model, bytes, Hints]:
    """A model, its file, and hints for it."""
    model = tiny_model(seed, d_vocab, n_ctx)
    model.save(tmp_path / "tiny.safetensors")
    return model, (tmp_path / "tiny.safetensors").read_bytes(), find_hints(exact_weights(model))


@needs_program
@pytest.mark.parametrize(("seed", "d_vocab", "n_ctx"), [(1, 5, 3), (2, 6, 3), (0, 4, 4), (3, 3, 5), (1, 2, 1)])
def test_it_finds_the_number(tmp_path: Path, seed: int, d_vocab: int, n_ctx: int) -> None:
    """From below and above, and nothing beyond."""
    model, file, hints = tiny(tmp_path, seed, d_vocab, n_ctx)
    correct = hints.right
    assert correct == cp.Prover(model).exact_correct()
    for number, at, accepted in (
        (correct, "at least", True),
        (correct + 1, "at least", False),
        (correct, "at most", True),
        (correct - 1, "at most", False),
    ):
        if 0 <= number <= d_vocab**n_ctx:
            found = answer(claim(model, number, at=at), file, hints)
            assert found.accepted == accepted, found
            if accepted:
                assert found.model_sha256 == model.sha256
            else:
                assert found.reason == f"shown is only {correct} <= correct_count <= {correct}"


@needs_program
@pytest.mark.parametrize("gap", [0.0, 2.0**-40, -(2.0**-40)])
def test_what_machine_integers_leave_open(tmp_path: Path, gap: float) -> None:
    """Two outputs that differ by next to nothing are told apart by intervals, and never where they tie."""
    model = tiny_model(1, 4, 2, noise=0.1)
    weights: dict[str, Any] = {name: model.weight(name).copy() for name in exact_weights(model).integers}
    weights["W_U"][:, 2] = weights["W_U"][:, 3] - gap * weights["W_U"][:, 3]
    model = cp.Model(**weights)
    model.save(tmp_path / "m.safetensors")
    hints = find_hints(exact_weights(model))
    correct = exact_correct(model)
    assert hints.right == correct
    assert (hints.wrong == 16 - correct) == (gap != 0.0)
    file = (tmp_path / "m.safetensors").read_bytes()
    assert answer(claim(model, correct), file, hints).accepted
    assert not answer(claim(model, correct + 1), file, hints).accepted
    assert answer(claim(model, correct, at="at most"), file, hints).accepted == (gap != 0.0)


@needs_program
@pytest.mark.parametrize("strategy", ["cubic", "failing-sets"])
def test_arguments_of_strategies(tmp_path: Path, strategy: str) -> None:
    """Their numbers by their own arguments."""
    model = tiny_model(1, 5, 3, noise=0.1)
    model.save(tmp_path / "tiny.safetensors")
    file = (tmp_path / "tiny.safetensors").read_bytes()
    hints = find_hints(exact_weights(model), argument_for(strategy))
    proved = cp.prove(model, strategy).certificate.certified
    correct = cp.Prover(model).exact_correct()
    assert proved > 0
    assert correct is not None
    assert answer(claim(model, proved, strategy), file, hints).accepted
    assert not answer(claim(model, correct + 1, strategy), file, hints).accepted


@needs_program
def test_a_hint_with_a_hole(tmp_path: Path) -> None:
    """A class whose doubtful outputs are not named, or a box that is not split, is not decided."""
    model, file, hints = tiny(tmp_path)
    true = claim(model, hints.right)
    assert answer(true, file, hints).accepted
    places = [(q, i) for q, row in enumerate(hints.classes) for i, hint in enumerate(row) if any(hint.trees)]
    assert places
    for q, i in places[:3]:
        whole = hints.classes[q][i]
        for hole in (ClassHint(), ClassHint(whole.doubtful, [None for _ in whole.trees])):
            hints.classes[q][i] = hole
            assert not answer(true, file, hints).accepted
        hints.classes[q][i] = whole


@needs_program
@pytest.mark.parametrize("spoil", [lambda h: h.__setattr__("fraction", 10**6), lambda h: h.__setattr__("unit", -300)])
def test_precisions_that_are_no_use(tmp_path: Path, spoil: Callable[[Hints], None]) -> None:
    """Nothing is decided with them."""
    model, file, hints = tiny(tmp_path)
    spoil(hints)
    found = answer(claim(model, 1), file, hints)
    assert (found.accepted, found.reason) == (False, "shown is only 0 <= correct_count <= 125")


@needs_program
def test_a_bit_of_a_weight(tmp_path: Path) -> None:
    """Then it is another model, whatever the certificate says."""
    model, file, hints = tiny(tmp_path)
    changed = bytearray(file)
    changed[-4] ^= 1
    found = answer(claim(model, hints.right), bytes(changed), hints)
    assert not found.accepted
    assert found.reason.startswith("the certificate is not about this model, which is ")
    other = cp.Model.from_bytes(bytes(changed))
    assert found.reason.endswith(other.sha256)


@needs_program
def test_weights_of_all_sizes(tmp_path: Path) -> None:
    """The hash is computed from the integers that the program computes with, and is the model's."""
    model = tiny_model(0, 4, 2)
    weights: dict[str, Any] = {name: model.weight(name).copy() for name in exact_weights(model).integers}
    weights["W_U"][0, :4] = (-0.0, 2.0**-140, 1 / 3, -123456789.125)
    model = cp.Model(**weights)
    model.save(tmp_path / "m.safetensors")
    found = answer(
        claim(model, 0, "trivial"), (tmp_path / "m.safetensors").read_bytes(), find_hints(exact_weights(model), "cubic")
    )
    assert found.accepted
    assert found.model_sha256 == model.sha256


@needs_program
def test_the_corpus() -> None:
    """What the other two checkers accept it accepts; what they do not, only if the claim is true of that model.

    It knows of no other task than the largest token.
    """
    counts = dict.fromkeys(WORDS, 0)
    for name in ("ladder", "spoiled"):
        model = cp.Model.load(model_path(name))
        file, correct, total = Path(model_path(name)).read_bytes(), exact_correct(model), model.d_vocab**model.n_ctx
        hints = {argument: find_hints(exact_weights(model), argument) for argument in get_args(Argument)}
        for argument in ("boxes", "failing-sets"):
            assert (hints[argument].right, hints[argument].wrong) == (correct, total - correct)
        for path in CERTIFICATES:
            if not path.name.startswith(f"{name}--"):
                continue
            verdict = path.parent.name
            found = _answer_or_none(path.read_bytes(), file, hints[_argument(path)])
            another_task = "--by-comparison-" in path.name
            if found is None or not found.accepted:
                assert verdict != "accept" or another_task, path.name
                continue
            assert not another_task, path.name
            counts[verdict] += 1
            said = found.reason.removesuffix(f" (of {total} inputs)").split(" <= ")
            assert found.model_sha256 == model.sha256
            if said[0] == "correct_count":
                assert correct <= int(said[1]), path.name
            else:
                assert int(said[0]) <= correct, path.name
    assert counts["accept"] > 100


def _argument(path: Path) -> Argument:
    """What the program checks this certificate by, if it is one."""
    try:
        return argument_for(Certificate.from_bytes(path.read_bytes()).strategy)
    except ValueError:
        return "boxes"


def _answer_or_none(certificate: bytes, file: bytes, hints: Hints) -> Answer | None:
    try:
        return answer(certificate, file, hints)
    except ValueError:
        return None


@needs_program
@pytest.mark.parametrize("file", sorted((CORPUS / "malformed").glob("*.safetensors")), ids=lambda path: path.name)
def test_files_that_are_no_models(file: Path) -> None:
    """None is accepted, and nothing worse happens than exit code 2."""
    good = (CORPUS / "accept" / "ladder--cubic--proved.cert.json").read_bytes()
    found = _answer_or_none(good, file.read_bytes(), Hints(20, 60, 40, []))
    assert found is None or not found.accepted


@needs_program
def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `verify --formal` says."""
    words = [
        "verify",
        "--formal",
        str(CORPUS / "accept" / "ladder--cubic--proved.cert.json"),
        str(model_path("ladder")),
    ]
    assert entry.run(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("accepted: 39 <= correct_count (of 125 inputs)\nmodel d679ee8482e3")
    assert "shares no code with verify" in out
    words[2] = str(CORPUS / "reject" / "ladder--certified--cubic-all-or-nothing.cert.json")
    assert entry.run([*words, "--json"]) == 1
    assert '"outcome": "rejected"' in capsys.readouterr().out


def test_where_it_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and how to build it."""
    monkeypatch.setattr(extracted, "LIBRARY", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert entry.run(["verify", "--formal", str(CERTIFICATES[0]), str(model_path("ladder"))]) == 2
    assert "'make formal-checker' in a checkout of the repository builds it" in capsys.readouterr().err


def test_certificates_of_both_versions_are_in_the_corpus() -> None:
    """The program reads both, so the comparison above covers both."""
    versions = set()
    for path in CERTIFICATES:
        if path.parent.name == "accept":
            versions.add(b'"version": 1' in path.read_bytes())
            try:
                Certificate.from_bytes(path.read_bytes())
            except MalformedCertificate:
                pytest.fail(path.name)
    assert versions == {True, False}
