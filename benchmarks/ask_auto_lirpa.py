"""The question of this package asked of auto_LiRPA, and one that this package cannot answer.

    python benchmarks/ask_auto_lirpa.py classes FILE ... --out docs/comparison/classes.csv  # how many inputs are right?
    python benchmarks/ask_auto_lirpa.py points FILE ... --out docs/comparison/points.csv  # what do floats claim?
    python benchmarks/ask_auto_lirpa.py balls FILE ... --out docs/comparison/balls.csv  # near an input?

FILE is a model such as src/compactproofs/zoo/models/max-of-4/123.safetensors: one layer and one head, with or without
biases and an MLP.  auto_LiRPA 0.3, the newest on PyPI, is for PyTorch below 1.13 and thus for Python 3.10, so that this
program runs without this package:

    python3.10 -m venv lirpa
    lirpa/bin/pip install --no-deps torch==1.12.1 auto-LiRPA==0.3
    lirpa/bin/pip install 'numpy<2' appdirs ninja packaging pyyaml tqdm typing-extensions safetensors python-flint

Lines are added to what is there.  Seconds are of the processor, with one thread.
"""

import argparse
import csv
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

try:
    import auto_LiRPA
    import flint
    import torch
    from auto_LiRPA.linear_bound import LinearBound
    from auto_LiRPA.perturbations import Perturbation, PerturbationLpNorm
    from safetensors.numpy import load_file
except ImportError as missing:
    raise SystemExit(f"{missing}; see the top of {__file__} for what to install") from None

#: For each position the first and the last of the tokens that it may hold.
Box = tuple[tuple[int, int], ...]
#: How many boxes at a time.
BATCH = 256
#: That are counted to say how many are right.
MOST_INPUTS = 2**21
ATTENTION = "blocks.0.attn."


