"""Reading certificates and models, strictly, with nothing but the standard library."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

CERTIFICATE_BYTES, MODEL_BYTES, HEADER_BYTES, LONGEST = 2**24, 2**28, 2**20, 2**24
BRACKETS, DIGITS = 2**16, 4000
KEYS = {
    "format", "version", "family", "task", "model_sha256", "strategy", "theorem", "claim", "certified", "total",
    "hints", "tool",
}  # fmt: skip
FAMILY = "attention-only-1l1h"
WEIGHTED = "weighted-largest-in-order"
POSITION, RANK = "token-at-position", "kth-largest-token"
THEOREMS_OF_VERSION_1 = {
    "compactproofs.strategies.trivial": "max-of-k/trivial@1",
    "compactproofs.strategies.brute_force": "max-of-k/brute-force@1",
    "compactproofs.strategies.cubic": "max-of-k/cubic@1",
    "compactproofs.strategies.subcubic": "max-of-k/sub-cubic@1",
    "compactproofs.strategies.failing_sets": "max-of-k/failing-sets@1",
    "compactproofs.strategies.branch_and_bound": "max-of-k/branch-and-bound@1",
    "compactproofs.strategies.histogram": "max-of-k/histogram@1",
}
TASK_OF_DECODERS = {
    "name", "n", "v", "k", "read_out", "prefix", "suffix", "normalization_type", "eps", "act_fn", "attn_scale",
    "attention_dir", "attn_scores_soft_cap", "output_logits_soft_cap", "parallel_attn_mlp",
}  # fmt: skip
MORE_OF_DECODERS = {"inputs", "weights", "table"}  # those that say something
HINT_TYPES = {"uint8": "B", "uint16": "H", "int64": "q", "float64": "d"}
TYPE_BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E5M2FNUZ": 8, "F8_E4M3FNUZ": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "C64": 64, "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip
INTEGERS = {"I8": "b", "U8": "B", "I16": "h", "U16": "H", "I32": "i", "U32": "I", "I64": "q", "U64": "Q"}
MOST_LABELS = 2**26
AXES, ENTRIES = 8, 2**31
WEIGHTS = {  # our name: the name in the file, the axes, whether the file has an axis for the one head
    "W_E": ("embed.W_E", "vd", False),
    "W_pos": ("pos_embed.W_pos", "nd", False),
    "W_Q": ("blocks.0.attn.W_Q", "dh", True),
    "W_K": ("blocks.0.attn.W_K", "dh", True),
    "W_V": ("blocks.0.attn.W_V", "dh", True),
    "W_O": ("blocks.0.attn.W_O", "hd", True),
    "W_U": ("unembed.W_U", "dv", False),
}
BIASES = {  # likewise, and none need be there
    "b_Q": ("blocks.0.attn.b_Q", "h", True),
    "b_K": ("blocks.0.attn.b_K", "h", True),
    "b_V": ("blocks.0.attn.b_V", "h", True),
    "b_O": ("blocks.0.attn.b_O", "d", False),
    "b_U": ("unembed.b_U", "v", False),
}
IGNORED = {"blocks.0.attn.mask", "blocks.0.attn.IGNORE"}

Matrix = list[list[float]]


class Malformed(Exception):
    """An input is not what its format says."""


class Hint(NamedTuple):
    """A hint's type, shape and entries row by row."""

    dtype: str
    shape: tuple[int, ...]
    entries: tuple[Any, ...]


@dataclass(frozen=True)
class Certificate:
    """The fields of a certificate; n_ctx and d_vocab of a task that has others are 0."""

    n_ctx: int
    d_vocab: int
    model_sha256: str
    strategy: str
    theorem: str
    claim: str
    certified: int
    total: int
    hints: dict[str, Hint]
    family: str
    task: dict[str, Any]


