"""The paths of the model, multiplied out: one place, used by proofs, analysis and figures.

The matrices are those of the model without biases, `AttentionOnly.weight`.  Write E_q = W_E + W_pos[n] for the
embedding of the query, P for W_pos, P^ = P - mean_p P and E- = W_E + mean_p P.

    logits(x)[o]      = EU[q, o] + sum_p a_p (EVOU[x_p, o] + PVOU[p, o])
    score(q, x_p, p)  = EQKE[q, x_p] + EQKP[q, p]

because E_q Q K^T (W_E[t] + P[p])^T = E_q Q K^T (E-[t] + P^[p])^T.  Below, v = d_vocab, n = n_ctx, d = width,
h = d_head, as in the annotations; costs are floating-point operations with d = h.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import numpy as np

from compactproofs.kernel.decisions import Array
from compactproofs.kernel.workspace import Workspace, shared
from compactproofs.networks.attention_only.model import AttentionOnly

Work: TypeAlias = Workspace[AttentionOnly, Any]


@shared
def query_embedding(work: Work) -> Annotated[Array, "v d"]:
    """E_q, shape (v, d): token embedding plus the last position's.  Cost v d."""
    return work.weight("W_E") + work.weight("W_pos")[-1]


@shared
def key_embedding(work: Work) -> Annotated[Array, "v d"]:
    """E-, shape (v, d): token embedding plus the mean position embedding.  Cost v d + n d."""
    return work.weight("W_E") + mean_position(work)


@shared
def mean_position(work: Work) -> Annotated[Array, "d"]:
    """The mean row of W_pos, shape (d,).  Cost n d."""
    return work.weight("W_pos").mean(axis=0)


@shared
def value_to_logits(work: Work) -> Annotated[Array, "d v"]:
    """V O U, shape (d, v): what the head writes into the logits.  Cost 2 d^3 + 2 v d^2."""
    return work.weight("W_V") @ work.weight("W_O") @ work.weight("W_U")


@shared
def query_to_key(work: Work) -> Annotated[Array, "d d"]:
    """Q K^T / sqrt(h), shape (d, d).  Cost 2 d^3 + d^2."""
    root = np.sqrt(work.constant(work.network.d_head))
    return work.weight("W_Q") @ work.weight("W_K").T / root


@shared
def query_side(work: Work) -> Annotated[Array, "v d"]:
    """E_q Q K^T / sqrt(h), shape (v, d).  Cost 2 v d^2."""
    return query_embedding(work) @ query_to_key(work)


@shared
def EU(work: Work) -> Annotated[Array, "v v"]:
    """The direct path, shape (v, v) over (query, output).  Cost 2 v^2 d."""
    return query_embedding(work) @ work.weight("W_U")


@shared
def EVOU(work: Work) -> Annotated[Array, "v v"]:
    """What attending to a token writes, shape (v, v) over (key token, output).  Cost 2 v^2 d."""
    return work.weight("W_E") @ value_to_logits(work)


@shared
def PVOU(work: Work) -> Annotated[Array, "n v"]:
    """What attending to a position writes, shape (n, v) over (position, output).  Cost 2 n v d."""
    return work.weight("W_pos") @ value_to_logits(work)


@shared
def EQKE(work: Work) -> Annotated[Array, "v v"]:
    """Attention score by token, shape (v, v) over (query, key token).  Cost 2 v^2 d."""
    return query_side(work) @ key_embedding(work).T


@shared
def EQKP(work: Work) -> Annotated[Array, "v n"]:
    """Attention score by position, shape (v, n) over (query, position).  Cost 2 n v d."""
    return query_side(work) @ (work.weight("W_pos") - mean_position(work)).T
