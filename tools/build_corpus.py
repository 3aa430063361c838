"""Build the corpus of certificates by verdict: `python tools/build_corpus.py` adds what tests/certificates lacks.

    models/                         small models; `max-of-4-123` stands for the one of the zoo
    accept/ reject/ malformed/      MODEL--FIELD--WHAT.cert.json: what `compactproofs verify` must say about this file
                                    and this model; where it does not accept, FIELD must be in the message
    malformed/WHAT.safetensors      files that are no models
    fuzzed/TARGET/                  bytes that once did harm, found by `tests/fuzz`; left alone here

A case is added by adding a file, here or by hand: `tests/test_corpus.py` looks at whatever there is.  Files that are
there are kept unless --anew names them: most are of version 1 of the format, which must stay readable, and would now
come out in version 2.  So are those by older versions of a theorem, which is in the name of those by other ones than
the first.
"""

from __future__ import annotations

import argparse
import base64
import copy
import json
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

import compactproofs as cp
from compactproofs.networks.attention_only.heads import ManyHeads
from compactproofs.networks.attention_only.model import WEIGHTS, AttentionOnly
from compactproofs.networks.pair_sum.model import PairSum
from compactproofs.search.builtin import STRATEGIES
from compactproofs.search.certificates import Certificate
from compactproofs.system.files import write_atomically
from compactproofs.tasks.by_comparison import POSITION, RANK, ByComparison
from compactproofs.tasks.pairs import group_products
from compactproofs.theorems import BUILT_IN

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "certificates"
SUBCUBIC = "sub-cubic/max_diff_exact/mean_query+diff/max_diff_exact"
CENTRED = "sub-cubic/svd_query+max_diff/drop_average_query_per_output_logit_reasoning/svd"
PEELED = "sub-cubic/max_diff_exact/mean_query+diff/mean_recursive+max_diff_subproduct_recursive"
STRATEGY_IDS = (
    *("trivial", "brute-force", "cubic", SUBCUBIC, CENTRED, PEELED),
    *(strategy for strategy in STRATEGIES if strategy.startswith("failing-sets")),
    "subspace",
    *("branch-and-bound", "branch-and-bound-upper", "histogram", "histogram-upper"),
)
SPARED = 20  # inputs by which claims of the histogram strategies stay away from what they prove today

Fields = dict[str, Any]
Cases = Iterator[tuple[str, bytes]]
Network = cp.Model | ManyHeads | PairSum


def ladder() -> cp.Model:
    """A model written down by hand that finds most maxima of three among five tokens.

    A token t is the vector (t, 1); attention grows with t, and the output o is scored by t o - o^2 / 2.
    """
    t = np.arange(5.0)
    return cp.Model(
        W_E=np.stack([t, np.ones(5)], axis=1),
        W_pos=np.zeros((3, 2)),
        W_Q=np.array([[0.0, 0.0], [1.0, 0.0]]),
        W_K=np.array([[1.0, 0.0], [0.0, 0.0]]),
        W_V=100.0 * np.eye(2),
        W_O=np.eye(2),
        W_U=np.stack([t, -t * t / 2.0]),
    )


def spoiled() -> cp.Model:
    """The same for six tokens, with positions that matter, and noise on every weight: wrong on many inputs."""
    rng = np.random.default_rng(5)
    t = np.arange(6.0)
    weights = {
        "W_E": np.stack([t, np.ones(6), np.zeros(6)], axis=1),
        "W_pos": np.array([[0.0, 0.0, 0.2], [0.0, 0.0, -0.2], [0.0, 0.0, 0.1]]),
        "W_Q": np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 0.0]]),
        "W_K": np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]),
        "W_V": np.array([[9.0, 0.0], [0.0, 9.0], [0.0, 0.0]]),
        "W_O": np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        "W_U": np.stack([t, -t * t / 2.0, np.zeros(6)]),
    }
    return cp.Model(**{name: (w + 0.05 * rng.normal(size=w.shape)).astype(np.float32) for name, w in weights.items()})


def two_heads() -> ManyHeads:
    """The head of `spoiled` twice, with half of what it writes and more noise: they are of different minds."""
    model, rng = spoiled(), np.random.default_rng(6)
    halves = {"W_Q": model.W_Q, "W_K": model.W_K, "W_V": model.W_V, "W_O": model.W_O / 2}
    heads: dict[str, Any] = {
        name: (weights + 0.1 * rng.normal(size=(2, *weights.shape))).astype(np.float32)
        for name, weights in halves.items()
    }
    return ManyHeads(W_E=model.W_E, W_pos=model.W_pos, W_U=model.W_U, **heads)


def products() -> PairSum:
    """A perceptron with a neuron for each pair of elements of S3, which writes their product; noise, and biases."""
    rng, table = np.random.default_rng(0), group_products("S3").table
    a, b = np.divmod(np.arange(table.size), len(table))
    elements = np.arange(len(table))[:, None]
    weights = {
        "W_x": np.eye(len(table)),
        "W_y": np.eye(len(table)),
        "W": np.concatenate([1.0 * (elements == a), (elements == b) - 1.0]),
        "W_U": np.eye(len(table))[table.ravel()],
        "b": 0.8 * rng.normal(size=len(table)),
    }
    return PairSum({name: w + 0.02 * rng.normal(size=w.shape) for name, w in weights.items()})


