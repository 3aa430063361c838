"""The network as two tables that are added: what the theorems compute with.

    logits(x, y) = of_x[x] + of_y[y] + sum_i ReLU(left[x, i] + right[y, i]) out[i]

Lemma.  The logits of `model` are these, with the tables that the functions below say.

Proof.  "mlp": the product of a row in two halves with W is the sum of the products of the halves, and of_x = 0.
"transformer", with c positions and V = sum over heads of W_V W_O: attentions of 1/c add up to 1, so with
b = sum over heads of b_V W_O + b_O attention writes sum_p r_p V / c + b, and mid is the sum of mid_x[x] = r_1 V / c and
mid_y[y], which is r_2 + r_2 V / c + b for c = 2, as y is at the last position, and r_3 + (r_2 + r_3) V / c + b for
c = 3, where r_3 is the same for all inputs.  Both mid W_in and mid W_U are linear in mid.

Margins are differences of logits of one input, so nothing changes them that adds the same number to all entries of a
row of of_x, of_y or out.  Bounds in which such tables enter by differences only need no rule for this.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.workspace import Workspace, shared
from compactproofs.networks.pair_sum.model import PairSum

Work: TypeAlias = Workspace[PairSum, Any]


class Tables(NamedTuple):
    """left, right: (n, m); out: (m, k); of_x: (n, k), or None where it is zero; of_y: (n, k), or (1, k) for all y."""

    left: Array
    right: Array
    out: Array
    of_x: Array | None
    of_y: Array


@shared
def tables(work: Work) -> Tables:
    """The tables of the network."""
    return _of_mlp(work) if work.network.architecture == "mlp" else _of_transformer(work)


def _of_mlp(work: Work) -> Tables:
    """Cost 4 n e m."""
    W = work.weight("W")
    half = W.shape[0] // 2
    left, right = work.weight("W_x") @ W[:half], work.weight("W_y") @ W[half:]
    return Tables(left, right, work.weight("W_U"), None, work.weight("b")[None])


def values_and_output(work: Work) -> tuple[Array, Array]:
    """W_V and W_O of all heads, (d, heads h) and (heads h, d)."""
    W_V, W_O = work.weight("blocks.0.attn.W_V"), work.weight("blocks.0.attn.W_O")
    heads, d, h = W_V.shape
    return np.reshape(np.transpose(W_V, (1, 0, 2)), (d, heads * h)), np.reshape(W_O, (heads * h, d))


def tokens_and_positions(work: Work) -> Array:
    """The rows of W_E, then those of W_pos."""
    return np.concatenate([work.weight("embed.W_E"), work.weight("pos_embed.W_pos")])


def of_arguments(work: Work, rows: Array) -> tuple[Array, Array]:
    """Sums of rows for tokens and positions: what depends on x, at its position, and what on y and all others."""
    n, c = work.network.n, work.network.positions
    tokens, positions = rows[:-c], rows[-c:]
    of_y = tokens[:n] + positions[1]
    return tokens[:n] + positions[0], of_y if c == 2 else of_y + (tokens[n] + positions[2])


def last_position(work: Work, output: Array) -> Array:
    """What mid_y is besides what attention makes of r_p: r_c + b, (n, d), or (1, d) for all y."""
    n, E, P = work.network.n, work.weight("embed.W_E"), work.weight("pos_embed.W_pos")
    last = E[:n] + P[1] if work.network.positions == 2 else (E[n] + P[2])[None]
    b_V = np.reshape(work.weight("blocks.0.attn.b_V"), (1, output.shape[0]))
    return last + (b_V @ output + work.weight("blocks.0.attn.b_O"))


def same_for_all(work: Work) -> Array:
    """What of the logits depends on no argument, (1, k)."""
    return work.weight("blocks.0.mlp.b_out")[None] @ work.weight("unembed.W_U") + work.weight("unembed.b_U")


def _of_transformer(work: Work) -> Tables:
    """Cost 4 n d a h + 4 n d (m + k) + 2 d m k, apart from single rows."""
    values, output = values_and_output(work)
    attended = tokens_and_positions(work) @ values @ output / float(work.network.positions)
    mid_x, mid_y = of_arguments(work, attended)
    mid_y = mid_y + last_position(work, output)
    W_in, W_U = work.weight("blocks.0.mlp.W_in"), work.weight("unembed.W_U")
    return Tables(
        left=mid_x @ W_in,
        right=mid_y @ W_in + work.weight("blocks.0.mlp.b_in"),
        out=work.weight("blocks.0.mlp.W_out") @ W_U,
        of_x=mid_x @ W_U,
        of_y=mid_y @ W_U + same_for_all(work),
    )
