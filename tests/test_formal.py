"""Theorems for Coq: what is exported, and, where coqc is installed, that it accepts what is true and only that."""

import fcntl
import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import compactproofs as cp
from compactproofs import __main__ as entry
from compactproofs import zoo
from compactproofs.formal import command
from compactproofs.formal.check import LIBRARY, Verdict, build_library, check
from compactproofs.formal.dyadic import exact_weights
from compactproofs.formal.export import Claims, export
from compactproofs.formal.hints import Argument, ClassHint, argument_for, find_hints
from compactproofs.networks.attention_only.model import WEIGHTS

ROOT = Path(__file__).parent.parent
SOURCES = sorted(LIBRARY.glob("*.v"))

Test = Callable[..., None]


def needs(what_is_there: object, what: str) -> Callable[[Test], Test]:
    """Mark a test that Coq is needed for, and skip it where that is not there."""

    def mark(test: Test) -> Test:
        marked: Test = pytest.mark.coq(pytest.mark.skipif(not what_is_there, reason=what)(test))
        return marked

    return mark


needs_coqc = needs(shutil.which("coqc"), "coqc is not installed")


def tiny_model(seed: int, d_vocab: int = 6, n_ctx: int = 3, noise: float = 0.3) -> cp.Model:
    """A model that attends to large tokens and copies them, spoiled by noise so that some answers are wrong."""
    rng = np.random.default_rng(seed)
    d_model, d_head = d_vocab + 1, 2
    tokens = np.arange(d_vocab)

    def spoiled(matrix: np.ndarray, size: float = noise) -> np.ndarray:
        return (matrix + size * rng.normal(size=matrix.shape)).astype(np.float32)

    embedding = np.hstack([np.eye(d_vocab), np.ones((d_vocab, 1))])
    query, key = np.zeros((d_model, d_head)), np.zeros((d_model, d_head))
    query[-1, 0] = 1.0
    key[:d_vocab, 0] = 1.5 * tokens
    value, output = np.zeros((d_model, d_head)), np.zeros((d_head, d_model))
    value[:d_vocab, 0] = tokens / d_vocab
    value[-1, 1] = 1
    output[0, :d_vocab] = 6 * tokens / d_vocab
    output[1, :d_vocab] = -3 * (tokens / d_vocab) ** 2
    return cp.Model(
        W_E=spoiled(embedding, 0.02),
        W_pos=spoiled(np.zeros((n_ctx, d_model)), 0.02),
        W_Q=spoiled(query, 0.05),
        W_K=spoiled(key, 0.05),
        W_V=spoiled(value, 0.05),
        W_O=spoiled(output),
        W_U=spoiled(np.eye(d_model, d_vocab), 0.02),
    )


def exact_correct(model: cp.Model) -> int:
    """The number of right answers, by the checked brute force of this package."""
    exact = cp.Prover(model).exact_correct()
    assert exact is not None
    return exact


def test_biases_are_refused(tmp_path: Path) -> None:
    """The statement has none, so a theorem about the rest of the weights would be about another model."""
    model = tiny_model(0)
    model = cp.Model(**{name: getattr(model, name) for name in WEIGHTS}, b_U=np.ones(model.d_vocab))
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match=r"has biases \(b_U\)"):
        command.export_to(tmp_path / "exported", str(tmp_path / "m.safetensors"), None)
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize("argument", ["boxes", "failing-sets"])
@pytest.mark.parametrize("seed", range(4))
def test_hints_find_the_number(seed: int, argument: Argument) -> None:
    """What the search expects the checker to decide is what is true, and all of it."""
    model = tiny_model(seed)
    hints = find_hints(exact_weights(model), argument)
    correct = exact_correct(model)

    assert 0 < correct < 6**3
    assert (hints.right, hints.wrong) == (correct, 6**3 - correct)


def test_weights_are_exact() -> None:
    """Every weight is its integer times the power of two, and the least power is used."""
    model = tiny_model(0)
    weights = exact_weights(model)

    for name, integers in weights.integers.items():
        assert (integers.astype(float) == model.weight(name) * 2.0**weights.exponent).all()
    assert any(int(z) % 2 for integers in weights.integers.values() for z in integers.flat)


