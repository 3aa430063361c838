"""Write a model, hints and a theorem for Coq: a directory that coqc checks with the library in `formal/`."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from compactproofs.formal.dyadic import Weights, exact_weights
from compactproofs.formal.hints import ClassHint, Hints, Tree, find_hints
from compactproofs.networks.attention_only.model import AttentionOnly

# In the order in which coqc must read them.
FILES = ("Weights.v", "Hints.v", "Theorem.v")


@dataclass(frozen=True)
class Claims:
    """What the theorem will say: at least, and at most, so many of all inputs are answered correctly."""

    at_least: int
    at_most: int
    total: int


def export(model: AttentionOnly, directory: Path, at_least: int | None = None, at_most: int | None = None) -> Claims:
    """Write the files; the claims are what the checker decides, or those given, whether they are true or not."""
    weights = exact_weights(model)
    hints = find_hints(weights)
    total = weights.d_vocab**weights.n_ctx
    claims = Claims(
        hints.right if at_least is None else at_least, total - hints.wrong if at_most is None else at_most, total
    )
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in zip(
        FILES, (_weights_file(model, weights), _hints_file(hints), _theorem_file(weights, claims)), strict=True
    ):
        (directory / name).write_text(text, encoding="ascii")
    return claims


def _weights_file(model: AttentionOnly, weights: Weights) -> str:
    lines = [
        f"(* The weights of a model, exactly: integers times 2^-{weights.exponent}.",
        f"   SHA-256 of the model: {model.sha256}",
        "   (python3 formal/recompute_hash.py computes it from the numbers below) *)",
        "From Coq Require Import ZArith List.",
        "From CompactProofs Require Import Statement.",
        "Import ListNotations.",
        "Open Scope Z_scope.",
    ]
    for name, matrix in weights.integers.items():
        rows = ";\n  ".join("[" + "; ".join(str(x) for x in row) + "]" for row in matrix)
        lines.append(f"Definition {name.lower()} : list (list Z) := [\n  {rows}].")
    sizes = (weights.d_vocab, weights.n_ctx, weights.d_model, weights.d_head, weights.exponent)
    lines.append(
        "Definition the_model : model := Model "
        + " ".join(f"{size}%nat" for size in sizes)
        + " "
        + " ".join(name.lower() for name in weights.integers)
        + "."
    )
    return "\n".join(lines) + "\n"


def _hints_file(hints: Hints) -> str:
    lines = [
        "(* Hints: whatever they are, what the checker finds with them is true. *)",
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
        classes = ";\n  ".join(map(_class, row))
        lines.append(f"Definition q{query} : list (list nat * list tree) := [\n  {classes}].")
    names = "; ".join(f"q{query}" for query in range(len(hints.classes)))
    lines.append(
        f"Definition the_hints : hints :=\n  Hints {hints.fraction}%Z {hints.unit}%Z {hints.precision}%positive [{names}]."
    )
    return "\n".join(lines) + "\n"


def _class(hint: ClassHint) -> str:
    return f"([{'; '.join(f'{o}%nat' for o in hint.doubtful)}], [{'; '.join(map(_tree, hint.trees))}])"


def _tree(tree: Tree) -> str:
    if tree is None:
        return "L"
    position, tokens, first, second = tree
    return f"(C {position} {tokens} {_tree(first)} {_tree(second)})"


def _theorem_file(weights: Weights, claims: Claims) -> str:
    if claims.at_least == claims.at_most:
        statement = f"correct_count the_model = {claims.at_least}"
        lemma, numbers = "number_checked", f"{claims.at_least}"
    else:
        statement = f"{claims.at_least} <= correct_count the_model <= {claims.at_most}"
        lemma, numbers = "bounds_checked", f"{claims.at_least} {claims.at_most}"
    return textwrap.dedent(f"""\
        (* Of {claims.total} inputs. *)
        From Coq Require Import ZArith.
        From CompactProofs Require Import Statement Checker.
        Require Import Weights Hints.
        Open Scope Z_scope.

        Theorem shapes : well_shaped the_model.
        Proof. exact (shapes_checked the_model (eq_refl true)). Qed.

        Theorem accuracy : {statement}.
        Proof.
          apply ({lemma} the_model the_hints {numbers}).
          vm_cast_no_check (eq_refl true).
        Qed.
        Print Assumptions accuracy.
        """)
