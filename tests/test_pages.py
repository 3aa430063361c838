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


def test_every_file_of_results_says_where_it_is_from() -> None:
    """The command that made it; where and when too for what is nowhere but in a table."""
    known = TOOL["known"]()
    assert [name for name, row in known.items() if not row["command"]] == [], "add the command to docs/stored.csv"
    assert [n for n, row in known.items() if n.startswith("docs/measured/") and not row["measured"]] == []
    shown = {name for page in TOOL["pages"]() for name in TOOL["tables_of"](page.read_text(encoding="utf-8"))}
    assert {path.stem for path in TOOL["MEASURED"].glob("*.csv")} <= shown, "no page shows the others"


def test_no_table_of_numbers_is_written_by_hand() -> None:
    """In the pages and in README.md."""
    root, by_hand = TOOL["ROOT"], TOOL["by_hand"]
    found = {
        page.relative_to(root).as_posix(): by_hand(page.read_text(encoding="utf-8"))
        for pattern in TOOL["PAGES"]
        for page in root.glob(pattern)
        if "generated" not in page.parts
    }
    assert {page: tables for page, tables in found.items() if tables} == {}
    assert by_hand("| model | bound | operations |\n| --- | --- | --- |\n| a | 0.95 | 2^21.9 |\n")
    assert not by_hand("| code | what it means |\n| --- | --- |\n| 0 | done |\n")


def test_a_changed_number_is_seen() -> None:
    """One digit of a table, and nothing outside of tables."""
    page = (TOOL["DOCS"] / "frontier.md").read_text(encoding="utf-8")
    before, table = page.split("<!-- stored: frontier -->")
    digit = table.index("1.000000")
    changed = table[:digit] + "1.000001" + table[digit + 8 :]
    assert TOOL["written"](before + "<!-- stored: frontier -->" + changed) == page
    assert TOOL["written"]("1.000001" + page) == "1.000001" + page
