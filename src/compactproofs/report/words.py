"""The words of the pages that a reader who has not read the paper may not know."""

from __future__ import annotations

from compactproofs.report.page import Section

_WORDS = (
    (
        "proof, FLOPs",
        "A proof is a theorem about all models, stated at the end of this page, and one run of its check on this "
        "model's weights. Its length is the number of floating-point operations (FLOPs) of that run.",
    ),
    ("normalised bound", "The certified share of the inputs, divided by the accuracy. It cannot exceed 1."),
    (
        "cubic, sub-cubic, quadratic",
        "How the operations grow with the number of tokens v and the width d: the cubic proof looks at all triples of "
        "query, maximum and another token; sub-cubic ones may still multiply a v × d by a d × d matrix, quadratic and "
        "strict ones form none of the products that they are named after: QK stands for EQKE, EU for the direct path.",
    ),
    (
        "failing sets",
        "Proofs that rule out nearly all wrong outputs for many queries at once, and count the inputs on which one of "
        "the others may win.",
    ),
    (
        "lead, harmless, gap",
        "The lead of the maximum m over a wrong output is the logit of m less that of the output. A token beside the "
        "maximum is harmless if m still leads with that token everywhere else. The gap is how far below m the largest "
        "other token is; cheaper proofs decide from the gap alone which tokens are harmless.",
    ),
    (
        "principal parts, remainder, row spread",
        "A proof may take rank-one parts out of EQKE, or out of its four factors: the principal parts. What is left is "
        "the remainder. Its row spread, for a query, is how far the remainder's entries for two keys can differ: all "
        "that attention can notice.",
    ),
    (
        "exact_EQKE+max_diff_exact, max_diff_exact",
        "Ways of treating EQKE: multiplied out; or the remainder after one pair of directions multiplied out.",
    ),
    (
        "svd",
        "The same remainder, bounded by the lengths of its rows (a norm; a little sharper than the paper's bound by a "
        "singular value).",
    ),
    (
        "max_diff, max_diff_subproduct",
        "The remainder as a product A B, bounded by the sum of |A| times (largest less smallest entry of B), at the "
        "best place to cut it into A and B. “subproduct”: after six directions instead of two.",
    ),
    (
        "recursive, mean",
        "“recursive”: the same cut at every factor, so that no two matrices are multiplied. “mean+”: with the mean row "
        "taken out first; “mean_recursive”: at every step.",
    ),
    (
        "max_diff_exact, mean_query+max_diff, svd_query+max_diff, mean_query+diff (of EU and attention)",
        "Ways of treating the direct path EU: multiplied out; or the mean query (or a singular vector) exactly, and "
        "the rest by max_diff. And of treating what attention to the maximum writes.",
    ),
    (
        "unexplained dimension",
        "The paper's measure of how little is understood: how many numbers a proof must look at one by one because it "
        "has no account of them.",
    ),
)


def words() -> Section:
    """The section that explains them."""
    return Section("words", "Words", ["What the words mean that the rest of this page uses."], terms=_WORDS)
