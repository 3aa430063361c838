"""Verification never finds more than the second checker, `exactcheck`, and next to nothing less.

Both read the same files and share no code, so an error of either in the format, in the statement of a strategy or in
its arithmetic shows as a difference.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flint import ctx

from compactproofs import zoo
from compactproofs.kernel.certificate import MalformedCertificate
from compactproofs.kernel.problem import Strategy
from compactproofs.networks.weights import InvalidModel
from compactproofs.opening.models import Model
from compactproofs.search import effort
from compactproofs.search.allowance import Allowance, allowing
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.certificates import Certificate
from compactproofs.search.effort import verify
from compactproofs.search.hints import no_hints, search_hints
from compactproofs.search.workspaces import MaxWorkspace, Reading, workspace
from compactproofs.tasks.max_of_k import max_of_k
from exactcheck import brute_force, checking, reading, whole_classes
from soundness.hints import KINDS, hints_of, kinds_of
from soundness.models import NAMES, Case, cases, constant_weights, verifying, weights_of, working_weights
from soundness.planting import Planted, showing
from soundness.truth import exact_correct
from test_corpus import CERTIFICATES, NO_MODELS, model_path
from test_planted_errors import ERRORS, FOR_THE_ATTACK, SUBCUBIC_ERRORS, Error
from test_planted_low_rank import ERRORS as LOW_RANK_ERRORS

SOURCES = Path(checking.__file__).parent
KNOWN = {key: strategy for key, strategy in STRATEGIES.items() if checking.is_known(key)}
#: All strategies but those of which the statement leaves N open.
EXACT = {key: strategy for key, strategy in KNOWN.items() if not key.startswith("histogram")}
#: Models whose numbers are farther than rounding errors from where a bound changes, and the other ones.
ORDINARY = ("working", "positions", "moderate", "rough", "wide", "contrary", "biased", "float32", "folded")
HARD = ("random", "razors", "ties", "extreme", "overflow")
PAIRS = 300  # pairs of a model and hints in the default run, shared among the strategies


@cache
def small_cases(families: tuple[str, ...]) -> tuple[Case, ...]:
    """The models with at most 12 tokens, 4 positions and 750 inputs."""
    return tuple(
        case
        for family in families
        for case in cases(family)
        if case.model.d_vocab <= 12 and case.model.n_ctx <= 4 and max_of_k(case.model).task.total <= 750
    )


@cache
def work_of(case: Case, reading: Reading) -> Any:
    """One workspace for all strategies."""
    return verifying(case.model) if reading == "check" else workspace(case.model, reading)


@cache
def weights_read(case: Case, folder: Path) -> reading.Weights:
    """The model as the second checker reads it from a file."""
    path = folder / "model.safetensors"
    case.model.save(path)
    weights = reading.read_weights(path.read_bytes())
    assert weights.sha256 == case.model.sha256
    return weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for models."""
    return tmp_path_factory.mktemp("exactcheck")


def certificate_of(strategy: Strategy, model: Model, hints: dict[str, Any], certified: int) -> Certificate:
    """A certificate that claims this number."""
    total = max_of_k(model).task.total
    theorem, claim = strategy.theorem, strategy.claim
    return Certificate(
        max_of_k(model).task.record,
        model.sha256,
        strategy.id,
        theorem,
        certified,
        total,
        hints,
        claim=claim,
        family=model.family,
    )


def both(strategy: Strategy, case: Case, kind: str, folder: Path) -> tuple[int, checking.Result]:
    """N of verification, and that of the second checker from the bytes of the certificate."""
    rng = np.random.default_rng(KINDS.index(kind))
    hints = hints_of(strategy, case.model, kind, rng, work_of(case, "value"))
    found = strategy.bound(work_of(case, "check"), hints)
    certificate = reading.read_certificate(certificate_of(strategy, case.model, hints, found).to_bytes())
    weights = weights_read(case, folder)
    checking.check_hints(strategy.id, weights, certificate.task, certificate.hints)
    return found, checking.derive(strategy.id, weights, certificate.hints)


