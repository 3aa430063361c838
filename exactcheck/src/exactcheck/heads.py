"""Networks with several heads: as many one-head networks, of which the direct path counts once.

Where there are many inputs, this checker has no verdict about strategies that decide all of them.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from math import comb

from flint import arb, ctx

from exactcheck import brute_force
from exactcheck.balls import Decisions, in_order, largest, total
from exactcheck.paths import Paths
from exactcheck.reading import (
    BIASES,
    DIGITS,
    WEIGHTS,
    Certificate,
    Weights,
    entries,
    expect,
    read_weights,
    tensors_of,
    without_buffers,
)
from exactcheck.reading import FAMILY as OF_ONE_HEAD

FAMILY = "attention-only-1l"
STRATEGIES = {  # theorem, claim
    "heads/trivial": ("max-of-k/heads-trivial@1", "at least"),
    "heads/brute-force": ("max-of-k/heads-brute-force@1", "at least"),
    "heads/cubic": ("max-of-k/heads-cubic@1", "at least"),
    "heads/branch-and-bound": ("max-of-k/heads-branch-and-bound@1", "at least"),
    "heads/branch-and-bound-upper": ("max-of-k/heads-branch-and-bound@1", "at most"),
}
FEW_INPUTS = 2**12
PRECISIONS = (256, 1024, 4096)


def number_of_heads(data: bytes) -> int:
    """The length of the leading axis of W_Q, 1 where there is none."""
    _, shape, _ = tensors_of(data).get("blocks.0.attn.W_Q", ("", [], b""))
    return shape[0] if len(shape) == 3 else 1


def read_heads(data: bytes) -> tuple[list[Weights], str]:
    """The one-head networks of a model file, and the hash of the whole."""
    tensors, number = tensors_of(data), number_of_heads(data)
    expect(number >= 1, "no heads")
    biases = {disk for disk, _, _ in BIASES.values()}
    for name in biases & set(tensors):
        expect(tensors[name][0] in ("F32", "F64"), f"{name}: the type")
        expect(all(entry == 0.0 for entry in entries(tensors[name])), f"{name} is not zero")
    kept = {name: tensor for name, tensor in without_buffers(tensors).items() if name not in biases}
    with_axis = [disk for disk, _, has_axis in WEIGHTS.values() if has_axis]
    for name in with_axis:
        expect(name in kept and len(kept[name][1]) == 3 and kept[name][1][0] == number, f"{name}: the heads")
    found = []
    for h in range(number):
        header, body = {}, b""
        for name, (dtype, shape, content) in kept.items():
            if name in with_axis:
                size = len(content) // number
                shape, content = [1, *shape[1:]], content[h * size : (h + 1) * size]
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(content)]}
            body += content
        text = json.dumps(header).encode()
        found.append(read_weights(struct.pack("<Q", len(text)) + text + body))
    digest = hashlib.sha256(f"{FAMILY}\n".encode())
    for name, (disk, _, _) in WEIGHTS.items():
        digest.update(" ".join([name, *map(str, kept[disk][1])]).encode() + b"\n")
        digest.update(struct.pack(f"<{math.prod(kept[disk][1])}d", *(entry + 0.0 for entry in entries(kept[disk]))))
    return found, digest.hexdigest()


def verdict(certificate: Certificate, data: bytes) -> tuple[bool | None, str]:
    """Whether a certificate of these strategies is accepted, None if that is not known, and why; raises Malformed."""
    heads, sha256 = read_heads(data)
    v, n = heads[0].v, heads[0].n
    found = sha256 if len(heads) > 1 else heads[0].sha256
    if certificate.model_sha256 != found:
        return False, f"model_sha256: the certificate says {certificate.model_sha256}, expected {found}"
    for family in (FAMILY if len(heads) > 1 else OF_ONE_HEAD, FAMILY):  # the network's, and the strategy's
        if certificate.family != family:
            return False, f"family: the certificate says {certificate.family!a}, expected {family!a}"
    theorem, claim = STRATEGIES[certificate.strategy]
    of_tokens = [int(text) for text in certificate.task.get("weights", "").split()]
    every = (sum(of_tokens) if of_tokens else v) ** n
    if every >= 10**DIGITS or "k" in certificate.task:
        return False, f"task: {certificate.strategy} is not about this one"
    for name, claimed, actual in (
        ("task", (certificate.n_ctx, certificate.d_vocab), (n, v)),
        ("total", certificate.total, every),
        ("theorem", certificate.theorem, theorem),
        ("claim", certificate.claim, claim),
    ):
        if claimed != actual:
            return False, f"{name}: the certificate says {claimed!a}, expected {actual!a}"
    expect(not certificate.hints, f"hints: {certificate.strategy} has none")
    if certificate.strategy == "heads/trivial":
        return certificate.certified == 0, "0 is proved"
    heads = [weights.in_order_of(certificate.task) for weights in heads]
    if certificate.strategy == "heads/brute-force" and (v**n > 2**26 or heads[0].too_heavy):
        return False, "more than 2^26 inputs, or weights that are too large"
    if certificate.strategy != "heads/cubic" and v**n > FEW_INPUTS:
        return None, f"{v**n} inputs are too many for this checker, which takes a forward pass for each of {FEW_INPUTS}"
    before = ctx.prec
    try:
        for bits in PRECISIONS:
            ctx.prec = bits
            least, most = certified(certificate.strategy, heads)
            if least == most:
                break
    finally:
        ctx.prec = before
    text = f"claimed {certificate.certified}, found {least} to {most} at {bits} bits"
    if certificate.strategy == "heads/cubic":
        return certificate.certified <= least, text
    if claim == "at least":
        return (True if certificate.certified <= least else None if certificate.certified <= most else False), text
    return (True if certificate.certified >= most else None if certificate.certified >= least else False), text


def certified(strategy: str, heads: list[Weights]) -> tuple[int, int]:
    """N, and what it is at most."""
    if strategy == "heads/cubic":
        decide = Decisions()
        count = cubic(heads, decide)
        return count, count + decide.undecided
    return brute_force.right_inputs(*heads)


def cubic(heads: list[Weights], decide: Decisions) -> int:
    """N, as `docs/certificate-format.md` defines it for heads/cubic."""
    paths = [Paths(weights) for weights in heads]
    v, n, EU = paths[0].v, paths[0].n, paths[0].EU
    of_tokens = [heads[0].count([t]) for t in range(v)]
    w = []
    for path in paths:  # a factor that depends on q alone cancels; this one keeps numbers moderate
        top = [largest(row).mid() for row in path.EQKE]
        w.append([[(x - top[q]).exp() for x in path.EQKE[q]] for q in range(v)])
    count = 0
    for m in range(v):
        others = [o for o in range(v) if o != m]
        of_m = {o: total(p.EVOU[m][o] - p.EVOU[m][m] + p.worst_position[m][o] for p in paths) for o in others}
        A = [
            [
                largest((p.EVOU[t][o] - p.EVOU[t][m]) - (p.EVOU[m][o] - p.EVOU[m][m]) for o in others)
                for t in range(m + 1)
            ]
            for p in paths
        ]
        for q in range(m + 1):
            if q == m or n > 1:
                count += of_tokens[q] * of_tokens[m] ** (n - 1) * _alone(paths, w, q, m, others, decide)
            B = largest(EU[q][o] - EU[q][m] + of_m[o] for o in others)
            for c in range(1, n if q == m else n - 1):
                r = [_worst(p, u[q], a, q, m, c) for p, u, a in zip(paths, w, A, strict=True)]
                chosen = comb(n - 1, c) * _allowed(B, r, of_tokens, decide) ** c
                count += of_tokens[q] * of_tokens[m] ** (n - 1 - c) * chosen
    return count


def _worst(path: Paths, w: list[arb], A: list[arb], q: int, m: int, c: int) -> list[arb]:
    """r(k) of one head for the tokens k < m."""
    n, e = path.n, path.e[q]
    ordered = in_order(e[: n - 1])
    of_query = e[n - 1] * w[q]
    lead = of_query * A[q] if q < m else arb(0)
    found = []
    for k in range(m):
        quotients = []
        for S, T in ((ordered[: n - 1 - c], ordered[n - 1 - c :]), (ordered[c:], ordered[:c])):
            of_token = total(T) * w[k]
            quotients.append((lead + of_token * A[k]) / (total(S) * w[m] + of_query + of_token))
        found.append(largest(quotients))
    return found


def _allowed(B: arb, r: list[list[arb]], of_tokens: list[int], decide: Decisions) -> int:
    """What the tokens of G count: of the most first ones, in one of the orders, that the theorem allows."""
    tokens = range(len(r[0]))
    keys = [[float(sum(row[k].mid() for row in r)) for k in tokens]]
    if len(r) > 1:
        keys += [[float(row[k].mid()) for k in tokens] for row in r]
    best = 0
    for key in keys:
        order = sorted(tokens, key=lambda k: key[k])
        worst = [arb("-inf")] * len(r)
        found = 0
        for place, k in enumerate(order):
            worst = [row[k] if place == 0 else x.max(row[k]) for x, row in zip(worst, r, strict=True)]
            if not decide.negative(B + total(worst)):
                break
            found += of_tokens[k]
        best = max(best, found)
    return best


def _alone(paths: list[Paths], w: list[list[list[arb]]], q: int, m: int, others: list[int], decide: Decisions) -> bool:
    """Whether the input m, ..., m, q is answered correctly."""
    x = [m] * (paths[0].n - 1) + [q]
    u = [[weights[q][t] * path.e[q][p] for p, t in enumerate(x)] for path, weights in zip(paths, w, strict=True)]

    def logit(o: int) -> arb:
        written = (
            total(a * (path.EVOU[t][o] + path.PVOU[p][o]) for p, (t, a) in enumerate(zip(x, row, strict=True)))
            / total(row)
            for path, row in zip(paths, u, strict=True)
        )
        return paths[0].EU[q][o] + total(written)

    own = logit(m)
    return all(decide.negative(logit(o) - own) for o in others)
