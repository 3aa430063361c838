"""Objects that show themselves: in a line, and in notebooks as a small table.  Standard library only."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from fractions import Fraction
from html import escape

from compactproofs.system.messages import escaped

_DIGITS = 15


def in_short(number: int, claim: str = "at least") -> str:
    """A number that may have thousands of digits; what is rounded of a bound is claimed as well."""
    rounding = ROUND_FLOOR if claim == "at least" else ROUND_CEILING
    rounded = Context(prec=7, rounding=rounding).create_decimal(number)
    return str(number) if abs(number) < 10**_DIGITS else f"{rounded:.6e}"


def share_in_short(share: Fraction, claim: str) -> str:
    """A bound on a share with six digits, likewise."""
    millionths = share * 10**6
    return f"{(millionths.__floor__() if claim == 'at least' else millionths.__ceil__()) / 10**6:.6f}"


class Displayed:
    """What says what it is, in place of arrays and of whatever else is in it."""

    def facts(self) -> dict[str, str]:
        """What there is to say, by names; the text may be anybody's."""
        raise NotImplementedError

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={text}" for name, text in self.facts().items())
        return escaped(f"{type(self).__name__}({said})")

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{_cell(name)}</th><td>{_cell(text)}</td></tr>" for name, text in self.facts().items())
        return f"<table><caption>{_cell(type(self).__name__)}</caption><tbody>{rows}</tbody></table>"


def _cell(text: str) -> str:
    return escape(escaped(text))