def shortfall(strategy: Strategy, pairs: list[tuple[Case, str]], folder: Path) -> int:
    """How many inputs verification loses on these models and hints, having asserted that it never proves more."""
    lost = 0
    for case, kind in pairs:
        if strategy.limit(max_of_k(case.model)) is not None:
            continue
        found, exact = both(strategy, case, kind, folder)
        where = f"{strategy.id} on '{case.name}' with hints '{kind}': {found}, exactly {exact}"
        if strategy.claim == "at least":
            assert found <= exact.certified <= exact_correct(case.model), where
        else:
            assert found >= exact.certified >= exact_correct(case.model), where
        lost += abs(exact.certified - found)
    return lost


def part(strategy: Strategy, families: tuple[str, ...], number: int, searched: bool) -> list[tuple[Case, str]]:
    """This strategy's share of all pairs of a model and a kind of hints: the searched ones, or all."""
    of_families = small_cases(families)
    kinds = ["searched"] if searched else list(kinds_of(strategy, of_families[0].model))  # the same for all models
    stride = -(-len(of_families) * len(kinds) * len(KNOWN) // number)
    chosen = range(list(KNOWN).index(strategy.id) % stride, len(of_families) * len(kinds), stride)
    return [(of_families[i // len(kinds)], kinds[i % len(kinds)]) for i in chosen]


@pytest.mark.parametrize("strategy", EXACT.values(), ids=EXACT)
def test_equal_with_good_hints(strategy: Strategy, folder: Path) -> None:
    """On models away from the limits of rounding, both find the same number to the last input."""
    assert shortfall(strategy, part(strategy, ORDINARY, PAIRS, searched=True), folder) == 0


@pytest.mark.parametrize("strategy", KNOWN.values(), ids=KNOWN)
def test_never_more(strategy: Strategy, folder: Path) -> None:
    """With exact ties, extreme scales or bad hints verification may lose inputs, and still finds no more."""
    shortfall(strategy, part(strategy, ORDINARY + HARD, PAIRS, searched=False), folder)


MORE = [key for key in EXACT if not key.startswith("sub-cubic")]


@pytest.mark.parametrize("strategy_id", MORE)
def test_equal_on_more_small_models(strategy_id: str, folder: Path) -> None:
    """Outside the largest family each strategy gets more models."""
    strategy = KNOWN[strategy_id]
    assert shortfall(strategy, part(strategy, ORDINARY, 20 * len(KNOWN), searched=True), folder) == 0


@pytest.mark.slow
@pytest.mark.parametrize("strategy", KNOWN.values(), ids=KNOWN)
def test_at_length(strategy: Strategy, folder: Path) -> None:
    """Many more of both."""
    lost = shortfall(strategy, part(strategy, ORDINARY, 5 * PAIRS, searched=True), folder)
    assert lost == 0 or strategy.id not in EXACT
    shortfall(strategy, part(strategy, ORDINARY + HARD, 10 * PAIRS, searched=False), folder)


# --- counts of right inputs by the second checker's own means ---


@pytest.mark.parametrize("family", ["working", "positions", "moderate", "contrary", "biased", "rough", "folded"])
def test_its_two_counts_agree(family: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward passes, and sums of integers; where these are coarse, the truth lies between."""
    for case in small_cases((family,))[::2]:
        weights, truth = weights_read(case, folder), exact_correct(case.model)
        with ctx.workprec(256):
            assert brute_force.right_inputs(weights) == (truth, truth)
            assert whole_classes.right_inputs(weights) == (truth, truth)
            with monkeypatch.context() as patch:
                patch.setattr(whole_classes, "MAX_SUMS", 3)
                right, possible = whole_classes.right_inputs(weights)
                assert right <= truth <= possible


def larger_models(seed: int, number: int, longest: int) -> Iterator[Model]:
    """Models with more than 2^12 inputs, of all kinds of accuracy."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        n = int(rng.integers(4, longest + 1))
        v = int(rng.integers(9 if n == 4 else 5 if n > 5 else 6, 11))
        options: dict[str, Any] = {
            "sharpness": float(rng.choice([0.3, 0.7, 1.5, 3.0, 6.0])),
            "position": float(rng.choice([0.0, 0.1, 0.5])),
            "position_write": float(rng.choice([0.0, 0.2])),
            "query": float(rng.choice([0.0, 0.3, -0.3])),
            "noise": float(rng.choice([0.0, 0.02, 0.1])),
            "rough": float(rng.choice([0.0, 0.1, 0.3, 0.8])),
        }
        if rng.random() < 0.25:
            yield Model(**constant_weights(rng, v, n, v - 1, bias=float(rng.choice([0.3, 1.0, 3.0])), **options))
        else:
            yield Model(**working_weights(rng, v, n, int(rng.integers(1, 5)), **options))


def check_larger(models: Iterator[Model], folder: Path) -> int:
    """Assert that nothing is proved beyond what the second checker finds; returns how many counts were exact."""
    known = 0
    for model in models:
        model.save(folder / "model.safetensors")
        weights = reading.read_weights((folder / "model.safetensors").read_bytes())
        with ctx.workprec(256):
            right, possible = whole_classes.right_inputs(weights)
        known += right == possible
        values = workspace(model, "value")
        hints = {key: search_hints(STRATEGIES[key], values) for key in LARGE}
        for kind in ("check", "claim"):
            work = verifying(model) if kind == "check" else workspace(model, kind)
            least, most, low, high = (STRATEGIES[key].bound(work, hints[key]) for key in LARGE)
            assert least <= possible
            assert most >= right
            assert low <= possible
            assert high >= right
            if right == possible:
                assert least == most == right
    return known


LARGE = ("branch-and-bound", "branch-and-bound-upper", "histogram", "histogram-upper")


def test_large_models_agree(folder: Path) -> None:
    """Branch and bound finds the same number, and histograms enclose it, where inputs are too many to enumerate."""
    assert check_larger(larger_models(1, 3, 4), folder) == 3


@pytest.mark.slow
def test_large_models_at_length(folder: Path) -> None:
    """More and larger ones."""
    assert check_larger(larger_models(2, 20, 6), folder) > 15


def test_three_verdicts_on_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A false claim is rejected, and one that the second checker cannot tell from a true one is neither."""
    (model,) = larger_models(3, 1, 4)
    model.save(folder / "model.safetensors")
    weights = reading.read_weights((folder / "model.safetensors").read_bytes())

    def outcome(key: str, certified: int) -> str:
        hints = no_hints(STRATEGIES[key], max_of_k(model))
        data = certificate_of(STRATEGIES[key], model, hints, certified).to_bytes()
        return checking.verdict(reading.read_certificate(data), weights)[0]

    monkeypatch.setattr(whole_classes, "right_inputs", lambda weights: (100, 110))
    assert [outcome("histogram", x) for x in (100, 101, 110, 111)] == ["accepted", "UNDECIDED", "UNDECIDED", "REJECTED"]
    assert [outcome("branch-and-bound-upper", x) for x in (110, 109, 100, 99)] == [
        "accepted",
        "UNDECIDED",
        "UNDECIDED",
        "REJECTED",
    ]


def test_attention_beyond_all_numbers(folder: Path) -> None:
    """Where the last position's weight is too large for a ball, nothing is known, and nothing fails."""
    one = np.eye(2)
    weights: dict[str, Any] = dict.fromkeys(("W_K", "W_V", "W_O", "W_U"), one)
    weights |= {"W_E": np.ones((2, 2)), "W_pos": np.outer([0.0, 0.0, 0.0, 1.0], [1.0, 1.0]), "W_Q": 1e200 * one}
    Model(**weights).save(folder / "model.safetensors")
    read = reading.read_weights((folder / "model.safetensors").read_bytes())
    with ctx.workprec(256):
        assert whole_classes.right_inputs(read) == (0, 16)


# --- the comparison can fail ---

PLANTED = [error for error in ERRORS + SUBCUBIC_ERRORS + LOW_RANK_ERRORS if error not in FOR_THE_ATTACK]


@pytest.mark.parametrize(
    "error",
    [error if i % 3 == 0 else pytest.param(error, marks=pytest.mark.slow) for i, error in enumerate(PLANTED)],
    ids=lambda error: error.name,
)
def test_planted_errors_are_found(error: Error, folder: Path) -> None:
    """A copy of the package with an error on purpose finds more than the second checker on some small model."""
    planted, strategy = Planted(*error.changes), KNOWN[error.strategy]

    def wrong(case: Case) -> Iterator[str]:
        if strategy.limit(max_of_k(case.model)) is not None:
            return
        for kind in list(kinds_of(strategy, case.model))[:4]:
            hints = planted.hints(error.strategy, case.model, kind, np.random.default_rng(0))
            found = planted.bound(error.strategy, case.model, hints=hints)
            certificate = reading.read_certificate(certificate_of(strategy, case.model, hints, 0).to_bytes())
            exact = checking.derive(error.strategy, weights_read(case, folder), certificate.hints)
            if found > exact.certified:
                yield f"{case.name}, hints {kind}"

    assert next(showing(small_cases((*ORDINARY, "ties")), wrong, error.name), None) is not None


# --- a trained model ---

TRAINED = (
    "cubic",
    "sub-cubic/max_diff_exact/mean_query+diff/exact_EQKE+max_diff_exact",
    "sub-cubic/mean_query+max_diff/mean_query+diff/mean+max_diff_subproduct",
    "failing-sets",
    "failing-sets/low-rank-QK+EU",
    "failing-sets/quadratic-QK",
    "failing-sets/strict-QK",
)


#: By default; the others find the same as the second checker on small models, above.
TRAINED_SOON = (TRAINED[1], "failing-sets/low-rank-QK+EU")
HINTED = [key for key in TRAINED if key.startswith("failing-sets")]  # no size tells how much work these are


@pytest.mark.parametrize(
    "strategy_id",
    [key if key in TRAINED_SOON else pytest.param(key, marks=pytest.mark.slow) for key in TRAINED],
)
def test_equal_on_a_trained_model(strategy_id: str) -> None:
    """Rounding costs not one of the 64^4 inputs, and with found hints half of the declared work is enough."""
    model, strategy = trained(), STRATEGIES[strategy_id]
    hints = search_hints(strategy, trained_values())
    allowance = Allowance()
    with allowing(allowance):
        found = strategy.bound(verifying(model), hints)
    assert (
        strategy_id not in HINTED or 2 * allowance.spent <= effort.declared(strategy, max_of_k(model), hints).operations
    )
    weights = reading.read_weights(zoo.path("max-of-4/123").read_bytes())
    certificate = reading.read_certificate(certificate_of(strategy, model, hints, found).to_bytes())
    exact = checking.derive(strategy_id, weights, certificate.hints)

    assert exact == checking.Result(found, 0, 256)
    assert found > max_of_k(model).task.total // 2


@cache
def trained() -> Model:
    """A trained model."""
    return zoo.load_model("max-of-4/123")


@cache
def trained_values() -> MaxWorkspace:
    """Its workspace for searches."""
    return workspace(trained(), "value")


# --- the program ---


def program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it."""
    return subprocess.run(
        [sys.executable, "-m", "exactcheck", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_exit_codes(tmp_path: Path) -> None:
    """0 for what is accepted, 1 for one input more, 2 for what is no certificate."""
    case, strategy = cases("working")[0], STRATEGIES["cubic"]
    model, path = case.model, tmp_path / "model.safetensors"
    model.save(path)
    found = strategy.bound(verifying(model), {})
    for name, certified in (("right", found), ("wrong", found + 1)):
        certificate_of(strategy, model, {}, certified).save(tmp_path / name)
    (tmp_path / "malformed").write_text("{}")

    right, wrong = program(tmp_path / "right", path), program(tmp_path / "wrong", path)
    assert (right.returncode, right.stdout.split(":")[0]) == (0, "accepted")
    assert (wrong.returncode, wrong.stdout.split(":")[0]) == (1, "REJECTED")
    assert f"claimed {found + 1}, found {found} of" in wrong.stdout
    for arguments in (
        (tmp_path / "malformed", path),
        (tmp_path / "absent", path),
        (tmp_path / "right", tmp_path / "right"),
        (),
    ):
        malformed = program(*arguments)
        assert malformed.returncode == 2
        assert len(malformed.stderr.splitlines()) == 1

    named = program(tmp_path / "right", "max-of-4/123").stderr
    files = "only files are read: 'compactproofs zoo NAME' prints where that of a network is"
    assert named == f"malformed: max-of-4/123: No such file or directory; {files}\n"


def test_it_shares_nothing_with_the_package() -> None:
    """It imports the standard library, python-flint and itself only."""
    files = list(SOURCES.glob("*.py"))
    assert len(files) > 5
    for file in sorted(files):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert not node.level
                names.append(node.module or "")
            for name in names:
                top = name.partition(".")[0]
                assert top in {"flint", "exactcheck"} or top in sys.stdlib_module_names, f"{file.name} imports {name}"


# --- the corpus of certificates ---


def of_corpus(path: Path) -> str:
    """What the second checker says of a file of the corpus."""
    data = model_path(path.name.partition("--")[0]).read_bytes()
    try:
        certificate = reading.read_certificate(reading.read_bytes(path, reading.CERTIFICATE_BYTES))
        return checking.verdict_on_file(certificate, data)[0]
    except reading.Malformed:
        return "malformed"


OUTCOMES = {"accept": checking.ACCEPTED, "reject": checking.REJECTED, "malformed": "malformed"}


@pytest.mark.parametrize("trained", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_same_verdict_on_the_corpus(trained: bool) -> None:
    """Accepted, rejected and malformed certificates."""
    paths = [path for path in CERTIFICATES if path.name.startswith("max-of") == trained]
    assert len(paths) > 5
    for path in paths:
        assert of_corpus(path) == OUTCOMES[path.parent.name], path


@pytest.mark.parametrize("path", NO_MODELS, ids=lambda path: path.name)
def test_no_models_of_the_corpus(path: Path) -> None:
    """Files that are no models."""
    with pytest.raises(reading.Malformed):
        reading.read_weights(path.read_bytes())


# --- both read the same language ---

SUBCUBIC = STRATEGIES["sub-cubic/max_diff_exact/mean_query+diff/svd"]


def good_fields() -> dict[str, Any]:
    """A certificate that is accepted, as JSON."""
    case = cases("working")[0]
    hints = hints_of(SUBCUBIC, case.model, "searched", np.random.default_rng(0))
    return dict(json.loads(certificate_of(SUBCUBIC, case.model, hints, 0).to_bytes()))


def changed(path: str, value: Any) -> dict[str, Any]:
    """That certificate with one value replaced, or removed if the value is `...`."""
    fields = good_fields()
    *parents, last = path.split(".")
    inner: Any = fields
    for name in parents:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return fields


BAD = [
    *((key, ...) for key in good_fields()),
    *((key, None) for key in good_fields()),
    ("more", 1),
    ("format", "compactproofs"),
    ("version", 3),
    ("version", True),
    ("version", "2"),
    ("task", []),
    ("task.name", "min"),
    ("task.n_ctx", 0),
    ("task.n_ctx", True),
    ("task.d_vocab", 2**31),
    ("task.d_vocab", ...),
    ("task.more", 1),
    ("model_sha256", "A" * 64),
    ("model_sha256", "a" * 63),
    ("model_sha256", "a" * 64 + "\n"),
    ("strategy", "no such strategy"),
    ("strategy", "cubic\n"),
    ("theorem", "x" * 1001),
    ("claim", "exactly"),
    ("claim", ["at least"]),
    ("certified", 0),
    ("certified", "00"),
    ("certified", "-1"),
    ("certified", "+1"),
    ("certified", "1 "),
    ("certified", "1_0"),
    ("certified", "१"),
    ("certified", "1" + "0" * 4000),
    ("total", "0x10"),
    ("hints", []),
    ("hints.gap", ...),
    ("hints.more", {"dtype": "uint8", "shape": [0], "data": ""}),
    ("hints.", {"dtype": "uint8", "shape": [0], "data": ""}),
    ("hints.gap", []),
    ("hints.gap.dtype", "int8"),
    ("hints.gap.dtype", "uint16"),
    ("hints.gap.dtype", ["uint8"]),
    ("hints.gap.more", 1),
    ("hints.gap.data", ...),
    ("hints.gap.data", 1),
    ("hints.gap.data", "AA"),
    ("hints.gap.data", "é"),
    ("hints.gap.data", ""),
    ("hints.gap.shape", [1]),
    ("hints.gap.shape", "1"),
    ("hints.gap.shape", [1] * 9),
    ("hints.gap.shape", [-1]),
    ("hints.gap.shape", [True]),
    ("hints.gap.shape", [2**24 + 1]),
    ("hints.key.dtype", "int64"),
    ("tool", "a\tb"),
]


@pytest.mark.parametrize(("path", "value"), BAD, ids=[f"{path}={str(value)[:20]!a}" for path, value in BAD])
def test_both_refuse(path: str, value: Any, folder: Path) -> None:
    """What one calls malformed, so does the other."""
    assert both_refuse(json.dumps(changed(path, value)).encode(), folder)


def both_refuse(data: bytes, folder: Path) -> bool:
    """Whether both call it malformed, having asserted that they agree."""
    case = cases("working")[0]
    verdicts = []
    try:
        verify(Certificate.from_bytes(data), case.model)
        verdicts.append(False)
    except MalformedCertificate:
        verdicts.append(True)
    try:
        checking.verdict(reading.read_certificate(data), weights_read(case, folder))
        verdicts.append(False)
    except reading.Malformed:
        verdicts.append(True)
    assert verdicts[0] == verdicts[1], data[:2000]
    return verdicts[0]


def test_both_refuse_other_bytes(folder: Path) -> None:
    """JSON that is not strict, and base64 in another spelling of the same bytes."""
    good = json.dumps(good_fields())
    assert not both_refuse(good.encode(), folder)
    assert not both_refuse(json.dumps(good_fields(), indent=3).encode("utf-8"), folder)
    assert both_refuse(good.encode("utf-16"), folder)
    assert both_refuse(good.encode("utf-8-sig"), folder)
    assert both_refuse(b"", folder)
    assert both_refuse(b"[" * 100_000, folder)
    assert both_refuse((good + "x").encode(), folder)
    assert both_refuse(good.replace('"version": 2', '"version": 2.0').encode(), folder)
    assert both_refuse(good.replace('"version": 2', '"version": NaN').encode(), folder)
    assert both_refuse(good.replace('"version": 2', '"version": 1, "version": 2').encode(), folder)
    data = good_fields()["hints"]["gap"]["data"]
    for other in (data + "\n", data + "====", data.rstrip("=") + "=" * 5, data[:4] + "\n" + data[4:]):
        assert both_refuse(json.dumps(changed("hints.gap.data", other)).encode(), folder)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model_sha256", "a" * 64),
        ("task.n_ctx", 9),
        ("task.d_vocab", 9),
        ("total", "1000000"),
        ("theorem", "compactproofs.strategies.cubic"),
        ("claim", "at most"),
    ],
)
def test_both_reject(path: str, value: Any, folder: Path) -> None:
    """Claims about something else are rejected by both."""
    case, data = cases("working")[0], json.dumps(changed(path, value)).encode()

    assert not verify(Certificate.from_bytes(data), case.model).accepted
    assert checking.verdict(reading.read_certificate(data), weights_read(case, folder))[0] == checking.REJECTED


def model_bytes(tmp_path: Path, **changes: Any) -> bytes:
    """A safetensors file made by hand, with some of its parts changed; `None` takes a tensor out."""
    weights = {name: w.astype(np.float32) for name, w in weights_of(cases("float32")[0].model).items()}
    header: dict[str, Any] = {}
    body = b""
    for name in NAMES:
        disk, _, has_head = reading.WEIGHTS[name]
        data = weights[name].tobytes()
        shape = [1, *weights[name].shape] if has_head else list(weights[name].shape)
        header[disk] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    for change, value in changes.get("header", {}).items():
        if value is None:
            del header[change]
        elif isinstance(value, dict) and change in header:
            header[change] |= value
        else:
            header[change] = value
    text = changes.get("text", json.dumps(header)).encode()
    length = changes.get("length", len(text))
    return bytes(length.to_bytes(8, "little") + text + body + changes.get("tail", b""))


def both_read(data: bytes, path: Path) -> tuple[str | None, str | None]:
    """The hash that either finds, or None."""
    path.write_bytes(data)
    try:
        ours = Model.load(path).sha256
    except InvalidModel:
        ours = None
    try:
        theirs = reading.read_weights(data).sha256
    except reading.Malformed:
        theirs = None
    return ours, theirs


def test_both_read_the_same_models(tmp_path: Path) -> None:
    """Equal hashes of files that are models, and both refuse what is none."""
    path = tmp_path / "model.safetensors"
    plain = both_read(model_bytes(tmp_path), path)
    size = len(model_bytes(tmp_path, text="")) - 8
    buffer = {"dtype": "I64", "shape": [1], "data_offsets": [size, size + 8]}
    bias = {"dtype": "F32", "shape": [1, 2], "data_offsets": [size, size + 8]}
    q, u = "blocks.0.attn.b_Q", "unembed.W_U"
    assert plain[0] == plain[1] is not None
    for same in (
        {"header": {"__metadata__": {"a": "b"}}},
        {"header": {"blocks.0.attn.mask": buffer}, "tail": b"12345678"},
        {"header": {q: bias}, "tail": bytes(8)},
    ):
        assert both_read(model_bytes(tmp_path, **same), path) == plain
    biased = both_read(model_bytes(tmp_path, header={q: bias}, tail=b"12345678"), path)
    assert biased[0] == biased[1]
    assert biased[0] not in (None, plain[0])
    bad: dict[str, Any]
    for bad in (
        {"header": {u: None}},
        {"header": {q: bias}, "tail": b"1234\0\0\xc0\xff"},  # one is not a number
        {"header": {q: bias | {"shape": [2]}}, "tail": bytes(8)},
        {"header": {q: bias | {"shape": [2, 1]}}, "tail": bytes(8)},
        {"header": {q: bias | {"dtype": "F16", "shape": [1, 4]}}, "tail": bytes(8)},
        {"header": {q: bias | {"dtype": "F64", "shape": [1, 1]}}, "tail": bytes(8)},
        {"header": {"other": bias}, "tail": bytes(8)},
        {"header": {q: buffer}, "tail": bytes(8)},
        {"header": {u: {"dtype": "F16"}}},
        {"header": {u: {"dtype": "I32"}}},
        {"header": {u: {"dtype": 1}}},
        {"header": {u: {"shape": [1]}}},
        {"header": {u: {"data_offsets": [0, 8]}}},
        {"header": {u: {"data_offsets": [size, size]}}},
        {"header": {"embed.W_E": {"data_offsets": [-4, 4]}}},
        {"header": {u: []}},
        {"tail": b"1"},
        {"length": 2**40},
        {"length": 3},
        {"text": "[]"},
        {"text": '{"a": 1.5}'},
    ):
        assert both_read(model_bytes(tmp_path, **bad), path) == (None, None), bad
    assert both_read(b"", path) == (None, None)


def test_both_hash_zeros_and_types_alike(tmp_path: Path) -> None:
    """Negative zeros are zeros, and float64 files of float32 numbers are the same model."""
    weights = {name: np.where(w > 0, w, -0.0) for name, w in weights_of(cases("float32")[0].model).items()}
    model = Model(**weights)
    model.save(tmp_path / "single")
    disk = {reading.WEIGHTS[name][0]: w[None] if reading.WEIGHTS[name][2] else w for name, w in weights.items()}
    assert any(np.signbit(w).any() for w in weights.values())
    save = pytest.importorskip("safetensors.numpy").save
    (tmp_path / "double").write_bytes(save(disk))

    for name in ("single", "double"):
        assert reading.read_weights((tmp_path / name).read_bytes()).sha256 == model.sha256


@pytest.mark.parametrize(("error", "code"), [(AssertionError("x"), 2), (MemoryError(), 2), (KeyboardInterrupt(), 130)])
def test_a_check_that_breaks_off_rejects_nothing(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Exit code 1 is for rejections alone."""
    from exactcheck import __main__ as program

    def broken(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(program, "check", broken)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == code
    assert ("says nothing about the claim" in capsys.readouterr().err) == (code == 2)