class Network(torch.nn.Module):  # type: ignore[misc, unused-ignore]
    """Logits (N, v) of residuals (N, n d): embeddings with their positions, one after the other.

    As maps of flat vectors, and with a softmax written out, since auto_LiRPA 0.3 loses more otherwise, or fails.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.weights = {name: np.asarray(array, dtype=np.float64) for name, array in load_file(path).items()}
        (self.v, self.d), self.n = self.weights["embed.W_E"].shape, len(self.weights["pos_embed.W_pos"])
        W_Q, W_K, W_V = (self.attention(name) for name in ("W_Q", "W_K", "W_V"))
        W_O, W_U, self.h = self.attention("W_O"), self.weights["unembed.W_U"], W_Q.shape[1]
        last, every = np.eye(self.n * self.d)[:, -self.d :], np.eye(self.n)
        root = math.sqrt(self.h)
        self.query = _linear(last @ W_Q / root, self.attention("b_Q", self.h) / root)
        self.keys = _linear(np.kron(every, W_K), np.tile(self.attention("b_K", self.h), self.n))
        self.values = _linear(np.kron(every, W_V), np.tile(self.attention("b_V", self.h), self.n))
        self.written = _linear(W_O, self.attention("b_O", self.d))
        self.last = _linear(last, np.zeros(self.d))
        self.unembed = _linear(W_U, self.bias("unembed.b_U", self.v))
        self.with_mlp = "blocks.0.mlp.W_in" in self.weights
        if self.with_mlp:
            W_in, W_out = self.weights["blocks.0.mlp.W_in"], self.weights["blocks.0.mlp.W_out"]
            self.into = _linear(W_in, self.bias("blocks.0.mlp.b_in", W_in.shape[1]))
            self.out = _linear(W_out, self.bias("blocks.0.mlp.b_out", self.d))
        table = self.weights["embed.W_E"] + self.weights["pos_embed.W_pos"][:, None]
        self.table = torch.as_tensor(table, dtype=torch.get_default_dtype())  # (n, v, d)

    def bias(self, name: str, size: int) -> "np.ndarray[Any, Any]":
        """The bias, or zeros."""
        return self.weights[name].reshape(size) if name in self.weights else np.zeros(size)

    def attention(self, name: str, size: int | None = None) -> "np.ndarray[Any, Any]":
        """A weight of the one head, or a bias of this size."""
        return self.weights[ATTENTION + name][0] if size is None else self.bias(ATTENTION + name, size)

    def forward(self, x: Any) -> Any:
        scores = (self.query(x).unsqueeze(1) * self.keys(x).view(-1, self.n, self.h)).sum(-1)
        weights = torch.exp(scores)
        weights = weights / weights.sum(-1, keepdim=True)
        mean = (weights.unsqueeze(-1) * self.values(x).view(-1, self.n, self.h)).sum(1)
        residual = self.last(x) + self.written(mean)
        if self.with_mlp:
            residual = residual + self.out(torch.relu(self.into(residual)))
        return self.unembed(residual)

    def residuals(self, tokens: Any) -> Any:
        """Of inputs (N, n): (N, n d)."""
        return self.table[torch.arange(self.n), torch.as_tensor(tokens)].reshape(len(tokens), -1)


def _linear(matrix: "np.ndarray[Any, Any]", bias: "np.ndarray[Any, Any]") -> Any:
    """x -> x matrix + bias."""
    layer = torch.nn.Linear(*matrix.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(matrix.T.copy()))
        layer.bias.copy_(torch.as_tensor(bias))
    return layer.requires_grad_(False)


class Tokens(Perturbation):  # type: ignore[misc, unused-ignore]
    """Each position holds any of some tokens, or any mean of them.

    The extreme of a linear function of the residuals is the sum over positions of its extremes over tokens, so nothing
    is lost here, as it is with the least box of embeddings that has them all.
    """

    def __init__(self, table: Any, allowed: Any) -> None:
        super().__init__()
        self.table, self.allowed = table, allowed  # (n, v, d), (N, n, v)
        self.eps, self.norm = 1.0, 0.0  # unused

    def extreme(self, sign: int) -> Any:
        """The least (-1) or largest (1) residuals, (N, n d)."""
        far = self.table.masked_fill(~self.allowed.unsqueeze(-1), -sign * math.inf)
        return (far.amin(2) if sign < 0 else far.amax(2)).reshape(len(far), -1)

    def concretize(self, x: Any, A: Any, sign: int = -1, aux: Any = None, extra_constr: Any = None) -> Any:
        if A is None:
            return None
        if not isinstance(A, torch.Tensor):  # the identity
            return self.extreme(sign)
        n, _, d = self.table.shape
        A = A.reshape(*A.shape[:2], n, d)
        found = torch.einsum("bsnd,nvd->bsnv", A, self.table).masked_fill(~self.allowed.unsqueeze(1), -sign * math.inf)
        return (found.amin(-1) if sign < 0 else found.amax(-1)).sum(-1)

    def init(self, x: Any, aux: Any = None, forward: bool = False) -> Any:
        return LinearBound(None, None, None, None, self.extreme(-1), self.extreme(1)), x, None


class Bounder:
    """Bounds from below on margins of the right answer."""

    def __init__(self, network: Network) -> None:
        self.network = network
        options = {"conv_mode": "matrix", "sparse_intermediate_bounds": False}
        example = network.residuals(np.zeros((1, network.n), dtype=np.int64))
        self.module = auto_LiRPA.BoundedModule(network, example, bound_opts=options, device="cpu")
        others = [[o for o in range(network.v) if o != m] for m in range(network.v)]
        eye = torch.eye(network.v)
        self.margins = torch.stack([eye[m] - eye[others[m]] for m in range(network.v)])  # (v, v - 1, v)

    def least(self, x: Any, region: Any, answers: list[int]) -> Any:
        """The least margins, (N, v - 1), of inputs in the region about x."""
        inputs = auto_LiRPA.BoundedTensor(x, region)
        with torch.no_grad():
            found, _ = self.module.compute_bounds(
                x=(inputs,), C=self.margins[answers], method="CROWN", bound_upper=False
            )
        return found

    def least_of_boxes(self, boxes: list[Box], answers: list[int], hull: bool = True) -> Any:
        """The same for inputs whose tokens are in these boxes; without `hull`, of all between their embeddings."""
        ends = torch.tensor(boxes)  # (N, n, 2)
        token = torch.arange(self.network.v)
        region = Tokens(self.network.table, (token >= ends[..., :1]) & (token <= ends[..., 1:]))
        if not hull:
            region = PerturbationLpNorm(norm=np.inf, x_L=region.extreme(-1), x_U=region.extreme(1))
        return self.least(self.network.residuals(ends[..., 0]), region, answers)


def size(box: Box) -> int:
    """How many inputs."""
    return math.prod(last - first + 1 for first, last in box)


def all_inputs(v: int, n: int) -> Iterator[tuple[Box, int]]:
    """Boxes that have each input once, each with its maximum: by query, maximum, and where it is first."""
    for m in range(v):
        yield ((0, m),) * (n - 1) + ((m, m),), m
        for q in range(m):
            for p in range(n - 1):
                yield ((0, m - 1),) * p + ((m, m),) + ((0, m),) * (n - 2 - p) + ((q, q),), m


def halves(box: Box) -> list[Box]:
    """Two boxes: the position with most tokens is divided."""
    p = max(range(len(box)), key=lambda i: box[i][1] - box[i][0])
    first, last = box[p]
    middle = (first + last) // 2
    return [(*box[:p], part, *box[p + 1 :]) for part in ((first, middle), (middle + 1, last))]


def certify(bounder: Bounder, left: list[tuple[Box, int]], split: bool, hull: bool) -> dict[str, int]:
    """How many of the inputs in these boxes are certainly right, and how many boxes were bounded for it."""
    certified, bounded = 0, 0
    while left:
        some, left = left[-BATCH:], left[:-BATCH]
        lower = bounder.least_of_boxes([box for box, _ in some], [m for _, m in some], hull)
        bounded += len(some)
        for (box, m), right in zip(some, (lower > 0).all(1).tolist(), strict=True):
            if right:
                certified += size(box)
            elif split and size(box) > 1:
                left += [(half, m) for half in halves(box)]
    return {"certified": certified, "bounded": bounded}


def right_of(network: Network, boxes: list[tuple[Box, int]]) -> int:
    """How many of the inputs in these boxes are answered correctly, as floats have it."""
    found = 0
    for box, m in boxes:
        inputs = np.stack(np.meshgrid(*(np.arange(a, b + 1) for a, b in box), indexing="ij"), -1)
        for some in np.array_split(inputs.reshape(-1, network.n), 1 + size(box) // 2**14):
            logits = network(network.residuals(some))
            found += int((logits.max(1).indices == m).sum())
    return found


#: Ways to ask: whether bounds are of tokens or of all embeddings in a box, and whether boxes are divided where that
#: does not do.
WAYS = {
    "embeddings in a box": {"hull": False, "split": False},
    "tokens": {"hull": True, "split": False},
    "tokens, divided": {"hull": True, "split": True},
}


def classes(path: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """How many inputs are certified, in each of the ways."""
    network = Network(path)
    boxes = list(all_inputs(network.v, network.n))
    assert sum(size(box) for box, _ in boxes) == network.v**network.n
    some = random.Random(0).sample(boxes, min(options.boxes or len(boxes), len(boxes)))
    total = sum(size(box) for box, _ in some)
    right: int | str = right_of(network, some) if total <= MOST_INPUTS else ""
    for way in options.way or WAYS:
        start = time.process_time()
        found = certify(Bounder(network), some, **WAYS[way])
        seconds = f"{time.process_time() - start:.2f}"
        numbers = {"boxes": len(some), "of": len(boxes), "inputs": total, "right": right, **found}
        yield {"way": way, **numbers, "seconds": seconds}


def nearest_to_ties(network: Network, most: int) -> "np.ndarray[Any, Any]":
    """Inputs, (N, n), whose right answer has a margin nearest to 0 as float64 has it; all of them if there are few."""
    v, n = network.v, network.n
    inputs = np.stack(np.unravel_index(np.arange(v**n), [v] * n), axis=1)
    margins = []
    for some in np.array_split(inputs, max(1, v**n // 2**14)):
        logits = network(network.residuals(some)).numpy()
        right = np.take_along_axis(logits, some.max(1)[:, None], 1)
        np.put_along_axis(logits, some.max(1)[:, None], -np.inf, 1)
        margins.append(right[:, 0] - logits.max(1))
    return inputs[np.argsort(np.abs(np.concatenate(margins)), kind="stable")[:most]]


class Exactly:
    """Margins of a network without biases and MLP, as balls of 400 bits."""

    def __init__(self, network: Network) -> None:
        flint.ctx.prec = 400
        W_E, W_pos, W_U = (self.matrix(network.weights[name]) for name in _EMBEDDINGS)
        W_Q, W_K, W_V, W_O = (self.matrix(network.attention(name)) for name in ("W_Q", "W_K", "W_V", "W_O"))
        n, v = network.n, network.v
        rows = [[W_E[t, i] + W_pos[p, i] for i in range(network.d)] for p in range(n) for t in range(v)]
        residuals = flint.arb_mat(rows)
        last = flint.arb_mat(rows[-v:])
        self.direct, self.values = last * W_U, residuals * W_V * W_O * W_U
        self.scores = last * W_Q * (residuals * W_K).transpose() / flint.arb(network.h).sqrt()
        self.v = v

    @staticmethod
    def matrix(array: "np.ndarray[Any, Any]") -> Any:
        return flint.arb_mat(array.tolist())

    def least_margin(self, tokens: list[int]) -> Any:
        """Of the maximum over all other outputs."""
        q, m, v = tokens[-1], max(tokens), self.v
        weights = [self.scores[q, p * v + t].exp() for p, t in enumerate(tokens)]
        total = sum(weights)

        def logit(o: int) -> Any:
            mean = sum(w * self.values[p * v + t, o] for p, (t, w) in enumerate(zip(tokens, weights, strict=True)))
            return self.direct[q, o] + mean / total

        right, found = logit(m), [logit(o) for o in range(v) if o != m]
        least = right - found[0]
        for other in found[1:]:
            least = least.min(right - other)
        return least


_EMBEDDINGS = ("embed.W_E", "pos_embed.W_pos", "unembed.W_U")


def points(path: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Single inputs: where what is certified is beyond the truth."""
    network = Network(path)
    kinds = {"nearest to ties": nearest_to_ties(network, options.inputs)}
    if network.v**network.n <= options.inputs:
        kinds = {"all": kinds["nearest to ties"]}
    else:
        kinds["random"] = np.random.default_rng(0).integers(0, network.v, (options.inputs, network.n))
    exactly = Exactly(network)
    for kind, inputs in kinds.items():
        truth = [exactly.least_margin(tokens) for tokens in inputs.tolist()]
        for dtype in ("float32", "float64"):
            torch.set_default_dtype(getattr(torch, dtype))
            bounder, lower = Bounder(Network(path)), []
            for some in np.array_split(inputs, max(1, len(inputs) // BATCH)):
                boxes = [tuple((t, t) for t in tokens) for tokens in some.tolist()]
                lower += bounder.least_of_boxes(boxes, some.max(1).tolist()).amin(1).tolist()
            pairs = list(zip(lower, truth, strict=True))
            torch.set_default_dtype(torch.float64)
            yield {
                "inputs": kind,
                "dtype": dtype,
                "number": len(pairs),
                "right": sum(bool(true > 0) for _, true in pairs),
                "wrong": sum(bool(true < 0) for _, true in pairs),
                "certified": sum(low > 0 for low, _ in pairs),
                "certified_and_wrong": sum(low > 0 and bool(true < 0) for low, true in pairs),
                "beyond_the_truth": sum(bool(flint.arb(low) > true) for low, true in pairs),
                "furthest_beyond": f"{max(float((flint.arb(low) - true).mid()) for low, true in pairs):.2g}",
            }


def balls(path: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """All residuals near those of an input: for how many inputs is the answer right on the whole ball?"""
    network = Network(path)
    bounder, v, n = Bounder(network), network.v, network.n
    every = np.stack(np.unravel_index(np.arange(v**n), [v] * n), axis=1) if v**n <= options.inputs else None
    inputs = np.random.default_rng(0).integers(0, v, (options.inputs, n)) if every is None else every
    right = (network(network.residuals(inputs)).argmax(1).numpy() == inputs.max(1)).sum()
    for radius in options.radius:
        start, certified = time.process_time(), 0
        for some in np.array_split(inputs, max(1, len(inputs) // BATCH)):
            region = PerturbationLpNorm(norm=np.inf, eps=radius)
            lower = bounder.least(network.residuals(some), region, some.max(1).tolist())
            certified += int((lower > 0).all(1).sum())
        seconds = f"{time.process_time() - start:.2f}"
        yield {"radius": radius, "inputs": len(inputs), "right": right, "certified": certified, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["classes", "points", "balls"])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--way", nargs="+", choices=list(WAYS))
    parser.add_argument("--boxes", type=int, help="so many random ones of the boxes that have all inputs; default: all")
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--radius", type=float, nargs="+", default=[0.001, 0.01, 0.02, 0.05, 0.1])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    measure = {"classes": classes, "points": points, "balls": balls}[options.what]
    for path in options.files:
        for found in measure(path, options):
            row = {"model": "/".join(path.with_suffix("").parts[-2:]), **found}
            print(*row.values(), flush=True)
            if options.out is not None:
                keep(row, options.out)


def keep(row: dict[str, Any], path: Path) -> None:
    """Add a line."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        lines = csv.DictWriter(stream, list(row), lineterminator="\n")
        if new:
            lines.writeheader()
        lines.writerow(row)


if __name__ == "__main__":
    main()
