"""Tables of the documentation say what the stored results say."""

import runpy
from pathlib import Path

import pytest

pytest.importorskip("polars")

TOOL = runpy.run_path(str(Path(__file__).parent.parent / "tools" / "pages.py"))


def test_pages_say_what_is_stored() -> None:
    """Each table that comes from results, and the list of results with their hashes."""
    assert TOOL["pages"]()
    assert TOOL["outdated"]() == [], "run: python tools/pages.py"


def test_a_changed_number_is_seen() -> None:
    """One digit of a table, and nothing outside of tables."""
    page = (TOOL["DOCS"] / "frontier.md").read_text(encoding="utf-8")
    before, table = page.split("<!-- stored: frontier -->")
    digit = table.index("1.000000")
    changed = table[:digit] + "1.000001" + table[digit + 8 :]
    assert TOOL["written"](before + "<!-- stored: frontier -->" + changed) == page
    assert TOOL["written"]("1.000001" + page) == "1.000001" + page