def hash_of(file: Path) -> subprocess.CompletedProcess[str]:
    """What the stand-alone script says about a file of weights."""
    command = [sys.executable, "-I", "-S", str(LIBRARY / "recompute_hash.py"), str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_hash_of_exported_weights(tmp_path: Path) -> None:
    """It is the model's; with one bit of one weight changed it is another one, which the script says."""
    model = zoo.load_model("max-of-4/12457")
    export(model, tmp_path)
    done = hash_of(tmp_path / "Weights.v")
    assert (done.returncode, done.stdout.strip()) == (0, model.sha256)

    flip_a_bit(tmp_path / "Weights.v")
    changed = hash_of(tmp_path / "Weights.v")
    assert changed.returncode == 1
    assert changed.stdout.strip() not in ("", model.sha256)


def flip_a_bit(file: Path, name: str = "w_u", bit: int = 1) -> None:
    """Change the first number of a matrix by a power of two."""
    text = file.read_text()
    opening = re.search(rf"Definition {name} .*\n  \[", text)
    assert opening is not None
    start = opening.end()
    number = re.compile(r"-?\d+").match(text, start)
    assert number is not None
    file.write_text(text[:start] + str(int(number[0]) ^ (1 << bit)) + text[number.end() :])


@pytest.mark.parametrize("claims", [(5, 5), (3, 9), (3, None), (None, 9)])
def test_claims_are_read_back(claims: tuple[int | None, int | None]) -> None:
    """And nothing is that differs by a letter."""
    claim = Claims(16, *claims)
    assert Claims.of_theorem(claim.theorem) == claim
    if claims == (3, None):
        for argument in ("cubic", "failing-sets"):
            other = Claims(16, 3, argument=argument)
            assert Claims.of_theorem(other.theorem) == other != claim
    for text in (
        claim.theorem.replace("Qed", "Admitted"),
        claim.theorem + "\n",
        claim.theorem.replace("accuracy", "a"),
    ):
        with pytest.raises(ValueError, match="not as 'compactproofs export' writes it"):
            Claims.of_theorem(text)


def test_models_without_room(tmp_path: Path) -> None:
    """Too long inputs and too small weights are refused, in words."""
    with pytest.raises(ValueError, match="at most 7 tokens; the model has 10"):
        export(zoo.load_model("max-of-10/123"), tmp_path)
    model = tiny_model(0)
    small = cp.Model(
        **{**{name: model.weight(name) for name in exact_weights(model).integers}, "W_E": model.W_E * 1e-70}
    )
    with pytest.raises(ValueError, match=r"multiples of 2\^-"):
        export(small, tmp_path)


def test_library_has_no_holes() -> None:
    """No proof is left out, and nothing is assumed but variables of sections."""
    forbidden = re.compile(
        r"\b(Admitted|admit|Axiom|Axioms|Parameter|Parameters|Conjecture|give_up|Unset|bypass_check|Declare Module)\b"
    )
    for file in SOURCES:
        text = file.read_text()
        assert not forbidden.findall(text), file
        depth = 0
        for line in text.splitlines():
            depth += line.strip().startswith("Section ") - bool(re.match(r"\s*End \w+\.", line))
            assert depth > 0 or not re.match(r"\s*(Variable|Hypothesis|Context|Let)", line), (file, line)
        assert depth == 0
    assert len((LIBRARY / "Statement.v").read_text().splitlines()) < 100


def test_without_coqc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and what to install; export works."""
    monkeypatch.setenv("PATH", str(tmp_path))
    model = tmp_path / "tiny.safetensors"
    tiny_model(0).save(model)
    assert entry.run(["export", str(model), "--coq", str(tmp_path / "exported")]) == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'exported'}: correct_count the_model = ")
    for words in ([str(tmp_path / "exported")], [str(model)]):
        assert entry.run(["formal-check", *words]) == 2
        assert "coqc is not installed; on Debian 12: apt-get install" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["formal-check", "{dir}"], "has no Weights.v; write it by 'compactproofs export MODEL --coq"),
        (["formal-check", "{dir}", "max-of-4/123"], "is an exported directory, which has its model in it"),
        (["export", "max-of-4/123", "--coq", "{library}"], "holds Boxes.v, which is not of an export"),
    ],
)
def test_wrong_usage(words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    assert entry.run([word.format(dir=tmp_path, library=LIBRARY) for word in words]) == 2
    assert expected in capsys.readouterr().err


Checked = Callable[..., Verdict]


@pytest.fixture(scope="session")
def library() -> None:
    """The library, compiled by one process at a time."""
    with (LIBRARY / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build_library()


@needs_coqc
def test_coq_accepts_what_is_true(library: None, tmp_path: Path) -> None:
    """The exact number is a theorem, on what the page lists."""
    model = tiny_model(1, d_vocab=5)
    claims = export(model, tmp_path)
    correct = exact_correct(model)
    assert (claims.at_least, claims.at_most) == (correct, correct)
    verdict = check(tmp_path)
    assert verdict.accepted
    assert verdict.model_sha256 == model.sha256
    page = (ROOT / "docs" / "formal.md").read_text()
    listed = set(re.findall(r"`([\w.]+)`", page.partition("## What is assumed")[2].partition("\n## ")[0]))
    assert set(verdict.axioms) <= listed


@needs_coqc
def test_coq_refuses_a_hint_with_a_hole(library: None, tmp_path: Path) -> None:
    """A class whose doubtful outputs are not named, or a box that is not split, is not decided."""
    model = tiny_model(1, d_vocab=5)
    export(model, tmp_path)
    file = tmp_path / "Hints.v"
    hints = file.read_text()
    holes = [re.sub(r"\(\[\d[^\]]*\]", "([]", hints, count=1), re.sub(r"\(C .*?\)+(?=[;\]])", "L", hints, count=1)]
    assert len({hints, *holes}) == 3
    for hole in holes:
        file.write_text(hole)
        assert not check(tmp_path).accepted


@needs_coqc
def test_command(library: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A certificate of this package becomes a theorem; one that claims one more is rejected with exit code 1."""
    model = tiny_model(2, d_vocab=4)
    model.save(tmp_path / "tiny.safetensors")
    certificate = cp.prove(model, "failing-sets").certificate
    assert certificate.certified == exact_correct(model)
    file = tmp_path / "claim.cert.json"
    certificate.save(file)
    assert entry.run(["formal-check", str(file), str(tmp_path / "tiny.safetensors")]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"accepted: {certificate.certified} <= correct_count the_model (of 64 inputs)\n")
    assert f"model {model.sha256}\n" in out
    assert "rests on ClassicalDedekindReals (2), Classical_Prop (1)" in out

    file.write_text(file.read_text().replace(f'"{certificate.certified}"', f'"{certificate.certified + 1}"'))
    assert entry.run(["formal-check", str(file), str(tmp_path / "tiny.safetensors")]) == 1
    assert capsys.readouterr().out.startswith("rejected: ")


@needs_coqc
@pytest.mark.slow
def test_coq_accepts_no_more(library: None, tmp_path: Path) -> None:
    """One more from below, or one fewer from above, is no theorem."""
    model = tiny_model(1, d_vocab=5)
    export(model, tmp_path)
    correct = exact_correct(model)
    for claims in (Claims(5**3, correct + 1), Claims(5**3, None, correct - 1), Claims(5**3, correct + 1, correct + 1)):
        (tmp_path / "Theorem.v").write_text(claims.theorem)
        assert not check(tmp_path).accepted


@needs_coqc
@pytest.mark.slow
def test_coq_refuses_other_weights(library: None, tmp_path: Path) -> None:
    """With a bit of a weight changed the hash is another one; if that is mended, the number is."""
    model = tiny_model(1, d_vocab=5)
    export(model, tmp_path)
    weights = tmp_path / "Weights.v"
    flip_a_bit(weights, "w_u", exact_weights(model).exponent + 4)
    with pytest.raises(ValueError, match="is not as exported"):
        check(tmp_path)
    weights.write_text(weights.read_text().replace(model.sha256, hash_of(weights).stdout.strip()))
    assert not check(tmp_path).accepted


@needs_coqc
@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["cubic", "failing-sets"])
@pytest.mark.parametrize("sizes", [(5, 3), (4, 4)])
def test_arguments_of_strategies(
    library: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], strategy: str, sizes: tuple[int, int]
) -> None:
    """A certificate of a strategy is proved by the argument of that strategy, which never counts a wrong answer."""
    model = tiny_model(1, *sizes, noise=0.1)
    model.save(tmp_path / "tiny.safetensors")
    certificate = cp.prove(model, strategy).certificate
    assert certificate.certified > 0
    certificate.save(tmp_path / "claim.cert.json")
    assert entry.run(["formal-check", str(tmp_path / "claim.cert.json"), str(tmp_path / "tiny.safetensors")]) == 0
    assert capsys.readouterr().out.startswith(f"accepted: {certificate.certified} <= correct_count the_model (of ")

    correct = exact_correct(model)
    export(model, tmp_path / "more", Claims(sizes[0] ** sizes[1], correct + 1, argument=argument_for(strategy)))
    verdict = check(tmp_path / "more")
    assert (verdict.accepted, verdict.claims.argument) == (False, strategy)