def fields_of(certificate: Certificate) -> Fields:
    """The certificate as the JSON object of its file."""
    return dict(json.loads(certificate.to_bytes()))


def text_of(fields: Fields) -> bytes:
    """A file with these fields, whatever they are."""
    return (json.dumps(fields, indent=1) + "\n").encode()


def claiming(fields: Fields, certified: int, **others: Any) -> Fields:
    """The same with another number, and other fields."""
    return fields | {"certified": str(certified)} | others


def with_hint(fields: Fields, name: str, array: npt.NDArray[Any], **others: Any) -> Fields:
    """The same with another array for a hint, and other entries of it."""
    hint = {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "data": base64.b64encode(np.ascontiguousarray(array).tobytes()).decode(),
    }
    return fields | {"hints": fields["hints"] | {name: hint | others}}


def proved(fields: Fields, model: Network) -> int:
    """What a checker proves with these hints, whatever is claimed."""
    certificate = Certificate.from_bytes(text_of(claiming(fields, 0)))
    certified = cp.verify(certificate, model, max_ops=2**36).certified
    assert certified is not None
    return certified


def short(strategy: str) -> str:
    """An id as part of a file name."""
    return strategy.replace("/", "-")


def as_proved(proofs: dict[str, Certificate]) -> Cases:
    """What was proved, or a little less."""
    for strategy, certificate in proofs.items():
        claimed, total = certificate.certified, certificate.total
        if strategy.startswith("histogram"):
            at_least = certificate.claim == "at least"
            claimed = max(claimed - SPARED, 0) if at_least else min(claimed + SPARED, total)
        yield f"{short(strategy)}--proved", text_of(claiming(fields_of(certificate), claimed))


def accepted(model: cp.Model, proofs: dict[str, Certificate]) -> Cases:
    """True claims, some of them odd."""
    total = next(iter(proofs.values())).total
    yield from as_proved(proofs)
    for strategy, edge in (("cubic", 0), ("branch-and-bound-upper", total), ("histogram-upper", total)):
        yield f"{short(strategy)}--least-claim", text_of(claiming(fields_of(proofs[strategy]), edge))
    fields = fields_of(proofs["cubic"])
    yield "cubic--one-line-of-text", json.dumps(fields, separators=(",", ":")).encode()
    yield "cubic--keys-in-another-order", text_of(dict(reversed(fields.items())))
    yield "cubic--spaces-around", b" \n\t\r" + text_of(fields) + b" \n\t\r" * 100
    yield "cubic--escaped-letters", text_of(fields).replace(b'"max"', rb'"\u006dax"')
    yield "cubic--written-by-somebody-else", text_of(fields | {"tool": "[bold]another ☃ program[/bold]"})
    yield "cubic--written-by-nobody", text_of(fields | {"tool": ""})
    for strategy, name, spoil in SPOILED_HINTS:
        fields = fields_of(proofs[strategy])
        hint = proofs[strategy].hints[name]
        for what, array in spoil(hint):
            claim = with_hint(fields, name, array)
            yield f"{short(strategy)}--{name}-{what}", text_of(claiming(claim, proved(claim, model)))


