"""Headers of safetensors files, good ones and such as are changed at random in what they say and how they spell it."""

from __future__ import annotations

import copy
import json
from array import array
from collections.abc import Callable
from math import prod
from random import Random
from typing import Any

from exactcheck import reading

BITS = reading.TYPE_BITS
_BODY = array("f", range(1, 200)).tobytes()


def changed_file(rng: Random) -> bytes:
    """A file of a small model after one to three changes, most of which leave it one."""
    header = Header(rng)
    for _ in range(rng.randrange(1, 4)):
        rng.choice(_GENTLE if rng.random() < 0.6 else _ROUGH)(header)
    if rng.random() < 0.5:
        header.lay_out()
    return header.data()


class Raw(str):
    """JSON text that stands as it is."""


Pairs = list[tuple[Any, Any]]  # an object, with names as often as they come


def spelled(value: Any, rng: Random) -> str:
    """JSON text of lists, objects as pairs in tuples, and leaves."""
    space = (" ", "\n", "\t", "\r\n", "  ")[rng.randrange(5)] if rng.random() < 0.02 else ""
    if isinstance(value, Raw):
        return value
    if isinstance(value, tuple):
        inner = ",".join(f"{space}{spelled(name, rng)}:{space}{spelled(entry, rng)}" for name, entry in value)
        return "{" + inner + space + "}"
    if isinstance(value, list):
        return "[" + ",".join(space + spelled(entry, rng) for entry in value) + "]"
    if isinstance(value, str) and rng.random() < 0.02:
        return '"' + "".join(f"\\u{ord(letter):04x}" for letter in value) + '"'
    return json.dumps(value)


WEIGHTS = (
    ("embed.W_E", [3, 2]),
    ("pos_embed.W_pos", [2, 2]),
    *((f"blocks.0.attn.W_{letter}", [1, 2, 1]) for letter in "QKV"),
    ("blocks.0.attn.W_O", [1, 1, 2]),
    ("unembed.W_U", [2, 3]),
)
OTHER_NAMES = (
    *(name for name, _ in WEIGHTS),
    *sorted({disk for disk, _, _ in reading.BIASES.values()} | reading.IGNORED),
    *("blocks.1.attn.W_Q", "blocks.0.ln1.w", "x", "", "__metadata__", "__metadata", "EMBED.W_E", "embed.W_E "),
    *(Raw(f'"{text}"') for text in (r"embed.W\u005fE", r"\ud800", r"\ud83d\ude00", r"a\u0000", r"\x41", "\x01", "é")),
)
NUMBERS = (
    *(0, 1, 2, 3, 4, -1, 24, 96, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64 - 1, 2**64, 10**30, True, False, None, "1"),
    *map(Raw, ("-0", "4.0", "1e0", "1E2", "-0.0", "01", "+1", "1_0", "0x1", "NaN", "Infinity", "1.", "[1]", "{}")),
    Raw("9" * 4000),
    Raw("9" * 4001),
)
ANYTHING: tuple[Any, ...] = (
    None,
    True,
    0,
    "",
    "F32",
    [],
    [[]],
    (),
    (("a", 1),),
    ["F32", [3, 2], [0, 24]],
    Raw("[" * 200 + "]" * 200),
    Raw(""),
)
NOTES: tuple[Any, ...] = (
    *((), (("a", "b"),), (("a", "b"), ("a", "c")), (("a", 1),), (("a", None),), (("a", ()),), None, [], "x", 1),
    *(((name, Raw(text)),) for name in ("a", Raw(r'"\udc00"')) for text in (r'"\ud800"', r'"\ud83d\ude00"', r'"\/"')),
)