@needs_coqc
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sizes", [(2, 1), (3, 1), (8, 2), (4, 4), (3, 5)])
def test_coq_counts_as_brute_force_does(library: None, tmp_path: Path, sizes: tuple[int, int], seed: int) -> None:
    """Also for inputs of one token, and of more than four."""
    model = tiny_model(seed, *sizes, noise=0.6)
    claims = export(model, tmp_path)
    correct = exact_correct(model)
    assert (claims.at_least, claims.at_most) == (correct, correct)
    assert check(tmp_path).accepted


@needs_coqc
def test_the_statement_needs_nothing_unusual(library: None) -> None:
    """All theorems of the library that exported ones use rest on the same assumptions as they do."""
    lemmas = ["bounds_checked", "number_checked", "at_least_checked", "at_most_checked", "shapes_checked"]
    lemmas += ["cubic_checked"]
    files = ("Program", "Rounding", "FailingSets", "SafeOutputs", "FailingInputs")
    for file in files:
        lemmas += re.findall(r"^ *Theorem (\w+)", (LIBRARY / f"{file}.v").read_text(), re.MULTILINE)
    assert {"accepted_is_true", "product_of_matrices", "safe_output", "failing_sets_checked"} <= set(lemmas)
    text = f"From CompactProofs Require Import Checker Cubic {' '.join(files)}.\n"
    text += f"Definition all := ({', '.join(lemmas)}).\nPrint Assumptions all.\n"
    done = subprocess.run(
        ["coqtop", "-quiet", "-Q", str(LIBRARY), "CompactProofs"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    page = (ROOT / "docs" / "formal.md").read_text().partition("## What is assumed")[2].partition("\n## ")[0]
    found = set(re.findall(r"^(?:Coq < )?((?:\w+\.)+\w+)(?: :|$)", done.stdout, re.MULTILINE))
    assert found
    assert found <= set(re.findall(r"`([\w.]+)`", page))


@pytest.mark.parametrize(
    ("heading", "files"),
    [("Rounding", ["Rounding"]), ("Failing sets", ["FailingSets", "SafeOutputs", "FailingInputs"])],
)
def test_lemmas_are_listed(heading: str, files: list[str]) -> None:
    """The page names each theorem of the files, and no other."""
    page = (ROOT / "docs" / "formal.md").read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    listed = re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `")))
    texts = [(LIBRARY / f"{file}.v").read_text() for file in files]
    assert sorted(listed) == sorted(re.findall(r"^ *Theorem (\w+)", "\n".join(texts), re.MULTILINE))


def test_small_trees_decide_small_boxes() -> None:
    """The search splits until every input is decided, or is a single one too close to call."""
    model = tiny_model(3, d_vocab=4)
    hints = find_hints(exact_weights(model))
    assert hints.right + hints.wrong == 4**3
    named = list(itertools.chain.from_iterable(hints.classes))
    assert all(isinstance(hint, ClassHint) for hint in named)
    assert any(hint.doubtful for hint in named)