@dataclass(frozen=True)
class Weights:
    """The seven matrices and five biases by our names, as floats, and the model's hash."""

    matrices: dict[str, Matrix]
    biases: dict[str, list[float]]
    sha256: str
    counts: tuple[int, ...] = ()  # of tokens with weights

    def count(self, tokens: Iterable[int]) -> int:
        """What any one of these tokens counts."""
        return sum(self.counts[t] if self.counts else 1 for t in tokens)

    @property
    def too_heavy(self) -> bool:
        """Whether the inputs with one last token count 2^62 and more together, by weights."""
        return bool(self.counts) and sum(self.counts) ** (self.n - 1) >= 2**62

    @property
    def folded(self) -> dict[str, Matrix]:
        """The matrices of a model without biases that has the same logits: these, unless some bias is not zero."""
        if not any(map(any, self.biases.values())):
            return self.matrices
        W, b = self.matrices, self.biases
        zeros = {name: [[*row, 0.0] for row in W[name]] for name in ("W_pos", "W_V", "W_O")}
        return {
            "W_E": [[*row, 1.0] for row in W["W_E"]],
            "W_pos": zeros["W_pos"],
            "W_V": [*zeros["W_V"], [*b["b_V"], 1.0]],
            "W_O": [*zeros["W_O"], [*b["b_O"], 0.0]],
            **{f"W_{letter}": [*W[f"W_{letter}"], b[f"b_{letter}"]] for letter in "QKU"},
        }

    def in_order_of(self, task: dict[str, Any]) -> Weights:
        """The model that says of places in the task's order of tokens what this one says of the tokens."""
        order = list(range(self.v))
        if task["name"] == "min-of-k":
            order.reverse()
        elif "order" in task:
            order = [int(token) for token in task["order"].split()]
        W, b = self.matrices, self.biases
        columns = [[row[t] for t in order] for row in W["W_U"]]
        matrices = {**W, "W_E": [W["W_E"][t] for t in order], "W_U": columns}
        weights = [int(text) for text in task.get("weights", "").split()]
        counts = tuple(weights[t] for t in order) if weights else ()
        return Weights(matrices, {**b, "b_U": [b["b_U"][t] for t in order]}, self.sha256, counts)

    @property
    def v(self) -> int:
        """Tokens."""
        return len(self.matrices["W_E"])

    @property
    def n(self) -> int:
        """Positions."""
        return len(self.matrices["W_pos"])

    @property
    def d(self) -> int:
        """The width of the residual stream of the folded model."""
        return len(self.folded["W_Q"])

    @property
    def h(self) -> int:
        """The width of the head, whose root divides scores."""
        return len(self.matrices["W_O"])


def expect(condition: bool, message: str) -> None:
    """Malformed, with this message, unless the condition holds."""
    if not condition:
        raise Malformed(message)


def read_bytes(path: Path, limit: int) -> bytes:
    """A file of at most `limit` bytes."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except OSError as error:
        named = isinstance(error, FileNotFoundError) and not path.suffix  # such as max-of-4/123
        files = "; only files are read: 'compactproofs zoo NAME' prints where that of a network is" if named else ""
        raise Malformed(f"{path}: {error.strerror}{files}") from error
    expect(len(data) <= limit, f"{path}: longer than {limit} bytes")
    return data


def parse_json(data: bytes) -> Any:
    """JSON in UTF-8, all names of an object different, all numbers integers."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        expect(len({name for name, _ in pairs}) == len(pairs), "JSON: a name appears twice in one object")
        return dict(pairs)

    def refuse(literal: str) -> NoReturn:
        raise Malformed("JSON: a number that is not an integer")

    def integer(literal: str) -> int:
        expect(literal != "-0", "JSON: a zero with a sign")
        expect(len(literal.strip("-")) <= DIGITS, "JSON: a number of too many digits")
        return int(literal)

    expect(data.count(b"[") + data.count(b"{") <= BRACKETS, "JSON: too many brackets")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=unique,
            parse_float=refuse,
            parse_constant=refuse,
            parse_int=integer,
        )
    except UnicodeDecodeError as error:  # which would show all of the file
        raise Malformed("JSON: not in UTF-8; the order is: exactcheck CERTIFICATE MODEL") from error
    except (ValueError, RecursionError) as error:
        raise Malformed(f"JSON: {error!a}") from error


