"""Networks of two arguments: every pair in ball arithmetic, by the statements of `docs/certificate-format.md`."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flint import arb, ctx

from exactcheck.balls import (
    Decisions,
    Table,
    balls,
    largest,
    mean,
    product,
    root,
    shifted,
    square,
    total,
    transposed,
)
from exactcheck.reading import Certificate, Hint, entries, expect, tensors_of

FAMILY = "pair-sum"
THEOREMS = {
    "pair-sum/trivial": "pair-sum/trivial@1",
    "pair-sum/brute-force": "pair-sum/brute-force@1",
    "pair-sum/brute-force-upper": "pair-sum/brute-force@1",
    "pair-sum/low-rank": "pair-sum/low-rank@1",
    "pair-sum/low-rank-separable": "pair-sum/low-rank-separable@1",
    "pair-sum/low-rank-halves": "pair-sum/low-rank-halves@1",
    "pair-sum/thin-halves": "pair-sum/thin-halves@3",
    "pair-sum/few-directions": "pair-sum/few-directions@1",
    "pair-sum/equivariant-distance": "pair-sum/equivariant-distance@1",
}
PRECISIONS = (128, 512, 2048)
MOST, GROUP_ENTRIES = 1024, 2**18
ATTENTION, MLP = "blocks.0.attn.", "blocks.0.mlp."
TENSORS = {
    "mlp": {"W_x": "ne", "W_y": "ne", "W": "im", "W_U": "mk", "b": "k"},
    "transformer": {
        "embed.W_E": "vd",
        "pos_embed.W_pos": "cd",
        f"{ATTENTION}W_V": "adh",
        f"{ATTENTION}W_O": "ahd",
        f"{ATTENTION}b_V": "ah",
        f"{ATTENTION}b_O": "d",
        f"{MLP}W_in": "dm",
        f"{MLP}b_in": "m",
        f"{MLP}W_out": "md",
        f"{MLP}b_out": "d",
        "unembed.W_U": "dk",
        "unembed.b_U": "k",
    },
}
IGNORED = {f"{ATTENTION}{name}" for name in ("W_Q", "W_K", "b_Q", "b_K", "mask", "IGNORE")}

Labels = list[list[int]]


def table_of(record: dict[str, Any], given: list[int], table: str) -> Labels:
    """Which output is right for each pair, by the task of a certificate."""
    name, n = record["name"], record.get("n")
    expect(type(n) is int and 2 <= n <= MOST, "task.n")
    assert isinstance(n, int)
    keys = {"add-mod": set(), "group": {"group"}, "pair-table": {"table"}}.get(name)
    expect(keys is not None and set(record) == {"name", "n", *(keys or ())}, "task")
    if name == "add-mod":
        return [[(x + y) % n for y in range(n)] for x in range(n)]
    if name == "group":
        maps = group(record["group"])
        expect(len(maps) == n, "task.n: not the number of the group's elements")
        number = {g: i for i, g in enumerate(maps)}
        return [[number[tuple(x[i] for i in y)] for y in maps] for x in maps]
    expect(record["table"] == table, "task: its table must be given, as a third file")
    expect(len(given) == n * n and min(given) >= 0, "the table: a label for each pair is needed")
    return [given[x * n : (x + 1) * n] for x in range(n)]


def group(name: Any) -> list[tuple[int, ...]]:
    """The elements of a group as maps, in their order."""
    found = re.fullmatch(r"([SADF])([1-9][0-9]{0,3})", name, re.ASCII) if isinstance(name, str) else None
    expect(found is not None, "task.group")
    assert found is not None
    kind, d = found[1], int(found[2])
    known = {"S": 2 <= d <= 6, "A": 3 <= d <= 6, "D": 3 <= d <= 512, "F": d in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)}
    expect(known[kind], "task.group")
    if kind in "SA":
        every = itertools.permutations(range(d))
        return [g for g in every if kind == "S" or sum(a > b for a, b in itertools.combinations(g, 2)) % 2 == 0]
    factors = (1, -1) if kind == "D" else range(1, d)
    return [tuple((a * i + b) % d for i in range(d)) for a in factors for b in range(d)]


@dataclass(frozen=True)
class Network:
    """Tensors as flat lists, with their shapes, the hash, and the sizes by their letters."""

    tensors: dict[str, tuple[list[int], list[float]]]
    sha256: str
    sizes: dict[str, int]

    @property
    def n(self) -> int:
        """The number of values of an argument."""
        return self.sizes["n"] if "n" in self.sizes else self.sizes["v"] + 2 - self.sizes["c"]


def read_network(data: bytes) -> Network:
    """The network in a safetensors file."""
    tensors = tensors_of(data)
    architecture = "mlp" if "W_x" in tensors else "transformer"
    expected = TENSORS[architecture]
    kept = {name: tensor for name, tensor in tensors.items() if architecture == "mlp" or name not in IGNORED}
    expect(set(kept) <= set(expected), "tensors of another network")
    sizes: dict[str, int] = {}
    for name, (dtype, shape, _) in kept.items():
        expect(dtype in ("F32", "F64"), f"{name}: the type {dtype}")
        expect(len(shape) == len(expected[name]) and 0 not in shape, f"{name}: the shape")
        for axis, size in zip(expected[name], shape, strict=True):
            expect(sizes.setdefault(axis, size) == size, f"{name}: the size {axis}")
    digest = hashlib.sha256(f"{FAMILY} {architecture}\n".encode("ascii"))
    found = {}
    for name, axes in expected.items():
        expect(name in kept or name.rpartition(".")[2].startswith("b"), f"no tensor {name}")
        shape = [sizes[axis] for axis in axes]
        numbers = [x + 0.0 for x in entries(kept[name])] if name in kept else [0.0] * math.prod(shape)
        expect(all(map(math.isfinite, numbers)), f"{name}: not finite")
        digest.update(
            f"{name} {' '.join(map(str, shape))}\n".encode("ascii") + struct.pack(f"<{len(numbers)}d", *numbers)
        )
        found[name] = (shape, numbers)
    expect(sizes["k"] >= 2, "a single output")
    expect(architecture == "mlp" or (sizes["c"] in (2, 3) and sizes["v"] + 2 - sizes["c"] >= 1), "the positions")
    expect(architecture != "mlp" or sizes["i"] == 2 * sizes["e"], "W: its rows")
    return Network(found, digest.hexdigest(), sizes)


class Forward:
    """What the logits are sums of, at the precision that is set: what ReLUs read and write, and direct parts."""

    def __init__(self, network: Network) -> None:
        self.n, self.network, matrix = network.n, network, self.matrix
        if "n" in network.sizes:
            W, e = matrix("W"), network.sizes["e"]
            self.left, self.right = product(matrix("W_x"), W[:e]), product(matrix("W_y"), W[e:])
            self.out = matrix("W_U")
            self.of_x: Table = [[arb(0)] * network.sizes["k"]] * self.n
            self.of_y = matrix("b") * self.n
            return
        c, d, h, heads = (network.sizes[axis] for axis in "cdha")
        E, P, V, W_O, b_V = (
            matrix(name)
            for name in ("embed.W_E", "pos_embed.W_pos", f"{ATTENTION}W_V", f"{ATTENTION}W_O", f"{ATTENTION}b_V")
        )
        b_in, b_out, b_U, b_O = (
            matrix(name)[0] for name in (f"{MLP}b_in", f"{MLP}b_out", "unembed.b_U", f"{ATTENTION}b_O")
        )

        def attended(rows: Table, biased: bool) -> Table:
            """A position's share of what the heads write, with the biases, which all positions have in common, once."""
            found = [b_O if biased else [arb(0)] * d] * len(rows)
            for a in range(heads):
                values = product(rows, V[a * d : (a + 1) * d])
                values = [[x / c + (b if biased else 0) for x, b in zip(row, b_V[a], strict=True)] for row in values]
                found = _plus(found, product(values, W_O[a * h : (a + 1) * h]))
            return found

        X, Y = shifted(E[: self.n], P[0]), shifted(E[: self.n], P[1])
        mid_x, mid_y = attended(X, biased=False), attended(Y, biased=True)
        if c == 2:
            mid_y = _plus(mid_y, Y)
        else:
            last = shifted([E[self.n]], P[2])
            mid_y = shifted(mid_y, _plus(attended(last, biased=False), last)[0])
        W_in, W_U = matrix(f"{MLP}W_in"), matrix("unembed.W_U")
        self.left, self.right = product(mid_x, W_in), shifted(product(mid_y, W_in), b_in)
        self.out = product(matrix(f"{MLP}W_out"), W_U)
        self.of_x, self.of_y = product(mid_x, W_U), shifted(shifted(product(mid_y, W_U), product([b_out], W_U)[0]), b_U)

    def matrix(self, name: str) -> Table:
        """A tensor, the rows of all of its matrices one below the other."""
        shape, numbers = self.network.tensors[name]
        return balls([numbers[i : i + shape[-1]] for i in range(0, len(numbers), shape[-1])])

    def hidden(self, x: int, y: int) -> list[arb]:
        """The ReLUs."""
        return [(a + b).max(arb(0)) for a, b in zip(self.left[x], self.right[y], strict=True)]


