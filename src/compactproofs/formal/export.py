"""Write a model, hints and a theorem for Coq: a directory that coqc checks with the library in `formal/`."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from compactproofs.formal.dyadic import Weights, exact_weights
from compactproofs.formal.hints import Argument, ClassHint, Hints, Tree, find_hints
from compactproofs.networks.attention_only.model import AttentionOnly

# The arguments that have a file of the library to themselves: which, and its theorem.
_BY_ARGUMENT: dict[Argument, tuple[str, str]] = {
    "cubic": ("Cubic", "cubic_checked"),
    "failing-sets": ("FailingInputs", "failing_sets_checked"),
}

# In the order in which coqc must read them.
FILES = ("Weights.v", "Hints.v", "Theorem.v")


@dataclass(frozen=True)
class Claims:
    """What a theorem says: at least, and at most, so many of all inputs are answered correctly; None: nothing."""

    total: int
    at_least: int | None = None
    at_most: int | None = None
    argument: Argument = "boxes"  # by which it is proved; the others bound from below

    def __str__(self) -> str:
        return f"{self.statement} (of {self.total} inputs)"

    @property
    def statement(self) -> str:
        """The proposition in Coq."""
        if self.at_least == self.at_most:
            return f"correct_count the_model = {self.at_least}"
        below = "" if self.at_least is None else f"{self.at_least} <= "
        above = "" if self.at_most is None else f" <= {self.at_most}"
        return f"{below}correct_count the_model{above}"

    @property
    def _lemma(self) -> tuple[str, str]:
        """Which theorem of the library proves the statement, and for which numbers."""
        if self.argument in _BY_ARGUMENT:
            return _BY_ARGUMENT[self.argument][1], f"{self.at_least}"
        if self.at_least == self.at_most:
            return "number_checked", f"{self.at_least}"
        if self.at_least is None:
            return "at_most_checked", f"{self.at_most}"
        if self.at_most is None:
            return "at_least_checked", f"{self.at_least}"
        return "bounds_checked", f"{self.at_least} {self.at_most}"

    @property
    def theorem(self) -> str:
        """The file Theorem.v."""
        lemma, numbers = self._lemma
        file, _ = _BY_ARGUMENT.get(self.argument, ("", ""))
        return textwrap.dedent(f"""\
            (* There are {self.total} inputs. *)
            From Coq Require Import ZArith.
            From CompactProofs Require Import Statement Checker{file and f" {file}"}.
            Require Import Weights.
            Require Hints.
            Open Scope Z_scope.

            Theorem shapes : well_shaped the_model.
            Proof. exact (shapes_checked the_model (eq_refl true)). Qed.

            Theorem accuracy : {self.statement}.
            Proof.
              apply ({lemma} the_model Hints.the_hints {numbers}).
              vm_cast_no_check (eq_refl true).
            Qed.
            Print Assumptions accuracy.
            """)

    @classmethod
    def of_theorem(cls, text: str) -> Claims:
        """What a file Theorem.v says; ValueError unless it is one as `theorem` writes it, to the letter."""
        total = re.search(r"There are (\d+) inputs", text)
        found = re.search(
            r"accuracy : (?:(?P<low>\d+) <= )?correct_count the_model(?: = (?P<is>\d+)| <= (?P<high>\d+))?\.\n", text
        )
        if total is not None and found is not None:
            low, high = ((found[side] or found["is"]) for side in ("low", "high"))
            at_least, at_most = (None if number is None else int(number) for number in (low, high))
            by = [argument for argument, (_, lemma) in _BY_ARGUMENT.items() if f"({lemma} " in text]
            claims = cls(int(total[1]), at_least, at_most, by[0] if by else "boxes")
            if (claims.at_least, claims.at_most) != (None, None) and claims.theorem == text:
                return claims
        raise ValueError("Theorem.v is not as 'compactproofs export' writes it; read it, and run coqc yourself")


def export(model: AttentionOnly, directory: Path, claims: Claims | None = None) -> Claims:
    """Write the files; what they claim is what the checker will decide, or what is given, true or not.

    Raises ValueError for models that the checker has no room for.
    """
    weights = exact_weights(model)
    hints = find_hints(weights, "boxes" if claims is None else claims.argument)
    if claims is None:
        total = weights.d_vocab**weights.n_ctx
        claims = Claims(total, hints.right, total - hints.wrong)
    directory.mkdir(parents=True, exist_ok=True)
    texts = (_weights_file(model.sha256, weights), _hints_file(hints), claims.theorem)
    for name, text in zip(FILES, texts, strict=True):
        (directory / name).write_text(text, encoding="ascii")
    return claims


def _weights_file(sha256: str, weights: Weights) -> str:
    lines = [
        f"(* The weights of a model, exactly: integers times 2^-{weights.exponent}.",
        f"   SHA-256 of the model: {sha256}",
        "   (python3 formal/recompute_hash.py computes it from the numbers below) *)",
        "From Coq Require Import ZArith List.",
        "From CompactProofs Require Import Statement.",
        "Import ListNotations.",
        "Open Scope Z_scope.",
    ]
    for name, matrix in weights.integers.items():
        rows = ";\n  ".join("[" + "; ".join(map(str, row)) + "]" for row in matrix)
        lines.append(f"Definition {name.lower()} : list (list Z) := [\n  {rows}].")
    numbers = (weights.d_vocab, weights.n_ctx, weights.d_model, weights.d_head, weights.exponent)
    arguments = [*(f"{number}%nat" for number in numbers), *(name.lower() for name in weights.integers)]
    lines.append(f"Definition the_model : model := Model {' '.join(arguments)}.")
    return "\n".join(lines) + "\n"


def _hints_file(hints: Hints) -> str:
    lines = [
        "(* Whatever these hints are, what the checker finds with them is true. *)",
        "From Coq Require Import ZArith List Uint63.",
        "From CompactProofs Require Import Boxes Checker.",
        "Import ListNotations.",
        "Local Notation L := Leaf.",
        "Local Notation C := Split.",
        "Local Open Scope uint63_scope.",
    ]
    for query, row in enumerate(hints.classes):
        while row and not row[-1].doubtful:
            row = row[:-1]
        classes = ";".join(f"\n  {_class(hint)}" for hint in row)
        lines.append(f"Definition q{query} : list (list nat * list tree) := [{classes}].")
    names = "; ".join(f"q{query}" for query in range(len(hints.classes)))
    precisions = f"{hints.fraction}%Z {hints.unit}%Z {hints.precision}%positive"
    lines.append(f"Definition the_hints : hints :=\n  Hints {precisions} [{names}].")
    return "\n".join(lines) + "\n"


def _class(hint: ClassHint) -> str:
    return f"([{'; '.join(f'{o}%nat' for o in hint.doubtful)}], [{'; '.join(map(_tree, hint.trees))}])"


def _tree(tree: Tree) -> str:
    if tree is None:
        return "L"
    position, tokens, first, second = tree
    return f"(C {position} {tokens} {_tree(first)} {_tree(second)})"
