"""Put a claim to the test by fresh random numbers.

Theorem.  For every network, and every claim whatever is in it, written by whoever does not know the random numbers: if
the claim is false, `check` accepts it with a probability of at most 2^-error_bits.

Proof.  By `sampling`, of the M elements of an urn G are known to be wrong, and each draw of another one, independent
and uniform among these, is wrong with probability (w - G) / (M - G), where w inputs are not answered correctly, of T.
The number n of such draws is random; let it be given.  If "at least N" is false, then w >= T - N + 1.  Each draw is
then not certainly right with a probability of at least p = (T - N + 1 - G) / (M - G), and the claim is accepted only if
so many k are not that `few_is_unlikely(k, n, p, bits)`, or if p > 1, but then it is true.  If "at most N" is false,
then w <= T - N - 1, each draw is certainly wrong with a probability of at most p = (T - N - 1 - G) / (M - G), and the
claim is accepted only if so many are that `many_is_unlikely(k, n, p, bits)`, or if p < 0, but then it is true.

Let k be the largest (in the second case smallest) number with which the claim is accepted.  It is accepted only if at
most (at least) k draws count, and by the lemma of `binomial` the probability of that is at most 2^-bits.  This holds
for each n, and so altogether.

Bounds.  The largest N that a run would accept, found after it, is false with a probability of at most 2^-bits too: let
p be the true share; where N is false, the test holds at a share that is no larger than p (no smaller), and so at p; and
the numbers k at which the test holds at p have together a probability of at most 2^-bits, by the same reasoning.

The conclusion is no `kernel.checker.Verdict`, and none can be made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from compactproofs.confidence import inside
from compactproofs.confidence.binomial import few_is_unlikely, many_is_unlikely
from compactproofs.confidence.claim import ClaimWithConfidence
from compactproofs.confidence.sampling import Drawn, Method, Tell, draw
from compactproofs.kernel.machine import require_ieee_arithmetic
from compactproofs.kernel.problem import Claim
from compactproofs.networks.attention_only.model import AttentionOnly
from compactproofs.tasks.max_of_k import max_of_k
from compactproofs.theorems.max_of_k import Work

ASSUMING = "the operating system's random bytes are uniform, independent, and unknown to who made model and claim"


@dataclass(frozen=True)
class Conclusion:
    """Whether a claim passed this one test, and why; what was drawn, where it came that far."""

    passed: bool
    reason: str
    drawn: Drawn | None = None


def check(claim: ClaimWithConfidence, work: Work, tell: Tell = lambda share: None) -> Conclusion:
    """Test the claim on a workspace of enclosures; a false one passes with a probability of at most 2^-error_bits.

    Raises UnsuitableArithmetic if this process does not compute as the proofs assume, and ValueError or MemoryError if
    the network is too large.
    """
    network, task = work.network, work.task
    misfits = {
        "model_sha256": (claim.model_sha256, network.sha256),
        "family": (claim.family, AttentionOnly.family),
        "task": (dict(claim.task), task.record),
        "total": (claim.total, task.total),
    }
    for field, (said, found) in misfits.items():
        if said != found:
            return Conclusion(False, f"{field}: the claim is about {said}, this is {found}")
    require_fitting(work, claim.method)
    require_ieee_arithmetic()
    fits = claim.urn <= 2 * task.total  # others only take time
    drawn = draw(work, claim.method, claim.urn, claim.samples, tell) if fits else None
    if drawn is None:
        return Conclusion(False, f"urn: {claim.urn} is not the size of an urn of {claim.theorem} for this model")
    counted = in_words(drawn, claim.claim)
    if passes(claim.claim, claim.claimed, claim.total, claim.urn, drawn, claim.error_bits):
        return Conclusion(True, f"{claim} ({counted})", drawn)
    return Conclusion(
        False, f"{counted} do not support the claim: {claim}; by chance this can happen to a true one", drawn
    )


def require_fitting(work: Work, method: Method) -> None:
    """ValueError unless the network is of the family and sizes that the method is for."""
    network = work.network
    if not isinstance(network, AttentionOnly) or work.task != max_of_k(network).task:
        raise ValueError(f"claims with confidence are about max-of-K and {AttentionOnly.family} only")
    if network.d_vocab >= 2**31:
        raise ValueError("more than 2^31 tokens are not supported")
    if method == "inside" and (network.d_vocab > inside.MAX_TOKENS or network.n_ctx > inside.MAX_POSITIONS):
        raise ValueError(
            f"sampling inside is for up to {inside.MAX_TOKENS} tokens and {inside.MAX_POSITIONS} positions, "
            f"this model has {network.d_vocab} and {network.n_ctx}; leave out --inside"
        )


def passes(claim: Claim, claimed: int, total: int, urn: int, drawn: Drawn, bits: int) -> bool:
    """Whether what was drawn would be so unlikely, were the claim false."""
    left = urn - drawn.known
    if claim == "at least":
        wrong = total - claimed + 1 - drawn.known  # of those left, or more, if the claim is false
        share = Fraction(wrong, left) if left else Fraction(0)
        return wrong > left or few_is_unlikely(drawn.not_right, drawn.open, share, bits)
    wrong = total - claimed - 1 - drawn.known  # or fewer
    share = Fraction(wrong, left) if left else Fraction(1)
    return wrong < 0 or many_is_unlikely(drawn.wrong, drawn.open, share, bits)


def bound(claim: Claim, total: int, urn: int, drawn: Drawn, bits: int) -> int:
    """The most that could be claimed after this run: the largest N of "at least", the smallest of "at most"."""
    good, bad = (0, total + 1) if claim == "at least" else (total, -1)
    while abs(good - bad) > 1:
        middle = (good + bad) // 2
        if passes(claim, middle, total, urn, drawn, bits):
            good = middle
        else:
            bad = middle
    return good


def in_words(drawn: Drawn, claim: Claim) -> str:
    """How many of the draws count."""
    if claim == "at least":
        return f"{drawn.not_right} of {drawn.open} draws are not certainly right"
    return f"{drawn.wrong} of {drawn.open} draws are certainly wrong"