def read_certificate(data: bytes) -> Certificate:
    """The certificate that these bytes spell."""
    expect(len(data) <= CERTIFICATE_BYTES, "the certificate is too long")
    fields = parse_json(data)
    expect(isinstance(fields, dict), "the certificate is no object")
    expect(fields.get("format") == "compactproofs certificate", "format")
    expect(type(fields.get("version")) is int and fields["version"] in (1, 2), "version")
    if fields["version"] == 1:  # there was one family, and theorems had names of Python modules
        expect("family" not in fields, "the certificate's keys")
        fields = {**fields, "family": FAMILY}
        if isinstance(fields.get("theorem"), str):
            fields["theorem"] = THEOREMS_OF_VERSION_1.get(fields["theorem"], fields["theorem"])
    expect(set(fields) == KEYS, "the certificate's keys")
    task = fields["task"]
    expect(isinstance(task, dict) and len(task) <= 20 and all(len(str(x)) <= 2**14 for x in task.values()), "task")
    of_pairs = fields["family"] == "pair-sum" or task.get("name") in ("add-mod", "group", "pair-table")
    if of_pairs and "n_ctx" not in task:
        expect(fields["version"] == 2 and {"name", "n"} <= set(task) <= {"name", "n", "group", "table"}, "task")
        expect(all(type(task[name]) is str for name in set(task) - {"n"}), "task")
    elif fields["family"] != "decoder" or "n_ctx" in task:
        besides = {"largest-in-order": {"order"}, WEIGHTED: {"order", "weights"}, POSITION: {"k"}, RANK: {"k"}}
        more = besides.get(str(task.get("name")), set())
        if task.get("name") in (POSITION, RANK):
            more |= set(task) & {"weights"}
        expect(set(task) == {"name", "n_ctx", "d_vocab"} | more, "task")
        names = ("max",) if fields["version"] == 1 else ("max-of-k", "min-of-k", *besides)
        expect(task["name"] in names, "task.name")
        for name in ("n_ctx", "d_vocab"):
            expect(type(task[name]) is int and 1 <= task[name] < 2**31, f"task.{name}")
        if "k" in task:
            expect(type(task["k"]) is int and 0 <= task["k"] < task["n_ctx"], "task.k")
        for order in [task["order"]] if "order" in task else []:
            expect(
                isinstance(order, str) and re.fullmatch("(?a:\\d{1,10}( \\d{1,10})*)", order) is not None, "task.order"
            )
            every = sorted(map(int, order.split())) == list(range(order.count(" ") + 1))
            expect(every and order.count(" ") + 1 == task["d_vocab"], "task.order")
            expect(order == " ".join(str(int(token)) for token in order.split()), "task.order")
        if "weights" in task:
            text = task["weights"]
            number = "(0|[1-9][0-9]{0,18})"
            expect(isinstance(text, str) and re.fullmatch(f"{number}( {number})*", text) is not None, "task.weights")
            numbers = [int(part) for part in text.split()]
            expect(len(numbers) == task["d_vocab"] and 0 < sum(numbers) < 2**62, "task.weights")
    else:
        expect(fields["version"] == 2 and set(task) - MORE_OF_DECODERS == TASK_OF_DECODERS, "task")
    for name in ("family", "strategy", "theorem", "tool"):
        value = fields[name]
        expect(isinstance(value, str) and len(value) <= 1000 and value.isprintable(), name)
    expect(fields["claim"] in ("at least", "at most"), "claim")
    for name, pattern in (
        ("model_sha256", "[0-9a-f]{64}"),
        ("certified", "0|[1-9][0-9]{0,3999}"),
        ("total", "0|[1-9][0-9]{0,3999}"),
    ):
        expect(isinstance(fields[name], str) and re.fullmatch(pattern, fields[name]) is not None, name)
    certified, total = int(fields["certified"]), int(fields["total"])
    expect(certified <= total, "certified is more than total")
    expect(isinstance(fields["hints"], dict), "hints")
    return Certificate(
        task.get("n_ctx", 0),
        task.get("d_vocab", 0),
        fields["model_sha256"],
        fields["strategy"],
        fields["theorem"],
        fields["claim"],
        certified,
        total,
        {name: _hint(name, value) for name, value in fields["hints"].items()},
        fields["family"],
        task,
    )