class Header:
    """A header and the bytes after it, to be changed."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.entries: list[list[Any]] = [[name, self.fields("F32", shape)] for name, shape in WEIGHTS]
        self.notes: list[Any] = []
        self.lay_out()
        self.before, self.after, self.longer = b"", b"", 0
        self.tail: bytes | int = b""

    @staticmethod
    def fields(dtype: str, shape: list[int]) -> list[list[Any]]:
        """An entry without its range."""
        return [["dtype", dtype], ["shape", list(shape)], ["data_offsets", [0, 0]]]

    def one(self, of: Any) -> Any:
        """One of them, by chance."""
        return self.rng.choice(of) if of else None

    def lay_out(self) -> None:
        """Ranges one after the other, as long as types and shapes say, for entries of which that is known."""
        end = 0
        for _, fields in self.entries:
            known = {key: value for key, value in fields if isinstance(key, str)} if isinstance(fields, list) else {}
            shape = known.get("shape")
            if type(known.get("dtype")) is str and isinstance(shape, list) and "data_offsets" in known:
                sizes = [size if type(size) is int and 0 <= size < 100 else 1 for size in shape]
                start, end = end, end + -(-prod(sizes) * BITS.get(known["dtype"], 8) // 8)
                for field in fields:
                    if field[0] == "data_offsets":
                        field[1] = [start, end]
        self.length = end

    def data(self) -> bytes:
        """The file."""
        pairs = [(name, tuple(map(tuple, f)) if isinstance(f, list) else f[0]) for name, f in self.entries]
        at = self.rng.randrange(len(pairs) + 1)
        pairs[at:at] = [("__metadata__", notes) for notes in self.notes]
        text = self.before + spelled(tuple(pairs), self.rng).encode() + self.after
        body = _BODY[: self.length].ljust(self.length)
        body = body + self.tail if isinstance(self.tail, bytes) else body[: self.tail]
        return (len(text) + self.longer).to_bytes(8, "little") + text + body


def _some_field(h: Header) -> list[Any] | None:
    """A key and value of an entry that still has some."""
    fields = h.one([fields for _, fields in h.entries if isinstance(fields, list) and fields])
    return h.one(fields) if fields else None


def _some_numbers(h: Header) -> Any:
    """A shape or data_offsets that is still a list."""
    found = [f[1] for _, fields in h.entries if isinstance(fields, list) for f in fields if isinstance(f[1], list)]
    return h.one(found)


def _change_name(h: Header) -> None:
    if h.entries:
        h.one(h.entries)[0] = h.one(OTHER_NAMES)


def _drop(h: Header) -> None:
    if h.entries:
        del h.entries[h.rng.randrange(len(h.entries))]
        h.lay_out()


def _double(h: Header) -> None:
    if h.entries:
        h.entries.append(list(h.one(h.entries)))


def _add(h: Header) -> None:
    name, dtype = h.one(OTHER_NAMES), h.one(["F32", "F64", *BITS])
    shape = [h.rng.randrange(5) for _ in range(h.rng.randrange(4))]
    h.entries.insert(h.rng.randrange(len(h.entries) + 1), [name, Header.fields(dtype, shape)])
    h.lay_out()


def _add_ignored(h: Header) -> None:
    _add(h)
    entry = next((entry for entry in h.entries if entry[0] in OTHER_NAMES[-15:]), None)
    if entry:
        entry[0] = h.one(sorted(reading.IGNORED))


def _change_key(h: Header) -> None:
    if field := _some_field(h):
        field[0] = h.one(["dtype", "shape", "data_offsets", "offsets", "DTYPE", "", Raw(r'"dt\u0079pe"')])


def _drop_key(h: Header) -> None:
    fields = h.one([fields for _, fields in h.entries if isinstance(fields, list) and fields])
    if fields:
        del fields[h.rng.randrange(len(fields))]


def _add_key(h: Header) -> None:
    fields = h.one([fields for _, fields in h.entries if isinstance(fields, list)])
    if fields is not None:
        fields.append([h.one(["x", "dtype", "shape", "data_offsets", "strides"]), copy.deepcopy(h.one(ANYTHING))])


def _shuffle_keys(h: Header) -> None:
    for _, fields in h.entries:
        if isinstance(fields, list):
            h.rng.shuffle(fields)


def _change_value(h: Header) -> None:
    if field := _some_field(h):
        field[1] = copy.deepcopy(h.one(ANYTHING))


def _change_type(h: Header) -> None:
    if h.entries and isinstance(fields := h.one(h.entries)[1], list):
        for field in fields:
            if field[0] == "dtype":
                field[1] = h.one(["F64", "F32", *BITS, "F128", "f32", "F32 ", Raw(r'"F\u0033\u0032"')])


def _change_number(h: Header) -> None:
    if numbers := _some_numbers(h):
        numbers[h.rng.randrange(len(numbers))] = h.one(NUMBERS)


def _shift_number(h: Header) -> None:
    if numbers := _some_numbers(h):
        at = h.rng.randrange(len(numbers))
        if type(numbers[at]) is int:
            numbers[at] += h.one([-8, -4, -1, 1, 4, 8])


def _more_numbers(h: Header) -> None:
    if (numbers := _some_numbers(h)) is not None:
        numbers.insert(h.rng.randrange(len(numbers) + 1), h.one([0, 1, 1, 1, 2]))


def _fewer_numbers(h: Header) -> None:
    if numbers := _some_numbers(h):
        numbers.pop()


def _swap_numbers(h: Header) -> None:
    if numbers := _some_numbers(h):
        numbers.reverse()


def _shuffle_entries(h: Header) -> None:
    h.rng.shuffle(h.entries)


def _swap_ranges(h: Header) -> None:
    if len(h.entries) > 1:
        (_, a), (_, b) = h.one(h.entries), h.one(h.entries)
        if isinstance(a, list) and isinstance(b, list) and a and b:
            a[-1], b[-1] = b[-1], a[-1]


def _replace_entry(h: Header) -> None:
    if h.entries:
        h.one(h.entries)[1] = (copy.deepcopy(h.one(ANYTHING)),)


def _notes(h: Header) -> None:
    h.notes.append(h.one(NOTES))


def _pad(h: Header) -> None:
    h.after += h.one([b" ", b" " * 8, b"\n", b"\t \r", b"\0", b"x", b"{}", b",", b"\xff", b"\xc2\xa0"])


def _lead(h: Header) -> None:
    h.before = h.one([b" ", b"\n", b"\xef\xbb\xbf", b"[", b"{", b"\xff\xfe", b"\0", b"null"])


def _mislead(h: Header) -> None:
    h.longer = h.one([-1, 1, 4, 8, -8, 2**20, 2**63 - 10**6, 10**8])


def _tail(h: Header) -> None:
    h.tail = h.one([b"\0", b"1234", bytes(8), -1, -4, 0])


_GENTLE: tuple[Callable[[Header], None], ...] = (
    *(_shuffle_keys, _shuffle_entries, _add_ignored, _add_ignored, _add, _notes, _pad, _change_type, _swap_ranges),
)
_ROUGH: tuple[Callable[[Header], None], ...] = (
    *(_change_name, _drop, _double, _change_key, _drop_key, _add_key, _change_value, _change_type, _replace_entry),
    *(_change_number, _change_number, _shift_number, _more_numbers, _fewer_numbers, _swap_numbers, _swap_ranges),
    *(_lead, _mislead, _tail),
)
