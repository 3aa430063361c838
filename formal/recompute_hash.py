"""Recompute the SHA-256 of a model from its exported weights: python3 recompute_hash.py DIR/Weights.v

It reads the integers that Coq reads, and nothing else; the standard library is enough.  The hash is that of
compactproofs: over each matrix's name and shape in a line, then its entries row by row as little-endian float64.
Exit code 0 if it is the one in the file's comment, 1 if not, 2 if the file is not as it should be.
"""

import hashlib
import re
import struct
import sys
from fractions import Fraction

NAMES = ("W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U")


def model_hash(text: str) -> str:
    """The hash of the weights in this text; ValueError if they are not float64 numbers of the sizes that it says."""
    arguments = re.findall(r"^Definition the_model : model := Model (.*)\.$", text, re.MULTILINE)
    if len(arguments) != 1:
        raise ValueError("expected one definition of the_model")
    expected = [name.lower() for name in NAMES]
    words = arguments[0].split()
    v, n, d, h, exponent = (int(word.removesuffix("%nat")) for word in words[:5])
    if words[5:] != expected:
        raise ValueError(f"the_model is made of {' '.join(words[5:])}; expected {' '.join(expected)}")
    shapes = ((v, d), (n, d), (d, h), (d, h), (d, h), (h, d), (d, v))
    digest = hashlib.sha256()
    for name, (rows, columns) in zip(NAMES, shapes, strict=True):
        found = re.findall(
            rf"^Definition {name.lower()} : list \(list Z\) := \[([-\d\[\]; \n]*)\]\.$", text, re.MULTILINE
        )
        if len(found) != 1:
            raise ValueError(f"expected one definition of {name.lower()}")
        matrix = [[int(x) for x in row.split(";")] for row in re.findall(r"\[([^\[\]]*)\]", found[0])]
        if len(matrix) != rows or any(len(row) != columns for row in matrix):
            raise ValueError(f"{name.lower()} does not have {rows} rows of {columns} numbers")
        digest.update(f"{name} {rows} {columns}\n".encode("ascii"))
        for row in matrix:
            for integer in row:
                weight = float(Fraction(integer, 2**exponent))
                if Fraction(weight) * 2**exponent != integer:
                    raise ValueError(f"{integer} times 2^-{exponent} is no float64 number")
                digest.update(struct.pack("<d", weight))
    return digest.hexdigest()


def main() -> int:
    """What the shell calls; the exit code."""
    if len(sys.argv) != 2:
        print("usage: recompute_hash.py DIR/Weights.v", file=sys.stderr)
        return 2
    try:
        with open(sys.argv[1], encoding="ascii") as stream:  # noqa: PTH123 (stands alone)
            text = stream.read()
        computed = model_hash(text)
        said = re.findall(r"SHA-256 of the model: ([0-9a-f]{64})$", text, re.MULTILINE)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(computed)
    if said != [computed]:
        print(f"the file says {' '.join(said) or 'nothing'}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