def _hint(name: str, value: Any) -> Hint:
    expect(1 <= len(name) <= 60 and all(" " <= letter <= "~" for letter in name), f"hints: the name {name!a}")
    where = f"hints.{name}"
    expect(isinstance(value, dict) and set(value) == {"dtype", "shape", "data"}, where)
    dtype, shape, text = value["dtype"], value["shape"], value["data"]
    expect(isinstance(dtype, str) and dtype in HINT_TYPES, f"{where}.dtype")
    expect(isinstance(shape, list) and len(shape) <= 8, f"{where}.shape")
    expect(all(type(size) is int and 0 <= size <= LONGEST for size in shape), f"{where}.shape")
    expect(isinstance(text, str) and text.isascii(), f"{where}.data")
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Malformed(f"{where}.data") from error
    expect(base64.b64encode(data).decode() == text, f"{where}.data: not the one spelling of these bytes")
    layout = struct.Struct(f"<{HINT_TYPES[dtype]}")
    expect(len(data) == math.prod(shape) * layout.size, f"{where}.data: the number of bytes")
    return Hint(dtype, tuple(shape), tuple(entry for (entry,) in layout.iter_unpack(data)))


def read_weights(data: bytes) -> Weights:
    """The model in a safetensors file."""
    tensors = tensors_of(data)
    known = {disk for disk, _, _ in WEIGHTS.values()}
    unknown = sorted(set(tensors) - known - {disk for disk, _, _ in BIASES.values()} - IGNORED)
    expect(not unknown, f"unknown tensors: {unknown!a:.200}")
    expect(known <= set(tensors), f"missing tensors: {sorted(known - set(tensors))}")
    kept = without_buffers(tensors)
    for name, (dtype, _, _) in kept.items():
        expect(dtype in ("F32", "F64"), f"{name}: the type {dtype}")
    sizes: dict[str, int] = {}
    present = {name: at for name, at in (WEIGHTS | BIASES).items() if at[0] in kept}
    for disk, axes, has_head in present.values():
        shape = kept[disk][1]
        expect(
            len(shape) == len(axes) + has_head and (not has_head or shape[0] == 1), f"{disk}: axes, or several heads"
        )
        for axis, size in zip(axes, shape[has_head:], strict=True):
            expect(size >= 1 and sizes.setdefault(axis, size) == size, f"{disk}: the size {axis}")
    expect(sizes["v"] >= 2, "a single token")
    expect(sizes["n"] <= 4 * DIGITS and sizes["v"] ** sizes["n"] < 10**DIGITS, "10^4000 inputs or more")
    flat = {name: [entry + 0.0 for entry in entries(kept[disk])] for name, (disk, _, _) in present.items()}
    for name, numbers in flat.items():  # of which -0.0 has become 0.0
        expect(all(map(math.isfinite, numbers)), f"{present[name][0]}: not finite")
    biases = {name: flat.get(name) or [0.0] * sizes[axis] for name, (_, axis, _) in BIASES.items()}
    matrices: dict[str, Matrix] = {}
    digest = hashlib.sha256()
    for name, (_, axes, _) in WEIGHTS.items():
        columns, numbers = sizes[axes[1]], flat[name]
        matrices[name] = [numbers[i : i + columns] for i in range(0, len(numbers), columns)]
        line = f"{name} {len(numbers) // columns} {columns}\n"
        digest.update(line.encode("ascii") + struct.pack(f"<{len(numbers)}d", *numbers))
    if any(map(any, biases.values())):
        for name, numbers in biases.items():
            digest.update(f"{name} {len(numbers)}\n".encode("ascii") + struct.pack(f"<{len(numbers)}d", *numbers))
    return Weights(matrices, biases, digest.hexdigest())