def _reals(hint: npt.NDArray[Any]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    for what, number in (("nan", np.nan), ("infinite", -np.inf), ("huge", 1.7e308), ("subnormal", 5e-324), ("zero", 0)):
        yield what, np.full_like(hint, number)
    some = np.array(hint)
    some.flat[::3] = np.nan
    some.flat[1::3] = np.inf
    yield "partly-nan", some


def _wholes(hint: npt.NDArray[Any]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    yield "all-zero", np.zeros_like(hint)
    yield "enormous", np.full_like(hint, np.iinfo(hint.dtype).max)


def _rows(hint: npt.NDArray[Any]) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    yield "none", hint[:0]
    yield "out-of-range", np.full((50, *hint.shape[1:]), np.iinfo(hint.dtype).max, hint.dtype)


#: Hints with any content are no error: what is proved then is proved, be it nothing.
SPOILED_HINTS = (
    (SUBCUBIC, "gap", _wholes),
    (SUBCUBIC, "query", _reals),
    (CENTRED, "centre", _reals),
    ("failing-sets", "window", _wholes),
    ("failing-sets", "skip", _rows),
    ("failing-sets/low-rank-QK", "key_directions", _reals),
    ("failing-sets/quadratic-QK", "square", _reals),
    ("subspace", "coordinates", _reals),
    ("subspace", "below", _wholes),
)


#: The same, of networks of two arguments.
SPOILED_OF_PAIRS = (
    ("pair-sum/low-rank", "factors"),
    ("pair-sum/low-rank", "scales"),
    ("pair-sum/equivariant-distance", "outputs"),
    ("pair-sum/equivariant-distance", "sizes"),
)


def beyond_proved(model: Network, proofs: dict[str, Certificate]) -> Cases:
    """More than was proved, or the other way round."""
    for strategy, certificate in proofs.items():
        fields, total = fields_of(certificate), certificate.total
        claimed = proved(fields, model)
        at_least = certificate.claim == "at least"
        name = short(strategy)
        if at_least and not strategy.startswith("histogram") and claimed < total:
            yield f"certified--{name}-one-more-than-proved", text_of(claiming(fields, claimed + 1))
        if not at_least and not strategy.startswith("histogram") and claimed > 0:
            yield f"certified--{name}-one-fewer-than-proved", text_of(claiming(fields, claimed - 1))
        edge = total if at_least else 0
        if edge != claimed:
            yield f"certified--{name}-all-or-nothing", text_of(claiming(fields, edge))
        turned = "at most" if at_least else "at least"
        yield f"claim--{name}-turned-round", text_of(fields | {"claim": turned})


def rejected(model: cp.Model, proofs: dict[str, Certificate], other: cp.Model) -> Cases:
    """False or unproved claims in good form."""
    total = next(iter(proofs.values())).total
    yield from beyond_proved(model, proofs)
    cubic = fields_of(proofs["cubic"])
    upper = fields_of(proofs["branch-and-bound-upper"])
    task = cubic["task"]
    yield "model_sha256--another-model", text_of(cubic | {"model_sha256": other.sha256})
    yield "model_sha256--zeros", text_of(cubic | {"model_sha256": "0" * 64})
    yield "model_sha256--another-model-claiming-nothing", text_of(claiming(cubic, 0, model_sha256=other.sha256))
    yield "task--another-K", text_of(cubic | {"task": task | {"n_ctx": model.n_ctx + 1}})
    yield (
        "task--K-of-one",
        text_of(cubic | {"task": task | {"n_ctx": 1}, "total": str(model.d_vocab)} | {"certified": "1"}),
    )
    yield "task--more-tokens", text_of(cubic | {"task": task | {"d_vocab": model.d_vocab + 1}})
    yield "task--K-and-v-swapped", text_of(cubic | {"task": task | {"n_ctx": model.d_vocab, "d_vocab": model.n_ctx}})
    yield "task--largest-sizes", text_of(cubic | {"task": task | {"n_ctx": 2**31 - 1, "d_vocab": 2**31 - 1}})
    yield "total--one-more", text_of(cubic | {"total": str(total + 1)})
    yield "total--fewer", text_of(cubic | {"total": cubic["certified"]})
    yield "total--four-thousand-digits", text_of(cubic | {"total": "9" * 4000})
    yield "total--upper-claim-about-more", text_of(upper | {"total": str(total * 1000)})
    yield "theorem--another-strategys", text_of(cubic | {"theorem": proofs["brute-force"].theorem})
    yield "theorem--trust-me", text_of(cubic | {"theorem": "trust me"})
    yield "theorem--none", text_of(cubic | {"theorem": ""})
    yield (
        "claim--the-lower-bound-as-an-upper-one",
        text_of(upper | {"certified": cubic["certified"], "claim": "at least"}),
    )
    trivial = fields_of(proofs["trivial"])
    yield "certified--the-number-of-another-strategy", text_of(trivial | {"certified": cubic["certified"]})
    subcubic = fields_of(proofs[SUBCUBIC])
    best = proved(subcubic, model)
    hints = proofs[SUBCUBIC].hints
    gap = hints["gap"]
    for what, array in (
        ("rows-reversed", gap[::-1]),
        ("columns-reversed", gap[:, ::-1]),
        ("rows-permuted", np.random.default_rng(1).permutation(gap)),
        ("zero", np.zeros_like(gap)),
        ("one-less", np.maximum(gap, 1) - 1),
        ("enormous", np.full_like(gap, 255)),
    ):
        changed = with_hint(subcubic, "gap", array)
        if proved(changed, model) < best:
            yield f"certified--gap-{what}", text_of(claiming(changed, best))
    for what, array in (("nan", np.nan), ("infinite", np.inf), ("huge", 1.7e308), ("minus-huge", -1.7e308)):
        changed = with_hint(subcubic, "query", np.full_like(hints["query"], array))
        if proved(changed, model) < best:
            yield f"certified--query-{what}", text_of(claiming(changed, best))
    swapped = subcubic | {
        "hints": subcubic["hints"] | {"query": subcubic["hints"]["key"], "key": subcubic["hints"]["query"]}
    }
    if proved(swapped, model) < best:
        yield "certified--query-and-key-swapped", text_of(swapped)
    sets = fields_of(proofs["failing-sets"])
    window = proofs["failing-sets"].hints["window"]
    best = proved(sets, model)
    for what, array in (
        ("given-up", np.full_like(window, 65535)),
        ("of-one", np.ones_like(window)),
        ("turned", window.T),
    ):
        changed = with_hint(sets, "window", array)
        if proved(changed, model) < best:
            yield f"certified--window-{what}", text_of(claiming(changed, best))


def of_several_heads(network: ManyHeads) -> dict[str, bytes]:
    """Certificates about several heads, and what mixes them up with those about one."""
    ids = [strategy.id for strategy in BUILT_IN.strategies.values() if strategy.family == network.family]
    prover = cp.Prover(network)
    proofs = {strategy: prover.prove(strategy).certificate for strategy in ids}
    cubic = fields_of(proofs["heads/cubic"])
    mixed = {
        "family--of-one-head": cubic | {"family": AttentionOnly.family},
        "family--strategy-of-one-head": cubic | {"strategy": "cubic"},
        "model_sha256--of-its-first-head": cubic | {"model_sha256": network.heads[0].sha256},
    }
    return {
        **{f"accept/two-heads--{what}.cert.json": data for what, data in as_proved(proofs)},
        **{f"reject/two-heads--{what}.cert.json": data for what, data in beyond_proved(network, proofs)},
        **{f"reject/two-heads--{what}.cert.json": text_of(fields) for what, fields in mixed.items()},
    }


def of_two_arguments(network: PairSum) -> dict[str, bytes]:
    """Certificates about products in S3, and such as speak of other tables, groups and families."""
    ids = [strategy.id for strategy in BUILT_IN.strategies.values() if strategy.family == network.family]
    prover = cp.Prover(network, group_products("S3"))
    proofs = {strategy: prover.prove(strategy).certificate for strategy in ids}
    low_rank = fields_of(proofs["pair-sum/low-rank"])
    true, changed, broken = dict(as_proved(proofs)), dict(beyond_proved(network, proofs)), {}
    for strategy, name in SPOILED_OF_PAIRS:
        fields, hint = fields_of(proofs[strategy]), proofs[strategy].hints[name]
        for what, array in _reals(hint):
            claim = with_hint(fields, name, array)
            certified = proved(claim, network)
            true[f"{short(strategy)}--{name}-{what}"] = text_of(claiming(claim, certified))
            if certified < proofs[strategy].certified:
                changed[f"certified--{short(strategy)}-{name}-{what}"] = text_of(claim)
        fewer = {key: value for key, value in fields["hints"].items() if key != name}
        broken[f"hints.{name}--missing"] = text_of(fields | {"hints": fewer})
    changed |= {
        "certified--addition-of-as-many": text_of(low_rank | {"task": {"name": "add-mod", "n": 6}}),
        "certified--another-group-of-as-many": text_of(low_rank | {"task": {"name": "group", "n": 6, "group": "D3"}}),
        "task--a-larger-group": text_of(
            low_rank | {"task": {"name": "group", "n": 24, "group": "S4"}, "total": "576", "certified": "1"}
        ),
        "model_sha256--zeros": text_of(low_rank | {"model_sha256": "0" * 64}),
        "family--of-one-head": text_of(low_rank | {"family": AttentionOnly.family}),
    }
    broken |= {
        "task--another-number-of-elements": text_of(low_rank | {"task": {"name": "group", "n": 7, "group": "S3"}}),
        "group--of-no-name": text_of(low_rank | {"task": {"name": "group", "n": 6, "group": "B3"}}),
        "task--no-group": text_of(low_rank | {"task": {"name": "group", "n": 6}}),
    }
    named = (("accept", true), ("reject", changed), ("malformed", broken))
    return {f"{verdict}/S3--{what}.cert.json": data for verdict, cases in named for what, data in cases.items()}


def by_later_theorems(certificates: list[Certificate]) -> Cases:
    """What was proved by another version of a theorem than the first."""
    for certificate in certificates:
        _, _, version = certificate.theorem.partition("@")
        if version != "1":
            what = f"{certificate.task['name']}-" if "k" in certificate.task else ""
            yield f"{short(certificate.strategy)}--{what}by-theorem-{version}", certificate.to_bytes()


def counting_all(certificate: Certificate) -> dict[str, npt.NDArray[Any]]:
    """Hints of histograms that count all outputs of every part at once, by branches, as exactly as that can be."""
    v = len(certificate.hints["weights"])
    how = [0, 0, 0, 0, 99, 2, 60, -1, 10**4]
    rows = [[query, m, level, *how] for query in range(v) for m in range(v) for level in range(6)]  # all there are
    ranks = np.array([range(v, 0, -1), [1] * (v - 1) + [0]], np.uint8)
    return {**certificate.hints, "branches": np.array(rows, np.int64), "ranks": ranks}


def with_branches(certificate: Certificate) -> Iterator[tuple[str, dict[str, npt.NDArray[Any]]]]:
    """Hints for a certificate of histograms, good and bad."""
    hints = counting_all(certificate)
    yield "by-branches", hints
    if "k" in certificate.task:
        return
    rows = hints["branches"][::6]  # only those of parts of level 0, which are all there are
    hints = hints | {"weights": 0 * hints["weights"], "branches": rows}
    few = np.array([*rows[0, 3:7], 2, 0, 8, -1])  # points, positions of which all sums are points, bits, threshold
    for what, most in (("points", 10**4), ("branches", 30)):
        some = np.hstack([rows[:, :3], np.tile([*few, most], (len(rows), 1))])
        yield f"by-few-{what}", hints | {"branches": some}
    yield "by-branches-of-others-together", hints | {"branches": np.where(np.arange(12) == 3, 1, rows)}
    for what, number in (("enormous", 2**63 - 1), ("negative", -(2**63))):
        odd = np.where(np.isin(np.arange(12), [3, 4, 5, 6, 8, 9, 10]), number, rows)  # not what takes long
        yield f"branches-{what}", hints | {"branches": odd}
    yield "branches-of-no-ranks", hints | {"ranks": hints["ranks"][:0]}
    yield "branches-out-of-range", hints | {"branches": np.hstack([np.full((9, 3), 2**63 - 1), rows[:9, 3:]])}


def by_branches(model: cp.Model, certificates: list[Certificate]) -> dict[str, bytes]:
    """What is proved with such hints, and no more than there is."""
    found = {}
    for certificate in certificates:
        name = short(certificate.strategy)
        name += f"--{certificate.task['name']}-" if "k" in certificate.task else "--"
        fields = fields_of(certificate)
        for what, hints in with_branches(certificate):
            claim = fields | {"hints": {}}
            for hint, array in hints.items():
                claim = with_hint(claim, hint, array)
            found[f"accept/{{}}--{name}{what}"] = text_of(claiming(claim, proved(claim, model)))
        all_or_nothing = certificate.total if certificate.claim == "at least" else 0
        what = name.replace("--", "-")
        found[f"reject/{{}}--certified--{what}by-branches"] = text_of(claiming(claim, all_or_nothing))
    return found


def of_positions_and_ranks(model: cp.Model) -> list[Certificate]:
    """Certificates about the token at a position, and that of a rank, by histograms."""
    n, v = model.n_ctx, model.d_vocab
    provers = [cp.Prover(model, ByComparison(*task)) for task in ((POSITION, n, v, 1), (RANK, n, v, 0))]
    ids = [f"by-comparison/histogram{side}" for side in ("", "-upper")]
    return [prover.prove(strategy).certificate for prover in provers for strategy in ids]


def malformed(model: cp.Model, proofs: dict[str, Certificate]) -> Cases:
    """What is no certificate, or none that its strategy knows."""
    fields = fields_of(proofs["cubic"])
    text = text_of(fields).decode()
    total = int(fields["total"])
    for key, value in fields.items():
        yield f"{key}--missing", text_of({k: v for k, v in fields.items() if k != key})
        again = text.rstrip()[:-1].rstrip() + f",\n {json.dumps(key)}: {json.dumps(value)}\n}}\n"
        yield f"{key}--duplicated", again.encode()
        yield f"{key}--null", text_of(fields | {key: None})
        yield f"{key}--huge-integer", text_of(fields | {key: "@"}).replace(b'"@"', b"9" * 4000)
        yield f"{key}--deep", text_of(fields | {key: "@"}).replace(b'"@"', b"[" * 500 + b"]" * 500)
    yield "certified--as-a-number", text_of(fields | {"certified": total})
    yield "certified--negative", text_of(fields | {"certified": "-1"})
    yield "certified--more-than-total", text_of(claiming(fields, total + 1))
    yield "certified--five-thousand-digits", text_of(fields | {"certified": "1" * 5000})
    yield "certified--fullwidth-digits", text_of(fields | {"certified": "１２"})
    yield "certified--line-break", text_of(fields | {"certified": fields["certified"] + "\n"})
    yield "certified--hexadecimal", text_of(fields | {"certified": "0x7d"})
    yield "integer--certified-as-a-fraction", text_of(fields | {"certified": 1.5})
    yield "NaN--total", text_of(fields | {"total": float("nan")})
    yield "Infinity--certified", text_of(fields | {"certified": float("inf")})
    yield "integer--exponent-of-a-billion", text_of(fields | {"total": "@"}).replace(b'"@"', b"1e999999999")
    yield "version--three", text_of(fields | {"version": 3})
    yield "version--as-text", text_of(fields | {"version": "1"})
    yield "format--another", text_of(fields | {"format": "compactproofs certificate 2"})
    yield "extra--unknown-key", text_of(fields | {"extra": 1})
    yield "Certified--another-spelling-besides", text_of(fields | {"Certified": "1"})
    yield "claim--equals", text_of(fields | {"claim": "exactly"})
    yield "task--of-a-decoder", text_of(fields | {"task": fields["task"] | {"name": "min"}})
    yield "task.n_ctx--zero", text_of(fields | {"task": fields["task"] | {"n_ctx": 0}})
    yield "task.n_ctx--negative", text_of(fields | {"task": fields["task"] | {"n_ctx": -3}})
    yield "task.d_vocab--too-large", text_of(fields | {"task": fields["task"] | {"d_vocab": 2**31}})
    yield "task--extra-key", text_of(fields | {"task": fields["task"] | {"d_model": 2}})
    yield "model_sha256--upper-case", text_of(fields | {"model_sha256": fields["model_sha256"].upper()})
    yield "model_sha256--too-short", text_of(fields | {"model_sha256": fields["model_sha256"][:-1]})
    yield "strategy--unknown", text_of(fields | {"strategy": "magic"})
    yield "strategy--another-case", text_of(fields | {"strategy": "Cubic"})
    yield "strategy--path", text_of(fields | {"strategy": "../../cubic"})
    yield "strategy--unknown-choice", text_of(fields | {"strategy": SUBCUBIC + "x"})
    yield "strategy--choice-missing", text_of(fields | {"strategy": "sub-cubic/max_diff_exact/mean_query+diff"})
    yield "strategy--one-choice-too-many", text_of(fields | {"strategy": SUBCUBIC + "/svd"})
    yield "strategy--choices-swapped", text_of(fields | {"strategy": "sub-cubic/mean_query+diff/max_diff_exact/svd"})
    yield "strategy--unknown-rank", text_of(fields | {"strategy": "failing-sets/low-rank-XY"})
    yield "strategy--terminal-escape", text_of(fields | {"strategy": "\x1b[2Jcubic"})
    yield "theorem--too-long", text_of(fields | {"theorem": "x" * 1001})
    yield "tool--line-break", text_of(fields | {"tool": "a\nb"})
    counted = fields_of(proofs["histogram"])
    yield "hints.steps--as-by-theorem-2", text_of(with_hint(counted, "steps", np.zeros((1, 12), np.int64)))
    without = {name: hint for name, hint in counted["hints"].items() if name not in ("branches", "ranks")}
    yield "hints.edges--as-by-theorem-3", text_of(counted | {"theorem": "max-of-k/histogram@2", "hints": without})
    yield "hints.branches--as-by-theorem-4", text_of(counted | {"theorem": "max-of-k/histogram@3"})
    yield "hints.branches--as-by-theorem-3", text_of(counted | {"hints": without})
    for name, hint in counting_all(proofs["histogram"]).items():
        if name in ("branches", "ranks"):
            wrong = np.uint16 if hint.dtype == np.uint8 else np.uint8
            yield f"hints.{name}--one-column-less", text_of(with_hint(counted, name, hint[:, :-1]))
            yield (
                f"hints.{name}--one-column-more",
                text_of(with_hint(counted, name, np.tile(hint, 2)[:, : hint.shape[1] + 1])),
            )
            yield f"hints.{name}--flat", text_of(with_hint(counted, name, hint.ravel()))
            yield f"hints.{name}--another-type", text_of(with_hint(counted, name, hint.astype(wrong)))
            fewer = {key: entry for key, entry in counted["hints"].items() if key != name}
            yield f"hints.{name}--none", text_of(counted | {"hints": fewer})
    yield "hints--by-theorem-1", text_of(counted | {"theorem": "max-of-k/histogram@1"})
    yield "JSON--empty", b""
    yield "JSON--cut", text_of(fields)[:200]
    yield "JSON--two-objects", text_of(fields) * 2
    yield "JSON--byte-order-mark", b"\xef\xbb\xbf" + text_of(fields)
    yield "JSON--nested-sixty-thousand-deep", b"[" * 60_000
    yield "JSON--comment", text_of(fields).replace(b"{\n", b"{ // trust me\n", 1)
    yield "JSON--trailing-comma", text_of(fields).replace(b'"\n}', b'",\n}')
    yield "JSON--single-quotes", text_of(fields).replace(b'"', b"'")
    yield "zip--archive", b"PK\x03\x04" + bytes(100)
    yield "UTF-8--utf-16", text_of(fields).decode().encode("utf-16")
    yield "UTF-8--pickle", b"\x80\x04\x95" + bytes(20)
    yield "object--list", b"[" + text_of(fields) + b"]"
    yield "hints.gap--not-of-this-strategy", text_of(fields | {"hints": fields_of(proofs[SUBCUBIC])["hints"]})
    yield from malformed_hints(fields_of(proofs[SUBCUBIC]), "gap", proofs[SUBCUBIC].hints["gap"])
    yield from malformed_hints(fields_of(proofs["failing-sets"]), "skip", proofs["failing-sets"].hints["skip"])
    low_rank = proofs["failing-sets/low-rank-QK"]
    yield from malformed_hints(fields_of(low_rank), "key_directions", low_rank.hints["key_directions"])


def malformed_hints(fields: Fields, name: str, hint: npt.NDArray[Any]) -> Cases:
    """A hint with something wrong."""
    hints = fields["hints"]
    entry = hints[name]
    where = f"hints.{name}"
    wrong = np.dtype(np.uint16 if hint.dtype != np.uint16 else np.uint8)
    yield f"{where}--missing", text_of(fields | {"hints": {k: v for k, v in hints.items() if k != name}})
    yield f"{where}--null", text_of(fields | {"hints": hints | {name: None}})
    yield f"{where}--another-type", text_of(with_hint(fields, name, hint.astype(wrong)))
    yield f"{where}--flat", text_of(with_hint(fields, name, hint.ravel()))
    yield f"{where}--one-axis-more", text_of(with_hint(fields, name, hint[None]))
    yield f"{where}--turned", text_of(with_hint(fields, name, np.concatenate([hint.T, hint.T])))
    yield f"{where}--one-column-less", text_of(with_hint(fields, name, hint[:, :-1]))
    yield f"{where}.dtype--unknown", text_of(with_hint(fields, name, hint, dtype="float32"))
    yield f"{where}.dtype--object", text_of(with_hint(fields, name, hint, dtype="object"))
    yield f"{where}.dtype--a-list", text_of(with_hint(fields, name, hint, dtype=["uint8"]))
    yield f"{where}.shape--negative", text_of(with_hint(fields, name, hint, shape=[-1, -1]))
    yield f"{where}.shape--enormous", text_of(with_hint(fields, name, hint, shape=[2**60, 16]))
    yield f"{where}.shape--nine-axes", text_of(with_hint(fields, name, hint, shape=[1] * 9))
    yield f"{where}.shape--true", text_of(with_hint(fields, name, hint, shape=[True, True]))
    yield f"{where}.data--too-short-for-shape", text_of(with_hint(fields, name, hint, shape=[2**24] * 8))
    yield (
        f"{where}.data--one-byte-more",
        text_of(with_hint(fields, name, hint, data=base64.b64encode(hint.tobytes() + b"\0").decode())),
    )
    yield f"{where}.data--line-breaks", text_of(with_hint(fields, name, hint, data=entry["data"] + "\n"))
    yield f"{where}.data--not-base64", text_of(with_hint(fields, name, hint, data="@" * 8))
    yield f"{where}.data--a-list", text_of(with_hint(fields, name, hint, data=[1, 2]))
    yield (
        f"{where}--shape-missing",
        text_of(fields | {"hints": hints | {name: {k: v for k, v in entry.items() if k != "shape"}}}),
    )
    yield f"{where}--extra-key", text_of(with_hint(fields, name, hint, order="F"))
    yield "hints--name-with-line-break", text_of(fields | {"hints": hints | {name + "\n": entry}})
    yield "hints--name-too-long", text_of(fields | {"hints": hints | {name * 60: entry}})
    yield f"hints.{name}2--unknown", text_of(fields | {"hints": hints | {f"{name}2": entry}})
    copied = copy.deepcopy(fields)
    text = text_of(copied).decode().replace(f'"{name}": {{', f'"{name}": null,\n  "{name}": {{', 1)
    yield f"{name}--twice", text.encode()


def no_models(model: cp.Model) -> Cases:
    """Files that are no models, named after what the message must have in it."""
    good = save(model.state_dict())
    length = int.from_bytes(good[:8], "little")
    header, body = json.loads(good[8 : 8 + length]), good[8 + length :]

    def file(header: Any, body: bytes = body) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + body

    def entry(name: str, **changes: Any) -> bytes:
        return file(header | {name: header[name] | changes})

    def holding(name: str, array: npt.NDArray[Any]) -> bytes:
        return save(model.state_dict() | {name: array})

    vectors = np.zeros((model.d_vocab, model.d_model))
    yield "header--of-an-exabyte", (2**60).to_bytes(8, "little") + good[8:]
    yield "header--of-all-ones", b"\xff" * 8 + good[8:]
    yield "header--one-byte-too-long", (len(good) - 7).to_bytes(8, "little") + good[8:]
    yield "empty--file", b""
    yield "bytes--seven", good[:7]
    yield "safetensors--cut", good[:-1]
    yield "safetensors--one-byte-more", good + b"\0"
    yield "zip--archive", b"PK\x03\x04" + bytes(1000)
    yield "JSON--nested-deep", file(b"[" * 60_000)
    yield "object--header-is-a-list", file([])
    yield (
        "twice--tensor",
        file(json.dumps(header)[:-1].encode() + b', "embed.W_E": ' + json.dumps(header["embed.W_E"]).encode() + b"}"),
    )
    yield "embed.W_E--missing", save({k: v for k, v in model.state_dict().items() if k != "embed.W_E"})
    yield "safetensors--terabytes-claimed", entry("embed.W_E", shape=[2**40, 2], data_offsets=[0, 2**44])
    yield "safetensors--shape-overflows", entry("embed.W_E", shape=[2**62, 2**62])
    yield "safetensors--shape-of-huge-integers", entry("embed.W_E", shape=[10**30, 10**30])
    yield "safetensors--offsets-swapped", entry("embed.W_E", data_offsets=[80, 0])
    yield "safetensors--offsets-overlap", entry("unembed.W_U", data_offsets=header["embed.W_E"]["data_offsets"])
    yield "safetensors--negative-shape", entry("embed.W_E", shape=[-5, -2])
    yield "safetensors--shape-of-text", entry("embed.W_E", shape=["5", "2"])
    yield "integer--shape-of-fractions", entry("embed.W_E", shape=[5.0, 2.0])
    yield "embed.W_E--half-precision", entry("embed.W_E", dtype="F16", shape=[5, 8])
    yield "embed.W_E--unknown-type", entry("embed.W_E", dtype="PICKLE")
    yield "W_E--nan", holding("embed.W_E", vectors + np.nan)
    yield "W_E--infinite", holding("embed.W_E", vectors + np.inf)
    yield "W_E--turned", holding("embed.W_E", vectors.T.copy())
    yield "W_E--no-axis", holding("embed.W_E", np.array(1.0))
    yield "W_E--empty", holding("embed.W_E", vectors[:0])
    yield "W_pos--empty", holding("pos_embed.W_pos", vectors[:0])
    yield "W_Q--two-heads", holding("blocks.0.attn.W_Q", np.zeros((2, model.d_model, model.d_head)))
    yield "b_U--bias-is-nan", holding("unembed.b_U", np.full(model.d_vocab, np.nan))
    yield "b_U--bias-too-short", holding("unembed.b_U", np.ones(model.d_vocab - 1))
    yield "b_U--bias-in-half-precision", holding("unembed.b_U", np.ones(model.d_vocab, np.float16))
    yield "b_Q--no-axis-for-heads", holding("blocks.0.attn.b_Q", np.ones(model.d_head))
    yield "b_O--zeros-of-another-length", holding("blocks.0.attn.b_O", np.zeros(model.d_model + 1))
    yield "blocks.0.ln1.w--alone", holding("blocks.0.ln1.w", np.ones(model.d_model))
    yield "blocks.0.mlp.W_out--missing", holding("blocks.0.mlp.W_in", np.ones((2, 2)))
    yield "blocks.1.attn.W_K--missing", holding("blocks.1.attn.W_Q", np.ones((1, 2, 2)))


def main() -> None:
    """Write the files that are not there, or with --anew all whose names match."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anew", metavar="GLOB", help="write these too, such as 'reject/*--certified--*'")
    anew = parser.parse_args().anew
    models = {"ladder": ladder(), "spoiled": spoiled()}
    (CORPUS / "models").mkdir(parents=True, exist_ok=True)
    for name, model in models.items():
        model.save(CORPUS / "models" / f"{name}.safetensors")
    network = two_heads()
    tensors = {disk: network.weight(name) for name, (disk, _, _) in WEIGHTS.items()}
    (CORPUS / "models" / "two-heads.safetensors").write_bytes(save(tensors))
    models["max-of-4-123"] = cp.load_model("max-of-4/123")
    of_pairs = products()
    (CORPUS / "models" / "S3.safetensors").write_bytes(save(dict(of_pairs.tensors)))
    known = of_several_heads(network) | of_two_arguments(of_pairs)
    for name, model in models.items():
        small = name in ("ladder", "spoiled")
        prover = cp.Prover(model)
        ids = STRATEGY_IDS if small else ("cubic", SUBCUBIC, "failing-sets")
        proofs = {strategy: prover.prove(strategy).certificate for strategy in ids}
        if small:
            for strategy, certificate in proofs.items():
                known[f"accept/{name}--{short(strategy)}--proved-in-version-2.cert.json"] = certificate.to_bytes()
            later = [*proofs.values(), *of_positions_and_ranks(model)]
            known |= {f"accept/{name}--{what}.cert.json": data for what, data in by_later_theorems(later)}
            counted = [certificate for certificate in later if "histogram" in certificate.strategy]
            branches = by_branches(model, counted)
            known |= {f"{what.format(name)}.cert.json": data for what, data in branches.items()}
            known |= {f"accept/{name}--{what}.cert.json": data for what, data in accepted(model, proofs)}
            known |= {
                f"reject/{name}--{what}.cert.json": data
                for what, data in rejected(model, proofs, models["spoiled" if name == "ladder" else "ladder"])
            }
        else:
            for strategy, certificate in proofs.items():
                fields = fields_of(certificate)
                known[f"accept/{name}--{short(strategy)}--proved.cert.json"] = text_of(fields)
                more = claiming(fields, proved(fields, model) + 1)
                known[f"reject/{name}--certified--{short(strategy)}-one-more-than-proved.cert.json"] = text_of(more)
        if name == "ladder":
            known |= {f"malformed/{name}--{what}.cert.json": data for what, data in malformed(model, proofs)}
            known |= {f"malformed/{what}.safetensors": data for what, data in no_models(model)}
    written = 0
    for file, data in known.items():
        path = CORPUS / file
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or (anew and fnmatch(file, anew) and path.read_bytes() != data):
            write_atomically(path, data)
            written += 1
    print(f"{written} of {len(known)} files written to {CORPUS}")


if __name__ == "__main__":
    main()