def _plus(a: Table, b: Table) -> Table:
    return [[x + y for x, y in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)]


def groups(labels: Labels, width: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """The pairs of each label, in order, in parts that are not too large."""
    step = max(1, GROUP_ENTRIES // width)
    by_label: dict[int, list[tuple[int, int]]] = {}
    for x, row in enumerate(labels):
        for y, label in enumerate(row):
            by_label.setdefault(label, []).append((x, y))
    for label, pairs in by_label.items():
        for start in range(0, len(pairs), step):
            yield label, pairs[start : start + step]


def brute_force(forward: Forward, labels: Labels) -> tuple[int, int]:
    """How many pairs are certainly answered correctly, and how many certainly not."""
    right = wrong = 0
    for label, pairs in groups(labels, max(len(forward.out), len(forward.out[0]))):
        rows = product([forward.hidden(x, y) for x, y in pairs], forward.out)
        for (x, y), row in zip(pairs, rows, strict=True):
            logits = [sum(parts, arb(0)) for parts in zip(row, forward.of_x[x], forward.of_y[y], strict=True)]
            leads = [logits[label] - logit for z, logit in enumerate(logits) if z != label]
            right += all(lead > 0 for lead in leads)
            wrong += any(lead <= 0 for lead in leads)
    return right, wrong


def directions(forward: Forward, hints: dict[str, Hint]) -> tuple[list[arb], Table, Table, Table]:
    """The sizes of neurons, C, B, and what C B leaves of the outputs of neurons of these sizes."""
    m, k = len(forward.out), len(forward.out[0])
    flat = [x if math.isfinite(x) else 0.0 for x in hints["factors"].entries]
    rows = [flat[i : i + m + k] for i in range(0, len(flat), m + k)] or [[0.0] * (m + k)]
    C, B = transposed(balls([row[:m] for row in rows])), balls([row[m:] for row in rows])
    scales = [arb(s if math.isfinite(s) and s > 0 else 1) for s in hints["scales"].entries]
    out = [[x / s for x in row] for row, s in zip(forward.out, scales, strict=True)]
    rest = [[x - y for x, y in zip(*pair, strict=True)] for pair in zip(out, product(C, B), strict=True)]
    return scales, C, B, rest


def low_rank(forward: Forward, labels: Labels, hints: dict[str, Hint], decide: Decisions) -> int:
    """The number of pairs that the norms of what is left of the outputs leave right."""
    m, k = len(forward.out), len(forward.out[0])
    scales, C, B, rest = directions(forward, hints)
    columns = transposed(rest)
    right = 0
    for label, pairs in groups(labels, max(m, k)):
        h = [[x * s for x, s in zip(forward.hidden(*pair), scales, strict=True)] for pair in pairs]
        centre = [arb(float(mean(column).mid())) for column in transposed(h)]
        centre = [x if x.is_finite() else arb(0) for x in centre]
        apart = [root(total(square(x - y) for x, y in zip(columns[label], column, strict=True))) for column in columns]
        (from_rest,) = product([centre], rest)
        for (x, y), row, part in zip(pairs, h, product(product(h, C), B), strict=True):
            off = root(total(square(a - b) for a, b in zip(row, centre, strict=True)))
            logits = [
                sum(parts, arb(0)) for parts in zip(part, from_rest, forward.of_x[x], forward.of_y[y], strict=True)
            ]
            right += all(decide.positive(logits[label] - logits[z] - off * apart[z]) for z in range(k) if z != label)
    return right


def separable(forward: Forward, labels: Labels, hints: dict[str, Hint], decide: Decisions) -> int:
    """The same where one norm of what a neuron may be for x, and one for y, stand for the distance from a mean."""
    n, k = len(labels), len(forward.out[0])
    scales, C, B, rest = directions(forward, hints)
    middle = [mean(row) for row in rest]
    columns = [[x - a for x, a in zip(column, middle, strict=True)] for column in transposed(rest)]
    most = 2 * largest([root(total(x * x for x in column)) for column in columns])

    def of_one(table: Table) -> list[arb]:
        sizes = [[x.max(arb(0)) * s for x, s in zip(row, scales, strict=True)] for row in table]
        return [most * root(total(x * x for x in row)) for row in sizes]

    of_x, of_y, right = of_one(forward.left), of_one(forward.right), 0
    for x in range(n):
        h = [[a * s for a, s in zip(forward.hidden(x, y), scales, strict=True)] for y in range(n)]
        for y, part in enumerate(product(product(h, C), B)):
            label = labels[x][y]
            logits = [sum(parts, arb(0)) for parts in zip(part, forward.of_x[x], forward.of_y[y], strict=True)]
            slack = of_x[x] + of_y[y]
            right += all(decide.positive(logits[label] - logits[z] - slack) for z in range(k) if z != label)
    return right


def halves(forward: Forward, labels: Labels, hints: dict[str, Hint], decide: Decisions) -> int:
    """The number of pairs that are right by their logits, or where half of what is left is linear, half of a norm."""
    scales, C, B, rest = directions(forward, hints)
    columns, right = transposed(rest), 0
    read = [
        [[x * s for x, s in zip(row, scales, strict=True)] for row in rows] for rows in (forward.left, forward.right)
    ]
    apart = [[_distance(columns, z, o) for o in range(len(columns))] for z in range(len(columns))]
    for x, y, leads in halved(read, (forward.of_x, forward.of_y), product(C, B), rest, apart, labels):
        found = all(decide.positive(lead) for lead in leads)
        if not found:
            (part,) = product([forward.hidden(x, y)], forward.out)
            logits = [sum(parts, arb(0)) for parts in zip(part, forward.of_x[x], forward.of_y[y], strict=True)]
            label = labels[x][y]
            found = all(decide.positive(logits[label] - logit) for z, logit in enumerate(logits) if z != label)
        right += found
    return right


def halved(
    read: list[Table], of: tuple[Table, Table], known: Table, rest: Table, apart: Table, labels: Labels
) -> Iterator[tuple[int, int, list[arb]]]:
    """All pairs with what their label leads by at least: `known` is looked at exactly, `rest` in halves."""
    for x, y, v, logits in linear_halves(read, of, known, rest):
        label, size = labels[x][y], root(total(a * a for a in v)) / 2
        yield x, y, [logits[label] - a - size * apart[label][z] for z, a in enumerate(logits) if z != label]


def linear_halves(
    read: list[Table], of: tuple[Table, Table], known: Table, rest: Table
) -> Iterator[tuple[int, int, list[arb], list[arb]]]:
    """All pairs with what neurons read, and logits without the half of `rest` that is not linear."""
    halves_of_rest = [[x / 2 for x in row] for row in rest]
    for x, left in enumerate(read[0]):
        v = [[a + b for a, b in zip(left, row, strict=True)] for row in read[1]]
        by_known = product([[a.max(arb(0)) for a in row] for row in v], known)
        for y, (row, *parts) in enumerate(zip(v, by_known, product(v, halves_of_rest), strict=True)):
            yield x, y, row, [sum(terms, arb(0)) for terms in zip(*parts, of[0][x], of[1][y], strict=True)]


def _distance(columns: Table, z: int, o: int) -> arb:
    return root(total(square(x - y) for x, y in zip(columns[z], columns[o], strict=True)))


def _norm(row: list[arb]) -> arb:
    return root(total(x * x for x in row))


def thin_product(X: Table, Y: Table, hint: Hint) -> tuple[Table, list[arb], list[arb]]:
    """X Y but for what no column of the hint sees, and the norms of rows of X and of columns of Y in that."""
    d, columns = hint.shape
    flat = [x if math.isfinite(x) else 0.0 for x in hint.entries]
    Q = balls([flat[i : i + columns] for i in range(0, d * columns, columns)] if columns else [[0.0]] * d)
    unseen_X = _minus(X, product(product(X, Q), transposed(Q)))
    unseen_Y = _minus(Y, product(Q, product(transposed(Q), Y)))
    found = _minus(product(X, Y), product(unseen_X, unseen_Y))
    return found, [_norm(row) for row in unseen_X], [_norm(column) for column in transposed(unseen_Y)]


def _minus(a: Table, b: Table) -> Table:
    return [[x - y for x, y in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)]


def thin_halves(forward: Forward, labels: Labels, hints: dict[str, Hint], decide: Decisions) -> int:
    """The number of pairs that are right by halves where three products are known in a few directions."""
    network, n, c = forward.network, forward.n, forward.network.sizes.get("c", 0)
    if c == 0:
        return 0
    d, heads, m, k = (network.sizes[axis] for axis in "damk")
    sets = hints["factors"].shape[1] - k
    if sets < 1 or hints["means"].shape[1] != sets:
        return 0
    scales = _cleaned(list(hints["scales"].entries), 1.0)
    G = [[arb(0)] * sets for _ in range(m)]
    for row, number, weight in zip(G, hints["sets"].entries, hints["weights"].entries, strict=True):
        if 0 <= number < sets and math.isfinite(weight) and weight > 0:
            row[number] = arb(weight)
    factors, means = (
        [_cleaned(row) for row in _rows(hints[name])] or [[arb(0)] * hints[name].shape[1]]
        for name in ("factors", "means")
    )
    C, B = product(G, transposed([row[:sets] for row in factors])), [row[sets:] for row in factors]
    N = product(G, transposed(means))
    E, P, V, W_O, W_in, W_out, W_U = (
        forward.matrix(name)
        for name in (
            *("embed.W_E", "pos_embed.W_pos", f"{ATTENTION}W_V", f"{ATTENTION}W_O"),
            *(f"{MLP}W_in", f"{MLP}W_out", "unembed.W_U"),
        )
    )
    W_U = [[x - mean(row) for x in row] for row in W_U]
    W_in = [[x * s for x, s in zip(row, scales, strict=True)] for row in W_in]
    W_out = [[x / s for x in row] for row, s in zip(W_out, scales, strict=True)]
    b_in, b_O, b_V = (
        [x for row in forward.matrix(f"{name}") for x in row]
        for name in (f"{MLP}b_in", f"{ATTENTION}b_O", f"{ATTENTION}b_V")
    )

    values = [[x / c for a in range(heads) for x in V[a * d + i]] for i in range(d)]
    attended, unseen, unseen_O = thin_product(product([*E, *P], values), W_O, hints["heads"])
    unseen = [x * _norm(unseen_O) for x in unseen]
    (constant,) = _plus(product([b_V], W_O), [b_O])
    at, mid, g = len(E), [], []
    for i in range(2):
        rows = shifted(attended[:n], attended[at + i])
        sizes = [x + unseen[at + i] for x in unseen[:n]]
        if i == 1:
            rows = shifted(rows, constant)
            if c == 2:
                rows = _plus(rows, shifted(E[:n], P[1]))
            else:
                last = [a + b + x + y for a, b, x, y in zip(attended[n], attended[at + 2], E[n], P[2], strict=True)]
                rows, sizes = shifted(rows, last), [x + unseen[n] + unseen[at + 2] for x in sizes]
        mid.append(rows)
        g.append(sizes)

    (of_x, of_y), e, read = (product(rows, W_U) for rows in mid), [], []
    of_y = shifted(shifted(of_y, product(forward.matrix(f"{MLP}b_out"), W_U)[0]), forward.matrix("unembed.b_U")[0])
    for rows in mid:
        seen, unseen_rows, unseen_columns = thin_product(rows, W_in, hints["read"])
        read.append(seen)
        e.append([x * _norm(unseen_columns) for x in unseen_rows])
    read[1] = shifted(read[1], [x * s for x, s in zip(b_in, scales, strict=True)])

    u, unseen_T, unseen_U = thin_product(W_out, W_U, hints["written"])
    t = largest([_norm(unseen_T) * x for x in unseen_U])
    known = product(C, B)
    rest = _minus(u, known)
    columns, of_u, of_N = transposed(rest), transposed(u), transposed(product(transposed(N), rest))
    pairs = [(z, o) for z in range(k) for o in range(k)]
    gram = product(transposed(N), N)
    less = 2 - largest([total(abs(x) for x in row) for row in gram])
    apart, apart_N, apart_u = ({(z, o): _distance(of, z, o) for z, o in pairs} for of in (columns, of_N, of_u))
    size, direct = _norm([x for row in W_in for x in row]), 2 * largest([_norm(column) for column in transposed(W_U)])
    off = [[a + b * size for a, b in zip(*pair, strict=True)] for pair in zip(e, g, strict=True)]
    right = 0
    for x, y, v, logits in linear_halves(read, (of_x, of_y), known, rest):
        p = product([[abs(a) for a in v]], N)[0]
        squares, of_p = total(a * a for a in v), total(a * a for a in p)
        norms, label, f = (root(of_p), root((squares - less * of_p).max(arb(0)))), labels[x][y], off[0][x] + off[1][y]
        loss = 2 * t * (root(squares) + f) + (g[0][x] + g[1][y]) * direct
        lost = {z: loss + f * apart_u[label, z] for z in range(k) if z != label}
        bounds = {z: (norms[0] * apart_N[label, z] + norms[1] * apart[label, z]) / 2 for z in lost}
        found = all(decide.positive(logits[label] - logits[z] - bounds[z] - lost[z]) for z in lost)
        if not found:
            (part,) = product([[a.max(arb(0)) for a in v]], u)
            logits = [sum(terms, arb(0)) for terms in zip(part, of_x[x], of_y[y], strict=True)]
            found = all(decide.positive(logits[label] - logits[z] - lost[z]) for z in lost)
        right += found
    return right


def few_directions(forward: Forward, labels: Labels, hints: dict[str, Hint], decide: Decisions) -> int:
    """The number of pairs that are right by what a few coordinates of the stream and of the outputs say."""
    network, n, c = forward.network, forward.n, forward.network.sizes.get("c", 0)
    if c == 0:
        return 0
    d, heads, m, v = (network.sizes[axis] for axis in "damv")
    E, positions, V, W_O, W_in, W_out, W_U = (
        forward.matrix(name)
        for name in (
            *("embed.W_E", "pos_embed.W_pos", f"{ATTENTION}W_V", f"{ATTENTION}W_O"),
            *(f"{MLP}W_in", f"{MLP}W_out", "unembed.W_U"),
        )
    )
    W_U = [[x - mean(row) for x in row] for row in W_U]
    b_in, b_O, b_V, b_out, b_U = (
        [x for row in forward.matrix(name) for x in row]
        for name in (f"{MLP}b_in", f"{ATTENTION}b_O", f"{ATTENTION}b_V", f"{MLP}b_out", "unembed.b_U")
    )
    values = [[x for a in range(heads) for x in V[a * d + i]] for i in range(d)]

    writing = [i for i, row in enumerate(W_O) if any(x != 0 for x in row)] or [0]
    neurons = [i for i, row in enumerate(W_out) if any(x != 0 for x in row)] or [0]
    V, b_V = [[row[i] for i in writing] for row in values], [b_V[i] for i in writing]
    W_O, T = [W_O[i] for i in writing], [W_out[i] for i in neurons]
    W, b_in = [[row[i] for i in neurons] for row in W_in], [b_in[i] for i in neurons]

    stream, written = (
        [_cleaned(row) for row in _rows(hints[name])] or [[arb(0)] * hints[name].shape[1]]
        for name in ("stream", "logits")
    )
    Z, Q = transposed([row[: v + c] for row in stream]), [row[v + c :] for row in stream]
    P, B = transposed([row[:d] for row in written]), [row[d + m :] for row in written]
    C = transposed([[row[d + i] for i in neurons] for row in written])

    of_tokens, at = Z[:n], Z[v:]
    x_rows, y_rows = shifted(of_tokens, at[0]), shifted(of_tokens, at[1])
    last = y_rows
    if c == 3:
        last = shifted(Z[n : n + 1], at[2])
        y_rows = shifted(y_rows, last[0])
    A = [[x / c for x in row] for row in product(Q, V, W_O)]
    constant = _plus(product([b_V], W_O), [b_O])
    mid_x = product(x_rows, A)
    mid_y = shifted(_plus(product(y_rows, A), product(last if c == 2 else last * n, Q)), constant[0])
    left, right_side = product(mid_x, W), shifted(product(mid_y, W), b_in)
    of_x, of_y = product(mid_x, P), shifted(product(mid_y, P), product([b_out], P)[0])

    def size(M: Table) -> arb:
        return _norm([x for row in M for x in row])

    def longest(M: Table) -> arb:
        return largest([_norm(row) for row in M])

    g = 2 * longest(_minus([*E, *positions], product(Z, Q))) * (1 + size(V) * size(W_O))
    h = longest(left) + longest(right_side) + g * size(W)
    e = g * size(P) + g * size(W) * size(C) + h * size(_minus(product(T, P), C))
    of_mid = (longest(x_rows) + longest(y_rows)) * size(A) + longest(last) * size(Q) + size(constant)
    F = of_mid + g + h * size(T) + _norm(b_out)
    unseen = longest(transposed(_minus(W_U, product(P, B))))
    loss = 2 * (e * longest(transposed(B)) + F * unseen) + largest(b_U) + largest([-x for x in b_U])
    right = 0
    for x in range(n):
        hidden = [[(a + b).max(arb(0)) for a, b in zip(left[x], row, strict=True)] for row in right_side]
        coordinates = shifted(_plus(product(hidden, C), of_y), of_x[x])
        for label, logits in zip(labels[x], product(coordinates, B), strict=True):
            right += all(decide.positive(logits[label] - loss - logit) for z, logit in enumerate(logits) if z != label)
    return right


def _rows(hint: Hint) -> list[list[Any]]:
    """A hint of two axes, row by row."""
    columns = hint.shape[1]
    return [list(hint.entries[i * columns : (i + 1) * columns]) for i in range(hint.shape[0])]


def _cleaned(numbers: list[float], otherwise: float = 0.0) -> list[arb]:
    """Numbers, with something else for those that are none, or, where that is 1, that are not positive."""
    return [arb(x if math.isfinite(x) and (x > 0 or not otherwise) else otherwise) for x in numbers]


def is_ideal(labels: Labels, network: Network, hints: dict[str, Hint]) -> bool:
    """Whether hints describe an ideal network; `labels`: the table of a group."""
    n = len(labels)
    actions = [_rows(hints["left"]), _rows(hints["right"])]
    a, b = _rows(hints["pairs"])
    W, sizes = _rows(hints["outputs"]), [hints["left"].shape[1], hints["right"].shape[1]]
    unit = next(e for e in range(n) if labels[e] == list(range(n)))
    if (
        network.sizes["k"] != n
        or 0 in sizes
        or [len(hints["left_values"].entries), len(hints["right_values"].entries)] != sizes
        or list(hints["outputs"].shape) != sizes
        or len(a) < network.sizes["m"]
        or hints["sizes"].shape[1] != len(a)
        or not all(-1 <= i < sizes[0] for i in a)
        or not all(-1 <= i < sizes[1] for i in b)
    ):
        return False
    for action, size in zip(actions, sizes, strict=True):
        if any(i >= size for row in action for i in row) or action[unit] != list(range(size)):
            return False
        if any(action[labels[x][y]] != [action[x][i] for i in action[y]] for x in range(n) for y in range(n)):
            return False
    there = {pair for pair in zip(a, b, strict=True) if -1 not in pair}
    return all(
        all(W[left[i]][right[j]] == W[i][j] for i in range(sizes[0]) for j in range(sizes[1]))
        and all((left[i], j) in there and (i, right[j]) in there for i, j in there)
        for left, right in zip(*actions, strict=True)
    )


def equivariant(forward: Forward, labels: Labels, hints: dict[str, Hint], decide: Decisions) -> int:
    """The number of pairs that the distance from an ideal network, which the hints describe, leaves right."""
    n, (a, b) = len(labels), _rows(hints["pairs"])
    left, right = _rows(hints["left"]), _rows(hints["right"])
    unit = next(e for e in range(n) if labels[e] == list(range(n)))
    inverse = [row.index(unit) for row in labels]
    L, P = (_cleaned(list(hints[name].entries)) for name in ("left_values", "right_values"))
    W = [_cleaned(row) for row in _rows(hints["outputs"])]
    scales, shares, v, v_ideal = (_cleaned(row, 1.0) for row in _rows(hints["sizes"]))
    M, m = len(a), len(forward.out)
    placed = [i for i in range(M) if -1 not in (a[i], b[i])]
    together: dict[tuple[int, int], arb] = {}
    for i in placed:
        together[a[i], b[i]] = together.get((a[i], b[i]), arb(0)) + shares[i]
    ideal_out = [[arb(0)] * n for _ in range(M)]
    for i in placed:
        ideal_out[i] = [shares[i] / together[a[i], b[i]] * W[a[i]][right[z][b[i]]] for z in range(n)]

    def ideal(x: int, y: int) -> list[arb]:
        found = [arb(0)] * M
        for i in placed:
            found[i] = (L[left[inverse[x]][a[i]]] + P[right[y][b[i]]]).max(arb(0))
        return found

    out = [[u / s for u in row] for row, s in zip(forward.out, scales[:m], strict=True)] + [[arb(0)] * n] * (M - m)
    rest = [[x - y for x, y in zip(*pair, strict=True)] for pair in zip(out, ideal_out, strict=True)]
    (F,) = product([ideal(unit, unit)], ideal_out)

    def distances(table: Table, weights: list[arb], label: int) -> list[arb]:
        columns = transposed(table)
        own = columns[label]
        return [root(total(square(x - y) / w for x, y, w in zip(own, one, weights, strict=True))) for one in columns]

    def norm(numbers: list[arb], weights: list[arb]) -> arb:
        return root(total(w * x * x for x, w in zip(numbers, weights, strict=True)))

    certified = 0
    for label, pairs in groups(labels, max(M, n)):
        h = [
            [x * s for x, s in zip(forward.hidden(*pair), scales[:m], strict=True)] + [arb(0)] * (M - m)
            for pair in pairs
        ]
        centre = [arb(float(mean(column).mid())) for column in transposed(h)]
        centre = [x if x.is_finite() else arb(0) for x in centre]
        (from_rest,) = product([centre], rest)
        apart, apart_ideal = distances(rest, v, label), distances(ideal_out, v_ideal, label)
        for (x, y), row in zip(pairs, h, strict=True):
            off = norm([p - q for p, q in zip(row, centre, strict=True)], v)
            off_ideal = norm([p - q for p, q in zip(row, ideal(x, y), strict=True)], v_ideal)
            moved = [F[labels[labels[inverse[x]][o]][inverse[y]]] for o in range(n)]
            logits = [
                sum(parts, arb(0)) for parts in zip(moved, from_rest, forward.of_x[x], forward.of_y[y], strict=True)
            ]
            certified += all(
                decide.positive(logits[label] - logits[o] - off * apart[o] - off_ideal * apart_ideal[o])
                for o in range(n)
                if o != label
            )
    return certified


COUNTS = {
    "pair-sum/low-rank": low_rank,
    "pair-sum/low-rank-separable": separable,
    "pair-sum/low-rank-halves": halves,
    "pair-sum/thin-halves": thin_halves,
    "pair-sum/few-directions": few_directions,
    "pair-sum/equivariant-distance": equivariant,
}


def verdict(certificate: Certificate, data: bytes, given: list[int], table: str) -> tuple[bool, str]:
    """Whether the certificate is accepted, and why, with the labels and the hash of a table, if one is given."""
    strategy, claim = certificate.strategy, certificate.claim
    expect(strategy in THEOREMS, f"strategy: {strategy!a:.80} is not one that this checker knows for pair sums")
    labels, network = table_of(certificate.task, given, table), read_network(data)
    for name, claimed, actual in (
        ("model_sha256", certificate.model_sha256, network.sha256),
        ("family", certificate.family, FAMILY),
        ("total", certificate.total, len(labels) ** 2),
        ("theorem", certificate.theorem, THEOREMS[strategy]),
        ("claim", claim, "at most" if strategy.endswith("-upper") else "at least"),
    ):
        if claimed != actual:
            return False, f"{name}: the certificate says {claimed!a:.80}, expected {actual!a:.80}"
    m, k = network.sizes["m"], network.sizes["k"]
    if network.n != len(labels) or max(map(max, labels)) >= k:
        return False, "task: its arguments or labels are not those that the model has"
    n = network.n
    of_low_rank = {"factors": ("float64", (None, m + k)), "scales": ("float64", (m,))}
    known: dict[str, dict[str, tuple[str, tuple[int | None, ...]]]] = {
        "pair-sum/low-rank": of_low_rank,
        "pair-sum/low-rank-separable": of_low_rank,
        "pair-sum/low-rank-halves": of_low_rank,
        "pair-sum/thin-halves": {
            "sets": ("int64", (m,)),
            **dict.fromkeys(("weights", "scales"), ("float64", (m,))),
            **dict.fromkeys(("factors", "means"), ("float64", (None, None))),
            "heads": ("float64", (network.sizes.get("a", 1) * network.sizes.get("h", 1), None)),
            **dict.fromkeys(("read", "written"), ("float64", (network.sizes.get("d", 1), None))),
        },
        "pair-sum/few-directions": {
            "stream": ("float64", (None, sum(network.sizes.get(axis, 0) for axis in "dvc") or 2)),
            "logits": ("float64", (None, network.sizes.get("d", 1) + m + k)),
        },
        "pair-sum/equivariant-distance": {
            **dict.fromkeys(("left", "right"), ("uint16", (n, None))),
            **dict.fromkeys(("left_values", "right_values"), ("float64", (None,))),
            "outputs": ("float64", (None, None)),
            "pairs": ("int64", (2, None)),
            "sizes": ("float64", (4, None)),
        },
    }
    forms = known.get(strategy, {})
    expect(set(certificate.hints) == set(forms), f"hints: {strategy} has {', '.join(forms) or 'none'}")
    for name, (dtype, shape) in forms.items():
        hint = certificate.hints[name]
        fits = len(hint.shape) == len(shape) and all(
            want in (None, size) for want, size in zip(shape, hint.shape, strict=True)
        )
        expect(fits and hint.dtype == dtype, f"hints.{name}: expected {dtype} of shape {shape}")
    if strategy == "pair-sum/equivariant-distance":
        if certificate.task["name"] == "pair-table":
            return False, "task: equivariant distance is about groups"
        if not is_ideal(labels, network, certificate.hints):
            return certificate.certified == 0, "the hints describe no ideal network, so 0 inputs are proved"
    found, undecided = 0, 0
    before = ctx.prec
    try:
        for ctx.prec in PRECISIONS if strategy != "pair-sum/trivial" else ():
            forward, decide = Forward(network), Decisions()
            if forms:
                found, undecided = COUNTS[strategy](forward, labels, certificate.hints, decide), decide.undecided
            else:
                right, wrong = brute_force(forward, labels)
                found = right if claim == "at least" else certificate.total - wrong
                undecided = certificate.total - right - wrong
            if not undecided:
                break
    finally:
        ctx.prec = before
    text = f"claimed {claim} {certificate.certified}, found {found} of {certificate.total}, {undecided} undecided"
    return (certificate.certified <= found if claim == "at least" else certificate.certified >= found), text