Tensor = tuple[str, list[int], bytes]


def without_buffers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """All but masks, which have to be those of causal attention if they can be masks, and what goes with them."""
    for name, (dtype, shape, content) in tensors.items():
        square = len(shape) == 2 and shape[0] == shape[1]
        if name.endswith(".attn.mask") and square:
            expect(dtype in ("BOOL", "U8", "F32", "F64"), f"{name!a:.80}: a mask of type {dtype}")
            there = bytes(content) if dtype in ("BOOL", "U8") else entries((dtype, shape, content))
            wrong = any((entry != 0) != (i % shape[0] <= i // shape[0]) for i, entry in enumerate(there))
            expect(not wrong, f"{name!a:.80}: another mask than that of causal attention")
    return {name: tensor for name, tensor in tensors.items() if not name.endswith((".attn.mask", ".attn.IGNORE"))}


def entries(tensor: Tensor) -> tuple[float, ...]:
    """The numbers of a tensor of floats, row by row."""
    dtype, shape, content = tensor
    return struct.unpack(f"<{math.prod(shape)}{'f' if dtype == 'F32' else 'd'}", content)


def read_labels(data: bytes) -> tuple[list[int], str]:
    """The labels in the file of a table, and their hash."""
    tensors = tensors_of(data)
    expect(list(tensors) == ["labels"], "a table has one tensor named labels")
    dtype, shape, content = tensors["labels"]
    expect(dtype in INTEGERS, f"labels: the type {dtype}")
    expect(1 <= math.prod(shape) <= MOST_LABELS, "labels: their number")
    labels = list(struct.unpack(f"<{math.prod(shape)}{INTEGERS[dtype]}", content))
    expect(min(labels) >= -1 and 0 <= max(labels) < 2**31, "labels: no outputs")
    return labels, hashlib.sha256(struct.pack(f"<{len(labels)}q", *labels)).hexdigest()


def tensors_of(data: bytes) -> dict[str, Tensor]:
    """The types, shapes and bytes of all tensors of a safetensors file."""
    expect(8 <= len(data) <= MODEL_BYTES, "the model's size")
    length = int.from_bytes(data[:8], "little")
    expect(data[8:9] == b"{", "the model is no safetensors file")
    expect(length <= len(data) - 8, "the model's header is longer than the file")
    expect(length <= HEADER_BYTES, f"the model's header is larger than {HEADER_BYTES} bytes")
    header = parse_json(data[8 : 8 + length])
    try:
        json.dumps(header, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:  # halves of surrogate pairs
        raise Malformed("the model's header is no Unicode text") from error
    notes = header.pop("__metadata__", {})
    expect(isinstance(notes, dict) and all(isinstance(note, str) for note in notes.values()), "__metadata__")
    found = {}
    ranges = []
    for name, entry in header.items():
        where = f"{name!a:.80}"
        expect(isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}, f"{where} in the header")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        expect(isinstance(dtype, str) and dtype in TYPE_BITS, f"{where}: the type")
        for numbers in (shape, offsets):
            expect(isinstance(numbers, list) and all(type(x) is int and x >= 0 for x in numbers), f"{where}: numbers")
        expect(len(shape) <= AXES and math.prod(size or 1 for size in shape) <= ENTRIES, f"{where}: a huge shape")
        expect(len(offsets) == 2, f"{where}: data_offsets")
        start, stop = offsets
        expect((stop - start) * 8 == math.prod(shape) * TYPE_BITS[dtype], f"{where}: size")
        found[name] = (dtype, shape, data[8 + length + start : 8 + length + stop])
        ranges.append((start, stop))
    end = 0
    for start, stop in sorted(ranges):
        expect(start == end, "the tensors overlap or leave a gap")
        end = stop
    expect(end == len(data) - 8 - length, "the tensors do not fill the file")
    return found
