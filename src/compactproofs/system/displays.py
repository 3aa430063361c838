"""Objects that show themselves: in a line, and in notebooks as a small table.  Standard library only."""

from __future__ import annotations

from decimal import Decimal
from html import escape

from compactproofs.system.messages import escaped

_DIGITS = 15


def in_short(number: int) -> str:
    """A number that may have thousands of digits."""
    return str(number) if abs(number) < 10**_DIGITS else f"{Decimal(number):.6e}"


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
